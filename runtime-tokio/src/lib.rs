//! Sockets, timers and threads for Outrigger's core, with tokio.
//!
//! Each worker is one thread with its own single-threaded tokio runtime, its own listening sockets (`SO_REUSEPORT`), its
//! own [`Worker`](outrigger_core::worker::Worker) and its own idle upstream connections; workers share counters and the
//! current snapshot, and take no lock for a request. A downstream connection is one local task that moves bytes between
//! sockets and an [`Exchange`](outrigger_core::exchange::Exchange) and does what the exchange says.
//!
//! No policy lives here. What could be decided without a socket is decided in core; what is left is which system call
//! comes next, and how a system's error maps to one of core's words.
//!
//! ```text
//! start(Config) ─► worker thread 0 … N-1
//!                    accept task per listener ─► Connection task per client ─► Exchange ─► Stream (down, up)
//!                    sweep task while there are idle upstream connections
//!                    supervisor: new snapshots, drain, end
//! ```

#![forbid(unsafe_code)]

mod access_log;
mod alarm;
mod clock;
mod connect;
mod connection;
mod idle;
mod listen;
mod notice;
mod running;
mod shared;
mod stats;
mod stream;
mod worker;

pub use access_log::{AccessLog, Format, Request};
pub use listen::Listen;
pub use notice::{Notice, Notices};
pub use running::{Config, Drained, Handle, Running, StartError, start};
pub use stats::{ListenerStats, MirrorStats, Stats};
