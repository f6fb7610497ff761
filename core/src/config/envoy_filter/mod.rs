//! EnvoyFilter (networking.istio.io): patches of Envoy's own configuration, read as far as rate limits go.
//!
//! Istio has no field for them, so this is what people write: one patch inserts Envoy's filter into listeners, others say
//! for routes what it allows there. `frame` reads what all patches have in common, `decode` decides which are ours, `patched`
//! reads what they hold, `local_rate_limit` and `global_rate_limit` Envoy's messages. Every other patch is checked as far as
//! its frame goes and told as not used.

mod decode;
mod descriptors;
mod fraction;
mod frame;
mod global_rate_limit;
mod header_option;
mod local_rate_limit;
mod patched;
mod token_bucket;
mod typed_config;

pub use descriptors::{Descriptor, HostLists};
pub use fraction::Fraction;
pub use global_rate_limit::{GlobalPerRoute, GlobalRateLimit, Service};
pub use header_option::HeaderOption;
pub use local_rate_limit::LocalRateLimit;
pub use token_bucket::TokenBucket;

use std::collections::BTreeMap;

use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use crate::snapshot::{Describes, Place};

/// One EnvoyFilter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvoyFilter {
    /// Who it is.
    pub meta: Meta,
    /// Labels of the workloads it holds for; empty is all of the namespace.
    pub workload_selector: BTreeMap<String, String>,
    /// It is attached to gateways or waypoints, so no sidecar applies it.
    pub is_targeted: bool,
    /// Lower ones are applied first.
    pub priority: i32,
    /// The patches that are about rate limits, in the order written.
    pub patches: Vec<LimitPatch>,
}

/// A patch about rate limits.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitPatch {
    /// Such as `spec.configPatches[2]`.
    pub path: String,
    /// Which listeners it is for.
    pub context: Context,
    /// What it does.
    pub change: Change,
}

/// Which listeners a patch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// `ANY`, or nothing said.
    Any,
    /// `SIDECAR_INBOUND`.
    Inbound,
    /// `SIDECAR_OUTBOUND`.
    Outbound,
    /// `GATEWAY`.
    Gateway,
    /// Any but inbound ones: the name of the listener has a port.
    NotInbound,
}

impl Context {
    /// Whether there are listeners that both are for.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::NotInbound, other) | (other, Self::NotInbound) => other != Self::Inbound,
            (one, other) => one == other,
        }
    }
}

/// What a patch does.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `HTTP_FILTER`: it inserts the filter.
    Insert {
        /// The port of the listener, or of the application; 0 is any.
        port: u32,
        /// Where in the order of filters.
        place: Place,
        /// What routes call the filter by.
        name: String,
        /// What it does where no route says otherwise.
        limit: InsertedLimit,
    },
    /// `HTTP_ROUTE`, `VIRTUAL_HOST` or `ROUTE_CONFIGURATION`: what filters allow for these routes.
    Override {
        /// How far it reaches; a narrower one wins.
        level: Level,
        /// Which routes.
        routes: RouteMatch,
        /// What it says of them.
        said: RouteLimits,
    },
}

/// A filter that limits requests.
#[derive(Clone, Debug, PartialEq)]
pub enum InsertedLimit {
    /// By itself.
    Local(LocalRateLimit),
    /// As a service says.
    Global(Box<GlobalRateLimit>),
}

impl InsertedLimit {
    /// Which lists of actions it takes.
    #[must_use]
    pub const fn stage(&self) -> u32 {
        match self {
            Self::Local(limit) => limit.stage,
            Self::Global(limit) => limit.stage,
        }
    }
}

/// What routes say of limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteLimits {
    /// To filters, by their names.
    pub filters: Vec<(String, PerRoute)>,
    /// What descriptors are made of their requests.
    pub rate_limits: Vec<Describes>,
    /// What their virtual host says of that holds as well.
    pub includes_host: bool,
}

/// What a route says to a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum PerRoute {
    /// That it allows this.
    Local(LocalRateLimit),
    /// What it asks.
    Global(GlobalPerRoute),
}

/// How far a setting for routes reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All virtual hosts of a port.
    Configuration,
    /// All routes of a virtual host, which share a bucket.
    VirtualHost,
    /// Each route, with a bucket of its own.
    Route,
}

/// Which routes a patch is for; what is empty matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMatch {
    /// The name of the route configuration: the port, `inbound|8080||`, or of gateways `http.80` and `https.443.NAME.GATEWAY.NAMESPACE`.
    pub configuration: String,
    /// The service port, or the application's.
    pub port: u32,
    /// `reviews.default.svc.cluster.local:9080` or `inbound|http|9080`.
    pub virtual_host: String,
    /// One of the names that the virtual host answers to.
    pub domain: String,
    /// The name of the route.
    pub route: String,
    /// What the route does.
    pub action: RouteAction,
    /// The Gateway that the routes are of, as `namespace/name`; only gateways look at it.
    pub gateway: String,
    /// The name of the port of its server, likewise.
    pub port_name: String,
}

/// What a route does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteAction {
    /// Anything.
    #[default]
    Any,
    /// It forwards.
    Route,
    /// It redirects.
    Redirect,
    /// It answers.
    DirectResponse,
}

/// Reads and checks the `spec` of an EnvoyFilter.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> EnvoyFilter {
    let read = report.field("spec", |report| object(report, spec, decode::decode));
    if read.filter.patches.is_empty() {
        decode::tell_unused(report);
    } else {
        read.others
            .iter()
            .for_each(|path| decode::tell_other(report, path));
    }
    EnvoyFilter {
        meta,
        ..read.filter
    }
}

#[cfg(test)]
mod tests;
