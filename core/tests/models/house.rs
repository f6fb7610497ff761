//! One worker with several clients: a runtime that does nothing by itself. Connections are made, answers come and clients
//! leave when the test says so; only what a runtime must do at once is done here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use outrigger_core::decision::Record;
use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{
    Ambient, ConnectFault, ConnectionId, Exchange, Input, Interest, ListenerKind, Output, Peer,
    Side, WaiterId,
};
use outrigger_core::snapshot::{Cluster, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Worker, WorkerSettings};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: u16,
    pub(crate) flags: String,
    pub(crate) details: String,
    pub(crate) attempts: usize,
    pub(crate) at: Instant,
}

/// One client, and its connection to an endpoint.
pub(crate) struct Client {
    exchange: Exchange,
    pub(crate) interest: Interest,
    /// A connection is being made for it.
    pub(crate) connecting: bool,
    /// It has a connection.
    pub(crate) attached: bool,
    /// How its last request ended.
    pub(crate) end: Option<End>,
    /// Its connection is closed.
    pub(crate) closed: bool,
    /// What it has received.
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn record(&self) -> &Record {
        self.exchange.record()
    }

    /// Whether it has received less of a body than its head promised.
    pub(crate) fn is_cut_short(&self) -> bool {
        let text = String::from_utf8_lossy(&self.received).to_ascii_lowercase();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut fields = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        let length = fields.next().and_then(|length| length.parse().ok());
        length.is_none_or(|length: usize| body.len() < length)
    }
}

pub(crate) struct House {
    pub(crate) worker: Worker,
    pub(crate) clients: Vec<Client>,
    pub(crate) now: Instant,
    pub(crate) entropy: Entropy,
    /// Idle connections of each endpoint, in the order in which they were kept.
    pub(crate) idle: BTreeMap<u32, Vec<ConnectionId>>,
    /// Whom to wake; [`House::deliver`] does it.
    wakes: VecDeque<WaiterId>,
}

fn accept(worker: &Worker, now: Instant) -> Client {
    let peer = Peer {
        remote: ([127, 0, 0, 1], 1000).into(),
        local: ([127, 0, 0, 1], 15001).into(),
        listener: ListenerKind::Outbound,
    };
    let mut exchange = Exchange::accept(peer, now, worker);
    let Output::Wait(interest) = exchange.poll_output() else {
        panic!("a new connection waits");
    };
    Client {
        exchange,
        interest,
        connecting: false,
        attached: false,
        end: None,
        closed: false,
        received: Vec::new(),
    }
}

impl House {
    pub(crate) fn new(snapshot: Arc<Snapshot>, clients: usize) -> Self {
        let worker = Worker::new(snapshot, WorkerSettings::default(), 0);
        let clients = (0..clients).map(|_| accept(&worker, Instant::ZERO));
        Self {
            clients: clients.collect(),
            worker,
            now: Instant::ZERO,
            entropy: Entropy(7),
            idle: BTreeMap::new(),
            wakes: VecDeque::new(),
        }
    }

    /// The cluster of the service `h.test`, which every model's configuration has.
    pub(crate) fn cluster(&self) -> &Cluster {
        let mut clusters = self.worker.view().snapshot.clusters.iter();
        let found = clusters.find(|cluster| &*cluster.host == "h.test");
        found.expect("the configuration is good")
    }

