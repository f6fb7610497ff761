//! Interception: rules of the kernel by which the connections of a network namespace go through a sidecar, though nobody in it
//! knows of one.
//!
//! What is to be captured is a value ([`Capture`]), the rules for it are values ([`rules::rules`]), and so are their texts for
//! `iptables-restore` and `nft`. Only [`apply()`], [`clean()`] and [`probe()`] touch the kernel, by the tools that are there.
//! The chains are those of Istio's init container, in the order that it has them, so that tools that look for them find them.
//!
//! What a sidecar does with a connection that it got this way is not decided here.

#![forbid(unsafe_code)]

mod apply;
mod capture;
mod iptables;
mod nft;
mod probe;
pub mod rules;
mod tools;

pub use apply::{Applied, Backend, apply, clean, script};
pub use capture::{Capture, Dns, Family, Fault, Mode, NameServers, Ports, Ranges};
pub use probe::{Proof, probe};
pub use tools::{Failed, Run, System};
