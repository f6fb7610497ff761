//! What operations cost: whole requests through the core without sockets, and the steps that they consist of.
//!
//! Instructions are counted rather than seconds, because seconds say little on a shared machine. `cargo test` performs every
//! kind of operation, so that what is counted is never a failure. See `README.md` beside this crate for how to count.

pub mod budget;
pub mod callgrind;
pub mod client;
mod frames;
pub mod mesh;
pub mod operations;
pub mod scenario;
pub mod scrape;

pub use frames::Spoken;
