//! One worker with several clients: a runtime that does nothing by itself. Connections are made, answers come and clients
//! leave when the test says so; only what a runtime must do at once is done here.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::decision::Record;
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ClientId, ConnId, ExchangeId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::{Address, Cluster, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Input, Output, Worker, WorkerSettings};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub status: u16,
    pub flags: String,
    pub details: String,
    pub attempts: usize,
    pub at: Instant,
}

/// One client, and its connection to an endpoint.
pub struct Client {
    id: ClientId,
    /// A connection is being made for it.
    pub connecting: bool,
    /// It has a connection.
    pub attached: bool,
    /// Its request is under way and has no connection.
    pub waits: bool,
    /// How many attempts its last request has had.
    pub attempts: usize,
    /// The endpoint of the last one.
    pub endpoint: Option<u32>,
    /// How its last request ended.
    pub end: Option<End>,
    /// Its connection is closed.
    pub closed: bool,
    /// What it has received.
    received: Vec<u8>,
}

impl Client {
    /// Whether it has received less of a body than its head promised.
    pub fn is_cut_short(&self) -> bool {
        let text = String::from_utf8_lossy(&self.received).to_ascii_lowercase();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut fields = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        let length = fields.next().and_then(|length| length.parse().ok());
        length.is_none_or(|length: usize| body.len() < length)
    }

    fn tells(&mut self, record: &Record) {
        self.attempts = record.attempts.len();
        self.endpoint = record.attempts.last().map(|attempt| attempt.endpoint);
    }
}

/// A connection to an endpoint.
struct Connection {
    endpoint: u32,
    user: Option<ExchangeId>,
    made: bool,
}

pub struct House {
    pub worker: Worker,
    pub clients: Vec<Client>,
    pub now: Instant,
    entropy: Entropy,
    connections: BTreeMap<UpstreamId, Connection>,
    /// Idle connections of each endpoint, in the order in which they were kept.
    pub idle: BTreeMap<u32, Vec<UpstreamId>>,
}

impl House {
    /// `entropy` is the first client's.
    pub fn new(snapshot: Arc<Snapshot>, clients: usize, entropy: Entropy) -> Self {
        let mut house = Self {
            worker: Worker::new(snapshot, WorkerSettings::default(), 0),
            clients: Vec::new(),
            now: Instant::ZERO,
            entropy,
            connections: BTreeMap::new(),
            idle: BTreeMap::new(),
        };
        for _ in 0..clients {
            let client = house.accept();
            house.clients.push(client);
        }
        house.drain();
        house
    }

    fn accept(&mut self) -> Client {
        let peer = Peer {
            remote: ([127, 0, 0, 1], 1000).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            original: None,
            listener: ListenerKind::Outbound,
        };
        let id = self.worker.accept(peer, self.entropy, self.now);
        self.entropy.0 = self.entropy.0.wrapping_add(1);
        Client {
            id,
            connecting: false,
            attached: false,
            waits: false,
            attempts: 0,
            endpoint: None,
            end: None,
            closed: false,
            received: Vec::new(),
        }
    }

    /// The cluster of the service `h.test`, which every model's configuration has.
    pub fn cluster(&self) -> &Cluster {
        let mut clusters = self.worker.view().snapshot.clusters.iter();
        let found = clusters.find(|cluster| &*cluster.host == "h.test");
        found.expect("the configuration is good")
    }

    fn input(&mut self, id: ConnId, input: Input) {
        self.worker.handle_input(id, input, self.now);
        self.drain();
    }

    /// Time has passed.
    pub fn time(&mut self) {
        self.worker.on_time(self.now);
        self.drain();
    }

    /// Does everything that a runtime must do at once.
    fn drain(&mut self) {
        loop {
            self.find_kept();
            self.find_taken();
            let mut announce = false;
            while let Some(output) = self.worker.poll_output() {
                match output {
                    Output::Connect(id, address, _) => self.connects(id, &address),
                    Output::Close(ConnId::Upstream(id)) | Output::Abort(id) => {
                        self.closes(id);
                    }
                    Output::Close(ConnId::Client(id))
                    | Output::Reset(id)
                    | Output::Refuse(id, _) => {
                        if let Some(client) = self.client(id) {
                            client.closed = true;
                        }
                    }
                    Output::Ended(id) => self.ends(id),
                    Output::Announce => announce = true,
                    Output::ShutdownWrite(_) | Output::Wait(..) | Output::Secure(..) => {}
                }
            }
            self.look();
            if announce {
                self.worker.on_announced(self.now);
            } else if !self.write() {
                break;
            }
        }
    }

    /// A connection whose request let it go and that is open is kept.
    fn find_kept(&mut self) {
        for (id, connection) in &mut self.connections {
            let is_open = self.worker.outbox((*id).into()).is_some();
            let is_let_go = connection.user.is_some()
                && self.worker.exchange_on((*id).into()) != connection.user;
            if is_open && is_let_go {
                connection.user = None;
                self.idle.entry(connection.endpoint).or_default().push(*id);
            }
        }
    }

    fn connects(&mut self, id: UpstreamId, address: &Address) {
        let text = address.to_string();
        let mut endpoints = self.cluster().endpoints.iter();
        let at = endpoints.position(|endpoint| *endpoint.text == *text);
        let connection = Connection {
            endpoint: u32::try_from(at.expect("it is one of them")).expect("few"),
            user: self.worker.exchange_on(id.into()),
            made: false,
        };
        self.connections.insert(id, connection);
    }

