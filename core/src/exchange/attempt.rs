//! Attempts: how one begins, is connected, fails, and is followed by another; how a connection is kept or let go.

use core::mem;

use super::call::{RequestBody, Response};
use super::io::ConnectFault;
use super::upstream::{State, end_attempt};
use super::{Ambient, Exchange, Output, Phase, Side};
use crate::cluster::Permit;
use crate::cluster::ejection::Outcome;
use crate::decision::{Attempt, AttemptEnd, Details, Followed, ResetReason};
use crate::request::{self, Context, Failure, Target, Verdict};
use crate::stream::Part;
use crate::time::Duration;
use crate::worker::{Link, Slot, Worker};

impl Exchange {
    /// Begins an attempt on a target that the request machine chose.
    pub(super) fn begin_attempt(
        &mut self,
        mut target: Target,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        self.call.replay.rewind();
        if target.host.is_none() {
            let cluster = request::cluster_of(&target, &self.record).map(|c| &c.state);
            let (host, close) = worker.original(cluster, &target.address);
            target.host = Some(host);
            self.outputs.extend(close.into_iter().map(Output::Discard));
        }
        if let Err(overflow) = self.enter_adaptive(&target, ambient) {
            self.fail_attempt(ResetReason::Overflow(overflow), ambient, worker);
            return;
        }
        match self.circuit(&target) {
            Some(circuit) => self.begin_limited(target, circuit, ambient, worker),
            None => self.begin_admitted(target, ambient, worker),
        }
    }

    /// Uses a kept connection, or makes one.
    pub(super) fn begin_admitted(&mut self, target: Target, ambient: Ambient, worker: &mut Worker) {
        self.up.active = target.host.as_ref().map(|host| host.begin_request());
        let kept = match &target.host {
            Some(host) if !target.tunnel => worker.idle().take(host, ambient.now),
            _ => None,
        };
        if let Some((id, link)) = kept {
            self.outputs.push_back(Output::Reuse(id));
            self.up.state = State::Reusing { target, link };
        } else {
            self.connect(target, None, None, ambient);
        }
    }

    pub(super) fn connect(
        &mut self,
        target: Target,
        slot: Option<Slot>,
        pending: Option<Permit>,
        ambient: Ambient,
    ) {
        let deadline = ambient.now + target.connect_timeout;
        let cluster = request::cluster_of(&target, &self.record);
        let host = target.host.as_ref();
        let link = host.map(|host| Link::new(host, cluster, slot));
        self.outputs
            .push_back(Output::Connect(target.address.clone()));
        self.up.state = State::Connecting {
            target,
            link,
            pending,
            deadline,
        };
    }

