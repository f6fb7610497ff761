//! The endpoint's side of an exchange: making, reusing, keeping and losing connections.

use core::mem;

use bytes::{Bytes, BytesMut};

use super::call::{RequestBody, Response};
use super::io::ConnectFault;
use super::{Ambient, Exchange, Output, Phase, Side};
use crate::cluster::ActiveRequest;
use crate::decision::{Attempt, AttemptEnd, Record, ResetReason};
use crate::http1::{BodyLength, Limits, Reader, Writer};
use crate::outbox::Outbox;
use crate::request::{self, Target};
use crate::time::Instant;
use crate::worker::{Link, Worker};

/// Body bytes kept so that a request on a dead kept connection can be sent again.
const REPLAY_LIMIT: usize = 64 * 1024;

/// The connection to the endpoint.
#[derive(Debug)]
enum State {
    None,
    Connecting {
        target: Target,
        link: Option<Link>,
        deadline: Instant,
    },
    Reusing {
        target: Target,
        link: Link,
    },
    Attached {
        target: Target,
        link: Option<Link>,
        kept: bool,
    },
}

/// What would have to be sent again if a kept connection is dead.
#[derive(Debug, Default)]
struct Replay {
    pieces: Vec<Bytes>,
    len: usize,
    lost: bool,
}

/// The endpoint's side.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) inbox: BytesMut,
    pub(super) outbox: Outbox,
    pub(super) filled: bool,
    state: State,
    active: Option<ActiveRequest>,
    wrote: bool,
    /// Writing failed: what is left of the request goes nowhere, and only the response is still of interest.
    deaf: bool,
    received: bool,
    replay: Replay,
    /// Body pieces that a dead connection swallowed, to be sent first on the next one.
    resend: Vec<Bytes>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::responses(Limits::RESPONSE),
            writer: Writer::default(),
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            filled: false,
            state: State::None,
            active: None,
            wrote: false,
            deaf: false,
            received: false,
            replay: Replay::default(),
            resend: Vec::new(),
        }
    }

    pub(super) fn on_read(&mut self, count: usize) {
        debug_assert!(
            count > 0 && count <= self.inbox.len(),
            "Read tells of bytes that were appended"
        );
        self.received = true;
        self.filled |= self.inbox.len() == self.inbox.capacity();
    }

    pub(super) fn on_wrote(&mut self, count: usize) {
        self.wrote |= count > 0;
        self.outbox.advance(count);
    }

    pub(super) fn on_write_failed(&mut self) {
        self.deaf = true;
        self.outbox.clear();
    }

    pub(super) const fn is_deaf(&self) -> bool {
        self.deaf
    }

    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.state, State::Attached { .. })
    }

    pub(super) const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. } | State::Reusing { .. })
    }

    pub(super) const fn connect_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting { deadline, .. } => Some(*deadline),
            State::None | State::Reusing { .. } | State::Attached { .. } => None,
        }
    }

    /// Forgets the connection and everything about it; says whether the runtime has one to close.
    pub(super) fn detach(&mut self) -> bool {
        let had = !matches!(self.state, State::None);
        self.state = State::None;
        self.active = None;
        self.forget_bytes();
        had
    }

    fn forget_bytes(&mut self) {
        self.outbox.clear();
        self.inbox.clear();
        self.reader = Reader::responses(Limits::RESPONSE);
        self.writer = Writer::default();
        self.wrote = false;
        self.deaf = false;
        self.filled = false;
        self.received = false;
    }

    /// The client went away.
    pub(super) fn cancel(&self, record: &mut Record) {
        if self.active.is_some() || !matches!(self.state, State::None) {
            end_attempt(record, AttemptEnd::Cancelled);
        }
    }

    /// The response's status is known.
    pub(super) fn on_status(&mut self, status: u16, record: &mut Record) {
        end_attempt(record, AttemptEnd::Response(status));
        if let Some(active) = self.active.as_mut().filter(|_| status >= 500) {
            active.fail();
        }
    }

    pub(super) fn return_buffers(&mut self, worker: &mut Worker) {
        if self.inbox.is_empty() && self.inbox.capacity() > 0 {
            worker.give_buffer(mem::take(&mut self.inbox));
        }
        if let Some(block) = self.outbox.take_block() {
            worker.give_buffer(block);
        }
    }

    /// Sends a piece of the request's body, remembering it while a dead kept connection could still be replaced.
    pub(super) fn send_data(&mut self, data: Bytes) {
        if matches!(self.state, State::Attached { kept: true, .. })
            && !self.received
            && !self.replay.lost
        {
            self.replay.len += data.len();
            if self.replay.len > REPLAY_LIMIT {
                self.replay = Replay {
                    lost: true,
                    ..Replay::default()
                };
            } else {
                self.replay.pieces.push(data.clone());
            }
        }
        self.writer.data(data, &mut self.outbox);
    }

    /// Trailers are not kept for a replay; they are rare enough.
    pub(super) const fn forget_replay(&mut self) {
        self.replay.lost = true;
    }
}

