//! Who asks: what is known of a workload that has proved who it is, and who finds that out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use outrigger_core::peer::SpiffeId;

/// A workload that has proved who it is. [`Gate`](crate::Gate) puts it into the extensions of each request that it lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub service_account: String,
    /// Its pod, where the proof names one.
    pub pod: Option<String>,
    /// How it has proved that.
    pub proof: Proof,
    /// Until when that holds: whoever is told things for longer has to prove it again. `None`: the proof has no end, which a
    /// [`Gate`](crate::Gate) gives it.
    pub until: Option<SystemTime>,
}

/// How somebody has proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a token that a [`Reviewer`] found good.
    Token,
    /// By the key of a certificate that this authority gave.
    Certificate,
}

impl Caller {
    /// One with a proof, if such names can stand in an identity at all.
    ///
    /// # Errors
    /// A name that cannot.
    pub fn new(namespace: &str, service_account: &str, proof: Proof) -> Result<Self, Refused> {
        let caller = Self {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            pod: None,
            proof,
            until: None,
        };
        // Of a trust domain that is one for sure, so that the other two are what is looked at.
        match SpiffeId::parse(&caller.id("x")) {
            Some(id) if id.namespace == namespace && id.service_account == service_account => {
                Ok(caller)
            }
            _ => Err(Refused::NotProved(format!(
                "`{}` of `{}` is no name of a workload",
                service_account.escape_default(),
                namespace.escape_default()
            ))),
        }
    }

    /// The same, until then.
    #[must_use]
    pub fn until(self, until: SystemTime) -> Self {
        let until = Some(until);
        Self { until, ..self }
    }

    /// Its identity in a mesh: `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    #[must_use]
    pub fn id(&self, trust_domain: &str) -> String {
        let id = SpiffeId {
            trust_domain,
            namespace: &self.namespace,
            service_account: &self.service_account,
        };
        id.to_string()
    }
}

/// Why somebody is not who he says, as far as we can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The proof is none: the caller has to bring another one.
    NotProved(String),
    /// Nobody can say at the moment: the caller may come again.
    Unknown(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProved(why) | Self::Unknown(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

/// What comes of a review.
pub type Reviewing<'a> = Pin<Box<dyn Future<Output = Result<Caller, Refused>> + Send + 'a>>;

/// Finds out whose a token is: by a file ([`KnownTokens`](crate::KnownTokens)), by the keys of who made it
/// ([`SignedTokens`](crate::SignedTokens)), or by asking Kubernetes.
pub trait Reviewer: Send + Sync + 'static {
    /// Whose this token is. What it says of a token goes to whoever brought it, and into our log: never the token itself.
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a>;
}
