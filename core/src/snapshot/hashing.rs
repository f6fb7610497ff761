//! Consistent hashing as configured (DestinationRule `loadBalancer.consistentHash`). Plain data; `policy::hash` hashes
//! by it, and `hash_table` is made by it.

use super::matching::MatchedField;

/// How a cluster turns hashes into endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistentHash {
    /// Where a hash is looked up.
    pub table: HashTableKind,
    /// How much of its fair share of requests in flight an endpoint may have, in percent; `None` is any.
    pub balance_factor: Option<u32>,
}

/// The most points a ring may have (Envoy's default `maximum_ring_size`).
pub const MAX_RING_SIZE: u64 = 8 * 1024 * 1024;

/// Where a hash is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTableKind {
    /// A ring of points.
    Ring {
        /// It has at least as many points.
        min_size: u64,
    },
    /// A Maglev table.
    Maglev {
        /// It has as many entries; a prime.
        size: u64,
    },
}

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashPolicy {
    /// All values of a field, in any order (`httpHeaderName`).
    Field(MatchedField),
    /// The value of a cookie (`httpCookie`).
    Cookie(HashCookie),
    /// The client's address without port (`useSourceIp`).
    SourceAddress,
    /// The first value of a query parameter, whose name is case-sensitive (`httpQueryParameterName`).
    QueryParameter(Box<str>),
}

/// A cookie to hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    /// Its name.
    pub name: Box<str>,
    /// What stands behind the value when a missing one is made: `; Max-Age=60; Path=/; HttpOnly`. `None` makes none.
    pub make: Option<Box<str>>,
}
