//! The steps of the tutorial that the demo plays: which rules, what trouble, who visits, and what must be seen.
//!
//! Plain data. The rules are the files of `examples/tutorial`, embedded, so that what is shown is what is shipped.

use std::time::Duration;

/// The services, before any rule.
pub(super) const SERVICES: &str = include_str!("../../../examples/tutorial/services.yaml");

/// The ports of the examples, in the order customer, preference, recommendation v1, v2 and its second instance. The demo
/// puts the ones it really listens on in their place.
pub(super) const EXAMPLE_PORTS: [&str; 5] = ["18080", "18081", "18082", "18083", "18084"];

/// Rules, and the visits that show them.
pub(super) struct Step {
    /// The file under `examples/tutorial`, without its ending.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) title: &'static str,
    /// Istio YAML, empty for none.
    pub(super) rules: &'static str,
    /// What is wrong with recommendation meanwhile.
    pub(super) trouble: Trouble,
    /// Who comes by.
    pub(super) visits: &'static [Visit],
    /// Who comes all at once, after that.
    pub(super) load: Option<Load>,
}

/// What is wrong with recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// Version 2 thinks for so long before it answers.
    SlowV2(Duration),
    /// The second instance of version 2 answers everything with 503.
    SecondV2Fails,
}

/// Many visitors at the same time, and what they must see together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// How many; each has a connection of its own and asks again when it was answered.
    pub(super) visitors: u32,
    /// Requests of each.
    pub(super) requests: u32,
    /// Between an answer and the next request.
    pub(super) pause: Duration,
    /// What must be seen.
    pub(super) expect: LoadExpect,
}

