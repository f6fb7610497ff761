//! Attempts: how one begins, is connected, fails, and is followed by another; how a connection is kept or let go.

use core::mem;

use super::call::{RequestBody, Response};
use super::upstream::State;
use super::{Exchange, Phase, Turn};
use crate::cluster::Permit;
use crate::cluster::ejection::Outcome;
use crate::decision::{Attempt, AttemptEnd, Details, Followed, ResetReason};
use crate::io::ConnectFault;
use crate::local::{Link, Slot};
use crate::request::{self, Failure, Later, Target, Verdict};
use crate::stream::Part;
use crate::time::Instant;

impl Exchange {
    /// Begins an attempt on a target that the request machine chose.
    pub(super) fn begin_attempt(&mut self, mut target: Target, turn: &mut Turn<'_>) {
        self.call.replay.rewind();
        self.up.at = self.record.last_attempt();
        if target.host.is_none() {
            let cluster = request::cluster_of(&target, &self.view.snapshot).map(|c| &c.state);
            let (host, close) = turn.local.original(cluster, &target.address);
            target.host = Some(host);
            close.into_iter().for_each(|id| turn.close_upstream(id));
        }
        if let Err(overflow) = self.enter_adaptive(&target, turn) {
            self.fail_attempt(ResetReason::Overflow(overflow), turn);
            return;
        }
        match self.circuit(&target) {
            Some(circuit) => self.begin_limited(target, circuit, turn),
            None => self.begin_admitted(target, turn),
        }
    }

    /// Uses a kept connection, or makes one.
    pub(super) fn begin_admitted(&mut self, target: Target, turn: &mut Turn<'_>) {
        self.up.active = target.host.as_ref().map(|host| host.begin_request());
        let kept = match &target.host {
            Some(host) if !target.tunnel => turn.local.pool().take(host, turn.now),
            _ => None,
        };
        if let Some(id) = kept {
            turn.reuse(self.id, id);
            self.up.conn = Some(id);
            self.attach(target, true, turn);
        } else {
            self.connect(target, None, None, turn);
        }
    }

    pub(super) fn connect(
        &mut self,
        target: Target,
        slot: Option<Slot>,
        pending: Option<Permit>,
        turn: &mut Turn<'_>,
    ) {
        let deadline = turn.now + target.connect_timeout;
        let cluster = request::cluster_of(&target, &self.view.snapshot);
        let host = target.host.as_ref();
        let link = host.map(|host| Link::new(host, cluster, slot));
        let id = turn.connect(self.id, target.address.clone());
        if let Some(link) = link {
            turn.local.pool().open(id, link);
        }
        self.up.conn = Some(id);
        self.up.state = State::Connecting {
            target,
            pending,
            deadline,
        };
    }

    pub(super) fn on_connected(&mut self, turn: &mut Turn<'_>) {
        match mem::replace(&mut self.up.state, State::None) {
            State::Connecting {
                target, pending, ..
            } => {
                drop(pending);
                if let Some(id) = self.up.conn {
                    turn.local.pool().on_connected(id, turn.now);
                }
                self.attach(target, false, turn);
            }
            // Nothing is being connected.
            other @ (State::None
            | State::Waiting(_)
            | State::Attached { .. }
            | State::BackingOff { .. }) => self.up.state = other,
        }
    }

    /// The attempt has its connection: the request is written.
    fn attach(&mut self, target: Target, kept: bool, turn: &mut Turn<'_>) {
        if let Some(id) = self.up.conn {
            turn.local.pool().on_request(id);
        }
        self.report(Outcome::Connected, turn.now);
        let tunnel = target.tunnel;
        if let Some(attempt) = self.record.attempt_mut() {
            attempt.reused = kept;
        }
        self.up.state = State::Attached { target, kept };
        self.facts = turn.facts(self.up.conn);
        if tunnel {
            self.begin_connect_tunnel(turn);
            return;
        }
        if let Some((endpoint, local)) = turn.endpoint(self.up.conn) {
            endpoint.ask(&self.record.request, &self.call.begins, local);
        }
        self.arm_per_try(turn);
    }

    pub(super) fn on_connect_failed(&mut self, fault: ConnectFault, turn: &mut Turn<'_>) {
        if !matches!(self.up.state, State::Connecting { .. }) {
            return;
        }
        self.up.state = State::None;
        // There is nothing to close.
        if let Some(id) = self.up.conn.take() {
            turn.local.pool().on_failed(id);
            turn.sockets.forget(id, turn.local);
        }
        let reason = match fault {
            ConnectFault::Refused => ResetReason::RemoteConnectionFailure,
            ConnectFault::Unresolved => ResetReason::Unresolved,
            ConnectFault::Local => ResetReason::LocalConnectionFailure,
        };
        self.fail_attempt(reason, turn);
    }

