//! How an attempt comes by its connection: admitted by its cluster's limits, over a kept one or a new one, and over another
//! one when that was dead.

use core::mem;
use std::sync::Arc;

use super::{Attempt, Carried, Stage, Time, Upload};
use crate::cluster::Permit;
use crate::decision::{AttemptEnd, ResetReason};
use crate::exchange::Turn;
use crate::exchange::adaptive::UnderWay;
use crate::exchange::admission::{Entry, Held, Way};
use crate::exchange::endpoint_stream::EndpointStream;
use crate::exchange::ledger::Ledger;
use crate::io::ConnectFault;
use crate::local::{Link, Slot};
use crate::peer::{ExchangeId, UpstreamId};
use crate::request::{self, Target};
use crate::snapshot::Spoken;
use crate::stream::Protocol;

impl Attempt {
    /// Begins one on a target that the request machine chose and wrote down.
    ///
    /// # Errors
    /// A limit was reached.
    pub(in crate::exchange) fn begin(
        of: ExchangeId,
        mut target: Target,
        ledger: &Ledger,
        turn: &mut Turn<'_>,
    ) -> Result<Self, ResetReason> {
        let cluster = ledger.cluster(&target);
        let host = target.host.take().unwrap_or_else(|| {
            let state = cluster.map(|cluster| &cluster.state);
            let (host, close) = turn.local.original(state, &target.address);
            close.into_iter().for_each(|id| turn.close_upstream(id));
            host
        });
        // A tunnel has no response time, and would keep others out for as long as it lasts.
        let adaptive = UnderWay::begin(cluster.filter(|_| !target.tunnel), turn.now);
        let held = Held {
            adaptive: adaptive.map_err(ResetReason::Overflow)?,
            ..Held::default()
        };
        let way = Way {
            of,
            target: &target,
            host: &host,
            ledger,
        };
        let entry = way.enter(turn)?;
        let stage = Stage::Connecting {
            pending: None,
            deadline: turn.now + target.connect_timeout,
        };
        let mut attempt = Self {
            at: ledger.record.last_attempt(),
            stream: EndpointStream::default(),
            stage,
            target,
            host,
            held,
            carried: Carried::Nothing,
            upload: Upload::START,
            time: Time::Unset,
        };
        attempt.enter(entry, of, ledger, turn);
        Ok(attempt)
    }

    /// Perhaps there is a connection for it now, if it waits for one.
    ///
    /// # Errors
    /// There is, and a limit was reached.
    pub(in crate::exchange) fn on_woken(
        &mut self,
        of: ExchangeId,
        ledger: &Ledger,
        turn: &mut Turn<'_>,
    ) -> Result<(), ResetReason> {
        let Stage::Waiting(waiting) = &mut self.stage else {
            return Ok(());
        };
        let way = Way {
            of,
            target: &self.target,
            host: &self.host,
            ledger,
        };
        let entry = waiting.try_again(&way, turn);
        if let Some(entry) = entry.map_err(ResetReason::Overflow)? {
            self.enter(entry, of, ledger, turn);
        }
        Ok(())
    }

    fn enter(&mut self, entry: Entry, of: ExchangeId, ledger: &Ledger, turn: &mut Turn<'_>) {
        match entry {
            Entry::Line(waiting) => self.stage = Stage::Waiting(waiting),
            Entry::Ready { admitted } => {
                self.held.admitted = admitted;
                self.take_place(None, of, ledger, turn);
            }
            Entry::Promised { pending, admitted } => {
                self.held.admitted = Some(admitted);
                self.take_place(Some(pending), of, ledger, turn);
            }
            Entry::Slot {
                slot,
                pending,
                admitted,
            } => {
                self.held.admitted = admitted;
                self.held.active = Some(self.host.begin_request());
                self.connect(Some(slot), Some(pending), of, ledger, turn);
            }
        }
    }

    /// Takes a place on a connection that has room, made or being made, or has one made.
    fn take_place(
        &mut self,
        pending: Option<Permit>,
        of: ExchangeId,
        ledger: &Ledger,
        turn: &mut Turn<'_>,
    ) {
        self.held.active = Some(self.host.begin_request());
        let protocol = self.target.protocol();
        let place = match self.target.tunnel {
            false => {
                let wanted = ledger.wanted(&self.target);
                EndpointStream::reuse(of, &self.host, protocol, wanted, turn)
            }
            true => None,
        };
        let Some((stream, is_promised)) = place else {
            self.connect(None, pending, of, ledger, turn);
            return;
        };
        self.stream = stream;
        self.stage = match is_promised {
            true => Stage::Connecting {
                pending,
                deadline: turn.now + self.target.connect_timeout,
            },
            false => Stage::Attached { kept: true },
        };
    }

