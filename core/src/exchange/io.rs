//! The words between an exchange and its runtime: one enum in, one enum out.

use serde::{Deserialize, Serialize};

use crate::peer::{ConnectionId, WaiterId};
use crate::snapshot::Address;
use crate::time::Instant;

/// One of the two peers of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The client that connected to us.
    Downstream,
    /// The endpoint we connected to.
    Upstream,
    /// An endpoint that takes too long, whose connection was set aside ([`Output::SetAside`]).
    Aside,
}

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

/// What happened outside, told to [`super::Exchange::handle_input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// This many bytes, at least one, were read into [`super::Exchange::space`].
    Read(Side, usize),
    /// The peer will send nothing more.
    Eof(Side),
    /// The connection is broken: reading failed.
    Broken(Side),
    /// Writing failed; what the peer had sent before may still be waiting to be read.
    WriteFailed(Side),
    /// This many bytes of [`super::Exchange::outbox`] were written.
    Wrote(Side, usize),
    /// The connection that [`Output::Connect`] asked for is made, or the one that [`Output::Reuse`] named is alive.
    Connected,
    /// The connection could not be made.
    ConnectFailed(ConnectFault),
    /// The connection that [`Output::Reuse`] named is gone; nothing was written to it.
    Stale,
    /// What [`Interest::woken`] names was woken, by [`Output::Wake`] or by [`crate::worker::Announced`].
    Woken,
    /// The deadline of the last [`Interest`] has passed.
    Deadline,
    /// The worker began to drain: end as soon as nothing is in flight.
    Drain,
}

/// What the runtime must do, from [`super::Exchange::poll_output`]. [`Output::Wait`] and [`Output::Done`] end a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Make a connection, as the upstream side. Answer with `Connected` or `ConnectFailed`.
    Connect(Address),
    /// Take this idle connection as the upstream side if it is still good. Answer with `Connected` or `Stale`.
    Reuse(ConnectionId),
    /// Keep the upstream connection idle under this id; the upstream side is empty now.
    Keep(ConnectionId),
    /// Set the upstream connection, which is made, aside; the upstream side is empty now. There is none aside.
    SetAside,
    /// Make the connection that is aside the upstream one; the upstream side is empty.
    TakeBack,
    /// Close this idle connection.
    Discard(ConnectionId),
    /// Give [`Input::Woken`] to the exchange of this worker that waits under this id.
    Wake(WaiterId),
    /// Let every worker of the process, this one too, call [`crate::worker::Worker::on_announced`] soon.
    Announce,
    /// Close the connection of a side, with an ordinary close. For an upstream being connected: give that up.
    Close(Side),
    /// Close the downstream connection with a reset, because an ordinary close would look like a whole message.
    Reset,
    /// Say to a side that nothing more will be written (half-close).
    ShutdownWrite(Side),
    /// Take a copy of the request from [`super::Exchange::take_mirror`], one for each time this is said, and drive it.
    Mirror,
    /// A request ended: [`super::Exchange::record`] tells its story until the next input.
    Ended,
    /// Nothing more to do until one of these happens.
    Wait(Interest),
    /// The exchange is over, both connections are closed; drop it.
    Done,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timer {
    /// The head of a request is not complete.
    RequestHead,
    /// The connection is idle between requests.
    Idle,
    /// A connection is being made.
    Connect,
    /// The whole request (VirtualService `timeout`).
    Route,
    /// One attempt (VirtualService `retries.perTryTimeout`).
    PerTry,
    /// A retry waits its back-off.
    Backoff,
    /// An injected delay.
    Fault,
    /// Nothing of a request or its response has moved (stream idle timeout).
    StreamIdle,
    /// A gRPC call to the application (`grpc-timeout`).
    Duration,
    /// The last bytes are on their way and the peer may still be sending.
    Linger,
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Read from the client.
    pub read_downstream: bool,
    /// Write [`super::Exchange::outbox`] to the client.
    pub write_downstream: bool,
    /// Read from the endpoint.
    pub read_upstream: bool,
    /// Write to the endpoint.
    pub write_upstream: bool,
    /// Read from the endpoint that was set aside.
    pub read_aside: bool,
    /// Write to it.
    pub write_aside: bool,
    /// A connection is being made.
    pub connect: bool,
    /// It waits for a connection, and is to get [`Input::Woken`] when this id is woken.
    pub woken: Option<WaiterId>,
    /// Wake up with [`Input::Deadline`] at this time, and why.
    pub deadline: Option<(Instant, Timer)>,
}
