//! One client connection, request after request: the joint between the codec and the request machine.
//!
//! The codec (`http1`) knows bytes and no policy; the request machine (`request`) knows heads, outcomes and policy and
//! no bytes. An exchange translates between them and is the only place that knows both. It speaks in message events
//! (head, data, trailers, end, reset), so another codec can stand on either side.
//!
//! # The loop of a runtime
//!
//! After [`Exchange::accept`] and after every [`Exchange::handle_input`], call [`Exchange::poll_output`] until it yields
//! [`Output::Wait`] or [`Output::Done`], performing the others in order. Then wait for the first thing the interest
//! names, and feed exactly one input. An exchange never waits, asks the time or draws a number by itself.
//!
//! # Life of a connection
//!
//! ```text
//!           ┌──────────────── keep-alive ───────────────┐
//!           ▼                                           │
//! accept ─► Head ── request head ──► Call ── response ─► Flush ── close ──► Linger ─► Closed
//!                                     │                                       ▲
//!                                     └── 101 or CONNECT ──► Tunnel ──────────┘
//! ```

mod adaptive;
mod admission;
mod attempt;
mod bodies;
mod buffers;
mod call;
mod downstream;
mod hedge;
mod io;
mod mirror;
mod relay;
mod replay;
mod timers;
mod tunnel;
mod upstream;

#[cfg(test)]
mod tests;

pub use crate::peer::{ConnectionId, ListenerKind, Peer, WaiterId};
pub use io::{ConnectFault, Input, Interest, Output, Side, Timer};

use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::Bucket;
use crate::connection::ToClient;
use crate::decision::{AttemptEnd, Details, Record};
use crate::entropy::Entropy;
use crate::message::ResponseHead;
use crate::outbox::Outbox;
use crate::time::Instant;
use crate::worker::{Charge, MirrorPlace, Worker, WorkerSettings};
use call::Call;
use downstream::Downstream;
use hedge::Aside;
use tunnel::Tunnel;
use upstream::Upstream;

/// The ambient values of one input: everything an exchange may not find out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambient {
    /// The time.
    pub now: Instant,
    /// The connection's random number; a request that this input begins gets its own from it.
    pub entropy: Entropy,
}

/// A connection that drains and was used, or made, less than this ago waits for another request. Its client may be sending
/// one, and could not tell whether it was served. One that has idled for longer is closed at once.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Phase {
    /// Between requests (`since` is `None`) or within a head.
    Head {
        since: Option<Instant>,
        idle_since: Instant,
    },
    /// A request is being served.
    Call,
    /// The response is complete, and its last bytes are being written.
    Flush { keep_alive: bool },
    /// Bytes pass both ways, uninterpreted.
    Tunnel(Tunnel),
    /// Everything is written, nothing more will be; what the client still sends is thrown away until then.
    Linger { until: Instant },
    /// Over.
    Closed,
}

/// One client connection.
#[derive(Debug)]
pub struct Exchange {
    peer: Peer,
    settings: WorkerSettings,
    phase: Phase,
    /// It was told to end with what is in flight.
    is_ending: bool,
    down: Downstream,
    up: Upstream,
    /// An older attempt, while there are two.
    aside: Option<Box<Aside>>,
    call: Call,
    /// For rate limits that each connection has for itself.
    own_bucket: Bucket,
    /// Requests that have begun.
    begun: u64,
    record: Record,
    response: ResponseHead,
    /// When something of the request or its response last came or went.
    moved_at: Instant,
    /// The story that [`Output::Ended`] is about, when a pipelined request has begun behind it in the same input.
    ended: Option<Box<(Record, ResponseHead)>>,
    /// Copies of the request that the runtime has not taken yet.
    mirrors: Vec<Self>,
    /// What it holds in memory, in the account of its worker.
    charge: Charge,
    /// What this exchange takes of its worker while it is a copy itself.
    _place: Option<MirrorPlace>,
    outputs: VecDeque<Output>,
}

impl Exchange {
    /// A new client connection.
    #[must_use]
    pub fn accept(peer: Peer, now: Instant, worker: &Worker) -> Self {
        Self::new(peer, *worker.settings(), worker.charge(), now)
    }

