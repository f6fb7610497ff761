//! Consistent hashing (DestinationRule `loadBalancer.consistentHash`, Envoy reference §1.7 and §1.8).
//!
//! What of a request is hashed is in `request_hash`, and what happens when a hash leads to a busy host is in
//! `bounded_load`. Both are functions of their arguments. Where a hash leads is in the snapshot's tables.

pub mod bounded_load;
mod mersenne;
pub mod request_hash;
