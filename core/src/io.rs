//! The words between a worker and its runtime: what happened on a socket, and what is to be done with one.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::peer::{ClientId, ConnId, ExchangeId, UpstreamId};
use crate::snapshot::Address;

/// Why no connection could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectFault {
    /// The peer refused it or cannot be reached.
    Refused,
    /// The name has no address, or could not be resolved.
    Unresolved,
    /// This machine could not begin: no descriptors, no ports, no permission.
    Local,
}

/// What is known of a connection once it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Our own address on it, where somebody logs it.
    pub local: Option<SocketAddr>,
}

/// What happened on one connection, told to [`Worker::handle_input`](crate::worker::Worker::handle_input).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// This many bytes, at least one, were read into [`Worker::space`](crate::worker::Worker::space).
    Read(usize),
    /// The peer will send nothing more.
    Eof,
    /// The connection is broken: reading failed.
    Broken,
    /// Writing failed; what the peer had sent before may still be waiting to be read.
    WriteFailed,
    /// This many bytes of [`Worker::outbox`](crate::worker::Worker::outbox) were written.
    Wrote(usize),
    /// The connection that [`Output::Connect`] asked for is made.
    Connected(Facts),
    /// It could not be made; its name is free.
    ConnectFailed(ConnectFault),
    /// The client's connection is to end as soon as nothing is in flight on it.
    Drain,
}

/// What the runtime must do, in order, from [`Worker::poll_output`](crate::worker::Worker::poll_output).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Make a connection. Answer with `Connected` or `ConnectFailed`.
    Connect(UpstreamId, Address),
    /// Close a connection, with an ordinary close, or give up making it. Its name is free.
    Close(ConnId),
    /// Close a client's connection with a reset, because an ordinary close would look like a whole message.
    Reset(ClientId),
    /// Say that nothing more will be written (half-close).
    ShutdownWrite(ConnId),
    /// A request ended: [`Worker::ended`](crate::worker::Worker::ended) tells its story until the next call.
    Ended(ExchangeId),
    /// Let every worker of the process, this one too, call
    /// [`Worker::on_announced`](crate::worker::Worker::on_announced) soon.
    Announce,
    /// From now on this is waited for on a connection.
    Wait(ConnId, Interest),
}

/// What is waited for on a connection that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Read from it.
    pub read: bool,
    /// Write [`Worker::outbox`](crate::worker::Worker::outbox) to it. That comes first: it frees memory.
    pub write: bool,
}

impl Interest {
    /// Becomes another one. Whether that is a change.
    pub(crate) fn is_news(&mut self, now: Self) -> bool {
        core::mem::replace(self, now) != now
    }
}
