//! Virtual hosts and their rules, as `policy::route` reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use http::StatusCode;

use super::cluster::ClusterId;
use super::header_ops::HeaderOps;
use super::matching::{Condition, Regex, TextMatch};
use super::origin::{FieldLine, Origin};
use super::rate_limit::HostLimits;
use super::resilience::{FaultPolicy, PerMillion, RetryPolicy, StreamIdle};
use super::rule_index::RuleIndex;
use crate::time::Duration;

/// Which virtual host of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VirtualHostId(pub u32);

/// The rules of one service port.
#[derive(Clone, Debug, Default)]
pub struct VirtualHost {
    /// `reviews.default.svc.cluster.local:9080`; `allow_any` and `block_all` for unknown hosts.
    pub name: Box<str>,
    /// Tried in this order; the first that matches wins.
    pub rules: Arc<[Rule]>,
    /// Finds the first matching rule without trying each; absent when there are few rules.
    pub index: Option<Arc<RuleIndex>>,
    /// Its rate limits; `None` when it has none.
    pub limits: Option<Box<HostLimits>>,
    /// Its port is for gRPC-Web (`grpc-web`): what browsers send is made gRPC, and its responses are made theirs.
    pub grpc_web: bool,
    /// A rule looks at claims of tokens, so that these are checked before a rule is found.
    pub by_claims: bool,
    /// Whom its names stand for, where that is not the service but one of its pods.
    pub pod: Option<Box<PodOf>>,
}

impl VirtualHost {
    /// What the names begin with of those that stand for the application behind an inbound listener.
    pub const INBOUND: &str = "inbound|";

    /// Whether it stands for the application behind an inbound listener.
    #[must_use]
    pub fn is_inbound(&self) -> bool {
        self.name.starts_with(Self::INBOUND)
    }
}

/// A pod of a headless service that a request names: whatever the balancer would say, it goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodOf {
    /// The host of the service.
    pub service: Box<str>,
    /// The host name of the pod; `None` when only the client and its resolver know it.
    pub hostname: Option<Box<str>>,
}

/// One match entry of one route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The route name that logs show: `default` when no VirtualService named it.
    pub name: Arc<str>,
    /// Where it stands; `None` for the route every service has without a VirtualService.
    pub origin: Option<Origin>,
    /// Where the fields of its route stand, in the file of the origin. Shared by the match entries of one route.
    pub fields: Arc<[FieldLine]>,
    /// When it applies.
    pub condition: Condition,
    /// What it does. Shared by the match entries of one route.
    pub action: Arc<Action>,
}

impl Rule {
    /// Where a field of its route stands, in either spelling of its name; `None` where it is not written.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<Origin> {
        let origin = self.origin.as_ref()?;
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let mut lines = self.fields.iter();
        let line = lines.find(|line| plain(&line.field) == plain(field))?;
        let route = origin.path.split(".match[").next().unwrap_or_default();
        Some(Origin {
            resource: origin.resource,
            path: format!("{route}.{}", line.field).into(),
            line: line.line,
        })
    }
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the request to a destination.
    Forward(Forward),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    Respond(DirectResponse),
}

/// Forwarding to one of several destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Destinations with weight above zero, in the order written; a single one always has weight 1.
    pub destinations: Box<[Destination]>,
    /// Sum of the weights, at least 1.
    pub total_weight: u64,
    /// What is rewritten before forwarding.
    pub rewrite: Rewrite,
    /// CORS, when configured.
    pub cors: Option<Box<CorsPolicy>>,
    /// The whole request may take this long (VirtualService `timeout`); `None` is unlimited.
    pub timeout: Option<Duration>,
    /// For how long nothing of a request or its response may move.
    pub stream_idle: StreamIdle,
    /// Faults to inject.
    pub fault: Option<Box<FaultPolicy>>,
    /// How failed attempts are tried again; `None` never tries again.
    pub retry: Option<Box<RetryPolicy>>,
    /// The rule itself says what is tried again, be it nothing (VirtualService `retries`). Then that decides alone, and
    /// a kept connection that turns out dead is a failed attempt like any other.
    pub retries_written: bool,
    /// Who else may get a copy of the request, in the order written.
    pub mirrors: Box<[Mirror]>,
    /// A destination that is not there is answered 500 rather than 503 (Gateway API `backendRefs`; Envoy
    /// `cluster_not_found_response_code`).
    pub missing_is_500: bool,
}

