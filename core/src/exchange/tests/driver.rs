//! A worker driven by hand: its peers are byte strings, and what it says is kept by the side that it is about.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::connection::Phase;
use crate::io::Hearing;
use crate::io::{Handshake, Output};

/// One of the peers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The client.
    Downstream,
    /// The endpoint of the newest attempt.
    Upstream,
    /// The endpoint of an older attempt that goes on beside it.
    Aside,
}

/// What a worker said about a request or its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Connect(Address),
    Close(Side),
    /// Closes a connection of nobody whom the driver knows.
    CloseKept(UpstreamId),
    Reset(Side),
    ShutdownWrite(Side),
    Ended,
}

/// A client and its request, or a copy for a mirror.
#[derive(Debug, Default)]
pub(super) struct Party {
    pub(super) client: Option<ClientId>,
    /// Its request, while it is under way.
    pub(super) exchange: Option<ExchangeId>,
    /// Its connection to an endpoint, or its last one while that is kept.
    pub(super) up: Option<UpstreamId>,
    aside: Option<UpstreamId>,
    pub(super) seen: Vec<Said>,
    ended: Option<(Record, Rc<View>)>,
}

/// A worker, and the party that everything is about.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) worker: Worker,
    pub(super) now: Instant,
    pub(super) parties: Vec<Party>,
    /// Whose turn it is.
    pub(super) at: usize,
    /// All workers are to look around.
    pub(super) announced: bool,
    /// How the last connection that was asked for is to be protected.
    pub(super) wanted_tls: Option<Box<Handshake>>,
    /// The last client of which it is to be found out what it speaks.
    pub(super) securing: Option<(ClientId, Hearing)>,
    waits: BTreeMap<ConnId, Interest>,
    /// Copies that are parties.
    copies: BTreeSet<ExchangeId>,
}

pub(super) const PEER: Peer = Peer {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1000),
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001),
    original: None,
    listener: ListenerKind::Outbound,
};

/// The story of a request that has ended.
fn copy(record: &Record) -> Record {
    Record {
        revision: record.revision,
        entropy: record.entropy,
        request: record.request.clone(),
        grpc_web: record.grpc_web,
        trace: record.trace,
        route: record.route,
        timeouts: record.timeouts,
        hash: record.hash.clone(),
        mirrors: record.mirrors.clone(),
        attempts: record.attempts.clone(),
        older_counts: record.older_counts,
        retries: record.retries,
        retry_slot: None,
        status: record.status,
        details: record.details.clone(),
        transport_failure: record.transport_failure.clone(),
        delayed: record.delayed,
        authorization: record.authorization,
        authentication: record.authentication,
        token: record.token.clone(),
        checks: record.checks.clone(),
        told_fields: record.told_fields.clone(),
        rate_limit: record.rate_limit,
        bytes_received: record.bytes_received,
        bytes_sent: record.bytes_sent,
        began: record.began,
        received: record.received,
        answered: record.answered,
        ended: record.ended,
        grpc_status: record.grpc_status,
        grpc_messages: record.grpc_messages,
        peer_metadata: record.peer_metadata.clone(),
        connection: record.connection.clone(),
        upstream_service_ms: record.upstream_service_ms,
    }
}

impl Driver {
    pub(super) fn new() -> Self {
        Self::with(snapshot(SERVICE))
    }

    pub(super) fn with(snapshot: Arc<Snapshot>) -> Self {
        Self::set(snapshot, WorkerSettings::default())
    }

    /// With these settings.
    pub(super) fn set(snapshot: Arc<Snapshot>, settings: WorkerSettings) -> Self {
        Self::crowd(snapshot, settings, 1, 1)
    }

    /// With several clients.
    pub(super) fn crowd(
        snapshot: Arc<Snapshot>,
        settings: WorkerSettings,
        seed: u64,
        clients: usize,
    ) -> Self {
        let mut driver = Self {
            worker: Worker::new(snapshot, settings, seed),
            now: Instant::ZERO,
            parties: Vec::new(),
            at: 0,
            announced: false,
            wanted_tls: None,
            securing: None,
            waits: BTreeMap::new(),
            copies: BTreeSet::new(),
        };
        for _ in 0..clients {
            driver.accept();
        }
        driver.at = 0;
        driver
    }

    /// One more client, whose turn it is; its position.
    pub(super) fn accept(&mut self) -> usize {
        self.accept_from(PEER)
    }

