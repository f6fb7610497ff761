//! RequestAuthentication (security.istio.io): which tokens a workload accepts, and what it hands on of them.
//!
//! Owns the resource field for field, and its rules. Which resources hold for a workload is decided in
//! `compile::request_authentication`; whether a token is accepted in `policy::jwt`.

mod decode;

use std::collections::BTreeMap;

use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use crate::time::Duration;

/// A RequestAuthentication resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestAuthentication {
    /// Who it is.
    pub meta: Meta,
    /// Labels of the workloads it holds for; empty is all of the namespace, and of the mesh in the root namespace.
    pub selector: BTreeMap<String, String>,
    /// It is attached to gateways, waypoints or services, so no sidecar applies it.
    pub is_targeted: bool,
    /// Whose tokens are accepted.
    pub jwt_rules: Vec<JwtRule>,
}

/// The tokens of one issuer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JwtRule {
    /// What `iss` must be; empty is anything.
    pub issuer: String,
    /// One of these must be in `aud`; empty is anything.
    pub audiences: Vec<String>,
    /// Where the keys are.
    pub keys: KeySource,
    /// Fields that may hold a token.
    pub from_headers: Vec<FromHeader>,
    /// Query parameters that may hold one.
    pub from_params: Vec<String>,
    /// Cookies that may hold one.
    pub from_cookies: Vec<String>,
    /// The field that the payload is handed on in.
    pub output_payload_to_header: Option<String>,
    /// The token itself is handed on.
    pub forward_original_token: bool,
    /// Claims that are handed on in fields of their own: each field and its claim.
    pub output_claim_to_headers: Vec<(String, String)>,
    /// How long fetching the keys may take; absent is five seconds.
    pub timeout: Option<Duration>,
    /// Claims that list words, besides `scope` and `permission`.
    pub space_delimited_claims: Vec<String>,
    /// A request without such a token is refused.
    pub is_required: bool,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeySource {
    /// Where the issuer says (OpenID Connect Discovery).
    #[default]
    Discovered,
    /// At this address.
    Uri(String),
    /// They stand here.
    Inline(String),
}

/// A field that may hold a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromHeader {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    pub prefix: String,
}

/// Reads and checks the `spec`.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> RequestAuthentication {
    report.field("spec", |report| {
        object(report, spec, |o| decode::decode(meta, o))
    })
}

#[cfg(test)]
mod tests;
