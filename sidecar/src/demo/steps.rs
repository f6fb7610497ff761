//! The steps of the tutorial that the demo plays: which rules, who visits, and what must be seen.
//!
//! Plain data. The rules are the files of `examples/tutorial`, embedded, so that what is shown is what is shipped.

/// The services, before any rule.
pub(super) const SERVICES: &str = include_str!("../../../examples/tutorial/services.yaml");

/// The ports of the examples, in the order customer, preference, recommendation v1, recommendation v2. The demo puts
/// the ones it really listens on in their place.
pub(super) const EXAMPLE_PORTS: [&str; 4] = ["18080", "18081", "18082", "18083"];

/// Rules, and the visits that show them.
pub(super) struct Step {
    /// The file under `examples/tutorial`, without its ending.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) title: &'static str,
    /// Istio YAML, empty for none.
    pub(super) rules: &'static str,
    /// Whether recommendation v2 thinks for three seconds before it answers.
    pub(super) slow_v2: bool,
    /// Who comes by.
    pub(super) visits: &'static [Visit],
}

/// A request that is sent many times.
pub(super) struct Visit {
    /// Who does what, in a few words.
    pub(super) who: &'static str,
    /// `GET` or `OPTIONS`.
    pub(super) method: &'static str,
    /// The service asked for.
    pub(super) host: &'static str,
    /// Path.
    pub(super) path: &'static str,
    /// Header fields beside `host`.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// How often.
    pub(super) effort: Effort,
    /// What of an answer is looked at.
    pub(super) look: Look,
    /// What must be seen.
    pub(super) expect: Expect,
}

/// How often a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// `--requests` times, because chance is part of what is shown.
    Full,
    /// A tenth of that, and often enough to see both of two versions.
    Tenth,
    /// This often, because an answer takes long.
    Times(u32),
}

/// What of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The version of recommendation that answered, or else the status and the first line of the body.
    Answer,
    /// The status and this header field.
    Field(&'static str),
}

/// What must be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expect {
    /// This, every time.
    Always(&'static str),
    /// Each of these at least once, and nothing else.
    Each(&'static [&'static str]),
    /// This with a probability, otherwise one of the others.
    Share {
        /// What is counted.
        of: &'static str,
        /// How probable it is.
        share: f64,
        /// What else may be seen.
        others: &'static [&'static str],
    },
}

const VISIT: Visit = Visit {
    who: "anybody",
    method: "GET",
    host: "customer",
    path: "/",
    headers: &[],
    effort: Effort::Tenth,
    look: Look::Answer,
    expect: Expect::Each(&["v1", "v2"]),
};

const fn share_of_v2(share: f64) -> Expect {
    Expect::Share {
        of: "v2",
        share,
        others: &["v1"],
    }
}

const SAFARI: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const PHONE: &str = "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0";

const ORIGIN_ALLOWED: &str = "access-control-allow-origin";

macro_rules! rules {
    ($name:literal) => {
        include_str!(concat!("../../../examples/tutorial/", $name, ".yaml"))
    };
}

/// All steps, in the order they are played.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "services",
        title: "no rules: both versions answer",
        rules: "",
        slow_v2: false,
        visits: &[VISIT],
    },
    Step {
        name: "01-all-to-v2",
        title: "everything goes to version 2",
        rules: rules!("01-all-to-v2"),
        slow_v2: false,
        visits: &[Visit {
            expect: Expect::Always("v2"),
            ..VISIT
        }],
    },
    Step {
        name: "02-all-to-v1",
        title: "everything goes back to version 1",
        rules: rules!("02-all-to-v1"),
        slow_v2: false,
        visits: &[Visit {
            expect: Expect::Always("v1"),
            ..VISIT
        }],
    },
    Step {
        name: "03-canary-90-10",
        title: "a canary: one request in ten to version 2",
        rules: rules!("03-canary-90-10"),
        slow_v2: false,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.10),
            ..VISIT
        }],
    },
    Step {
        name: "04-canary-75-25",
        title: "the canary grows: one request in four",
        rules: rules!("04-canary-75-25"),
        slow_v2: false,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.25),
            ..VISIT
        }],
    },
    Step {
        name: "05-safari-to-v2",
        title: "Safari sees version 2, two services later",
        rules: rules!("05-safari-to-v2"),
        slow_v2: false,
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
    },
    Step {
        name: "06-mobile-to-v2",
        title: "phones see version 2",
        rules: rules!("06-mobile-to-v2"),
        slow_v2: false,
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
    },
    Step {
        name: "07-cors",
        title: "a browser asks before it calls",
        rules: rules!("07-cors"),
        slow_v2: false,
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
    },
    Step {
        name: "08-rewrite",
        title: "customer knows only /, visitors may say /welcome",
        rules: rules!("08-rewrite"),
        slow_v2: false,
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
    },
    Step {
        name: "10-registry-only",
        title: "only known hosts may be called",
        rules: rules!("10-registry-only"),
        slow_v2: false,
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
    },
    Step {
        name: "11-random",
        title: "versions are drawn at random",
        rules: rules!("11-random"),
        slow_v2: false,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.5),
            ..VISIT
        }],
    },
    Step {
        name: "12-timeout",
        title: "version 2 takes 3 s, nobody waits longer than 1 s",
        rules: rules!("12-timeout"),
        slow_v2: true,
        visits: &[Visit {
            // Least-request draws two endpoints and takes v2 when both are it, however slow: a quarter of the time.
            effort: Effort::Times(64),
            expect: Expect::Each(&[
                "v1",
                "503 customer => Error: 503 - preference => Error: 504 - upstream request timeout",
            ]),
            ..VISIT
        }],
    },
    Step {
        name: "13-abort-half",
        title: "half of all calls fail before they are sent",
        rules: rules!("13-abort-half"),
        slow_v2: false,
        visits: &[Visit {
            effort: Effort::Full,
            expect: Expect::Share {
                of: "503 customer => Error: 503 - preference => Error: 503 - fault filter abort",
                share: 0.5,
                others: &["v1", "v2"],
            },
            ..VISIT
        }],
    },
];