    /// The same, from there.
    pub(super) fn accept_from(&mut self, peer: Peer) -> usize {
        let client = self.worker.accept(peer, Entropy(7), self.now);
        self.at = self.parties.len();
        self.parties.push(Party {
            client: Some(client),
            ..Party::default()
        });
        self.drain();
        self.at
    }

    /// The party at a position takes its turn.
    pub(super) const fn of(&mut self, at: usize) -> &mut Self {
        self.at = at;
        self
    }

    /// Takes everything that the worker says.
    pub(super) fn drain(&mut self) {
        self.find_exchanges();
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Wait(id, interest) => {
                    assert!(
                        self.worker.outbox(id).is_some(),
                        "{id:?} is closed and waits for {interest:?}"
                    );
                    let before = self.waits.insert(id, interest).unwrap_or_default();
                    assert_ne!(before, interest, "{id:?} is told what it knows");
                }
                Output::Announce => self.announced = true,
                Output::Connect(id, address, manner) => {
                    self.wanted_tls = manner.handshake;
                    self.asks_for(id, address);
                }
                Output::Secure(id, hearing, _) => {
                    self.securing = Some((id, hearing));
                }
                Output::Close(id) => {
                    self.waits.remove(&id);
                    let (at, said) = match (self.named(id), id) {
                        (Some((at, side)), _) => (at, Said::Close(side)),
                        (None, ConnId::Upstream(id)) => (self.at, Said::CloseKept(id)),
                        (None, ConnId::Client(_)) => panic!("an unknown client is closed"),
                    };
                    self.parties[at].seen.push(said);
                }
                Output::Refuse(id, _) => panic!("{id:?} was not asked for"),
                Output::Reset(id) => self.is_reset(id.into()),
                Output::Abort(id) => self.is_reset(id.into()),
                Output::ShutdownWrite(id) => {
                    let (at, side) = self.named(id).expect("a connection of somebody");
                    self.parties[at].seen.push(Said::ShutdownWrite(side));
                }
                Output::Ended(id) => self.ends(id),
            }
        }
        self.find_connections();
        self.check();
    }

    fn is_reset(&mut self, id: ConnId) {
        self.waits.remove(&id);
        let (at, side) = self.named(id).expect("a connection of somebody");
        self.parties[at].seen.push(Said::Reset(side));
    }

    /// What each party's request is now; new copies are new parties.
    fn find_exchanges(&mut self) {
        for party in &mut self.parties {
            if let Some(client) = party.client {
                party.exchange = self.worker.exchange_on(client.into());
            }
        }
        for (id, exchange) in self.worker.exchanges() {
            if exchange.is_mirror() && self.copies.insert(id) {
                self.parties.push(Party {
                    exchange: Some(id),
                    ..Party::default()
                });
            }
        }
    }

    /// Somebody asks for a connection to an endpoint.
    fn asks_for(&mut self, id: UpstreamId, address: Address) {
        let exchange = self.worker.exchange_on(id.into());
        let mut parties = self.parties.iter();
        let at = parties.position(|party| exchange.is_some() && party.exchange == exchange);
        let party = &mut self.parties[at.unwrap_or(self.at)];
        party.up = Some(id);
        party.seen.push(Said::Connect(address));
    }

    /// Whose connection it is, and which one.
    fn named(&self, id: ConnId) -> Option<(usize, Side)> {
        let mut parties = self.parties.iter().enumerate();
        parties.find_map(|(at, party)| {
            let side = match id {
                ConnId::Client(id) => (party.client == Some(id)).then_some(Side::Downstream),
                ConnId::Upstream(id) if party.up == Some(id) => Some(Side::Upstream),
                ConnId::Upstream(id) => (party.aside == Some(id)).then_some(Side::Aside),
            };
            Some((at, side?))
        })
    }

    fn ends(&mut self, id: ExchangeId) {
        let exchange = self.worker.ended(id).expect("its story can be read");
        let ended = (
            copy(exchange.record()),
            Rc::clone(&exchange.call.ledger.view),
        );
        let client = exchange.client();
        let mut parties = self.parties.iter();
        let at = parties.position(|party| match client {
            Some(_) => party.client == client,
            None => party.exchange == Some(id),
        });
        let at = at.unwrap_or_else(|| {
            assert!(exchange.is_mirror(), "whose was it?");
            self.parties.push(Party::default());
            self.parties.len() - 1
        });
        let party = &mut self.parties[at];
        party.ended = Some(ended);
        party.seen.push(Said::Ended);
        if client.is_none() {
            party.exchange = None;
        }
    }

    fn find_connections(&mut self) {
        for party in &mut self.parties {
            let exchange = party.exchange.and_then(|id| self.worker.exchange(id));
            let is_kept = |id: &UpstreamId| {
                let id = (*id).into();
                self.worker.outbox(id).is_some() && self.worker.exchange_on(id).is_none()
            };
            let kept = party.up.filter(is_kept);
            party.up = exchange.and_then(|exchange| exchange.streams()[0]).or(kept);
            party.aside = exchange.and_then(|exchange| exchange.streams()[1]);
        }
    }

    /// What holds after every call.
    fn check(&self) {
        let (_, sockets) = self.worker.parts();
        let (mut kept, mut shared) = (0, 0);
        for upstream in sockets.upstreams.values() {
            match upstream.owner {
                Owner::Kept => kept += 1,
                Owner::Streams(_) => shared += 1,
                Owner::Exchange(_) => {}
            }
        }
        // Those that streams share are kept too, while there are none on them.
        assert!((kept..=kept + shared).contains(&self.worker.counts().idle));
        for (id, exchange) in self.worker.exchanges() {
            for conn in exchange.streams().into_iter().flatten() {
                // One that many streams may share is nobody's.
                let owner = &sockets.upstreams[conn].owner;
                if !matches!(owner, Owner::Streams(_)) {
                    assert_eq!(self.worker.exchange_on(conn.into()), Some(id));
                }
            }
            if let Some((at, timer)) = exchange.deadline() {
                let next = self.worker.next_deadline();
                assert!(
                    next.is_some_and(|next| next <= at),
                    "{timer:?} is missed: {next:?} for {at:?}"
                );
            }
        }
        for (id, upstream) in &sockets.upstreams {
            if let Owner::Exchange(exchange) = upstream.owner {
                let exchange = self.worker.exchange(exchange).expect("it serves somebody");
                assert!(exchange.streams().contains(&Some(id)));
            }
        }
    }

    /// What a side is called now.
    pub(super) fn name(&self, side: Side) -> Option<ConnId> {
        let party = &self.parties[self.at];
        match side {
            Side::Downstream => party.client.map(ConnId::Client),
            Side::Upstream => party.up.map(ConnId::Upstream),
            Side::Aside => party.aside.map(ConnId::Upstream),
        }
    }

    /// The connection to the endpoint.
    pub(super) fn up(&self) -> UpstreamId {
        self.parties[self.at].up.expect("there is a connection")
    }

    pub(super) fn input(&mut self, side: Side, input: Input) {
        let id = self.name(side);
        let id = id.unwrap_or_else(|| panic!("{side:?} is not there for {input:?}"));
        self.worker.handle_input(id, input, self.now);
        self.drain();
    }

    /// The worker gets another snapshot; what it said because of that.
    pub(super) fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Vec<Said> {
        self.outputs();
        self.worker.adopt(snapshot, self.now);
        self.drain();
        self.outputs()
    }

    /// Time has passed.
    pub(super) fn time(&mut self) {
        self.worker.on_time(self.now);
        self.drain();
    }

    /// The runtime makes the connection that it was asked for; a kept one needs nothing.
    pub(super) fn connects(&mut self) {
        if self.is_connecting() {
            self.input(Side::Upstream, Input::Connected(Box::default()));
        }
    }

    /// The connection could not be made.
    pub(super) fn fails(&mut self, fault: ConnectFault) {
        self.input(Side::Upstream, Input::ConnectFailed(fault.into()));
    }

    pub(super) fn sends(&mut self, side: Side, bytes: &[u8]) {
        let id = self.name(side).expect("it is there");
        let space = self.worker.space(id).expect("it is open");
        space.extend_from_slice(bytes);
        self.input(side, Input::Read(bytes.len()));
    }

    pub(super) fn receives(&mut self, side: Side) -> String {
        let mut text = Vec::new();
        while self.name(side).is_some() && !self.is_written(side) {
            let piece = self.outbox(side).front().to_vec();
            self.input(side, Input::Wrote(piece.len()));
            text.extend(piece);
        }
        String::from_utf8(text).unwrap()
    }

    /// What is to be written to a side.
    pub(super) fn outbox(&self, side: Side) -> &Outbox {
        let id = self.name(side);
        id.and_then(|id| self.worker.outbox(id))
            .expect("it is open")
    }

    /// Whether nothing is to be written to a side, or it is closed.
    fn is_written(&self, side: Side) -> bool {
        let outbox = self.name(side).and_then(|id| self.worker.outbox(id));
        outbox.is_none_or(Outbox::is_empty)
    }

    pub(super) fn outputs(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.parties[self.at].seen)
    }

    /// What was said and not looked at yet.
    pub(super) fn seen(&self) -> &[Said] {
        &self.parties[self.at].seen
    }

    fn waits_for(&self, side: Side) -> Interest {
        let told = self.name(side).and_then(|id| self.waits.get(&id));
        told.copied().unwrap_or_default()
    }

    /// Whether a side is to be read.
    pub(super) fn reads(&self, side: Side) -> bool {
        self.waits_for(side).read
    }

    /// Whether something is to be written to a side.
    pub(super) fn writes(&self, side: Side) -> bool {
        self.waits_for(side).write
    }

    /// Whether a connection is being made.
    pub(super) fn is_connecting(&self) -> bool {
        let exchange = self.under_way();
        exchange.is_some_and(Exchange::is_connecting)
    }

    /// Whether the request waits for a connection within a limit.
    pub(super) fn is_in_line(&self) -> bool {
        let exchange = self.under_way();
        exchange.is_some_and(Exchange::is_in_line)
    }

    /// Whether the client's connection is closed.
    pub(super) fn is_gone(&self) -> bool {
        let client = self.name(Side::Downstream).expect("it had one");
        self.worker.outbox(client).is_none()
    }

    pub(super) fn under_way(&self) -> Option<&Exchange> {
        self.worker.exchange(self.parties[self.at].exchange?)
    }

    pub(super) fn exchange(&self) -> &Exchange {
        self.under_way().expect("a request is under way")
    }

    /// The story of the request under way, or of the last one.
    pub(super) fn record(&self) -> &Record {
        let ended = self.parties[self.at].ended.as_ref();
        self.under_way()
            .map_or_else(|| &ended.expect("there was one").0, Exchange::record)
    }

    /// The configuration that it stands in.
    pub(super) fn snapshot(&self) -> &Snapshot {
        let ended = self.parties[self.at].ended.as_ref();
        self.under_way().map_or_else(
            || &*ended.expect("there was one").1.snapshot,
            |exchange| exchange.snapshot(),
        )
    }

    /// The last one is not kept any longer.
    pub(super) fn forget_story(&mut self) {
        self.parties[self.at].ended = None;
    }

    /// The same for people.
    pub(super) fn story(&self) -> String {
        self.record().story(self.snapshot()).to_string()
    }

    /// When the time of the request under way is up, and which.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        self.under_way()?.deadline()
    }

    /// The same, or between requests the client's.
    pub(super) fn due(&self) -> Option<(Instant, Whose)> {
        if let Some(exchange) = self.under_way() {
            return exchange
                .deadline()
                .map(|(at, timer)| (at, Whose::Request(timer)));
        }
        let (local, sockets) = self.worker.parts();
        let client = sockets.clients.get(self.parties[self.at].client?)?;
        let whose = match client.phase {
            Phase::Introducing(_) | Phase::Securing(_) | Phase::Sniffing(_) => Whose::Handshake,
            Phase::Rest(_) => Whose::Rest,
            Phase::Head(_) => Whose::Head,
            Phase::Farewell(_) | Phase::Linger(_) => Whose::Linger,
            Phase::Streams(_) | Phase::Serving(_) => return None,
        };
        Some((client.deadline(local)?, whose))
    }

    /// Lets the time run out that is waited for.
    pub(super) fn waits_until_due(&mut self) {
        self.now = self.due().expect("a timer is set").0;
        self.time();
    }

    /// Lets the request's time run out, which is this one.
    pub(super) fn wait_for(&mut self, timer: Timer) {
        let (at, waits_for) = self.deadline().expect("a timer is set");
        assert_eq!(waits_for, timer);
        self.now = at;
        self.time();
    }

    /// One whole request and response; returns what the endpoint and the client saw.
    pub(super) fn round(&mut self, request: &[u8], response: &[u8]) -> (String, String) {
        self.sends(Side::Downstream, request);
        self.connects();
        let upstream = self.receives(Side::Upstream);
        self.sends(Side::Upstream, response);
        (upstream, self.receives(Side::Downstream))
    }
}

/// Whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Request(Timer),
    Handshake,
    Head,
    Rest,
    Linger,
}
