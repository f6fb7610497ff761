//! Admission of an attempt to a cluster that has circuit limits: a connection now, a place in the line, or overflow.
//!
//! The order is Envoy's: a ready connection is used; without one the request is pending, and pending requests are
//! limited; a connection is made if their limit allows it; otherwise the request waits for one. Counts are exact over
//! all workers, and a connection that idles anywhere is given up for a request that waits.

use std::sync::Arc;

use super::Turn;
use super::adaptive::UnderWay;
use super::ledger::Ledger;
use crate::cluster::{ActiveRequest, ClusterState, Counted, Ending, HostState, Permit};
use crate::decision::{Overflow, ResetReason};
use crate::io::Output;
use crate::local::{Slot, Ticket};
use crate::peer::ExchangeId;
use crate::request::{Target, response_time};
use crate::snapshot::{Cluster, Limits};
use crate::time::Instant;

/// What an attempt counts for, until it ends.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// At its endpoint.
    pub(super) active: Option<ActiveRequest>,
    /// Against the limit of requests.
    pub(super) admitted: Option<Permit>,
    /// Against a limit that follows response times.
    pub(super) adaptive: Option<UnderWay>,
}

impl Held {
    /// It ends badly for its endpoint.
    pub(super) const fn fail(&mut self) {
        if let Some(active) = &mut self.active {
            active.fail();
        }
    }

    /// Its response has ended so, in case the head did not say. Whether that is well for its endpoint.
    pub(super) fn on_end(&mut self, ending: Ending, ledger: &Ledger, now: Instant) -> bool {
        let Some(active) = &mut self.active else {
            return true;
        };
        if active.on_end(ending) == Some(Ending::Bad) {
            response_time::on_failure(ledger.snapshot(), &ledger.record, now);
        }
        active.ending() != Ending::Bad
    }
}

/// Where an attempt goes.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) of: ExchangeId,
    pub(super) target: &'a Target,
    pub(super) host: &'a Arc<HostState>,
    pub(super) ledger: &'a Ledger,
}

/// How an attempt may go on.
pub(super) enum Entry {
    /// Over a kept connection, or a new one where nothing limits them.
    Ready { admitted: Option<Permit> },
    /// Over a connection that is being made and will have room.
    Promised {
        /// It counts as pending until it is connected.
        pending: Permit,
        admitted: Permit,
    },
    /// Over a new connection.
    Slot {
        slot: Slot,
        /// It counts as pending until it is connected.
        pending: Permit,
        /// `None` where it is no request.
        admitted: Option<Permit>,
    },
    /// It waits for one.
    Line(Box<Waiting>),
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct Waiting {
    limits: Limits,
    cluster: Arc<ClusterState>,
    /// The place in the line is left before the request stops being pending.
    ticket: Ticket,
    /// It goes on with the connection that is made for it.
    pending: Option<Permit>,
}

/// The limits of a cluster, and what counts against them.
#[derive(Clone, Copy, Debug)]
struct Circuit<'a> {
    limits: Limits,
    state: &'a Arc<ClusterState>,
}

impl Way<'_> {
    /// Asks for admission within the limits of the target's cluster, if it has any.
    ///
    /// # Errors
    /// A limit was reached.
    pub(super) fn enter(&self, turn: &mut Turn<'_>) -> Result<Entry, ResetReason> {
        let cluster = self.ledger.cluster(self.target);
        let is_connection = self.ledger.is_connection();
        match cluster.and_then(Circuit::of) {
            Some(circuit) if is_connection => circuit.connect(turn).map_err(ResetReason::Overflow),
            Some(circuit) => circuit.enter(self, turn).map_err(ResetReason::Overflow),
            None => Ok(Entry::Ready { admitted: None }),
        }
    }

    /// Whether there is a connection with room, made or (`promised`) being made.
    fn has_room(&self, promised: bool, turn: &mut Turn<'_>) -> bool {
        let protocol = self.target.protocol();
        let wanted = self.ledger.wanted(self.target);
        let (pool, now) = (turn.local.pool(), turn.now);
        !self.target.tunnel && pool.has(self.host, protocol, wanted, promised, now)
    }

    /// What the current configuration allows the cluster of the target; `None` where it has no such cluster.
    fn limits_by_now(&self, turn: &Turn<'_>) -> Option<Limits> {
        let then = self.ledger.cluster(self.target)?;
        let latest = &turn.local.view().snapshot;
        let now = latest.cluster(latest.clusters.find(&then.name)?);
        Some(now.limits.unwrap_or(Limits::NONE))
    }
}