    pub(super) fn on_connect_timeout(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.up.state, State::Connecting { .. }) {
            self.up.state = State::None;
            if let Some(id) = self.up.conn {
                turn.local.pool().on_failed(id);
            }
            self.close_conn(turn);
            self.fail_attempt(ResetReason::ConnectionTimeout, turn);
        }
    }

    /// The connection of the attempt is over: it may have been dead before it was used.
    fn close_conn(&mut self, turn: &mut Turn<'_>) {
        if let Some(id) = self.up.conn.take() {
            turn.close_upstream(id);
        }
    }

    pub(super) fn on_upstream_eof(&mut self, turn: &mut Turn<'_>) {
        match &mut self.phase {
            Phase::Tunnel(tunnel) => tunnel.end_of_endpoint(),
            Phase::Call => {
                // What arrived before the end is still good; a body that lasts until the end is complete with it.
                self.pump_response(turn);
                if !matches!(self.phase, Phase::Call) || !self.up.is_attached() {
                    return;
                }
                match self.call.response {
                    Response::Awaited => self.lose_upstream(turn),
                    Response::Streaming => self.end_response_at_eof(turn),
                }
            }
            Phase::Flush { .. } | Phase::Over => {}
        }
    }

    pub(super) fn on_upstream_broken(&mut self, turn: &mut Turn<'_>) {
        match &self.phase {
            Phase::Tunnel(_) => {
                self.end_record(turn);
                self.close(turn);
            }
            Phase::Call if self.up.is_attached() => {
                self.pump_response(turn);
                if matches!(self.phase, Phase::Call) && self.up.is_attached() {
                    match self.call.response {
                        Response::Awaited => self.lose_upstream(turn),
                        Response::Streaming => {
                            let reason = self.up.end_reason(turn);
                            self.cut_response(reason, turn);
                        }
                    }
                }
            }
            Phase::Call | Phase::Flush { .. } | Phase::Over => {}
        }
    }

    /// The connection ended before a response head: replace it if it was a dead kept one, otherwise the attempt failed.
    fn lose_upstream(&mut self, turn: &mut Turn<'_>) {
        let State::Attached { target, kept } = mem::replace(&mut self.up.state, State::None) else {
            return;
        };
        // RFC 9110 §9.2.2: a client may retry by itself what is idempotent, or what it knows was not processed.
        let nothing_sent = !self.up.wrote;
        let may_repeat = (self.record.request.method.is_idempotent() || nothing_sent)
            && !request::retries_are_written(&self.record, &self.view.snapshot);
        if !kept || self.up.received || !may_repeat || !self.can_repeat() {
            let reason = self.up.end_reason(turn);
            self.close_conn(turn);
            self.fail_attempt(reason, turn);
            return;
        }
        // Another one in its place, within the same limit.
        let slot = self.up.conn.and_then(|id| turn.local.pool().hand_over(id));
        self.close_conn(turn);
        self.up.end(&mut self.record, AttemptEnd::StaleConnection);
        if let Some(again) = self.record.attempt().cloned() {
            self.record.begin_attempt(Attempt {
                reused: false,
                began: turn.now,
                end: AttemptEnd::Open,
                followed: Followed::Nothing,
                ejected: None,
                ..again
            });
        }
        self.up.at = self.record.last_attempt();
        self.up.forget_bytes();
        self.call.replay.rewind();
        // A fresh connection: other kept ones to this endpoint are likely as dead.
        self.connect(target, slot, None, turn);
    }

    /// Whether the request can be sent again from its first byte, and nothing has reached the client that forbids it.
    pub(super) fn can_repeat(&self) -> bool {
        self.call.replay.is_whole()
            && !self.call.interim_sent
            && self.call.response == Response::Awaited
    }

    /// The time of an attempt runs once it has a connection and the request is complete.
    pub(super) fn arm_per_try(&mut self, turn: &mut Turn<'_>) {
        if self.up.is_attached()
            && self.call.request_complete.is_some()
            && let Some(timeout) = self.record.timeouts.per_try
        {
            self.up.per_try_deadline = Some(turn.now + timeout);
        }
    }

    /// The request machine wants another attempt after a while.
    pub(super) fn back_off(&mut self, later: Later, turn: &mut Turn<'_>) {
        let until = turn.now + later.wait;
        self.up.state = State::BackingOff { until, later };
    }

    pub(super) fn on_backed_off(&mut self, turn: &mut Turn<'_>) {
        let State::BackingOff { later, .. } = self.up.state else {
            return;
        };
        self.up.state = State::None;
        if self.aside.is_none() {
            request::catch_up(&mut self.record, &mut self.view, turn.local.view());
        }
        let verdict = self.ask(
            |context, record, response| request::retry(later, context, record, response),
            turn,
        );
        if matches!(verdict, Verdict::Reply(_)) && self.falls_back(turn) {
            return;
        }
        self.obey(verdict, turn);
    }

    /// A response that is to be tried again: it is thrown away, with its connection unless all of it is here.
    pub(super) fn discard_response(&mut self, turn: &mut Turn<'_>) {
        let mut is_whole = false;
        if let Some((endpoint, _)) = turn.endpoint(self.up.conn) {
            is_whole = loop {
                match endpoint.body() {
                    Ok(Part::Data(_) | Part::Trailers(_)) => {}
                    Ok(Part::End) => break true,
                    Ok(Part::NeedMore) | Err(_) => break false,
                }
            };
        }
        self.release_upstream(is_whole, turn);
    }

    /// An attempt ended without a response; the request machine says what now.
    pub(super) fn fail_attempt(&mut self, reason: ResetReason, turn: &mut Turn<'_>) {
        self.up.end(&mut self.record, AttemptEnd::Reset(reason));
        let was_hedged = self.up.was_hedged;
        if !self.up.is_judged {
            self.report_reset(reason, turn);
        }
        if reason == ResetReason::PerTryTimeout {
            self.report_adaptive(turn);
        }
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        self.drop_upstream(turn);
        let failure = Failure {
            reason,
            can_repeat: self.can_repeat(),
            request_sent: self.up.request_sent,
            was_hedged,
        };
        let verdict = self.ask(
            |context, record, response| {
                request::on_attempt_failed(context, failure, record, response)
            },
            turn,
        );
        if matches!(verdict, Verdict::Reply(_)) && self.falls_back(turn) {
            return;
        }
        self.obey(verdict, turn);
    }

    /// A reset counts against its endpoint, before or after the response began.
    pub(super) fn report_reset(&mut self, reason: ResetReason, turn: &mut Turn<'_>) {
        if let Some(outcome) = request::outcome::of_reset(reason) {
            self.report(outcome, turn.now);
            request::response_time::on_failure(&self.view.snapshot, &self.record, turn.now);
        }
    }

    /// This became known about the endpoint of the attempt under way.
    pub(super) fn report(&mut self, outcome: Outcome, now: Instant) {
        request::outcome::report(outcome, &self.view.snapshot, &mut self.record, now);
    }

    /// The route's timeout ran out.
    pub(super) fn on_route_timeout(&mut self, turn: &mut Turn<'_>) {
        self.call.route_deadline = None;
        self.lose_aside(ResetReason::LocalReset, turn);
        if let Some(active) = &mut self.up.active {
            active.fail();
        }
        let end = AttemptEnd::Reset(ResetReason::LocalReset);
        self.up.end(&mut self.record, end);
        if self.call.response == Response::Awaited {
            // As Envoy: before there is a connection, nobody is to blame.
            if self.up.is_attached() && !self.up.is_judged {
                self.report(Outcome::Timeout, turn.now);
                request::response_time::on_failure(&self.view.snapshot, &self.record, turn.now);
                self.report_adaptive(turn);
            }
            self.drop_upstream(turn);
            let verdict = self.ask(request::on_route_timeout, turn);
            self.obey(verdict, turn);
        } else {
            self.record.details = Details::ResponseTimeout;
            self.cut(turn);
        }
    }

    /// The response is over: keep the connection if that has been read to its end and can carry another request.
    pub(super) fn release_upstream(&mut self, is_whole: bool, turn: &mut Turn<'_>) {
        let may_go_on = turn.endpoint(self.up.conn).is_some_and(|(endpoint, _)| {
            endpoint.persists() && endpoint.outbox.is_empty() && endpoint.inbox.is_empty()
        });
        let clean = is_whole
            && may_go_on
            && self.call.request_body == RequestBody::Complete
            && !self.up.is_deaf();
        let state = mem::replace(&mut self.up.state, State::None);
        match (self.up.conn.take(), state) {
            (Some(id), State::Attached { target, .. })
                if clean
                    && turn.local.pool().may_go_on(id, turn.now)
                    && turn.local.may_keep(id)
                    && (turn.local).still_has(
                        target.host.as_deref(),
                        &target.address,
                        &self.view,
                    ) =>
            {
                turn.keep(id);
            }
            (Some(id), _) => turn.close_upstream(id),
            (None, _) => {}
        }
        self.up.active = None;
        self.up.admitted = None;
        self.up.adaptive = None;
        self.up.forget_bytes();
    }
}
