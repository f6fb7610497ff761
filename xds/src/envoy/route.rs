//! Where requests go (`envoy.config.route.v3`).

use std::collections::BTreeMap;

use prost::{Message, Oneof};
use prost_types::Duration;

use crate::messages::Any;

/// The routes of a service's port.
#[derive(Clone, PartialEq, Message)]
pub struct RouteConfiguration {
    /// What they are asked for by.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Routes by the name that requests are for.
    #[prost(message, repeated, tag = "2")]
    pub virtual_hosts: Vec<VirtualHost>,
}

/// Routes of some names.
#[derive(Clone, PartialEq, Message)]
pub struct VirtualHost {
    /// For metrics.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The names.
    #[prost(string, repeated, tag = "2")]
    pub domains: Vec<String>,
    /// The first that matches holds; without one a request fails.
    #[prost(message, repeated, tag = "3")]
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, PartialEq, Message)]
pub struct Route {
    /// For which requests.
    #[prost(message, optional, tag = "1")]
    pub r#match: Option<RouteMatch>,
    /// What becomes of them.
    #[prost(oneof = "Action", tags = "2, 18")]
    pub action: Option<Action>,
    /// What filters do with them, by the names of the filters.
    #[prost(btree_map = "string, message", tag = "13")]
    pub typed_per_filter_config: BTreeMap<String, Any>,
    /// For people.
    #[prost(string, tag = "14")]
    pub name: String,
}

/// What becomes of requests.
#[derive(Clone, PartialEq, Oneof)]
pub enum Action {
    /// They are sent on.
    #[prost(message, tag = "2")]
    Route(RouteAction),
    /// They are sent nowhere: a client's request fails (gRFC A36).
    #[prost(message, tag = "18")]
    NonForwarding(NonForwardingAction),
}

/// There is nothing to say.
#[derive(Clone, PartialEq, Message)]
pub struct NonForwardingAction {}

/// For which requests a route is: all of it must hold.
#[derive(Clone, PartialEq, Message)]
pub struct RouteMatch {
    /// The path.
    #[prost(oneof = "Path", tags = "1, 2, 10")]
    pub path: Option<Path>,
    /// Whether the case of the path's letters matters; it does where nothing is said.
    #[prost(message, optional, tag = "4")]
    pub case_sensitive: Option<bool>,
    /// Header fields.
    #[prost(message, repeated, tag = "6")]
    pub headers: Vec<HeaderMatcher>,
}

/// Which paths.
#[derive(Clone, PartialEq, Oneof)]
pub enum Path {
    /// Those that begin so.
    #[prost(string, tag = "1")]
    Prefix(String),
    /// This one.
    #[prost(string, tag = "2")]
    Exact(String),
    /// Those that match as a whole.
    #[prost(message, tag = "10")]
    Regex(RegexMatcher),
}

/// A regular expression of RE2.
#[derive(Clone, PartialEq, Message)]
pub struct RegexMatcher {
    /// The expression.
    #[prost(string, tag = "2")]
    pub regex: String,
}

/// What a field must say.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMatcher {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it must be.
    #[prost(oneof = "HeaderValue", tags = "4, 7, 9, 11")]
    pub value: Option<HeaderValue>,
    /// What it must not be. Clients of gRPC take a field that is missing for no match here as well, unless presence is asked for.
    #[prost(bool, tag = "8")]
    pub invert_match: bool,
}

/// The value of a field.
#[derive(Clone, PartialEq, Oneof)]
pub enum HeaderValue {
    /// Is this.
    #[prost(string, tag = "4")]
    Exact(String),
    /// Is there, or not.
    #[prost(bool, tag = "7")]
    Present(bool),
    /// Begins so.
    #[prost(string, tag = "9")]
    Prefix(String),
    /// Matches as a whole.
    #[prost(message, tag = "11")]
    Regex(RegexMatcher),
}

/// Where requests are sent, and how.
#[derive(Clone, PartialEq, Message)]
pub struct RouteAction {
    /// Which cluster.
    #[prost(oneof = "Cluster", tags = "1, 3")]
    pub cluster: Option<Cluster>,
    /// What is tried again.
    #[prost(message, optional, tag = "9")]
    pub retry_policy: Option<RetryPolicy>,
    /// What of a request chooses among the endpoints of a ring.
    #[prost(message, repeated, tag = "15")]
    pub hash_policy: Vec<HashPolicy>,
    /// How long they may take.
    #[prost(message, optional, tag = "36")]
    pub max_stream_duration: Option<MaxStreamDuration>,
}

/// One cluster, or several.
#[derive(Clone, PartialEq, Oneof)]
pub enum Cluster {
    /// This one.
    #[prost(string, tag = "1")]
    One(String),
    /// Each by its weight.
    #[prost(message, tag = "3")]
    Weighted(WeightedCluster),
}

/// Clusters with weights.
#[derive(Clone, PartialEq, Message)]
pub struct WeightedCluster {
    /// All of them.
    #[prost(message, repeated, tag = "1")]
    pub clusters: Vec<ClusterWeight>,
}

/// One of them.
#[derive(Clone, PartialEq, Message)]
pub struct ClusterWeight {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its weight.
    #[prost(message, optional, tag = "2")]
    pub weight: Option<u32>,
}

/// What is tried again (gRFC A44).
#[derive(Clone, PartialEq, Message)]
pub struct RetryPolicy {
    /// Conditions, with commas between.
    #[prost(string, tag = "1")]
    pub retry_on: String,
    /// Attempts after the first.
    #[prost(message, optional, tag = "2")]
    pub num_retries: Option<u32>,
    /// Pauses between attempts.
    #[prost(message, optional, tag = "8")]
    pub retry_back_off: Option<RetryBackOff>,
}

/// Pauses.
#[derive(Clone, PartialEq, Message)]
pub struct RetryBackOff {
    /// Before the first of them.
    #[prost(message, optional, tag = "1")]
    pub base_interval: Option<Duration>,
    /// At most.
    #[prost(message, optional, tag = "2")]
    pub max_interval: Option<Duration>,
}

/// What is hashed.
#[derive(Clone, PartialEq, Message)]
pub struct HashPolicy {
    /// A field.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HashedHeader>,
}

/// A field whose value is hashed.
#[derive(Clone, PartialEq, Message)]
pub struct HashedHeader {
    /// Its name.
    #[prost(string, tag = "1")]
    pub header_name: String,
}

/// How long something may take (gRFC A31).
#[derive(Clone, PartialEq, Message)]
pub struct MaxStreamDuration {
    /// All of it.
    #[prost(message, optional, tag = "1")]
    pub max_stream_duration: Option<Duration>,
}
