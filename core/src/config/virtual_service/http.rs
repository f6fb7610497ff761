//! HTTP routes: what happens to a request that matched, as written.

use std::collections::BTreeMap;

use super::api::ApiRule;
use super::destination::Destination;
use super::matching::{HttpMatchRequest, StringMatch};
use super::policy::{HttpFaultInjection, HttpMirrorPolicy, HttpRetry, Percent};
use crate::time::Duration;

/// One entry of `spec.http`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRoute {
    /// Goes to logs as the route name.
    pub name: String,
    /// Alternatives; empty matches everything.
    pub matches: Vec<HttpMatchRequest>,
    /// Weighted destinations.
    pub route: Vec<HttpRouteDestination>,
    /// Answer with a redirect.
    pub redirect: Option<HttpRedirect>,
    /// Answer with a fixed response.
    pub direct_response: Option<HttpDirectResponse>,
    /// Continue with the rules of another VirtualService.
    pub delegate: Option<Delegate>,
    /// What is rewritten before forwarding.
    pub rewrite: Option<HttpRewrite>,
    /// For the whole request with its retries; absent is unlimited.
    pub timeout: Option<Duration>,
    /// Absent means the mesh's default policy, present with zero attempts means none.
    pub retries: Option<HttpRetry>,
    /// Injected delay and abort.
    pub fault: Option<HttpFaultInjection>,
    /// Where copies go; exclusive with `mirrors`.
    pub mirror: Option<Destination>,
    /// Where copies go, each with its own share.
    pub mirrors: Vec<HttpMirrorPolicy>,
    /// Deprecated share of `mirror` in whole percent; `mirror_percentage` wins.
    pub mirror_percent: Option<u32>,
    /// Share of requests that `mirror` copies; absent is all.
    pub mirror_percentage: Option<Percent>,
    /// Cross-origin rules.
    pub cors_policy: Option<CorsPolicy>,
    /// Header operations of the route.
    pub headers: Option<Headers>,
    /// Where it stands in a route of the Gateway API, if that is what it was read from.
    pub api: Option<Box<ApiRule>>,
}

impl HttpRoute {
    /// The share of requests that `mirror` copies in percent: `mirror_percentage`, else `mirror_percent`, else all.
    #[must_use]
    pub fn mirror_share(&self) -> f64 {
        match (self.mirror_percentage, self.mirror_percent) {
            (Some(share), _) => share.value,
            (None, Some(percent)) => f64::from(percent),
            (None, None) => 100.0,
        }
    }
}

/// One entry of `http[].route`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRouteDestination {
    /// Where to.
    pub destination: Destination,
    /// Share among the entries; ignored when there is one.
    pub weight: i32,
    /// Header operations of this destination.
    pub headers: Option<Headers>,
}

/// Header operations on both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// On the request before forwarding.
    pub request: Option<HeaderOperations>,
    /// On the response before returning it.
    pub response: Option<HeaderOperations>,
}

/// Header operations on one way. Names as written; maps have no order in Istio, ours is by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOperations {
    /// Overwrite.
    pub set: BTreeMap<String, String>,
    /// Append.
    pub add: BTreeMap<String, String>,
    /// Remove.
    pub remove: Vec<String>,
}

/// What is rewritten before forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRewrite {
    /// Replaces the matched prefix, or the whole path; empty rewrites nothing.
    pub uri: String,
    /// Replaces `Host`; empty rewrites nothing.
    pub authority: String,
    /// Replaces by regular expression; exclusive with `uri`.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// A replacement by regular expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegexRewrite {
    /// RE2 pattern, not anchored.
    pub pattern: String,
    /// Replacement with `\1` captures.
    pub rewrite: String,
}

/// A redirect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRedirect {
    /// Replaces the whole path; exclusive with `prefix_rewrite`.
    pub uri: String,
    /// Replaces the matched prefix.
    pub prefix_rewrite: String,
    /// Replaces the host; empty keeps it.
    pub authority: String,
    /// `http`, `https`, or empty to keep it.
    pub scheme: String,
    /// Replaces the port.
    pub port: Option<RedirectPort>,
    /// Zero means 301.
    pub redirect_code: u32,
}

/// The port of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectPort {
    /// `port`: this number.
    Number(u32),
    /// `derivePort`: by rule.
    Derive(DerivePort),
}

/// Where a redirect's port comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DerivePort {
    /// `FROM_PROTOCOL_DEFAULT`: none is written.
    #[default]
    FromProtocolDefault,
    /// `FROM_REQUEST_PORT`: the one the request came to.
    FromRequestPort,
}

/// A fixed answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpDirectResponse {
    /// 200 to 599.
    pub status: u32,
    /// Absent is an empty body.
    pub body: Option<HttpBody>,
}

/// The body of a fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpBody {
    /// `string`.
    Text(String),
    /// `bytes`, decoded from base64.
    Bytes(Vec<u8>),
}

impl HttpBody {
    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The VirtualService that holds the rest of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace; empty is the root's.
    pub namespace: String,
}

/// Cross-origin rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsPolicy {
    /// Deprecated exact origins; ignored when `allow_origins` is there.
    pub allow_origin: Vec<String>,
    /// Origins that are allowed; exact `*` is any.
    pub allow_origins: Vec<StringMatch>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request header names.
    pub allow_headers: Vec<String>,
    /// Response header names.
    pub expose_headers: Vec<String>,
    /// Whole seconds.
    pub max_age: Option<Duration>,
    /// Adds `access-control-allow-credentials: true`.
    pub allow_credentials: Option<bool>,
    /// What happens to a preflight from another origin.
    pub unmatched_preflights: UnmatchedPreflights,
}

/// What happens to a preflight request from an origin that is not allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnmatchedPreflights {
    /// As `FORWARD`.
    #[default]
    Unspecified,
    /// It goes upstream.
    Forward,
    /// It is answered without `access-control-allow-origin`.
    Ignore,
}