fn end_attempt(record: &mut Record, end: AttemptEnd) {
    if let Some(attempt) = record
        .attempts
        .last_mut()
        .filter(|a| a.end == AttemptEnd::Open)
    {
        attempt.end = end;
    }
}

impl Exchange {
    /// Begins an attempt on a target that the request machine chose.
    pub(super) fn begin_attempt(&mut self, target: Target, ambient: Ambient, worker: &mut Worker) {
        self.up.active = target.host.as_ref().map(|host| host.begin_request());
        self.up.replay = Replay::default();
        self.up.resend.clear();
        let kept = match &target.host {
            Some(host) if !target.tunnel => worker.idle().take(host),
            _ => None,
        };
        if let Some((id, link)) = kept {
            self.outputs.push_back(Output::Reuse(id));
            self.up.state = State::Reusing { target, link };
        } else {
            self.connect(target, ambient);
        }
    }

    fn connect(&mut self, target: Target, ambient: Ambient) {
        let deadline = ambient.now + target.connect_timeout;
        let link = request::cluster_of(&target, &self.record)
            .and_then(|cluster| target.host.as_ref().map(|host| Link::new(host, cluster)));
        self.outputs
            .push_back(Output::Connect(target.address.clone()));
        self.up.state = State::Connecting {
            target,
            link,
            deadline,
        };
    }

