//! AuthorizationPolicies, compiled: who may ask this workload for what, as `policy::authorization` reads it.
//!
//! Owns the compiled form and its index. Rules stand in the order of their names, because Envoy tries them so and names
//! the first that matches.

mod external;
mod index;
mod pattern;

pub use external::{Authorizer, AuthorizerProtocol, CheckedBody, ExternalCheck, HttpCheck};
pub use index::{AccessIndex, Part, Probe, Probed};
pub use pattern::{HostPattern, PathPattern, TemplatePiece, TextPattern, TokenPrincipal};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::matching::MatchedField;
use super::origin::Origin;
use crate::peer::AddressRange;

/// Which rule of the policies that hold for the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccessRuleId(pub u32);

/// All policies that hold for the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// Indexed by [`AccessRuleId`].
    pub names: Box<[AccessRuleName]>,
    /// The port that the application serves, by inbound listener.
    pub ports: Box<[u16]>,
    /// Who else is asked, in this order, before the rules for requests.
    pub external: Box<[ExternalCheck]>,
    /// For requests.
    pub http: AccessRules,
    /// For connections that carry no HTTP: what only HTTP knows is left out of rules that refuse, and makes rules that
    /// allow useless (Istio).
    pub tcp: AccessRules,
}

impl Authorization {
    /// Whether no policy holds, so that everybody may ask for anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty() && self.external.is_empty() && !self.http.says_who_may()
    }

    /// Whether an answer's body decides whether a request may pass.
    #[must_use]
    pub fn reads_answers(&self) -> bool {
        let mut external = self.external.iter();
        external.any(|check| check.authorizer.protocol == AuthorizerProtocol::Grpc)
    }

    /// What a rule is called.
    #[must_use]
    pub fn name(&self, id: AccessRuleId) -> &AccessRuleName {
        &self.names[id.0 as usize]
    }
}

/// What a rule is called, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRuleName {
    /// As Istio calls it: `ns[a]-policy[b]-rule[0]`.
    pub text: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
    /// Its policy has errors, so all is refused in its place.
    pub is_broken: bool,
}

/// The rules of all policies, by what they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// What they match is counted.
    pub audit: RuleSet,
    /// What they match is refused.
    pub deny: RuleSet,
    /// Only what they match may pass; `None` where no policy says who may.
    pub allow: Option<RuleSet>,
    /// As `deny`, without effect.
    pub tried_deny: RuleSet,
    /// As `allow`, without effect.
    pub tried_allow: Option<RuleSet>,
}

impl AccessRules {
    const fn says_who_may(&self) -> bool {
        self.allow.is_some() || self.tried_allow.is_some()
    }
}

/// Rules of which the first that matches counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// In the order of their names.
    pub rules: Box<[AccessRule]>,
    /// Which few of them a request may match.
    pub index: AccessIndex,
}

impl RuleSet {
    /// Rules in the order in which they are tried.
    #[must_use]
    pub fn new(rules: Vec<AccessRule>) -> Self {
        Self {
            index: AccessIndex::new(&rules),
            rules: rules.into(),
        }
    }
}

/// One rule: one of `from`, one of `to`, and all of `when` must hold. An empty list asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Which it is.
    pub id: AccessRuleId,
    /// Who asks: tests that must hold together.
    pub from: Box<[Box<[Test]>]>,
    /// What for: tests that must hold together.
    pub to: Box<[Box<[Test]>]>,
    /// What else must hold.
    pub when: Box<[Test]>,
}

/// One attribute and the values that it is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What must hold; or must not.
    pub check: Check,
    /// It must not hold.
    pub negated: bool,
}

/// An attribute, and values of which one must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The address on the other end of the connection.
    SourceIp(Box<[AddressRange]>),
    /// The address that the request came from at first.
    RemoteIp(Box<[AddressRange]>),
    /// Our address on the connection.
    DestinationIp(Box<[AddressRange]>),
    /// The port that the application serves.
    DestinationPort(Box<[u16]>),
    /// The client's identity.
    Principal(Box<[TextPattern]>),
    /// The namespace of the client's identity.
    Namespace(Box<[TextPattern]>),
    /// Namespace and service account of the client's identity.
    ServiceAccount(Box<[(Box<str>, Box<str>)]>),
    /// The trust domain of the client's identity.
    TrustDomain(Box<[TextPattern]>),
    /// Issuer and subject of the request's token.
    TokenPrincipal(Box<[TokenPrincipal]>),
    /// A claim of the request's token: its path, and what one of its texts must be.
    Claim(Box<[Box<str>]>, Box<[TextPattern]>),
    /// A field of the request, each of its values by itself.
    Field(MatchedField, Box<[TextPattern]>),
    /// The method.
    Method(Box<[TextPattern]>),
    /// The authority.
    Host(Box<[HostPattern]>),
    /// The path without its query, normalised.
    Path(Box<[PathPattern]>),
    /// The name that the client asked for in its TLS handshake.
    Sni(Box<[TextPattern]>),
}