    pub(super) fn on_connected(&mut self, ambient: Ambient, worker: &mut Worker) {
        let (target, mut link, kept) = match mem::replace(&mut self.up.state, State::None) {
            State::Connecting {
                target,
                mut link,
                pending,
                ..
            } => {
                drop(pending);
                if let Some(link) = &mut link {
                    link.on_connected(ambient.now);
                }
                (target, link, false)
            }
            State::Reusing { target, link } => (target, Some(link), true),
            // The attempt was given up while the runtime was at it; it has been told to close.
            other @ (State::None
            | State::Waiting(_)
            | State::Attached { .. }
            | State::BackingOff { .. }) => {
                self.up.state = other;
                return;
            }
        };
        if let Some(link) = &mut link {
            link.on_request();
        }
        request::outcome::report(Outcome::Connected, &mut self.record, ambient.now);
        let tunnel = target.tunnel;
        if let Some(attempt) = self.record.attempt_mut() {
            attempt.reused = kept;
        }
        self.up.state = State::Attached { target, link, kept };
        if tunnel {
            self.begin_connect_tunnel(ambient, worker);
        } else {
            let (head, begins) = (&self.record.request, &self.call.begins);
            self.up.connection.ask(head, begins, worker);
            self.arm_per_try(ambient);
        }
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
        // Another one in its place, within the same limit.
        let slot = link.into_slot();
        let next = target
            .host
            .as_ref()
            .and_then(|host| worker.idle().take(host, ambient.now));
        if let Some((id, link)) = next {
            self.outputs.push_back(Output::Reuse(id));
            self.up.state = State::Reusing { target, link };
        } else {
            self.connect(target, slot, None, ambient);
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
                    Response::Streaming => self.end_response_at_eof(ambient, worker),
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
                        Response::Streaming => {
                            let reason = self.up.end_reason();
                            self.cut_response(reason, ambient);
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
        let State::Attached { target, kept, link } = mem::replace(&mut self.up.state, State::None)
        else {
            return;
        };
        self.outputs.push_back(Output::Close(Side::Upstream));
        // RFC 9110 §9.2.2: a client may retry by itself what is idempotent, or what it knows was not processed.
        let nothing_sent = !self.up.wrote;
        let may_repeat = (self.record.request.method.is_idempotent() || nothing_sent)
            && !request::retries_are_written(&self.record);
        if !kept || self.up.received || !may_repeat || !self.can_repeat() {
            drop(link);
            let reason = self.up.end_reason();
            self.fail_attempt(reason, ambient, worker);
            return;
        }
        end_attempt(&mut self.record, AttemptEnd::StaleConnection);
        if let Some(again) = self.record.attempt().cloned() {
            self.record.begin_attempt(Attempt {
                reused: false,
                began: ambient.now,
                end: AttemptEnd::Open,
                followed: Followed::Nothing,
                ejected: None,
                ..again
            });
        }
        self.up.forget_bytes();
        self.call.replay.rewind();
        // A fresh connection: other kept ones to this endpoint are likely as dead.
        let slot = link.and_then(Link::into_slot);
        self.connect(target, slot, None, ambient);
    }

    /// Whether the request can be sent again from its first byte, and nothing has reached the client that forbids it.
    pub(super) fn can_repeat(&self) -> bool {
        self.call.replay.is_whole()
            && !self.call.interim_sent
            && self.call.response == Response::Awaited
    }

    /// The time of an attempt runs once it has a connection and the request is complete.
    pub(super) fn arm_per_try(&mut self, ambient: Ambient) {
        if self.up.is_attached()
            && self.call.request_complete.is_some()
            && let Some(timeout) = self.record.timeouts.per_try
        {
            self.up.per_try_deadline = Some(ambient.now + timeout);
        }
    }

    /// The request machine wants another attempt after a while.
    pub(super) fn back_off(&mut self, wait: Duration, ambient: Ambient) {
        self.up.state = State::BackingOff {
            until: ambient.now + wait,
        };
    }

    pub(super) fn on_backed_off(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.up.state = State::None;
        if self.aside.is_none() {
            request::catch_up(&mut self.record, worker.view());
        }
        let context = Context {
            peer: &self.peer,
            upgrade: self.call.begins.upgrade.as_deref(),
            own_bucket: &self.own_bucket,
            now: ambient.now,
            complete_since: self.call.request_complete,
        };
        let verdict = request::retry(&context, &mut self.record, &mut self.response);
        if matches!(verdict, Verdict::Reply(_)) && self.falls_back(worker) {
            return;
        }
        self.obey(verdict, ambient, worker);
    }

    /// A response that is to be tried again: it is thrown away, with its connection unless all of it is here.
    pub(super) fn discard_response(&mut self, ambient: Ambient, worker: &mut Worker) {
        let is_whole = loop {
            match self.up.connection.body() {
                Ok(Part::Data(_) | Part::Trailers(_)) => {}
                Ok(Part::End) => break true,
                Ok(Part::NeedMore) | Err(_) => break false,
            }
        };
        self.release_upstream(is_whole, ambient, worker);
    }

    /// An attempt ended without a response; the request machine says what now.
    pub(super) fn fail_attempt(
        &mut self,
        reason: ResetReason,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        end_attempt(&mut self.record, AttemptEnd::Reset(reason));
        let was_hedged = self.up.was_hedged;
        if !self.up.is_judged {
            self.report_reset(reason, ambient);
        }
        if reason == ResetReason::PerTryTimeout {
            self.report_adaptive(ambient);
        }
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        self.drop_upstream();
        let failure = Failure {
            reason,
            can_repeat: self.can_repeat(),
            request_sent: self.up.request_sent,
            was_hedged,
            at: ambient.now,
        };
        let verdict =
            request::on_attempt_failed(&self.peer, failure, &mut self.record, &mut self.response);
        if matches!(verdict, Verdict::Reply(_)) && self.falls_back(worker) {
            return;
        }
        self.obey(verdict, ambient, worker);
    }

    /// A reset counts against its endpoint, before or after the response began.
    pub(super) fn report_reset(&mut self, reason: ResetReason, ambient: Ambient) {
        if let Some(outcome) = request::outcome::of_reset(reason) {
            request::outcome::report(outcome, &mut self.record, ambient.now);
            request::response_time::on_failure(&self.record, ambient.now);
        }
    }

    /// The route's timeout ran out.
    pub(super) fn on_route_timeout(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.call.route_deadline = None;
        self.lose_aside(ResetReason::LocalReset);
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        end_attempt(&mut self.record, AttemptEnd::Reset(ResetReason::LocalReset));
        if self.call.response == Response::Awaited {
            // As Envoy: before there is a connection, nobody is to blame.
            if self.up.is_attached() && !self.up.is_judged {
                request::outcome::report(Outcome::Timeout, &mut self.record, ambient.now);
                request::response_time::on_failure(&self.record, ambient.now);
                self.report_adaptive(ambient);
            }
            self.drop_upstream();
            let verdict =
                request::on_route_timeout(&self.peer, &mut self.record, &mut self.response);
            self.obey(verdict, ambient, worker);
        } else {
            self.record.details = Details::ResponseTimeout;
            self.cut(ambient);
        }
    }

    /// The response is over: keep the connection if that has been read to its end and can carry another request.
    pub(super) fn release_upstream(
        &mut self,
        is_whole: bool,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        let clean = is_whole
            && self.up.connection.persists()
            && self.call.request_body == RequestBody::Complete
            && !self.up.is_deaf()
            && self.up.connection.outbox.is_empty()
            && self.up.connection.inbox.is_empty();
        match mem::replace(&mut self.up.state, State::None) {
            State::Attached {
                link: Some(link),
                target,
                ..
            } if clean
                && link.may_go_on(ambient.now)
                && worker.may_keep(&link)
                && worker.still_has(target.host.as_deref(), &target.address, &self.record) =>
            {
                let id = worker.keep(link, ambient.now);
                self.outputs.push_back(Output::Keep(id));
            }
            State::Attached { .. } => self.outputs.push_back(Output::Close(Side::Upstream)),
            State::None
            | State::Waiting(_)
            | State::Connecting { .. }
            | State::Reusing { .. }
            | State::BackingOff { .. } => {}
        }
        self.up.active = None;
        self.up.admitted = None;
        self.up.adaptive = None;
        self.up.forget_bytes();
    }
}