/// What many visitors must see together. Counts and outcomes only, and times that nothing can make shorter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LoadExpect {
    /// Everybody is served, by both versions, and somebody waits for at least this long.
    ServedSlowly(Duration),
    /// Both versions serve, and some requests get this instead.
    SomeGet(&'static str),
    /// This is seen with a probability, otherwise one of the versions.
    ShareGets(&'static str, f64),
    /// The instance that fails is ejected and comes back, again and again: this is seen, but of each ejection no visitor
    /// sees more than one.
    OncePerEjection(&'static str),
    /// Everybody is served, although the instance that fails was asked and ejected.
    ServedDespiteEjections,
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

/// `GET /` from customer, the entry of the chain.
pub(super) const VISIT: Visit = Visit {
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

const OVERFLOW: &str = "503 customer => Error: 503 - preference => Error: 503 - \
    upstream connect error or disconnect/reset before headers. reset reason: overflow";
const OUT_OF_ORDER: &str =
    "503 customer => Error: 503 - preference => Error: 503 - recommendation v2 is out of order";

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
        trouble: Trouble::None,
        visits: &[VISIT],
        load: None,
    },
    Step {
        name: "01-all-to-v2",
        title: "everything goes to version 2",
        rules: rules!("01-all-to-v2"),
        trouble: Trouble::None,
        visits: &[Visit {
            expect: Expect::Always("v2"),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "02-all-to-v1",
        title: "everything goes back to version 1",
        rules: rules!("02-all-to-v1"),
        trouble: Trouble::None,
        visits: &[Visit {
            expect: Expect::Always("v1"),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "03-canary-90-10",
        title: "a canary: one request in ten to version 2",
        rules: rules!("03-canary-90-10"),
        trouble: Trouble::None,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.10),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "04-canary-75-25",
        title: "the canary grows: one request in four",
        rules: rules!("04-canary-75-25"),
        trouble: Trouble::None,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.25),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "05-safari-to-v2",
        title: "Safari sees version 2, two services later",
        rules: rules!("05-safari-to-v2"),
        trouble: Trouble::None,
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
        load: None,
    },
    Step {
        name: "06-mobile-to-v2",
        title: "phones see version 2",
        rules: rules!("06-mobile-to-v2"),
        trouble: Trouble::None,
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
        load: None,
    },
    Step {
        name: "07-cors",
        title: "a browser asks before it calls",
        rules: rules!("07-cors"),
        trouble: Trouble::None,
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
        load: None,
    },
    Step {
        name: "08-rewrite",
        title: "customer knows only /, visitors may say /welcome",
        rules: rules!("08-rewrite"),
        trouble: Trouble::None,
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
        load: None,
    },
    Step {
        name: "10-registry-only",
        title: "only known hosts may be called",
        rules: rules!("10-registry-only"),
        trouble: Trouble::None,
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
        load: None,
    },
    Step {
        name: "11-random",
        title: "versions are drawn at random",
        rules: rules!("11-random"),
        trouble: Trouble::None,
        visits: &[Visit {
            effort: Effort::Full,
            expect: share_of_v2(0.5),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "12-timeout",
        title: "version 2 takes 3 s, nobody waits longer than 1 s",
        rules: rules!("12-timeout"),
        trouble: Trouble::SlowV2(Duration::from_secs(3)),
        visits: &[Visit {
            // Least-request draws two endpoints and takes v2 when both are it, however slow: a quarter of the time.
            effort: Effort::Times(64),
            expect: Expect::Each(&[
                "v1",
                "503 customer => Error: 503 - preference => Error: 504 - upstream request timeout",
            ]),
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "13-abort-half",
        title: "half of all calls fail before they are sent",
        rules: rules!("13-abort-half"),
        trouble: Trouble::None,
        visits: &[Visit {
            effort: Effort::Full,
            expect: Expect::Share {
                of: "503 customer => Error: 503 - preference => Error: 503 - fault filter abort",
                share: 0.5,
                others: &["v1", "v2"],
            },
            ..VISIT
        }],
        load: None,
    },
    Step {
        name: "18-slow-v2",
        title: "version 2 takes 3 s, and nothing is done about it",
        rules: rules!("18-slow-v2"),
        trouble: Trouble::SlowV2(Duration::from_secs(3)),
        visits: &[],
        load: Some(Load {
            visitors: 24,
            requests: 1,
            pause: Duration::ZERO,
            expect: LoadExpect::ServedSlowly(Duration::from_secs(3)),
        }),
    },
    Step {
        name: "16-circuit-breaker",
        title: "version 2 takes 1 s: one request gets through to it, one waits, the others fail at once",
        rules: rules!("16-circuit-breaker"),
        trouble: Trouble::SlowV2(Duration::from_secs(1)),
        visits: &[],
        load: Some(Load {
            visitors: 24,
            requests: 2,
            pause: Duration::ZERO,
            expect: LoadExpect::SomeGet(OVERFLOW),
        }),
    },
    Step {
        name: "19-failing-instance",
        title: "one instance of three fails",
        rules: rules!("19-failing-instance"),
        trouble: Trouble::SecondV2Fails,
        visits: &[],
        load: Some(Load {
            visitors: 8,
            requests: 15,
            pause: Duration::ZERO,
            expect: LoadExpect::ShareGets(OUT_OF_ORDER, 1.0 / 3.0),
        }),
    },
    Step {
        name: "20-failing-instance-ejected",
        title: "it is ejected, comes back after a second, and is ejected again",
        rules: rules!("20-failing-instance-ejected"),
        trouble: Trouble::SecondV2Fails,
        visits: &[],
        load: Some(Load {
            visitors: 8,
            requests: 50,
            pause: Duration::from_millis(60),
            expect: LoadExpect::OncePerEjection(OUT_OF_ORDER),
        }),
    },
    Step {
        name: "21-all-together",
        title: "retries, limits and ejection: nobody sees a failure",
        rules: rules!("21-all-together"),
        trouble: Trouble::SecondV2Fails,
        visits: &[],
        load: Some(Load {
            visitors: 8,
            requests: 25,
            pause: Duration::from_millis(60),
            expect: LoadExpect::ServedDespiteEjections,
        }),
    },
];
