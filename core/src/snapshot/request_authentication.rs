//! Which tokens are accepted of those who ask the workload, as `policy::jwt` reads it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::cluster::JwtCounts;
use crate::jose::KeySet;
use crate::message::FieldName;
use crate::time::Duration;

/// The rules of all RequestAuthentications that hold for the workload.
#[derive(Clone, Debug, Default)]
pub struct RequestAuthentication {
    /// Sorted by issuer.
    pub rules: Box<[JwtRule]>,
    /// Where tokens may be, each place once: header fields, query parameters, cookies, each kind sorted by name.
    pub locations: Box<[TokenLocation]>,
    /// Fields that only we write: what clients send in them is removed.
    pub own_fields: Box<[FieldName]>,
    /// What it did so far.
    pub counts: Arc<JwtCounts>,
}

/// The tokens of one issuer.
#[derive(Clone, Debug)]
pub struct JwtRule {
    /// What sets it up.
    pub origin: Origin,
    /// What `iss` must be; empty is anything that no other rule is for.
    pub issuer: Box<str>,
    /// One of these must be in `aud`, without scheme and without a slash at the end; empty is anything.
    pub audiences: Box<[Box<str>]>,
    /// What tokens are checked with.
    pub keys: JwtKeys,
    /// The token is handed on.
    pub forwards: bool,
    /// The field that the payload is handed on in.
    pub payload_field: Option<FieldName>,
    /// Claims that are handed on.
    pub claim_fields: Box<[ClaimField]>,
    /// Claims that list words.
    pub space_delimited: Box<[Box<str>]>,
    /// A request without such a token is refused.
    pub is_required: bool,
}

/// A claim that is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimField {
    /// In this field.
    pub field: FieldName,
    /// The names that lead to the claim.
    pub path: Box<[Box<str>]>,
}

impl JwtRule {
    /// An audience as it is compared: without the scheme of a URL and without a slash at its end (Envoy).
    #[must_use]
    pub fn plain_audience(audience: &str) -> &str {
        let schemeless = audience
            .strip_prefix("http://")
            .or_else(|| audience.strip_prefix("https://"))
            .unwrap_or(audience);
        schemeless.strip_suffix('/').unwrap_or(schemeless)
    }
}

/// What the tokens of an issuer are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtKeys {
    /// These keys, which stand in the configuration.
    Inline(Arc<KeySet>),
    /// Those that stand at an address.
    Remote {
        /// Where.
        at: JwksAddress,
        /// What was there last; `None` until something was.
        fetched: Option<Arc<KeySet>>,
    },
}

/// Where the keys of an issuer stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JwksAddress {
    /// What to ask.
    pub place: JwksPlace,
    /// How long that may take.
    pub timeout: Duration,
}

/// What to ask for the keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JwksPlace {
    /// This address, of http or https.
    Uri(Box<str>),
    /// The address that the issuer of this name tells (OpenID Connect Discovery 1.0 §4).
    Issuer(Box<str>),
}

/// A place where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLocation {
    /// The place.
    pub place: TokenPlace,
    /// The positions of the rules whose tokens may be there.
    pub rules: Box<[u32]>,
}

/// A kind of place where a token may be. The order is that in which they are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// Each field of this name, behind this text.
    Header(FieldName, Box<str>),
    /// The first query parameter of this name.
    Param(Box<str>),
    /// The first cookie of this name.
    Cookie(Box<str>),
}
