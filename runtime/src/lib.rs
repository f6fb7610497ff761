//! What every runtime on real sockets does alike: how workers start, serve and end, and how a connection moves bytes
//! between its sockets and core.
//!
//! Each worker is one thread with a [`System`] of its own beneath it (sockets, timers, tasks), its own listening sockets
//! (`SO_REUSEPORT`) and its own [`Worker`](outrigger_core::worker::Worker), to which it is a table of sockets; workers
//! share counters and the current snapshot, and take no lock for a request. One task moves bytes between the sockets and
//! core, and does what core says.
//!
//! No policy lives here: what could be decided without a socket is decided in core. No system call on a stream either:
//! those are the runtime packages', which implement [`Launch`] and hand it to [`start`].
//!
//! ```text
//! start(launch, Config) ─► worker thread 0 … N-1
//!                            accept task per listener ─┐
//!                            traffic task: sockets that were woken ◄─► Joint ─► core's Worker
//!                            supervisor: new snapshots, drain, end
//! ```

mod acceptor;
mod alarm;
mod busy;
mod claim;
mod clock;
mod closing;
mod connect;
mod counter;
mod drain;
mod gate;
mod handed;
mod http1_counters;
mod http2_counters;
mod incoming;
mod keep_alive;
mod late;
mod listen;
mod notice;
mod place;
mod places;
mod race;
mod ready;
mod running;
mod shared;
mod sink;
mod sockets;
mod source;
mod stats;
mod system;
mod tls_counters;
mod traffic;
mod unix;
mod worker;

pub use connect::Names;
pub use counter::Counter;
pub use drain::{Direction, Stage};
pub use handed::{Handed, Handover};
pub use keep_alive::keep_alive;
pub use listen::{Arrival, Listen, Whom, original_destination, retry_bind, turn_away};
pub use notice::{Notice, Notices};
pub use places::Located;
pub use running::{Config, Drained, Handle, Running, StartError, start};
pub use sink::{Ended, Sink, Sinks};
pub use source::connect_from;
pub use stats::{ListenerStats, Stats};
pub use system::{Accepted, Launch, Listener, Stream, System, Timer};
pub use tls_counters::TlsStats;
pub use unix::UNIX_CLIENT;
