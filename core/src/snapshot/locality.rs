//! How the localities of a cluster share its traffic. Plain data; `policy::locality` decides by it.

/// Which localities of a priority get how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalityPolicy {
    /// It does not matter where an endpoint is.
    #[default]
    Alike,
    /// Each locality gets a share by its weight (Envoy's locality-weighted balancing), sorted by priority and locality.
    Weighted(Box<[LocalityWeight]>),
    /// Traffic of the first priority stays in the proxy's own locality as far as that does not overload it.
    ZoneAware(Box<ZoneAware>),
}

/// The weight of a locality.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalityWeight {
    /// In this priority.
    pub priority: u32,
    /// `region/zone/subzone`, empty for endpoints whose locality is not known.
    pub locality: Box<str>,
    /// Its weight among those of its priority.
    pub weight: u32,
}

/// What zone-aware routing goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneAware {
    /// The proxy's own locality.
    pub own: Box<str>,
    /// How many proxies like this one stand in each locality, itself included (Envoy's local cluster).
    pub proxies: Box<[(Box<str>, u32)]>,
    /// With fewer healthy endpoints than this it does not matter where one is.
    pub min_endpoints: u64,
}
