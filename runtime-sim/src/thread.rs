//! One thread of a simulated sidecar: a worker, and the wires of its connections by name. The loop that every runtime is
//! stands in `drive`; what threads of a sidecar share in `sidecar`.
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
use outrigger_core::worker::{ConnectFault, Facts, Handshake, Hearing, Input, View, Worker};

use self::connections::{Connection, Connections};
use crate::Records;
use crate::beneath::{self, Beneath, Outcome, Proved};
use crate::fabric::{Fabric, Owner};
use crate::invariants::{self, Answered, UnderWay, Watch};
use crate::network::{End, Wire};

/// A thread of a sidecar.
pub(crate) struct Thread {
    of: usize,
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
    /// When the next look at what has taken too long is planned.
    planned: Option<Instant>,
    answered: Answered,
    /// Something was done since the last check.
    is_touched: bool,
}

impl Thread {
    /// `seed` is the one that the worker was made with.
    pub(crate) fn new(
        (of, number): (usize, usize),
        worker: Worker,
        seed: u64,
        records: Records,
    ) -> Self {
        Self {
            of,
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
            planned: None,
            answered: Answered::default(),
            is_touched: true,
        }
    }

    /// Its sidecar.
    pub(crate) const fn of(&self) -> usize {
        self.of
    }

    /// What new requests are decided by.
    pub(crate) fn view(&self) -> &Rc<View> {
        self.worker.view()
    }

    /// Whether something was done since the last time that somebody asked.
    pub(crate) const fn take_touched(&mut self) -> bool {
        std::mem::replace(&mut self.is_touched, false)
    }

    /// Looks at what must hold of this thread alone between two steps: worker and table have the same connections, whatever
    /// waits to be written is waited for, each request has the attempts that it may have.
    pub(crate) fn check(&mut self) -> Result<(), String> {
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
        for (id, exchange) in self.worker.exchanges() {
            let checked = self.answered.check(id, exchange);
            checked.map_err(|what| format!("{id:?}: {what}"))?;
        }
        invariants::check_mirrors(&self.worker)
    }

    /// What it has under way.
    pub(crate) fn under_way(&self) -> UnderWay {
        let attempts = self.worker.exchanges().map(|(_, e)| e.attempts_under_way());
        let kept = self.connections.iter().filter(|(id, _)| self.is_kept(*id));
        UnderWay {
            attempts: attempts.sum(),
            kept: kept.count(),
            idle: self.worker.counts().idle,
        }
    }

    /// Says what is left when nobody wants anything any more.
    pub(crate) fn at_rest(&self) -> Result<(), String> {
        let (requests, open) = (self.worker.exchanges().count(), self.connections.len());
        if requests > 0 || open > 0 {
            return Err(format!(
                "{requests} requests and {open} connections are left"
            ));
        }
        match self.worker.counts().buffered.bytes {
            0 => Ok(()),
            held => Err(format!("{held} bytes are counted as held")),
        }
    }

    /// Uses another configuration from the next request on.
    pub(crate) fn adopt(
        &mut self,
        snapshot: Arc<Snapshot>,
        watch: Option<&mut Watch>,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        let before = Rc::clone(self.worker.view());
        self.say(fabric, |thread, fabric| {
            thread.worker.adopt(snapshot, fabric.now);
            if let Some(watch) = watch {
                watch.adopt(&before, thread.worker.view());
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
        self.say(fabric, |thread, fabric| {
            let id = thread.worker.accept(peer, entropy, fabric.now);
            thread.open(id.into(), (wire, end), fabric);
        })
    }

    fn open(&mut self, id: ConnId, (wire, end): (Wire, End), fabric: &mut Fabric) {
        let connection = Connection {
            wire: Some((wire, end)),
            ..Connection::default()
        };
        self.connections.insert(id, connection);
        fabric.own(wire, end, Owner::Thread(self.number, id));
    }

    /// Has this done from now on.
    pub(crate) fn relieve(&mut self, actions: Actions, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |thread, fabric| {
            thread.worker.relieve(actions, fabric.now);
        })
    }

    /// Tells every client's connection to end when nothing is in flight, and hurries copies.
    pub(crate) fn drain(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.worker.drain();
        for inbound in [true, false] {
            self.say(fabric, |thread, fabric| {
                thread.worker.hurry_copies(inbound, fabric.now);
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
        self.say(fabric, |thread, _| thread.look_at(id))
    }

    /// The time of a look that was planned has come, unless it was planned anew.
    pub(crate) fn on_time(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        if self.planned.is_none_or(|planned| planned > fabric.now) {
            return Ok(());
        }
        self.planned = None;
        self.say(fabric, |thread, fabric| {
            thread.worker.on_time(fabric.now);
        })
    }

    /// Somebody waits for a connection, or let one go.
    pub(crate) fn announced(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |thread, fabric| {
            thread.worker.on_announced(fabric.now);
        })
    }

    fn tell(&mut self, id: ConnId, input: Input, fabric: &mut Fabric) -> Result<(), String> {
        self.say(fabric, |thread, fabric| {
            thread.worker.handle_input(id, input, fabric.now);
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
