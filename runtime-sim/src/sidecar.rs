//! One simulated sidecar: a worker, and the wires of its connections by name. The loop that every runtime is stands in
//! `drive`.
//!
//! No policy lives here. Where a real runtime leaves a choice to the kernel (when an idle connection is found dead) the
//! seed makes it.

mod connections;
mod drive;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::entropy::Entropy;
use outrigger_core::overload::Actions;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, TlsFacts, UpstreamId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Facts, Handshake, Hearing, Input, Worker};

use self::connections::{Connection, Connections};
use crate::Records;
use crate::beneath::{self, Beneath, Outcome, Proved};
use crate::fabric::{Fabric, Owner};
use crate::invariants::{self, Answered, Watch};
use crate::network::{End, Wire};

/// A sidecar.
pub(crate) struct Sidecar {
    number: usize,
    seed: u64,
    worker: Worker,
    /// Connections that were accepted.
    accepted: u64,
    connections: Connections,
    /// Where something may be ready.
    noticed: Vec<ConnId>,
    records: Records,
    /// What proves something to it and for it.
    pub(crate) proved: Proved,
    /// What is spoken beneath HTTP by who connects now.
    comes: Beneath,
    /// What came of that for who connects; `None` where nobody asked, and clear text is spoken.
    pub(crate) met: Option<Outcome>,
    /// No new connection is taken.
    pub(crate) draining: bool,
    /// When the next look at what has taken too long is planned.
    planned: Option<Instant>,
    answered: Answered,
    /// `None` where nobody checks.
    watch: Option<Watch>,
    /// Something was done since the last check.
    is_touched: bool,
}

impl Sidecar {
    /// `seed` is the one that the worker was made with.
    pub(crate) fn new(number: usize, worker: Worker, seed: u64, records: Records) -> Self {
        Self {
            number,
            seed,
            worker,
            accepted: 0,
            connections: Connections::default(),
            noticed: Vec::new(),
            records,
            proved: Proved::default(),
            comes: Beneath::ClearText,
            met: None,
            draining: false,
            planned: None,
            answered: Answered::default(),
            watch: None,
            is_touched: true,
        }
    }

    /// From now on counts are watched.
    pub(crate) fn watch(&mut self) {
        self.watch = Some(Watch::new(self.worker.view()));
    }

