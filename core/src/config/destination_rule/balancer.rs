//! Load balancer settings, as written.

use std::collections::BTreeMap;

use crate::time::Duration;

/// `loadBalancer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadBalancerSettings {
    /// The algorithm; absent is `LEAST_REQUEST`.
    pub policy: Option<LoadBalancerPolicy>,
    /// Where traffic goes by locality.
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// Locality by zone; exclusive with the above.
    pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    /// Deprecated spelling of `warmup.duration`.
    pub warmup_duration_secs: Option<Duration>,
    /// Slow start of new endpoints.
    pub warmup: Option<WarmupConfiguration>,
}

/// The algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancerPolicy {
    /// `simple`.
    Simple(SimpleLb),
    /// `consistentHash`.
    ConsistentHash(ConsistentHash),
}

/// `simple`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimpleLb {
    /// `UNSPECIFIED`: as `LEAST_REQUEST`.
    #[default]
    Unspecified,
    /// `LEAST_CONN`: deprecated alias of `LEAST_REQUEST`.
    LeastConn,
    /// `RANDOM`.
    Random,
    /// `PASSTHROUGH`: where the client wanted to go.
    Passthrough,
    /// `ROUND_ROBIN`.
    RoundRobin,
    /// `LEAST_REQUEST`.
    LeastRequest,
}

/// `consistentHash`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistentHash {
    /// What is hashed; absent is an error.
    pub key: Option<HashKey>,
    /// How the hash finds an endpoint; absent is a ring of 1024.
    pub ring: Option<HashRing>,
    /// Deprecated ring size; zero is unset.
    pub minimum_ring_size: u64,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// `httpHeaderName`.
    HeaderName(String),
    /// `httpCookie`.
    Cookie(HttpCookie),
    /// `useSourceIp`.
    SourceIp(bool),
    /// `httpQueryParameterName`.
    QueryParameterName(String),
}

/// How a hash finds an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRing {
    /// `ringHash`, with its minimum size; zero is the default of 1024.
    Ring(u64),
    /// `maglev`, with its table size; zero is refused, absent is 65537.
    Maglev(Option<u64>),
}

/// A cookie to hash, and to make when it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpCookie {
    /// Required.
    pub name: String,
    /// Of a made cookie.
    pub path: String,
    /// Present: a missing cookie is made, zero as a session cookie. Absent: only an existing one is hashed.
    pub ttl: Option<Duration>,
    /// Further attributes of a made cookie.
    pub attributes: Vec<HttpCookieAttribute>,
}

/// An attribute of a made cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpCookieAttribute {
    /// Unique.
    pub name: String,
    /// Possibly empty.
    pub value: String,
}

/// `localityLbSetting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityLbSetting {
    /// Explicit shares; exclusive with `failover`.
    pub distribute: Vec<LocalityDistribute>,
    /// Where traffic goes when a region fails.
    pub failover: Vec<LocalityFailover>,
    /// Labels in the order of importance, `key` or `key=value`.
    pub failover_priority: Vec<String>,
    /// Absent is as the mesh says.
    pub enabled: Option<bool>,
}

/// One entry of `distribute`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityDistribute {
    /// `region/zone/subzone`, `*` at the end.
    pub from: String,
    /// Shares by locality; they total 100.
    pub to: BTreeMap<String, u32>,
}

/// One entry of `failover`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityFailover {
    /// Region.
    pub from: String,
    /// Region.
    pub to: String,
}

/// `zoneAwareLbSetting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneAwareLbSetting {
    /// Absent is as the mesh says.
    pub enabled: Option<bool>,
    /// Where traffic goes when a region fails.
    pub failover: Vec<LocalityFailover>,
    /// Labels in the order of importance.
    pub failover_priority: Vec<String>,
    /// Fewer endpoints than this turn it off.
    pub min_cluster_size: Option<u64>,
}

/// `warmup`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WarmupConfiguration {
    /// Required.
    pub duration: Option<Duration>,
    /// Share of the weight at the start; absent is 10.
    pub minimum_percent: Option<f64>,
    /// Absent is 1.
    pub aggression: Option<f64>,
}