    fn new(peer: Peer, settings: WorkerSettings, charge: Charge, now: Instant) -> Self {
        Self {
            peer,
            settings,
            phase: Phase::Head {
                since: None,
                idle_since: now,
            },
            down: Downstream {
                connection: ToClient::new(settings.tells_bodies),
                eof: false,
            },
            up: Upstream::new(&settings),
            aside: None,
            call: Call::default(),
            own_bucket: Bucket::default(),
            begun: 0,
            is_ending: false,
            record: Record::default(),
            response: ResponseHead::default(),
            moved_at: now,
            ended: None,
            mirrors: Vec::new(),
            charge,
            _place: None,
            outputs: VecDeque::with_capacity(4),
        }
    }

    /// Takes one thing that happened. Drain [`Exchange::poll_output`] afterwards.
    pub fn handle_input(&mut self, input: Input, ambient: Ambient, worker: &mut Worker) {
        self.ended = None;
        if matches!(input, Input::Read(..) | Input::Wrote(..)) {
            self.moved_at = ambient.now;
        }
        match input {
            Input::Read(Side::Downstream, count) => self.down.connection.on_read(count),
            Input::Read(Side::Upstream, count) => self.up.on_read(count),
            Input::Read(Side::Aside, count) => self.aside_side().on_read(count),
            Input::Wrote(Side::Aside, count) => self.aside_side().on_wrote(count),
            Input::WriteFailed(Side::Aside) => self.aside_side().on_write_failed(),
            Input::Eof(Side::Aside) => self.on_aside_eof(ambient, worker),
            Input::Broken(Side::Aside) => self.on_aside_broken(ambient, worker),
            Input::Wrote(Side::Downstream, count) => self.down.connection.outbox.advance(count),
            Input::Wrote(Side::Upstream, count) => self.up.on_wrote(count),
            Input::Eof(Side::Downstream) => self.on_downstream_eof(ambient),
            Input::Eof(Side::Upstream) => self.on_upstream_eof(ambient, worker),
            Input::Broken(Side::Downstream) | Input::WriteFailed(Side::Downstream) => {
                self.on_downstream_broken(ambient);
            }
            // An endpoint may answer and close without reading all of the request; its answer counts.
            Input::WriteFailed(Side::Upstream) if matches!(self.phase, Phase::Call) => {
                self.up.on_write_failed();
            }
            Input::WriteFailed(Side::Upstream) => self.on_upstream_broken(ambient, worker),
            Input::Broken(Side::Upstream) => self.on_upstream_broken(ambient, worker),
            Input::Connected => self.on_connected(ambient, worker),
            Input::ConnectFailed(fault) => self.on_connect_failed(fault, ambient, worker),
            Input::Stale => self.on_stale(ambient, worker),
            Input::Woken => self.on_woken(ambient, worker),
            Input::Deadline => self.on_deadline(ambient, worker),
            Input::Drain => self.on_drain(ambient),
        }
        self.advance(ambient, worker);
        self.return_buffers(worker);
        self.charge.set(self.buffered());
        let outputs = &mut self.outputs;
        if worker.settle(|waiter| outputs.push_back(Output::Wake(waiter))) {
            outputs.push_back(Output::Announce);
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.phase {
            Phase::Closed => Output::Done,
            Phase::Head { .. }
            | Phase::Call
            | Phase::Flush { .. }
            | Phase::Tunnel(_)
            | Phase::Linger { .. } => Output::Wait(self.interest()),
        }
    }

    /// What is to be written to a side.
    #[must_use]
    pub fn outbox(&self, side: Side) -> &Outbox {
        match side {
            Side::Downstream => &self.down.connection.outbox,
            Side::Upstream => &self.up.connection.outbox,
            Side::Aside => {
                let aside = self.aside.as_ref();
                let up = aside.map_or(&self.up, |aside| &aside.up);
                &up.connection.outbox
            }
        }
    }

    /// What was set aside. A runtime speaks of it only while the interest does, and then there is one.
    fn aside_side(&mut self) -> &mut Upstream {
        match &mut self.aside {
            Some(aside) => &mut aside.up,
            None => &mut self.up,
        }
    }

    /// The story of the current request; complete after [`Output::Ended`] and until the next input.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.ended.as_ref().map_or(&self.record, |ended| &ended.0)
    }

    /// The response head last seen or made, for logs.
    #[must_use]
    pub fn response(&self) -> &ResponseHead {
        self.ended.as_ref().map_or(&self.response, |ended| &ended.1)
    }