    /// Looks at everything that must hold between two steps, if anything can have changed in this one.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.is_touched) {
            return Ok(());
        }
        let checked = self.check_connections().and_then(|()| self.check_counts());
        checked.map_err(|what| format!("sidecar {}: {what}", self.number))
    }

    /// Worker and table have the same connections, and whatever waits to be written is waited for.
    fn check_connections(&self) -> Result<(), String> {
        let mut clients = 0;
        for (id, connection) in self.connections.iter() {
            let Some(outbox) = self.worker.outbox(id) else {
                return Err(format!("{id:?} is open, and the worker has forgotten it"));
            };
            invariants::check_outbox(outbox, connection.interest.write)
                .map_err(|what| format!("{id:?}: {what}"))?;
            clients += usize::from(matches!(id, ConnId::Client(_)));
        }
        if clients != self.worker.counts().clients {
            let known = self.worker.counts().clients;
            return Err(format!("{clients} clients, the worker knows {known}"));
        }
        Ok(())
    }

    /// Requests and connections are counted as long as they are there.
    fn check_counts(&mut self) -> Result<(), String> {
        for (id, exchange) in self.worker.exchanges() {
            let checked = self.answered.check(id, exchange);
            checked.map_err(|what| format!("{id:?}: {what}"))?;
        }
        invariants::check_mirrors(&self.worker)?;
        let attempts = self.worker.exchanges().map(|(_, e)| e.attempts_under_way());
        let attempts = attempts.sum();
        let kept = self.connections.iter().filter(|(id, _)| self.is_kept(*id));
        let kept = kept.count();
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        watch.check(self.worker.view(), attempts)?;
        let totals = watch.totals();
        let idle = self.worker.counts().idle;
        if totals.active as usize > attempts
            || totals.connections as usize > attempts + kept
            || idle != kept
        {
            let what =
                format!("{totals:?}, {idle} idle ones for {attempts} attempts and {kept} kept");
            return Err(what);
        }
        Ok(())
    }

    /// Says what is left when nobody wants anything any more.
    pub(crate) fn at_rest(&self, now: Instant) -> Result<(), String> {
        let (requests, open) = (self.worker.exchanges().count(), self.connections.len());
        if requests > 0 || open > 0 {
            return Err(format!(
                "{requests} requests and {open} connections are left"
            ));
        }
        let held = self.worker.counts().buffered.bytes;
        if held > 0 {
            return Err(format!("{held} bytes are counted as held"));
        }
        let view = self.worker.view();
        match &self.watch {
            Some(watch) => watch.at_rest(view, now),
            None => Watch::new(view).at_rest(view, now),
        }
    }

    /// Uses another configuration from the next request on.
    pub(crate) fn adopt(
        &mut self,
        snapshot: Arc<Snapshot>,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        let before = Rc::clone(self.worker.view());
        self.say(fabric, |sidecar, fabric| {
            sidecar.worker.adopt(snapshot, fabric.now);
            if let Some(watch) = &mut sidecar.watch {
                watch.adopt(&before, sidecar.worker.view());
            }
            drop(before);
        })
    }

    /// Takes a connection, which the kernel has brought here where there is another address that it was to go to.
    pub(crate) fn accept(
        &mut self,
        (wire, end): (Wire, End),
        (listener, original): (ListenerKind, Option<SocketAddr>),
        comes: Beneath,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        (self.comes, self.met) = (comes, None);
        let peer = Peer {
            remote: fabric.client_address(),
            local: fabric.listener_address(listener),
            original,
            listener,
        };
        let entropy = Entropy::of_connection(self.seed, self.accepted);
        self.accepted += 1;
        self.say(fabric, |sidecar, fabric| {
            let id = sidecar.worker.accept(peer, entropy, fabric.now);
            sidecar.open(id.into(), (wire, end), fabric);
        })
    }

    fn open(&mut self, id: ConnId, (wire, end): (Wire, End), fabric: &mut Fabric) {
        let connection = Connection {
            wire: Some((wire, end)),
            ..Connection::default()
        };
        self.connections.insert(id, connection);
        fabric.own(wire, end, Owner::Sidecar(self.number, id));
    }

    /// Has this done from now on.
    pub(crate) fn relieve(&mut self, actions: Actions, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |sidecar, fabric| {
            sidecar.worker.relieve(actions, fabric.now);
        })
    }

    /// Tells every client's connection to end when nothing is in flight, and hurries copies.
    pub(crate) fn drain(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.draining = true;
        self.worker.drain();
        for inbound in [true, false] {
            self.say(fabric, |sidecar, fabric| {
                sidecar.worker.hurry_copies(inbound, fabric.now);
            })?;
        }
        let all = self.connections.iter().map(|(id, _)| id);
        let clients: Vec<ConnId> = all.filter(|id| matches!(id, ConnId::Client(_))).collect();
        for id in clients {
            self.tell(id, Input::Drain, fabric)?;
        }
        Ok(())
    }

    /// The answer to a dial. One that nobody waits for any more is closed.
    pub(crate) fn dialled(
        &mut self,
        id: UpstreamId,
        result: Result<(Wire, End), ConnectFault>,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        let is_wanted = self.connections.get(id.into()).is_some();
        match result {
            Ok(wire) if is_wanted => {
                let connection = self.connections.get(id.into());
                let tls = connection.and_then(|connection| connection.learnt.clone());
                let preface = connection.and_then(|connection| connection.manner.preface.clone());
                self.open(id.into(), wire, fabric);
                if let Some(preface) = preface {
                    fabric.send(wire.0, wire.1, &preface);
                }
                let facts = Facts { local: None, tls };
                self.tell(id.into(), Input::Connected(facts.into()), fabric)
            }
            Err(fault) if is_wanted => {
                self.connections.remove(id.into());
                self.tell(id.into(), Input::ConnectFailed(fault.into()), fabric)
            }
            Ok((wire, end)) => {
                fabric.close(wire, end);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// How a connection that is being made is to be protected.
    pub(crate) fn handshake(&self, id: UpstreamId) -> Option<&Handshake> {
        self.connections.get(id.into())?.manner.handshake.as_deref()
    }

    /// What the endpoint of a connection that is being made has proved.
    pub(crate) fn learn(&mut self, id: UpstreamId, facts: Arc<TlsFacts>) {
        if let Some(connection) = self.connections.get_mut(id.into()) {
            connection.learnt = Some(facts);
        }
    }

    /// What a client speaks beneath HTTP is known at once. What came already is above it.
    fn secure(&mut self, id: ClientId, hearing: &Hearing, came: &[u8], fabric: &Fabric) {
        let (found, met) = beneath::as_server(&self.proved, hearing, &self.comes);
        self.met = Some(met);
        let input = match found {
            Ok(facts) => Input::Secured(facts),
            Err(fault) => Input::NotSecured(fault.into()),
        };
        self.worker.handle_input(id.into(), input, fabric.now);
        if !came.is_empty()
            && let Some(space) = self.worker.space(id.into())
        {
            space.extend_from_slice(came);
            let input = Input::Read(came.len());
            self.worker.handle_input(id.into(), input, fabric.now);
        }
    }

    /// Something can be seen on a connection.
    pub(crate) fn notice(&mut self, id: ConnId, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |sidecar, _| sidecar.look_at(id))
    }

    /// The time of a look that was planned has come, unless it was planned anew.
    pub(crate) fn on_time(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        if self.planned.is_none_or(|planned| planned > fabric.now) {
            return Ok(());
        }
        self.planned = None;
        self.say(fabric, |sidecar, fabric| {
            sidecar.worker.on_time(fabric.now);
        })
    }

    /// Somebody waits for a connection, or let one go.
    pub(crate) fn announced(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |sidecar, fabric| {
            sidecar.worker.on_announced(fabric.now);
        })
    }

    fn tell(&mut self, id: ConnId, input: Input, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |sidecar, fabric| {
            sidecar.worker.handle_input(id, input, fabric.now);
        })
    }

    fn is_kept(&self, id: ConnId) -> bool {
        match id {
            ConnId::Client(_) => false,
            ConnId::Upstream(id) => self.worker.is_idle(id),
        }
    }

    fn wire(&self, id: ConnId) -> Option<(Wire, End)> {
        self.connections.get(id)?.wire
    }

    /// Forgets a connection; its end of the wire, if it was made.
    fn remove(&mut self, id: ConnId, fabric: &mut Fabric) -> Option<(Wire, End)> {
        let (wire, end) = self.connections.remove(id)?.wire?;
        fabric.disown(wire, end);
        Some((wire, end))
    }

    fn close(&mut self, id: ConnId, fabric: &mut Fabric) {
        if let Some((wire, end)) = self.remove(id, fabric) {
            fabric.close(wire, end);
        }
    }

    fn reset(&mut self, id: ConnId, fabric: &mut Fabric) {
        if let Some((wire, end)) = self.remove(id, fabric) {
            fabric.reset(wire, end);
        }
    }
}
