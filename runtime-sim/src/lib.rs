//! Outrigger in virtual time: a simulated network, scripted peers and a seed, around the same core as every runtime.
//!
//! One queue of happenings, no threads, no clock. A seed names a whole run: latency, where writes are cut, which ready
//! side goes first, the entropy of every request. After every step the invariants are checked, so a run that ends
//! without an error kept them all. Scripted clients and services are [`Peer`]s, machines without IO that other harnesses
//! can drive too.

mod beneath;
mod buffers;
mod client;
mod dice;
mod digest;
mod errands;
mod event;
mod fabric;
mod invariants;
pub mod load;
mod network;
mod peer;
mod proving;
mod queue;
mod reader;
mod rules;
mod seat;
mod seats;
mod service;
mod sidecar;
mod simulation;
pub mod study;
mod thread;
mod translated;

pub use beneath::{Beneath, Met, Proved, Shown, Speaks, Time, certificate};
pub use client::{ScriptedClient, Transcript};
pub use dice::Dice;
pub use errands::{Bell, Errands};
pub use network::{Cut, Weather};
pub use peer::{Accept, Action, Arrivals, Event, Peer, Serve};
pub use proving::Proving;
pub use reader::{Head, HeadSeen, Piece, Reader, SeenPiece};
pub use rules::Rules;
pub use service::{Complaints, Reaction, Script, ScriptedService, Then};
pub use simulation::{SidecarId, Simulation};
pub use translated::{TranslatedClient, TranslatedService};

/// Sees the record of every request when it ends, and of every copy for a mirror.
pub type Records =
    Box<dyn FnMut(&outrigger_core::decision::Record, &outrigger_core::snapshot::Snapshot)>;