    /// Who connected.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Does everything that can be done without waiting.
    fn advance(&mut self, ambient: Ambient, worker: &mut Worker) {
        loop {
            let moved = match &self.phase {
                Phase::Head { .. } => self.read_head(ambient, worker),
                Phase::Call => self.advance_call(ambient, worker),
                Phase::Flush { keep_alive } => {
                    let keep_alive = *keep_alive;
                    self.down.connection.outbox.is_empty() && self.finish(keep_alive, ambient)
                }
                Phase::Tunnel(_) => self.advance_tunnel(ambient, worker),
                Phase::Linger { .. } => {
                    self.down.connection.inbox.clear();
                    false
                }
                Phase::Closed => false,
            };
            if !moved {
                return;
            }
        }
    }

    fn interest(&self) -> Interest {
        let mut interest = Interest {
            write_downstream: !self.down.connection.outbox.is_empty(),
            write_upstream: self.up.is_attached() && !self.up.connection.outbox.is_empty(),
            connect: self.up.is_connecting(),
            woken: self.up.waiter(),
            deadline: self.deadline(),
            ..Interest::default()
        };
        match &self.phase {
            Phase::Head { .. } | Phase::Linger { .. } => interest.read_downstream = true,
            Phase::Call => {
                interest.read_downstream = !self.is_mirror() && self.wants_request_bytes();
                interest.read_upstream = self.wants_response_bytes();
                let aside = self.aside.as_deref();
                interest.read_aside = aside.is_some();
                interest.write_aside =
                    aside.is_some_and(|aside| !aside.up.connection.outbox.is_empty());
            }
            Phase::Tunnel(tunnel) => {
                let mark = self.charge.high_water();
                interest.read_downstream =
                    tunnel.reads(Side::Downstream) && !self.up.connection.outbox.is_above(mark);
                interest.read_upstream =
                    tunnel.reads(Side::Upstream) && !self.down.connection.outbox.is_above(mark);
            }
            Phase::Flush { .. } | Phase::Closed => {}
        }
        interest
    }

    fn on_drain(&mut self, ambient: Ambient) {
        self.is_ending = true;
        if self.is_mirror() {
            self.hurry_mirror(ambient);
            return;
        }
        let deadline = self.deadline();
        if deadline.is_some_and(|(at, timer)| timer == Timer::Idle && at <= ambient.now) {
            self.close();
        }
    }

    fn on_downstream_eof(&mut self, ambient: Ambient) {
        self.down.eof = true;
        match &mut self.phase {
            Phase::Head { .. } | Phase::Linger { .. } => self.close(),
            // As Envoy: a client that stops sending has gone away. See docs/differences.md on half-close.
            Phase::Call => self.cancel(ambient),
            Phase::Tunnel(tunnel) => tunnel.on_eof(Side::Downstream),
            Phase::Flush { keep_alive } => *keep_alive = false,
            Phase::Closed => {}
        }
    }

    fn on_downstream_broken(&mut self, ambient: Ambient) {
        match &self.phase {
            Phase::Call | Phase::Flush { .. } | Phase::Tunnel(_) => self.cancel(ambient),
            Phase::Head { .. } | Phase::Linger { .. } | Phase::Closed => self.close(),
        }
    }

    /// The client went away in the middle: the attempt is given up and the record ends without a reply.
    fn cancel(&mut self, ambient: Ambient) {
        if !matches!(self.phase, Phase::Flush { .. } | Phase::Tunnel(_)) {
            self.record.details = Details::DownstreamRemoteDisconnect;
            self.give_up_aside(AttemptEnd::Cancelled);
            self.up.cancel(&mut self.record);
        }
        self.end_record(ambient);
        self.close();
    }

    /// Tells the runtime that the record is complete.
    fn end_record(&mut self, ambient: Ambient) {
        self.record.ended = ambient.now;
        self.record.retry_slot = None;
        self.outputs.push_back(Output::Ended);
    }

    /// Closes whatever is open.
    fn close(&mut self) {
        self.give_up_aside(AttemptEnd::Cancelled);
        self.drop_upstream();
        self.down.connection.inbox.clear();
        self.down.connection.outbox.clear();
        self.call.replay.forget();
        if !matches!(self.phase, Phase::Closed) {
            self.outputs.push_back(Output::Close(Side::Downstream));
        }
        self.phase = Phase::Closed;
    }

    /// Closes the upstream connection, made or being made.
    fn drop_upstream(&mut self) {
        if self.up.detach() {
            self.outputs.push_back(Output::Close(Side::Upstream));
        }
    }
}