impl<'a> Circuit<'a> {
    fn of(cluster: &'a Cluster) -> Option<Self> {
        Some(Self {
            limits: cluster.limits?,
            state: &cluster.state,
        })
    }

    /// A connection that is not HTTP is made at once or not at all (Envoy's TCP proxy), and is no request.
    fn connect(self, turn: &mut Turn<'_>) -> Result<Entry, Overflow> {
        let (counted, limit) = (Counted::Connections, self.limits.connections);
        let slot = self.slot(turn).ok_or(Overflow { counted, limit })?;
        let pending = self.admit(Counted::Pending, self.limits.pending)?;
        Ok(Entry::Slot {
            slot,
            pending,
            admitted: None,
        })
    }

    fn enter(self, way: &Way<'_>, turn: &mut Turn<'_>) -> Result<Entry, Overflow> {
        let has_line = turn.local.lines().first(self.state).is_some();
        if !has_line && way.has_room(false, turn) {
            let admitted = Some(self.count_request(turn)?);
            return Ok(Entry::Ready { admitted });
        }
        let pending = self.admit(Counted::Pending, self.limits.pending)?;
        if !has_line && way.has_room(true, turn) {
            let admitted = self.count_request(turn)?;
            return Ok(Entry::Promised { pending, admitted });
        }
        if !has_line && let Some(slot) = self.slot(turn) {
            let admitted = Some(self.count_request(turn)?);
            return Ok(Entry::Slot {
                slot,
                pending,
                admitted,
            });
        }
        let ticket = turn.local.lines().join(way.of, self.state);
        let mut waiting = Box::new(Waiting {
            limits: self.limits,
            cluster: Arc::clone(self.state),
            ticket,
            pending: Some(pending),
        });
        // Somebody may have let a connection go before seeing us in the line.
        if let Some(entry) = waiting.try_again(way, turn)? {
            return Ok(entry);
        }
        // An idle connection of another worker is to be given up.
        turn.say(Output::Announce);
        Ok(Entry::Line(waiting))
    }

    /// Leave to make one more connection. An idle one to another endpoint is closed for it.
    fn slot(&self, turn: &mut Turn<'_>) -> Option<Slot> {
        loop {
            if let Some(slot) = turn.local.lines().slot(self.state, self.limits.connections) {
                return Some(slot);
            }
            let idle = turn.local.pool().spare(self.state)?;
            turn.close_upstream(idle);
        }
    }

    /// One more request in flight, if that is allowed.
    fn count_request(&self, turn: &Turn<'_>) -> Result<Permit, Overflow> {
        let permit = self.admit(Counted::Requests, self.limits.requests)?;
        self.state.note_request(self.limits.retries, turn.now);
        Ok(permit)
    }

    fn admit(&self, counted: Counted, limit: u32) -> Result<Permit, Overflow> {
        let permit = self.state.admit(counted, limit);
        permit.ok_or(Overflow { counted, limit })
    }
}

impl Waiting {
    /// Perhaps there is a connection for this request now: how it goes on then.
    ///
    /// # Errors
    /// There is one, and too many requests are in flight.
    pub(super) fn try_again(
        &mut self,
        way: &Way<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Entry>, Overflow> {
        if turn.local.lines().first(&self.cluster) != Some(self.ticket.id()) {
            return Ok(None);
        }
        let circuit = Circuit {
            // Who raises a limit means those who wait, and everybody stands behind them.
            limits: way.limits_by_now(turn).unwrap_or(self.limits),
            state: &self.cluster,
        };
        if way.has_room(false, turn) {
            let admitted = Some(circuit.count_request(turn)?);
            return Ok(Some(Entry::Ready { admitted }));
        }
        if way.has_room(true, turn) {
            let admitted = circuit.count_request(turn)?;
            let pending = self.pending.take();
            return Ok(pending.map(|pending| Entry::Promised { pending, admitted }));
        }
        let Some(slot) = circuit.slot(turn) else {
            return Ok(None);
        };
        let admitted = Some(circuit.count_request(turn)?);
        Ok(self.pending.take().map(|pending| Entry::Slot {
            slot,
            pending,
            admitted,
        }))
    }
}
