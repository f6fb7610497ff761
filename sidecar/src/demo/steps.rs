//! The steps of the tutorial that the demo plays: which rules, what trouble, who visits, what must be seen, and what the
//! story of one of the requests must tell.
//!
//! Plain data. The rules are the files of `examples/tutorial`, embedded, so that what is shown is what is shipped. The
//! steps themselves stand in `tutorial`, `policies`, `calls` and `trust`.

mod calls;
mod policies;
mod trust;
mod tutorial;

use std::time::Duration;

use super::counted::Counted;
use calls::CALLS;
use policies::POLICIES;
use trust::TRUST;
use tutorial::TUTORIAL;

/// The services, before any rule.
pub(super) const SERVICES: &str = include_str!("../../../examples/tutorial/services.yaml");

/// The ports of the examples, in the order customer, preference, recommendation v1, v2 and its second instance. The demo
/// puts the ones it really listens on in their place.
pub(super) const EXAMPLE_PORTS: [&str; 5] = ["18080", "18081", "18082", "18083", "18084"];

/// A port of the examples on which nobody listens.
pub(super) const DEAD_PORT: &str = "18085";

/// Ejections after which an instance was ejected again, and not once and for all.
pub(super) const EJECTIONS: u64 = 2;

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
    /// Words that the story of a request must have: what the step shows, as one of its requests met it.
    pub(super) tells: &'static str,
    /// Whose story that is.
    pub(super) teller: Teller,
    /// Whether sidecars can prove whom they stand beside.
    pub(super) certificates: Certificates,
}

/// The sidecar that a story is heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Teller {
    /// The one of who asks: it decides where requests go.
    #[default]
    Caller,
    /// The one of who is asked: it decides who may come in.
    Asked,
}

/// Who can prove to be somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Certificates {
    /// Nobody: everything is clear text.
    #[default]
    None,
    /// Every sidecar but the stranger's, by a throw-away authority.
    Issued,
}

/// What most steps have: a mesh in clear text in which all is well.
const STEP: Step = Step {
    name: "",
    title: "",
    rules: "",
    trouble: Trouble::None,
    visits: &[],
    load: None,
    tells: "",
    teller: Teller::Caller,
    certificates: Certificates::None,
};

/// What is wrong with recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// Version 2 thinks for so long before it answers.
    SlowV2(Duration),
    /// Every instance does.
    Slow(Duration),
    /// Version 1 answers everything with 503.
    V1Fails,
    /// The second instance of version 2 does.
    SecondV2Fails,
    /// Every instance does.
    AllFail,
}

/// Many visitors at the same time, and what they must see together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// How many; each has a connection of its own and asks again when it was answered.
    pub(super) visitors: u32,
    /// Requests of each, unless there is nothing more to see before.
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

impl LoadExpect {
    /// Whether so much was counted that visitors need not come any more. Where that is no count, they come as often as the
    /// load says.
    pub(super) const fn is_seen(self, counted: &Counted) -> bool {
        match self {
            Self::OncePerEjection(_) => counted.ejections >= EJECTIONS,
            Self::ServedSlowly(_)
            | Self::SomeGet(_)
            | Self::ShareGets(..)
            | Self::ServedDespiteEjections => false,
        }
    }
}

/// A request that is sent many times.
pub(super) struct Visit {
    /// Who does what, in a few words.
    pub(super) who: &'static str,
    /// Whose sidecar it comes through.
    pub(super) through: Through,
    /// What it comes in.
    pub(super) speaks: Speaks,
    /// `GET` or `OPTIONS`, and `POST` for calls.
    pub(super) method: &'static str,
    /// The service asked for.
    pub(super) host: &'static str,
    /// Path.
    pub(super) path: &'static str,
    /// Header fields beside `host`, and those that every call has.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// How often.
    pub(super) effort: Effort,
    /// What of an answer is looked at.
    pub(super) look: Look,
    /// What must be seen.
    pub(super) expect: Expect,
    /// What must have happened where visitors see nothing.
    pub(super) also: Also,
}

/// The sidecar that a visitor asks, and so who the visitor is in the mesh once there are identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// That of the service account `visitor`.
    Visitor,
    /// That of the service account `tester`.
    Tester,
    /// One without an identity.
    Stranger,
}

/// What a visitor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.1, as many visitors as connections.
    Http1,
    /// gRPC over HTTP/2: all visitors share a connection.
    Grpc,
}

/// How often a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// `--requests` times, because chance is part of what is shown.
    Full,
    /// A tenth of that, and often enough to see both of two versions.
    Tenth,
    /// This often, and more at the same time, because an answer takes long or a number is what is shown.
    Times(u32),
}

/// What of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The version of recommendation that answered, or else the status and what is behind it.
    Answer,
    /// The status and this header field.
    Field(&'static str),
}

/// What must be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expect {
    /// This, every time.
    Always(&'static str),
    /// The same of these, every time: whichever was first.
    OneOf(&'static [&'static str]),
    /// This so many times, otherwise one of the others.
    Exactly {
        /// What is counted.
        of: &'static str,
        /// How often it is seen.
        times: u32,
        /// What else may be seen.
        others: &'static [&'static str],
    },
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

/// What must have happened where visitors see nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Also {
    /// Nothing in particular.
    Nothing,
    /// Version 2 was asked once for each request.
    CopiesToV2,
    /// Version 2 was asked.
    V2Asked,
    /// An instance was ejected.
    Ejection,
    /// Instances were asked so much more often than visitors asked.
    Retries(u32),
    /// Instances were asked more often than visitors asked.
    Retried,
    /// All calls came on one connection, so many of them at the same time.
    OneConnection {
        /// At most, which was reached.
        at_once: u32,
    },
    /// The second instance of version 2, which came with the rules, got no more of the turns than a weight that grows with
    /// the time gives it, and no less than the least weight does.
    WarmsUp {
        /// How long it takes to have its whole weight.
        window: Duration,
        /// The share of its weight that it has at least.
        minimum: f64,
    },
}

/// `GET /` from customer, the entry of the chain.
pub(super) const VISIT: Visit = Visit {
    who: "anybody",
    through: Through::Visitor,
    speaks: Speaks::Http1,
    method: "GET",
    host: "customer",
    path: "/",
    headers: &[],
    effort: Effort::Tenth,
    look: Look::Answer,
    expect: Expect::Each(&["v1", "v2"]),
    also: Also::Nothing,
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
const OUT_OF_ORDER: &str = "503 (503 v2)";

macro_rules! rules {
    ($name:literal) => {
        include_str!(concat!("../../../../examples/tutorial/", $name, ".yaml"))
    };
}
use rules;

/// All steps, in the order they are played.
pub(super) fn steps() -> impl Iterator<Item = &'static Step> {
    TUTORIAL.iter().chain(POLICIES).chain(CALLS).chain(TRUST)
}

#[cfg(test)]
mod tests;
