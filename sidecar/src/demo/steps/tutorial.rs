//! The tutorial's own steps, 01 to 21: from two versions of a service to all policies together.

use std::time::Duration;

use super::{
    Also, Effort, Expect, FIREFOX, Load, LoadExpect, Look, OUT_OF_ORDER, SAFARI, STEP, Step,
    Trouble, VISIT, Visit, rules, share_of_v2,
};

const PHONE: &str = "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0";

const OVERFLOW: &str = "503 (503 UO)";

const ORIGIN_ALLOWED: &str = "access-control-allow-origin";

/// In the order they are played.
pub(super) const TUTORIAL: &[Step] = &[
    Step {
        name: "services",
        title: "no rules: both versions answer",
        rules: "",
        visits: &[VISIT],
        tells: "the default one of a service",
        ..STEP
    },
    Step {
        name: "01-all-to-v2",
        title: "everything goes to version 2",
        rules: rules!("01-all-to-v2"),
        visits: &[Visit {
            expect: Expect::Always("v2"),
            ..VISIT
        }],
        tells: "(01-all-to-v2:",
        ..STEP
    },
    Step {
        name: "02-all-to-v1",
        title: "everything goes back to version 1",
        rules: rules!("02-all-to-v1"),
        visits: &[Visit {
            expect: Expect::Always("v1"),
            ..VISIT
        }],
        tells: "(02-all-to-v1:",
        ..STEP
    },
    Step {
        name: "03-canary-90-10",
        title: "a canary: one request in ten to version 2",
        rules: rules!("03-canary-90-10"),
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.10),
            ..VISIT
        }],
        tells: "drawn with weight 10 of 100",
        ..STEP
    },
    Step {
        name: "04-canary-75-25",
        title: "the canary grows: one request in four",
        rules: rules!("04-canary-75-25"),
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.25),
            ..VISIT
        }],
        tells: "drawn with weight 25 of 100",
        ..STEP
    },
    Step {
        name: "05-safari-to-v2",
        title: "Safari sees version 2, two services later",
        rules: rules!("05-safari-to-v2"),
        visits: &[
            Visit {
                who: "with Safari",
                headers: &[("user-agent", SAFARI)],
                expect: Expect::Always("v2"),
                ..VISIT
            },
            Visit {
                who: "with Firefox",
                headers: &[("user-agent", FIREFOX)],
                expect: Expect::Always("v1"),
                ..VISIT
            },
        ],
        tells: "route safari",
        ..STEP
    },
    Step {
        name: "06-mobile-to-v2",
        title: "phones see version 2",
        rules: rules!("06-mobile-to-v2"),
        visits: &[
            Visit {
                who: "on a phone",
                headers: &[("user-agent", PHONE)],
                expect: Expect::Always("v2"),
                ..VISIT
            },
            Visit {
                who: "at a desk",
                headers: &[("user-agent", FIREFOX)],
                expect: Expect::Always("v1"),
                ..VISIT
            },
        ],
        tells: "route mobile",
        ..STEP
    },
    Step {
        name: "07-cors",
        title: "a browser asks before it calls",
        rules: rules!("07-cors"),
        visits: &[
            Visit {
                who: "preflight from the shop",
                method: "OPTIONS",
                headers: &[
                    ("origin", "http://shop.example"),
                    ("access-control-request-method", "GET"),
                ],
                look: Look::Field(ORIGIN_ALLOWED),
                expect: Expect::Always("200, access-control-allow-origin: http://shop.example"),
                ..VISIT
            },
            Visit {
                who: "call from the shop",
                headers: &[("origin", "http://shop.example")],
                look: Look::Field(ORIGIN_ALLOWED),
                expect: Expect::Always("200, access-control-allow-origin: http://shop.example"),
                ..VISIT
            },
            Visit {
                who: "call from elsewhere",
                headers: &[("origin", "http://elsewhere.example")],
                look: Look::Field(ORIGIN_ALLOWED),
                expect: Expect::Always("200, no access-control-allow-origin"),
                ..VISIT
            },
        ],
        tells: "cors_response",
        ..STEP
    },
    Step {
        name: "08-rewrite",
        title: "customer knows only /, visitors may say /welcome",
        rules: rules!("08-rewrite"),
        visits: &[
            Visit {
                who: "GET /welcome",
                path: "/welcome",
                ..VISIT
            },
            Visit {
                who: "GET /goodbye",
                path: "/goodbye",
                expect: Expect::Always("404 customer has no GET /goodbye"),
                ..VISIT
            },
        ],
        tells: "spec.http[0].match[0] (08-rewrite:",
        ..STEP
    },
    Step {
        name: "09-dark-launch",
        title: "version 2 sees a copy of everything, and nobody sees version 2",
        rules: rules!("09-dark-launch"),
        visits: &[Visit {
            expect: Expect::Always("v1"),
            also: Also::CopiesToV2,
            ..VISIT
        }],
        tells: "a copy was sent",
        ..STEP
    },
    Step {
        name: "10-registry-only",
        title: "only known hosts may be called",
        rules: rules!("10-registry-only"),
        visits: &[
            Visit {
                who: "calls outside.example",
                host: "outside.example",
                expect: Expect::Always("v1"),
                ..VISIT
            },
            Visit {
                who: "calls unknown.example",
                host: "unknown.example",
                expect: Expect::Always("502"),
                ..VISIT
            },
        ],
        tells: "the egress policy decides",
        ..STEP
    },
    Step {
        name: "11-random",
        title: "versions are drawn at random",
        rules: rules!("11-random"),
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.5),
            ..VISIT
        }],
        tells: "drawn at random",
        ..STEP
    },
    Step {
        name: "12-timeout",
        title: "version 2 takes 3 s, nobody waits longer than 1 s",
        rules: rules!("12-timeout"),
        trouble: Trouble::SlowV2(Duration::from_secs(3)),
        visits: &[Visit {
            // Least-request draws two endpoints and takes v2 when both are it, however slow: a quarter of the time.
            effort: Effort::Times(64),
            expect: Expect::Each(&["v1", "503 (504 UT)"]),
            ..VISIT
        }],
        tells: "response_timeout",
        ..STEP
    },
    Step {
        name: "13-abort-half",
        title: "half of all calls fail before they are sent",
        rules: rules!("13-abort-half"),
        visits: &[Visit {
            effort: Effort::Full,
            expect: Expect::Share {
                of: "503 (503 FI)",
                share: 0.5,
                others: &["v1", "v2"],
            },
            ..VISIT
        }],
        tells: "fault_filter_abort",
        ..STEP
    },
    Step {
        name: "18-slow-v2",
        title: "version 2 takes half a second, and nothing is done about it",
        rules: rules!("18-slow-v2"),
        trouble: Trouble::SlowV2(Duration::from_millis(500)),
        load: Some(Load {
            visitors: 24,
            requests: 1,
            pause: Duration::ZERO,
            expect: LoadExpect::ServedSlowly(Duration::from_millis(500)),
        }),
        tells: "|v2|recommendation.default.svc.cluster.local, drawn with weight 50 of 100",
        ..STEP
    },
    Step {
        name: "16-circuit-breaker",
        title: "version 2 is slow: one request gets through to it, one waits, the others fail at once",
        rules: rules!("16-circuit-breaker"),
        trouble: Trouble::SlowV2(Duration::from_millis(250)),
        load: Some(Load {
            visitors: 24,
            requests: 2,
            pause: Duration::ZERO,
            expect: LoadExpect::SomeGet(OVERFLOW),
        }),
        tells: "refused by the circuit limit",
        ..STEP
    },
    Step {
        name: "19-failing-instance",
        title: "one instance of three fails",
        rules: rules!("19-failing-instance"),
        trouble: Trouble::SecondV2Fails,
        load: Some(Load {
            visitors: 8,
            requests: 15,
            pause: Duration::ZERO,
            expect: LoadExpect::ShareGets(OUT_OF_ORDER, 1.0 / 3.0),
        }),
        tells: "ended with 503; nothing to retry",
        ..STEP
    },
    Step {
        name: "20-failing-instance-ejected",
        title: "it is ejected, comes back after a second, and is ejected again",
        rules: rules!("20-failing-instance-ejected"),
        trouble: Trouble::SecondV2Fails,
        load: Some(Load {
            visitors: 8,
            // Until the second ejection, after a second or two; a slow machine may need more.
            requests: 100,
            pause: Duration::from_millis(60),
            expect: LoadExpect::OncePerEjection(OUT_OF_ORDER),
        }),
        tells: "its endpoint was ejected: consecutive_5xx",
        ..STEP
    },
    Step {
        name: "21-all-together",
        title: "retries, limits and ejection: nobody sees a failure",
        rules: rules!("21-all-together"),
        trouble: Trouble::SecondV2Fails,
        load: Some(Load {
            visitors: 8,
            requests: 25,
            pause: Duration::from_millis(5),
            expect: LoadExpect::ServedDespiteEjections,
        }),
        tells: "ended with 503; retried after",
        ..STEP
    },
];
