//! Admission of an attempt to a cluster that has circuit limits: a connection now, a place in the line, or overflow.
//!
//! The order is Envoy's: a ready connection is used; without one the request is pending, and pending requests are
//! limited; a connection is made if their limit allows it; otherwise the request waits for one. Counts are exact over
//! all workers, and a connection that idles anywhere is given up for a request that waits.

use core::mem;
use std::sync::Arc;

use super::upstream::State;
use super::{Exchange, Turn};
use crate::cluster::{ClusterState, Counted, Permit};
use crate::decision::{Overflow, ResetReason};
use crate::io::Output;
use crate::local::{Slot, Ticket};
use crate::request::{self, Target};
use crate::snapshot::Limits;

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct Waiting {
    target: Target,
    circuit: Circuit,
    /// The place in the line is left before the request stops being pending.
    ticket: Ticket,
    pending: Permit,
}

/// The limits of a cluster, and what counts against them.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    limits: Limits,
    state: Arc<ClusterState>,
}

impl Exchange {
    /// The limits of a target's cluster, if it has any.
    pub(super) fn circuit(&self, target: &Target) -> Option<Circuit> {
        let cluster = request::cluster_of(target, &self.view.snapshot)?;
        Some(Circuit {
            limits: cluster.limits?,
            state: Arc::clone(&cluster.state),
        })
    }

    /// Begins an attempt within limits.
    pub(super) fn begin_limited(&mut self, target: Target, circuit: Circuit, turn: &mut Turn<'_>) {
        let has_line = turn.local.lines().first(&circuit.state).is_some();
        if !has_line && self.has_ready(&target, turn) {
            self.use_ready(target, &circuit, turn);
            return;
        }
        let Some(pending) = circuit
            .state
            .admit(Counted::Pending, circuit.limits.pending)
        else {
            let limit = circuit.limits.pending;
            self.overflow(Counted::Pending, limit, turn);
            return;
        };
        if !has_line && let Some(slot) = self.slot(&circuit, turn) {
            self.use_slot(target, &circuit, slot, pending, turn);
            return;
        }
        let ticket = turn.local.lines().join(self.id, &circuit.state);
        self.up.state = State::Waiting(Box::new(Waiting {
            target,
            circuit,
            ticket,
            pending,
        }));
        // Somebody may have let a connection go before seeing us in the line.
        self.on_woken(turn);
        if matches!(self.up.state, State::Waiting(_)) {
            // An idle connection of another worker is to be given up.
            turn.say(Output::Announce);
        }
    }

    /// Perhaps there is a connection for this request now.
    pub(crate) fn on_woken(&mut self, turn: &mut Turn<'_>) {
        let (target, mut circuit) = match &self.up.state {
            State::Waiting(waiting)
                if turn.local.lines().first(&waiting.circuit.state)
                    == Some(waiting.ticket.id()) =>
            {
                (waiting.target.clone(), waiting.circuit.clone())
            }
            State::Waiting(_)
            | State::None
            | State::Connecting { .. }
            | State::Attached { .. }
            | State::BackingOff { .. } => return,
        };
        // Who raises a limit means those who wait, and everybody stands behind them.
        if let Some(limits) = self.limits_by_now(&target, turn) {
            circuit.limits = limits;
        }
        let is_ready = self.has_ready(&target, turn);
        let slot = if is_ready {
            None
        } else {
            self.slot(&circuit, turn)
        };
        if !is_ready && slot.is_none() {
            return;
        }
        let State::Waiting(waiting) = mem::replace(&mut self.up.state, State::None) else {
            return;
        };
        let Waiting { pending, .. } = *waiting;
        match slot {
            Some(slot) => self.use_slot(target, &circuit, slot, pending, turn),
            None => self.use_ready(target, &circuit, turn),
        }
    }

    /// What the current configuration allows the cluster of a target; `None` where it has no such cluster.
    fn limits_by_now(&self, target: &Target, turn: &Turn<'_>) -> Option<Limits> {
        let then = request::cluster_of(target, &self.view.snapshot)?;
        let latest = &turn.local.view().snapshot;
        let now = latest.cluster(latest.clusters.find(&then.name)?);
        Some(now.limits.unwrap_or(Limits::NONE))
    }

    fn has_ready(&self, target: &Target, turn: &mut Turn<'_>) -> bool {
        let host = target.host.as_ref().filter(|_| !target.tunnel);
        host.is_some_and(|host| turn.local.pool().has(host, turn.now))
    }

    /// Leave to make one more connection. An idle one to another endpoint is closed for it.
    fn slot(&mut self, circuit: &Circuit, turn: &mut Turn<'_>) -> Option<Slot> {
        loop {
            if let Some(slot) = turn.local.slot(&circuit.state, circuit.limits.connections) {
                return Some(slot);
            }
            let idle = turn.local.pool().spare(&circuit.state)?;
            turn.close_upstream(idle);
        }
    }

    fn use_ready(&mut self, target: Target, circuit: &Circuit, turn: &mut Turn<'_>) {
        if self.enter(circuit, turn) {
            self.begin_admitted(target, turn);
        } else {
            self.overflow(Counted::Requests, circuit.limits.requests, turn);
        }
    }

    fn use_slot(
        &mut self,
        target: Target,
        circuit: &Circuit,
        slot: Slot,
        pending: Permit,
        turn: &mut Turn<'_>,
    ) {
        if self.enter(circuit, turn) {
            self.up.active = target.host.as_ref().map(|host| host.begin_request());
            self.connect(target, Some(slot), Some(pending), turn);
        } else {
            drop(slot);
            self.overflow(Counted::Requests, circuit.limits.requests, turn);
        }
    }

    /// A limit was reached.
    fn overflow(&mut self, counted: Counted, limit: u32, turn: &mut Turn<'_>) {
        let reason = ResetReason::Overflow(Overflow { counted, limit });
        self.fail_attempt(reason, turn);
    }

    /// One more request in flight, if that is allowed.
    fn enter(&mut self, circuit: &Circuit, turn: &mut Turn<'_>) -> bool {
        let Circuit { limits, state } = circuit;
        self.up.admitted = state.admit(Counted::Requests, limits.requests);
        let is_admitted = self.up.admitted.is_some();
        if is_admitted {
            state.note_request(limits.retries, turn.now);
        }
        is_admitted
    }
}