    pub(super) fn on_connected(&mut self, worker: &mut Worker) {
        let (target, mut link, kept) = match mem::replace(&mut self.up.state, State::None) {
            State::Connecting { target, link, .. } => (target, link, false),
            State::Reusing { target, link } => (target, Some(link), true),
            // The attempt was given up while the runtime was at it; it has been told to close.
            other @ (State::None | State::Attached { .. }) => {
                self.up.state = other;
                return;
            }
        };
        if let Some(link) = &mut link {
            link.on_request();
        }
        let tunnel = target.tunnel;
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.reused = kept;
        }
        self.up.state = State::Attached { target, link, kept };
        if tunnel {
            self.begin_connect_tunnel(worker);
        } else {
            self.send_request_head(worker);
        }
    }

    fn send_request_head(&mut self, worker: &mut Worker) {
        worker.lend_block(&mut self.up.outbox);
        let length = BodyLength::from(self.call.facts.framing);
        let upgrade = self.call.facts.upgrade.as_deref();
        self.up
            .writer
            .request_head(&self.record.request, length, upgrade, &mut self.up.outbox);
    }

    pub(super) fn on_connect_failed(
        &mut self,
        fault: ConnectFault,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        let State::Connecting { link, target, .. } = mem::replace(&mut self.up.state, State::None)
        else {
            return;
        };
        if let Some(link) = link {
            link.fail();
        }
        drop(target);
        let reason = match fault {
            ConnectFault::Refused => ResetReason::RemoteConnectionFailure,
            ConnectFault::Unresolved => ResetReason::Unresolved,
            ConnectFault::Local => ResetReason::LocalConnectionFailure,
        };
        self.fail_attempt(reason, ambient, worker);
    }

    pub(super) fn on_connect_timeout(&mut self, ambient: Ambient, worker: &mut Worker) {
        if let State::Connecting { link, .. } = mem::replace(&mut self.up.state, State::None) {
            if let Some(link) = link {
                link.fail();
            }
            self.outputs.push_back(Output::Close(Side::Upstream));
            self.fail_attempt(ResetReason::ConnectionTimeout, ambient, worker);
        }
    }

    /// The kept connection had ended before anything was written to it: any request may go to another one.
    pub(super) fn on_stale(&mut self, ambient: Ambient, worker: &mut Worker) {
        let State::Reusing { target, link } = mem::replace(&mut self.up.state, State::None) else {
            return;
        };
        drop(link);
        let next = target
            .host
            .as_ref()
            .and_then(|host| worker.idle().take(host));
        if let Some((id, link)) = next {
            self.outputs.push_back(Output::Reuse(id));
            self.up.state = State::Reusing { target, link };
        } else {
            self.connect(target, ambient);
        }
    }

    pub(super) fn on_upstream_eof(&mut self, ambient: Ambient, worker: &mut Worker) {
        match &mut self.phase {
            Phase::Tunnel(tunnel) => tunnel.on_eof(Side::Upstream),
            Phase::Call => {
                // What arrived before the end is still good; a body that lasts until the end is complete with it.
                self.pump_response(ambient, worker);
                if !matches!(self.phase, Phase::Call) || !self.up.is_attached() {
                    return;
                }
                match self.call.response {
                    Response::Awaited => self.lose_upstream(ambient, worker),
                    Response::Streaming { .. } => self.end_response_at_eof(ambient, worker),
                }
            }
            Phase::Head { .. } | Phase::Flush { .. } | Phase::Linger { .. } | Phase::Closed => {}
        }
    }

    pub(super) fn on_upstream_broken(&mut self, ambient: Ambient, worker: &mut Worker) {
        match &self.phase {
            Phase::Tunnel(_) => {
                self.end_record(ambient);
                self.close();
            }
            Phase::Call if self.up.is_attached() => {
                self.pump_response(ambient, worker);
                if matches!(self.phase, Phase::Call) && self.up.is_attached() {
                    match self.call.response {
                        Response::Awaited => self.lose_upstream(ambient, worker),
                        Response::Streaming { .. } => {
                            self.cut_response(ResetReason::ConnectionTermination, ambient);
                        }
                    }
                }
            }
            Phase::Head { .. }
            | Phase::Call
            | Phase::Flush { .. }
            | Phase::Linger { .. }
            | Phase::Closed => {}
        }
    }

    /// The connection ended before a response head: replace it if it was a dead kept one, otherwise the attempt failed.
    fn lose_upstream(&mut self, ambient: Ambient, worker: &mut Worker) {
        let State::Attached { target, kept, .. } = mem::replace(&mut self.up.state, State::None)
        else {
            return;
        };
        self.outputs.push_back(Output::Close(Side::Upstream));
        // RFC 9110 §9.2.2: a client may retry by itself what is idempotent, or what it knows was not processed.
        let nothing_sent = !self.up.wrote;
        let may_repeat = self.record.request.method.is_idempotent() || nothing_sent;
        if !kept || self.up.received || !may_repeat || self.up.replay.lost {
            self.fail_attempt(ResetReason::ConnectionTermination, ambient, worker);
            return;
        }
        let replay = mem::take(&mut self.up.replay);
        end_attempt(&mut self.record, AttemptEnd::StaleConnection);
        let again = self.record.attempts.last().cloned();
        self.record.attempts.extend(again.map(|a| Attempt {
            reused: false,
            began: ambient.now,
            end: AttemptEnd::Open,
            ..a
        }));
        self.up.forget_bytes();
        self.up.resend = replay.pieces;
        // A fresh connection: other kept ones to this endpoint are likely as dead.
        self.connect(target, ambient);
    }

    /// Sends what a dead connection had swallowed, once the new one has its head.
    pub(super) fn send_replay(&mut self) {
        if self.up.resend.is_empty() {
            return;
        }
        for piece in mem::take(&mut self.up.resend) {
            self.up.writer.data(piece, &mut self.up.outbox);
        }
        if self.call.request_body == RequestBody::Complete {
            let _ = self.up.writer.end(None, &mut self.up.outbox);
        }
    }

    /// An attempt ended without a response; the request machine says what now.
    pub(super) fn fail_attempt(
        &mut self,
        reason: ResetReason,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        end_attempt(&mut self.record, AttemptEnd::Reset(reason));
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        self.drop_upstream();
        self.up.active = None;
        self.up.forget_bytes();
        let verdict =
            request::on_attempt_failed(&self.peer, reason, &mut self.record, &mut self.response);
        self.obey(verdict, ambient, worker);
    }

    /// The route's timeout ran out.
    pub(super) fn on_route_timeout(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.call.route_deadline = None;
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        end_attempt(&mut self.record, AttemptEnd::Reset(ResetReason::LocalReset));
        if self.call.response == Response::Awaited {
            self.drop_upstream();
            let verdict =
                request::on_route_timeout(&self.peer, &mut self.record, &mut self.response);
            self.obey(verdict, ambient, worker);
        } else {
            self.cut_response(ResetReason::LocalReset, ambient);
        }
    }

    /// The response is complete: keep the connection if it can carry another request.
    pub(super) fn release_upstream(
        &mut self,
        reusable: bool,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        let clean = self.call.request_body == RequestBody::Complete
            && !self.up.deaf
            && self.up.outbox.is_empty()
            && self.up.inbox.is_empty();
        match mem::replace(&mut self.up.state, State::None) {
            State::Attached {
                link: Some(link),
                target,
                ..
            } if reusable
                && clean
                && link.has_requests_left()
                && worker.still_has(target.host.as_deref(), &self.record) =>
            {
                let id = worker.idle().keep(link, ambient.now);
                self.outputs.push_back(Output::Keep(id));
            }
            State::Attached { .. } => self.outputs.push_back(Output::Close(Side::Upstream)),
            State::None | State::Connecting { .. } | State::Reusing { .. } => {}
        }
        self.up.active = None;
        self.up.forget_bytes();
    }
}