/// Where copies of requests go (VirtualService `mirror`, an entry of `mirrors`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where to.
    pub cluster: DestinationCluster,
    /// Of which share of requests.
    pub share: PerMillion,
}

/// One weighted destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// At least 1.
    pub weight: u32,
    /// Where to.
    pub cluster: DestinationCluster,
    /// Applied to the request, already in Istio's order with the route's own (reference: set wins by position).
    pub request: HeaderOps,
    /// Applied to the response, likewise.
    pub response: HeaderOps,
}

/// The cluster of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationCluster {
    /// A cluster of this snapshot.
    Known(ClusterId),
    /// There is no such service, port or subset: 503, or 500 where the rule says so, flag NC. The name it would have.
    Missing(Box<str>),
    /// Where the client wanted to go (`PassthroughCluster`).
    Passthrough,
}

/// What changes in the request line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The new path.
    pub path: Option<PathRewrite>,
    /// The new authority.
    pub authority: Option<Box<str>>,
}

/// How the path is rewritten; the query always stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// Replace the matched prefix, or the whole path when the rule matched by exact text or by regex. A rule that does
    /// not match by path has matched the prefix `/`.
    Prefix(Box<str>),
    /// Replace every match of `pattern` by `replacement`.
    Regex {
        /// Not anchored.
        pattern: Box<Regex>,
        /// In the `regex` crate's syntax, `${1}`; converted from RE2's `\1`.
        replacement: Box<str>,
    },
}

/// A redirect (VirtualService `redirect`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// `http` or `https`; the request's when absent.
    pub scheme: Option<Box<str>>,
    /// Host, without port; the request's when absent.
    pub authority: Option<Box<str>>,
    /// The path of the location.
    pub path: RedirectPath,
    /// The port of the location.
    pub port: RedirectPort,
    /// Route-level response operations.
    pub response: HeaderOps,
}

/// The path of a redirect's location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectPath {
    /// The request's path and query.
    Keep,
    /// This path; the request's query stays.
    Full(Box<str>),
    /// This instead of the matched prefix; the rest and the query stay.
    Prefix(Box<str>),
}

/// The port of a redirect's location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectPort {
    /// As the request's authority has it, unless the redirect names an authority. When the scheme changes, a port that
    /// was the default of the old scheme is left out, as in Envoy.
    Keep,
    /// No port (`derivePort: FROM_PROTOCOL_DEFAULT`).
    Default,
    /// This port; 80 for http and 443 for https are left out. `derivePort: FROM_REQUEST_PORT` becomes the service port
    /// of the virtual host.
    Number(u16),
}

/// A fixed answer (VirtualService `directResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// The body, possibly empty.
    pub body: bytes::Bytes,
    /// Route-level response operations.
    pub response: HeaderOps,
}

/// Cross-origin rules (VirtualService `corsPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsPolicy {
    /// Origins that are allowed; `Exact("*")` allows any.
    pub allow_origins: Box<[TextMatch]>,
    /// `access-control-allow-methods`, joined by commas; `*` echoes what was asked for.
    pub allow_methods: Box<str>,
    /// `access-control-allow-headers`, likewise.
    pub allow_headers: Box<str>,
    /// `access-control-expose-headers`.
    pub expose_headers: Box<str>,
    /// `access-control-max-age`, in whole seconds.
    pub max_age: Option<Box<str>>,
    /// `access-control-allow-credentials: true`.
    pub allow_credentials: bool,
    /// A preflight from an origin that is not allowed is forwarded (`FORWARD`) rather than answered (`IGNORE`).
    pub forward_unmatched_preflights: bool,
}
