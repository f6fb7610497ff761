//! What the benches run: whole requests through the core, without sockets.
//!
//! Instructions are counted rather than seconds, because seconds say little on a shared machine. `cargo test` runs every
//! scenario once, so that a bench never measures a failure. See `README.md` beside this crate for how to count.

pub mod scenario;
