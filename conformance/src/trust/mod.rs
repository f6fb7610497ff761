//! Who has which certificate in a case, what files hold, how a peer speaks TLS, and what it must have met then, as its page says
//! it. `cases/README.md` is the guide; what is made of it when a case is played is in `beneath`.
//!
//! | module | owns |
//! |---|---|
//! | `words` | what a page says of that |
//! | `expectation` | what a script must have met |

mod expectation;
mod words;

pub use expectation::Expectation;

use std::collections::BTreeMap;

/// The authority that signs where a page names no other one, and the only one that a sidecar believes of itself.
pub const MESH: &str = "mesh";

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    Early,
    /// Its authority has revoked it.
    Revoked,
}

/// A certificate, as a page describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    /// Its URI names.
    pub uri_names: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// The common name of its subject; empty for none.
    pub common_name: String,
    /// Who has signed it.
    pub authority: String,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

/// What stands in a file or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The certificate of this name.
    Certificate(String),
    /// Its key.
    Key(String),
    /// The certificate of this authority.
    Authority(String),
    /// What this authority has revoked.
    Revoked(String),
}

/// All of that in a case, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Certificates.
    pub certificates: BTreeMap<String, Certificate>,
    /// Files by path, with what they hold.
    pub files: BTreeMap<String, Vec<Held>>,
    /// Kubernetes secrets, by `NAMESPACE/NAME`.
    pub secrets: BTreeMap<String, Vec<Held>>,
}

/// How a peer speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name of the certificate that it shows.
    pub certificate: Option<String>,
    /// The name that a client asks for.
    pub sni: Option<String>,
    /// What it offers or takes; what suits the version of HTTP where a page says nothing.
    pub alpn: Option<Vec<String>>,
    /// A service speaks only to who has a certificate of this authority.
    pub demands: Option<String>,
    /// It speaks nothing newer than TLS 1.2.
    pub is_old: bool,
}