    /// A kept connection that serves a request was taken.
    fn find_taken(&mut self) {
        for list in self.idle.values_mut() {
            let user = |id: &UpstreamId| self.worker.exchange_on((*id).into());
            let left = list.iter().take_while(|id| user(id).is_none()).count();
            for id in list.split_off(left) {
                let user = user(&id);
                assert!(user.is_some(), "the one kept last is used first");
                let connection = self.connections.get_mut(&id);
                connection.expect("it is known").user = user;
            }
        }
    }

    fn closes(&mut self, id: UpstreamId) {
        self.connections.remove(&id);
        if let Some(list) = self.idle.values_mut().find(|list| list.contains(&id)) {
            let first = list.remove(0);
            assert_eq!(first, id, "the one kept longest is discarded first");
        }
    }

    fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    fn ends(&mut self, id: ExchangeId) {
        let exchange = self.worker.ended(id).expect("its story can be read");
        let record = exchange.record();
        let mut clients = self.clients.iter_mut();
        let client = clients.find(|client| Some(client.id) == exchange.client());
        let client = client.expect("no rule here has a mirror");
        client.tells(record);
        client.end = Some(End {
            status: record.status,
            flags: record.flags().to_string(),
            details: record.details.to_string(),
            attempts: record.attempts.len(),
            at: record.ended,
        });
    }

    /// Looks at how far each client's request is.
    fn look(&mut self) {
        for (_, exchange) in self.worker.exchanges() {
            assert_eq!(exchange.attempts_under_way(), 1, "no rule here hedges");
            let mut clients = self.clients.iter_mut();
            if let Some(client) = clients.find(|client| Some(client.id) == exchange.client()) {
                client.tells(exchange.record());
            }
        }
        for client in &mut self.clients {
            let exchange = self.worker.exchange_on(client.id.into());
            let mut all = self.connections.iter();
            let own = all.find(|(id, connection)| {
                exchange.is_some()
                    && connection.user == exchange
                    && self.worker.exchange_on((**id).into()) == exchange
            });
            client.connecting = own.is_some_and(|(_, connection)| !connection.made);
            client.attached = own.is_some_and(|(_, connection)| connection.made);
            client.waits = exchange.is_some() && own.is_none();
        }
    }

    /// Something that is to be written is written.
    fn write(&mut self) -> bool {
        let clients = self.clients.iter().map(|client| client.id.into());
        let upstreams = self.connections.keys().map(|id| (*id).into());
        let mut pieces = clients
            .chain(upstreams)
            .filter_map(|id| Some((id, self.worker.outbox(id)?.front())));
        let Some((id, bytes)) = pieces.find(|(_, bytes)| !bytes.is_empty()) else {
            return false;
        };
        let bytes = bytes.to_vec();
        if let ConnId::Client(id) = id
            && let Some(client) = self.client(id)
        {
            client.received.extend_from_slice(&bytes);
        }
        self.worker
            .handle_input(id, Input::Wrote(bytes.len()), self.now);
        true
    }

    fn reads(&mut self, id: ConnId, bytes: &[u8]) {
        let space = self.worker.space(id).expect("it is open");
        space.extend_from_slice(bytes);
        self.input(id, Input::Read(bytes.len()));
    }

    /// A client sends something.
    pub fn client_sends(&mut self, at: usize, bytes: &[u8]) {
        self.reads(self.clients[at].id.into(), bytes);
    }

    /// The connection of a client's request to its endpoint.
    fn upstream(&self, at: usize) -> UpstreamId {
        let exchange = self.worker.exchange_on(self.clients[at].id.into());
        let mut all = self.connections.iter();
        let own = all.find(|(_, connection)| exchange.is_some() && connection.user == exchange);
        *own.expect("it has one").0
    }

    /// The endpoint that a client's request is at sends something.
    pub fn endpoint_sends(&mut self, at: usize, bytes: &[u8]) {
        self.reads(self.upstream(at).into(), bytes);
    }

    pub fn connected(&mut self, at: usize) {
        let id = self.upstream(at);
        self.connections.get_mut(&id).expect("it is known").made = true;
        self.input(id.into(), Input::Connected(Box::default()));
    }

    pub fn refused(&mut self, at: usize) {
        let id = self.upstream(at);
        self.connections.remove(&id);
        self.input(
            id.into(),
            Input::ConnectFailed(ConnectFault::Refused.into()),
        );
    }

    /// The endpoint closes.
    pub fn endpoint_closes(&mut self, at: usize) {
        self.input(self.upstream(at).into(), Input::Eof);
    }

    /// The client goes away, and another one comes in its place.
    pub fn client_leaves(&mut self, at: usize) {
        self.input(self.clients[at].id.into(), Input::Eof);
        assert!(self.clients[at].closed);
        self.clients[at] = self.accept();
        self.drain();
    }

    /// The peer of an idle connection closes it.
    pub fn idle_ends(&mut self, endpoint: u32, position: usize) {
        let list = self.idle.get_mut(&endpoint).expect("it has idle ones");
        let id = list.remove(position);
        self.input(id.into(), Input::Eof);
        assert!(self.worker.outbox(id.into()).is_none(), "it is closed");
    }
}
