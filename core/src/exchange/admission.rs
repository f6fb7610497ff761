//! Admission of an attempt to a cluster that has circuit limits: a connection now, a place in the line, or overflow.
//!
//! The order is Envoy's: a ready connection is used; without one the request is pending, and pending requests are
//! limited; a connection is made if their limit allows it; otherwise the request waits for one. Counts are exact over
//! all workers, and a connection that idles anywhere is given up for a request that waits.

use core::mem;
use std::sync::Arc;

use super::upstream::State;
use super::{Ambient, Exchange, Output};
use crate::cluster::{ClusterState, Counted, Permit};
use crate::decision::{Overflow, ResetReason};
use crate::request::{self, Target};
use crate::snapshot::Limits;
use crate::worker::{Slot, Ticket, Worker};

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct Waiting {
    target: Target,
    circuit: Circuit,
    /// The place in the line is left before the request stops being pending.
    ticket: Ticket,
    pending: Permit,
}

impl Waiting {
    pub(super) const fn ticket(&self) -> &Ticket {
        &self.ticket
    }
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
        let cluster = request::cluster_of(target, &self.record)?;
        Some(Circuit {
            limits: cluster.limits?,
            state: Arc::clone(&cluster.state),
        })
    }

    /// Begins an attempt within limits.
    pub(super) fn begin_limited(
        &mut self,
        target: Target,
        circuit: Circuit,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        let has_line = worker.lines().first(&circuit.state).is_some();
        if !has_line && self.has_ready(&target, ambient, worker) {
            self.use_ready(target, &circuit, ambient, worker);
            return;
        }
        let Some(pending) = circuit
            .state
            .admit(Counted::Pending, circuit.limits.pending)
        else {
            let limit = circuit.limits.pending;
            self.overflow(Counted::Pending, limit, ambient, worker);
            return;
        };
        if !has_line && let Some(slot) = self.slot(&circuit, worker) {
            self.use_slot(target, &circuit, slot, pending, ambient, worker);
            return;
        }
        let ticket = worker.lines().join(&circuit.state);
        self.up.state = State::Waiting(Box::new(Waiting {
            target,
            circuit,
            ticket,
            pending,
        }));
        // Somebody may have let a connection go before seeing us in the line.
        self.on_woken(ambient, worker);
        if matches!(self.up.state, State::Waiting(_)) {
            // An idle connection of another worker is to be given up.
            self.outputs.push_back(Output::Announce);
        }
    }

    /// Perhaps there is a connection for this request now.
    pub(super) fn on_woken(&mut self, ambient: Ambient, worker: &mut Worker) {
        let (target, mut circuit) = match &self.up.state {
            State::Waiting(waiting)
                if worker.lines().first(&waiting.circuit.state) == Some(waiting.ticket.id()) =>
            {
                (waiting.target.clone(), waiting.circuit.clone())
            }
            State::Waiting(_)
            | State::None
            | State::Connecting { .. }
            | State::Reusing { .. }
            | State::Attached { .. }
            | State::BackingOff { .. } => return,
        };
        // Who raises a limit means those who wait, and everybody stands behind them.
        if let Some(limits) = self.limits_by_now(&target, worker) {
            circuit.limits = limits;
        }
        let is_ready = self.has_ready(&target, ambient, worker);
        let slot = if is_ready {
            None
        } else {
            self.slot(&circuit, worker)
        };
        if !is_ready && slot.is_none() {
            return;
        }
        let State::Waiting(waiting) = mem::replace(&mut self.up.state, State::None) else {
            return;
        };
        let Waiting { pending, .. } = *waiting;
        match slot {
            Some(slot) => self.use_slot(target, &circuit, slot, pending, ambient, worker),
            None => self.use_ready(target, &circuit, ambient, worker),
        }
    }

    /// What the current configuration allows the cluster of a target; `None` where it has no such cluster.
    fn limits_by_now(&self, target: &Target, worker: &Worker) -> Option<Limits> {
        let then = request::cluster_of(target, &self.record)?;
        let latest = &worker.view().snapshot;
        let now = latest.cluster(latest.clusters.find(&then.name)?);
        Some(now.limits.unwrap_or(Limits::NONE))
    }

    fn has_ready(&self, target: &Target, ambient: Ambient, worker: &mut Worker) -> bool {
        let host = target.host.as_ref().filter(|_| !target.tunnel);
        host.is_some_and(|host| worker.idle().has(host, ambient.now))
    }

    /// Leave to make one more connection. An idle one to another endpoint is closed for it.
    fn slot(&mut self, circuit: &Circuit, worker: &mut Worker) -> Option<Slot> {
        loop {
            if let Some(slot) = worker.slot(&circuit.state, circuit.limits.connections) {
                return Some(slot);
            }
            let idle = worker.idle().discard_one(&circuit.state)?;
            self.outputs.push_back(Output::Discard(idle));
        }
    }

    fn use_ready(
        &mut self,
        target: Target,
        circuit: &Circuit,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        if self.enter(circuit, ambient) {
            self.begin_admitted(target, ambient, worker);
        } else {
            self.overflow(Counted::Requests, circuit.limits.requests, ambient, worker);
        }
    }

    fn use_slot(
        &mut self,
        target: Target,
        circuit: &Circuit,
        slot: Slot,
        pending: Permit,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        if self.enter(circuit, ambient) {
            self.up.active = target.host.as_ref().map(|host| host.begin_request());
            self.connect(target, Some(slot), Some(pending), ambient);
        } else {
            drop(slot);
            self.overflow(Counted::Requests, circuit.limits.requests, ambient, worker);
        }
    }

    /// A limit was reached.
    fn overflow(&mut self, counted: Counted, limit: u32, ambient: Ambient, worker: &mut Worker) {
        let reason = ResetReason::Overflow(Overflow { counted, limit });
        self.fail_attempt(reason, ambient, worker);
    }

    /// One more request in flight, if that is allowed.
    fn enter(&mut self, circuit: &Circuit, ambient: Ambient) -> bool {
        let Circuit { limits, state } = circuit;
        self.up.admitted = state.admit(Counted::Requests, limits.requests);
        let is_admitted = self.up.admitted.is_some();
        if is_admitted {
            state.note_request(limits.retries, ambient.now);
        }
        is_admitted
    }
}
