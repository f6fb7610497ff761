//! Steps 22 and on, each for one policy that the tutorial does not have.

use std::time::Duration;

use super::{
    Also, Effort, Expect, FIREFOX, Load, LoadExpect, OUT_OF_ORDER, SAFARI, STEP, Step, Trouble,
    VISIT, Visit, rules, share_of_v2,
};

const V1_OUT_OF_ORDER: &str = "503 (503 v1)";
const RATE_LIMITED: &str = "503 (429 RL)";
const TOO_MANY_AT_A_TIME: &str = "503 (503 UO)";

/// How long an instance takes to warm up in the last two steps.
const WARM_UP: Duration = Duration::from_secs(2);

/// In the order they are played.
pub(super) const POLICIES: &[Step] = &[
    Step {
        name: "22-consistent-hash",
        title: "who comes with the same browser meets the same version",
        rules: rules!("22-consistent-hash"),
        visits: &[
            Visit {
                who: "with Safari",
                headers: &[("user-agent", SAFARI)],
                expect: Expect::OneOf(&["v1", "v2"]),
                ..VISIT
            },
            Visit {
                who: "with Firefox",
                headers: &[("user-agent", FIREFOX)],
                expect: Expect::OneOf(&["v1", "v2"]),
                ..VISIT
            },
        ],
        tells: "of a header field (baggage-user-agent)",
        ..STEP
    },
    Step {
        name: "23-distribute",
        title: "one request in five leaves the zone of its caller",
        rules: rules!("23-distribute"),
        visits: &[Visit {
            expect: share_of_v2(0.2),
            ..VISIT
        }],
        tells: "ms: locality by weight",
        ..STEP
    },
    Step {
        name: "24-failover",
        title: "version 1 is in the own zone and fails: the next zone takes over",
        rules: rules!("24-failover"),
        trouble: Trouble::V1Fails,
        visits: &[Visit {
            expect: Expect::Always("v2"),
            also: Also::Ejection,
            ..VISIT
        }],
        tells: "priority 1 with 100 % of the traffic",
        ..STEP
    },
    Step {
        name: "25-short-delay",
        title: "half of all calls are held for 0.3 s",
        rules: rules!("25-short-delay"),
        load: Some(Load {
            visitors: 24,
            requests: 1,
            pause: Duration::ZERO,
            expect: LoadExpect::ServedSlowly(Duration::from_millis(300)),
        }),
        tells: "held for 300.0 ms",
        ..STEP
    },
    Step {
        name: "26-per-try-timeout",
        title: "version 2 takes 3 s, no try takes longer than 0.5 s",
        rules: rules!("26-per-try-timeout"),
        trouble: Trouble::SlowV2(Duration::from_secs(3)),
        visits: &[Visit {
            effort: Effort::Times(24),
            expect: Expect::Always("v1"),
            also: Also::V2Asked,
            ..VISIT
        }],
        tells: "per try timeout, a try may take 500.0 ms; retried after",
        ..STEP
    },
    Step {
        name: "27-hedging",
        title: "version 2 takes 3 s, another try is made beside it after 50 ms",
        rules: rules!("27-hedging"),
        trouble: Trouble::SlowV2(Duration::from_secs(3)),
        visits: &[Visit {
            effort: Effort::Times(24),
            expect: Expect::Always("v1"),
            also: Also::V2Asked,
            ..VISIT
        }],
        tells: "a try may take 50.0 ms; hedged",
        ..STEP
    },
    Step {
        name: "28-local-rate-limit",
        title: "ten requests at once, and then one every three minutes",
        rules: rules!("28-local-rate-limit"),
        visits: &[Visit {
            effort: Effort::Times(40),
            expect: Expect::Exactly {
                of: RATE_LIMITED,
                times: 30,
                others: &["v1", "v2"],
            },
            ..VISIT
        }],
        tells: "refused: none of 10 tokens left, one comes every 180.00 s",
        ..STEP
    },
    // Not right after hedging: an attempt that was given up there may still reach its instance, and would be counted here.
    Step {
        name: "29-retry-budget",
        title: "everything fails: 80 requests, and no more than 60 retries",
        rules: rules!("29-retry-budget"),
        trouble: Trouble::AllFail,
        visits: &[Visit {
            effort: Effort::Times(80),
            expect: Expect::Each(&[V1_OUT_OF_ORDER, OUT_OF_ORDER]),
            also: Also::Retries(60),
            ..VISIT
        }],
        tells: "not retried: the budget is spent: 60 retries",
        ..STEP
    },
    Step {
        name: "30-adaptive-concurrency",
        title: "both versions take 0.1 s: three requests at a time, and the others fail at once",
        rules: rules!("30-adaptive-concurrency"),
        trouble: Trouble::Slow(Duration::from_millis(100)),
        load: Some(Load {
            visitors: 24,
            requests: 2,
            pause: Duration::ZERO,
            expect: LoadExpect::SomeGet(TOO_MANY_AT_A_TIME),
        }),
        tells: "refused by the limit that follows response times: 3 requests under way at a time",
        ..STEP
    },
    Step {
        name: "31-gateway-errors",
        title: "an instance that answers 503 is ejected, and what it failed is tried again",
        rules: rules!("31-gateway-errors"),
        trouble: Trouble::SecondV2Fails,
        visits: &[Visit {
            also: Also::Ejection,
            ..VISIT
        }],
        tells: "its endpoint was ejected: consecutive_gateway_failure",
        ..STEP
    },
    Step {
        name: "32-dead-instance",
        title: "an instance that nobody can reach is ejected, and nobody sees it",
        rules: rules!("32-dead-instance"),
        visits: &[Visit {
            also: Also::Ejection,
            ..VISIT
        }],
        tells: "its endpoint was ejected: consecutive_local_origin_failure",
        ..STEP
    },
    Step {
        name: "33-warm-up",
        title: "both versions warm up side by side",
        rules: rules!("33-warm-up"),
        load: Some(Load {
            visitors: 8,
            requests: 10, // Longer than the window, so that both are warm when the next step begins.
            pause: Duration::from_millis(220),
            expect: LoadExpect::ShareGets("v2", 0.5),
        }),
        tells: "its turn by weight, warmed up to",
        ..STEP
    },
    Step {
        name: "34-newcomer",
        title: "a third instance comes to two that are warm: a tenth of its share at first",
        rules: rules!("34-newcomer"),
        visits: &[Visit {
            also: Also::WarmsUp {
                window: WARM_UP,
                minimum: 0.1,
            },
            ..VISIT
        }],
        tells: "its turn by weight, warmed up to",
        ..STEP
    },
];