    pub(crate) fn input(&mut self, at: usize, input: Input) {
        let ambient = Ambient {
            now: self.now,
            entropy: self.entropy,
        };
        let client = &mut self.clients[at];
        client
            .exchange
            .handle_input(input, ambient, &mut self.worker);
        let (mut announce, mut reused) = (false, false);
        loop {
            match client.exchange.poll_output() {
                Output::Wait(interest) => {
                    client.interest = interest;
                    break;
                }
                Output::Done => {
                    client.interest = Interest::default();
                    client.closed = true;
                    break;
                }
                Output::Connect(_) => client.connecting = true,
                Output::Reuse(id) => {
                    let list = self.idle.values_mut().find(|list| list.contains(&id));
                    let last = list.and_then(Vec::pop);
                    assert_eq!(last, Some(id), "the one kept last is used first");
                    (client.connecting, reused) = (true, true);
                }
                Output::Keep(id) => {
                    let attempt = client.exchange.record().attempts.last();
                    let endpoint = attempt.expect("it had an attempt").endpoint;
                    self.idle.entry(endpoint).or_default().push(id);
                    client.attached = false;
                }
                Output::Discard(id) => {
                    let list = self.idle.values_mut().find(|list| list.contains(&id));
                    let list = list.expect("an idle connection is discarded");
                    assert_eq!(
                        list.remove(0),
                        id,
                        "the one kept longest is discarded first"
                    );
                }
                Output::Wake(waiter) => self.wakes.push_back(waiter),
                Output::Announce => announce = true,
                Output::Close(Side::Upstream) => {
                    (client.connecting, client.attached) = (false, false);
                }
                Output::Reset | Output::Close(Side::Downstream) => client.closed = true,
                Output::ShutdownWrite(_) => {}
                Output::Mirror => panic!("no rule here has a mirror"),
                Output::SetAside | Output::TakeBack | Output::Close(Side::Aside) => {
                    panic!("no rule here hedges");
                }
                Output::Ended => {
                    let record = client.exchange.record();
                    client.end = Some(End {
                        status: record.status,
                        flags: record.flags().to_string(),
                        details: record.details.to_string(),
                        attempts: record.attempts.len(),
                        at: record.ended,
                    });
                }
            }
        }
        if reused {
            self.connected(at);
        }
        if announce {
            self.announce();
        }
        self.write(at);
    }

    /// Everything that is to be written is written at once.
    fn write(&mut self, at: usize) {
        for side in [Side::Upstream, Side::Downstream] {
            let client = &mut self.clients[at];
            let bytes = client.exchange.outbox(side).front();
            let count = bytes.len();
            if side == Side::Downstream {
                client.received.extend_from_slice(bytes);
            }
            if count > 0 {
                self.input(at, Input::Wrote(side, count));
            }
        }
    }

    /// Wakes whoever is to be woken, and whoever is to be woken because of that.
    pub(crate) fn deliver(&mut self) {
        while let Some(waiter) = self.wakes.pop_front() {
            let waits = |client: &Client| client.interest.woken == Some(waiter);
            if let Some(at) = self.clients.iter().position(waits) {
                self.input(at, Input::Woken);
            }
        }
    }

    pub(crate) fn announce(&mut self) {
        let told = self.worker.on_announced();
        assert!(
            told.close.is_empty(),
            "there is no other worker to give one up for"
        );
        self.wakes.extend(told.wake);
        if told.announce {
            self.announce();
        }
    }

    pub(crate) fn sends(&mut self, at: usize, side: Side, bytes: &[u8]) {
        let client = &mut self.clients[at];
        let space = client.exchange.space(side, &mut self.worker);
        space.extend_from_slice(bytes);
        self.input(at, Input::Read(side, bytes.len()));
    }

    pub(crate) fn connected(&mut self, at: usize) {
        self.clients[at].connecting = false;
        self.clients[at].attached = true;
        self.input(at, Input::Connected);
    }

    pub(crate) fn refused(&mut self, at: usize) {
        self.clients[at].connecting = false;
        self.input(at, Input::ConnectFailed(ConnectFault::Refused));
    }

    /// The endpoint closes.
    pub(crate) fn endpoint_closes(&mut self, at: usize) {
        self.input(at, Input::Eof(Side::Upstream));
    }

    /// The client goes away, and another one comes in its place.
    pub(crate) fn client_leaves(&mut self, at: usize) {
        self.input(at, Input::Eof(Side::Downstream));
        assert!(self.clients[at].closed);
        self.clients[at] = accept(&self.worker, self.now);
    }

    /// The peer of an idle connection closes it.
    pub(crate) fn idle_ends(&mut self, endpoint: u32, position: usize) {
        let list = self.idle.get_mut(&endpoint).expect("it has idle ones");
        self.worker.forget(list.remove(position));
        self.announce();
    }
}
