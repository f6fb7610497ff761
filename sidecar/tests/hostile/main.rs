//! Peers that send too much, too slowly, or nothing, over real sockets on each runtime that there is: what they hear, what counts
//! it, and that the next client is served. Each limit is met at its default and as an option sets it (`docs/limits.md`).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

mod endpoints;
mod sizes;
mod slow;
mod stage;
