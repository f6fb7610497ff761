//! The workload API (`istio.workload.Address`), by which a mesh with ambient on tells of its services and of what runs, as a source of
//! endpoints: what is told becomes ServiceEntries, as if somebody had written them.
//!
//! Owns the messages, what is asked and answered, and the conversion. Policies of that API (`istio.security.Authorization`) are none
//! for a proxy that speaks HTTP and are not asked for: it has the resources that they are made of.

mod client;
mod documents;
pub mod messages;
mod state;

pub use client::{Asked, Client, Heard};
pub use documents::{Around, Trouble, kind};
pub use state::ADDRESS;

#[cfg(test)]
mod tests;