    fn connect(
        &mut self,
        slot: Option<Slot>,
        pending: Option<Permit>,
        of: ExchangeId,
        ledger: &Ledger,
        turn: &mut Turn<'_>,
    ) {
        let (target, cluster) = (&self.target, ledger.cluster(&self.target));
        let wanted = ledger.wanted(target);
        let link = Link::new(&self.host, target.http2.as_ref(), wanted, cluster, slot);
        let spoken = match link.protocol() {
            _ if ledger.record.connection.is_some() => Spoken::Bytes,
            Protocol::Http1 => Spoken::Http1,
            Protocol::Http2 => Spoken::Http2,
        };
        self.stream = EndpointStream::open(of, target, wanted.host, spoken, link, turn);
        self.stage = Stage::Connecting {
            pending,
            deadline: turn.now + self.target.connect_timeout,
        };
    }

    /// A connection that was asked for is made. Whether it is the one that it waits for.
    pub(in crate::exchange) fn on_connected(&mut self, id: UpstreamId) -> bool {
        if self.stream.id() != Some(id) {
            return false;
        }
        let Stage::Connecting { pending, .. } = &mut self.stage else {
            return false;
        };
        drop(pending.take());
        self.stage = Stage::Attached { kept: false };
        true
    }

    /// The connection that it asked for could not be made. Why it failed.
    pub(in crate::exchange) fn on_connect_failed(
        &mut self,
        fault: &ConnectFault,
        ledger: &mut Ledger,
        turn: &mut Turn<'_>,
    ) -> Option<ResetReason> {
        if !matches!(self.stage, Stage::Connecting { .. }) {
            return None;
        }
        // There is nothing to close.
        mem::take(&mut self.stream).fail(turn);
        Some(match fault {
            ConnectFault::Refused => ResetReason::RemoteConnectionFailure,
            ConnectFault::Unresolved => ResetReason::Unresolved,
            ConnectFault::Local => ResetReason::LocalConnectionFailure,
            ConnectFault::Tls(fault) => {
                ledger.record.transport_failure = Some(Box::new(fault.clone()));
                ResetReason::Tls(fault.kind())
            }
        })
    }

    /// Its connection has not been made in time.
    pub(in crate::exchange) fn give_up_connecting(&mut self, turn: &mut Turn<'_>) {
        self.stream.fail(turn);
        mem::take(&mut self.stream).close(turn);
    }

    /// Whether its connection may have been dead before the request was written to it, so that the request can be sent again:
    /// a client may retry by itself what is idempotent, or what it knows was not processed (RFC 9110 §9.2.2).
    pub(in crate::exchange) fn may_be_stale(&self, ledger: &Ledger) -> bool {
        let may_repeat = (ledger.record.request.method.is_idempotent()
            || self.carried == Carried::Nothing)
            && !request::retries_are_written(&ledger.record, ledger.snapshot());
        let is_kept = matches!(self.stage, Stage::Attached { kept: true });
        is_kept && self.carried != Carried::Response && may_repeat
    }

    /// It ends, and is made again: where it goes then.
    pub(in crate::exchange) fn again(
        &mut self,
        end: AttemptEnd,
        ledger: &mut Ledger,
        turn: &mut Turn<'_>,
    ) -> Target {
        ledger.end_attempt(self.at, end, turn.now);
        self.close(turn);
        ledger.repeat_attempt(turn.now);
        Target {
            host: Some(Arc::clone(&self.host)),
            ..self.target.clone()
        }
    }

    /// The connection ended before a response head: replaces it if it was a dead kept one.
    ///
    /// # Errors
    /// The attempt failed.
    pub(in crate::exchange) fn replace(
        &mut self,
        of: ExchangeId,
        can_repeat: bool,
        ledger: &mut Ledger,
        turn: &mut Turn<'_>,
    ) -> Result<(), ResetReason> {
        if !can_repeat || !self.may_be_stale(ledger) {
            let reason = self.end_reason(turn);
            mem::take(&mut self.stream).close(turn);
            return Err(reason);
        }
        // Another one in its place, within the same limit.
        let slot = self.stream.hand_over(turn);
        mem::take(&mut self.stream).close(turn);
        ledger.end_attempt(self.at, AttemptEnd::StaleConnection, turn.now);
        ledger.repeat_attempt(turn.now);
        self.at = ledger.record.last_attempt();
        (self.carried, self.upload) = (Carried::Nothing, Upload::START);
        self.time = Time::Unset;
        // A fresh connection: other kept ones to this endpoint are likely as dead.
        self.connect(slot, None, of, ledger, turn);
        Ok(())
    }
}
