//! Where a hash leads: tables over the endpoints of a cluster (Envoy reference §1.7).
//!
//! A table is a function of the hosts that may be picked and never changes. The snapshot keeps those that all workers
//! share; what of a request is hashed, and what happens when a hash leads to a busy host, is in `policy::hash`.

#[cfg(test)]
mod fixture;
mod maglev;
mod ring;
mod share;
mod shared;
mod table;

pub use share::{Share, shares};
pub use shared::SharedTables;
pub use table::HashTable;

#[cfg(test)]
mod tests;
