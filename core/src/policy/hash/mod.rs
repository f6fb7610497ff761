//! Consistent hashing (DestinationRule `loadBalancer.consistentHash`, Envoy reference §1.7 and §1.8).
//!
//! What of a request is hashed is in `request_hash`, where a hash leads is in the tables, and what happens when it leads
//! to a busy host is in `bounded_load`. All are functions of their arguments.

pub mod bounded_load;
#[cfg(test)]
mod fixture;
mod maglev;
mod mersenne;
pub mod request_hash;
mod ring;
mod shared;
mod table;
mod xxhash;

pub use shared::SharedTables;
pub use table::{HashTable, Share, shares};

#[cfg(test)]
mod tests;
