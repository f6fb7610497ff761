//! The sans-IO policy core of the Outrigger sidecar.
//!
//! Everything that decides lives here: Istio YAML to a snapshot, routing, balancing, HTTP framing, the exchange of one
//! request. Nothing here waits: no clock, socket, file, thread or ambient randomness. Time and random numbers are
//! arguments, so the same inputs give the same outputs, always.
//!
//! # An example
//!
//! `cargo run -p outrigger-core --example story` plays this:
//!
//! ```
#![doc = include_str!("../examples/story.rs")]
//! ```

#![forbid(unsafe_code)]

pub mod cluster;
pub mod compile;
pub mod config;
mod connection;
pub mod decision;
pub mod entropy;
mod exchange;
pub mod http1;
mod io;
mod local;
pub mod message;
pub mod outbox;
pub mod peer;
pub mod policy;
pub mod request;
pub mod snapshot;
pub mod stream;
pub mod time;
pub mod worker;
mod xxhash;
