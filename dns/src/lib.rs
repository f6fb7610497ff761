//! Names: whom to ask for them, and an answer to applications that ask.
//!
//! `ask` is the resolver: one name, asked for at the servers that the machine names, in `message`s, as often as `schedule`
//! says. `lookup` keeps what it answers of names that clients give. `proxy` answers applications: what the mesh knows is decided by core, all other questions are passed on. Sockets are
//! tokio's; whoever works with another runtime has a thread for them.

mod ask;
mod backoff;
mod lookup;
mod message;
mod proxy;
mod query;
mod schedule;
mod system;

use std::hash::{BuildHasher, RandomState};

pub use ask::{Answer, Failure, Fault, ask};
pub use backoff::{Backoff, jitter};
pub use lookup::{Lookup, LookupCounts, LookupSettings};
pub use message::{Family, Reply, question, reply};
pub use proxy::{Counts, Proxy, Settings, Sockets};
pub use query::{Query, Unread};
pub use schedule::Schedule;
pub use system::System;

/// A number that nobody outside can guess.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(())
}
