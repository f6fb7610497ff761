//! What must hold when the configuration changes while requests are under way: each request is answered once, nobody connects to an
//! endpoint that no configuration has had since the request began, and when all are gone every gauge of every
//! configuration is zero. Two workers share what workers share, and adopt each at its own time. The fuzz target calls [`in_the_middle`].

#[path = "reload/written.rs"]
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::cluster::{Counted, Registry};
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Source, load};
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{ConnectFault, Input, Output, Worker, WorkerSettings};

use crate::draws::Draws;

const CLIENTS: usize = 4;
const HOSTS: &[&str] = &["a.test", "b.test"];
const STATUSES: &[u16] = &[200, 200, 200, 404, 500, 503];

/// Compiles one after the other, whose endpoints keep their state.
#[derive(Default)]
struct Compiler {
    registry: Registry,
    revision: u64,
}

/// One configuration, and the addresses that its endpoints have.
#[derive(Clone)]
struct Configuration {
    snapshot: Arc<Snapshot>,
    addresses: Vec<String>,
}

impl Compiler {
    fn next(&mut self, draws: &mut Draws<'_>) -> Configuration {
        let (text, addresses) = written::configuration(draws);
        let source = Source {
            name: "config.yaml",
            bytes: text.as_bytes(),
        };
        let loaded = load(&[source], "default");
        assert!(
            loaded.findings.iter().all(|finding| !finding.blocks()),
            "{:?}\n{text}",
            loaded.findings
        );
        let (workload, mesh) = (Workload::default(), MeshConfig::default());
        let compiled = compile(
            &loaded.resources,
            &workload,
            &mesh,
            &[],
            &Answers::new(),
            &mut self.registry,
            self.revision,
        );
        self.revision = compiled.snapshot.revision;
        Configuration {
            snapshot: Arc::new(compiled.snapshot),
            addresses,
        }
    }
}

struct Client {
    id: ClientId,
    /// Requests that it has sent whole, and answers that it has had.
    asked: usize,
    answers: usize,
    /// Nothing more is said to it, and it goes.
    is_told_to_go: bool,
    /// What its request may connect to: what has been in use since it began.
    may_reach: Vec<String>,
}

#[derive(Default)]
struct Upstream {
    made: bool,
    /// Bytes of requests that were not answered.
    heard: bool,
}

struct Stage {
    worker: Worker,
    clients: Vec<Client>,
    upstreams: BTreeMap<UpstreamId, Upstream>,
    in_use: Configuration,
    /// The addresses of all that were in use.
    ever: Vec<String>,
    announced: bool,
    /// Another worker may be waiting for what it has let go.
    tells_others: bool,
    now: Instant,
    seed: u64,
}

impl Stage {
    fn new(in_use: Configuration, seed: u64) -> Self {
        let worker = Worker::new(in_use.snapshot.clone(), WorkerSettings::default(), seed);
        let mut stage = Self {
            worker,
            clients: Vec::new(),
            upstreams: BTreeMap::new(),
            ever: in_use.addresses.clone(),
            in_use,
            announced: false,
            tells_others: false,
            now: Instant::from_millis(1),
            seed: seed * 1000,
        };
        for _ in 0..CLIENTS {
            let client = stage.accept();
            stage.clients.push(client);
        }
        stage
    }

    fn accept(&mut self) -> Client {
        let peer = Peer {
            remote: ([127, 0, 0, 1], 1000).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            original: None,
            listener: ListenerKind::Outbound,
        };
        self.seed += 1;
        let id = self.worker.accept(peer, Entropy(self.seed), self.now);
        Client {
            id,
            asked: 0,
            answers: 0,
            is_told_to_go: false,
            may_reach: Vec::new(),
        }
    }

    fn adopt(&mut self, next: &Configuration) {
        self.in_use = next.clone();
        self.ever.extend_from_slice(&next.addresses);
        for client in &mut self.clients {
            client.may_reach.extend_from_slice(&next.addresses);
        }
        self.worker.adopt(next.snapshot.clone(), self.now);
        self.outputs();
    }

    /// A client that has no request sends one.
    fn asks(&mut self, at: usize, host: &str, has_body: bool) {
        let client = &mut self.clients[at];
        if client.asked > client.answers || client.is_told_to_go {
            return;
        }
        client.asked += 1;
        client.may_reach.clone_from(&self.in_use.addresses);
        let (method, body) = if has_body {
            ("POST", "body")
        } else {
            ("GET", "")
        };
        let text = format!(
            "{method} / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let id = client.id.into();
        self.says(id, text.as_bytes());
    }

    fn says(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(space) = self.worker.space(id) {
            space.extend_from_slice(bytes);
            self.input(id, Input::Read(bytes.len()));
        }
    }

    fn one_of(&self, which: usize, is: impl Fn(&Upstream) -> bool) -> Option<UpstreamId> {
        let all: Vec<_> = self
            .upstreams
            .iter()
            .filter(|(_, one)| is(one))
            .map(|(id, _)| *id)
            .collect();
        all.get(which % all.len().max(1)).copied()
    }

    fn connects(&mut self, which: usize, well: bool) {
        let Some(id) = self.one_of(which, |one| !one.made) else {
            return;
        };
        if well {
            self.upstreams.insert(
                id,
                Upstream {
                    made: true,
                    heard: false,
                },
            );
            self.input(id.into(), Input::Connected(Box::default()));
        } else {
            self.upstreams.remove(&id);
            self.input(
                id.into(),
                Input::ConnectFailed(ConnectFault::Refused.into()),
            );
        }
    }

    fn answers(&mut self, which: usize, status: u16, closes: bool) {
        let Some(id) = self.one_of(which, |one| one.made && one.heard) else {
            return;
        };
        if let Some(one) = self.upstreams.get_mut(&id) {
            one.heard = false;
        }
        let close = if closes { "connection: close\r\n" } else { "" };
        self.says(
            id.into(),
            format!("HTTP/1.1 {status} X\r\n{close}content-length: 2\r\n\r\nok").as_bytes(),
        );
    }

    fn passes(&mut self, time: Duration) {
        self.now = self.now + time;
        self.worker.on_time(self.now);
        self.outputs();
    }

    fn input(&mut self, id: ConnId, input: Input) {
        self.worker.handle_input(id, input, self.now);
        self.outputs();
    }

    fn outputs(&mut self) {
        loop {
            while let Some(output) = self.worker.poll_output() {
                self.output(output);
            }
            if core::mem::take(&mut self.announced) {
                self.tells_others = true;
                self.worker.on_announced(self.now);
            } else if !self.writes() {
                return;
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Connect(id, address, ..) => {
                let address = address.to_string();
                let exchange = self.worker.exchange_on(id.into());
                let own = self.clients.iter().find(|client| {
                    exchange.is_some() && self.worker.exchange_on(client.id.into()) == exchange
                });
                // Who is told so late that his time was up before has ended when this is heard.
                let since = own.map(|client| &client.may_reach);
                let is_known = self.in_use.addresses.contains(&address)
                    || since.is_some_and(|since| since.contains(&address))
                    || exchange.is_none() && self.ever.contains(&address);
                assert!(is_known, "{address} is nobody's: {since:?}");
                let known = self.upstreams.insert(id, Upstream::default());
                assert!(known.is_none(), "names are used once");
            }
            Output::Close(ConnId::Upstream(id)) | Output::Abort(id) => {
                assert!(self.upstreams.remove(&id).is_some(), "it is there");
            }
            Output::Close(ConnId::Client(id)) | Output::Reset(id) | Output::Refuse(id, _) => {
                let at = self
                    .clients
                    .iter()
                    .position(|client| client.id == id)
                    .expect("it is there");
                let next = self.accept();
                let gone = core::mem::replace(&mut self.clients[at], next);
                assert!(
                    gone.asked - gone.answers <= 1,
                    "each is answered, but for the one that is cut"
                );
            }
            Output::Ended(id) => {
                let exchange = self.worker.ended(id).expect("its story can be read");
                assert!(exchange.record().ended <= self.now);
                let _ = exchange.story().to_string();
            }
            Output::Announce => self.announced = true,
            Output::ShutdownWrite(ConnId::Client(id)) => {
                if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
                    client.is_told_to_go = true;
                }
            }
            Output::Wait(..) | Output::Secure(..) | Output::ShutdownWrite(_) => {}
        }
    }

    /// Whatever is to be written is. Whether there was anything.
    fn writes(&mut self) -> bool {
        let clients = self.clients.iter().map(|client| ConnId::from(client.id));
        let upstreams = self
            .upstreams
            .iter()
            .filter(|(_, one)| one.made)
            .map(|(id, _)| ConnId::from(*id));
        let mut waits = clients
            .chain(upstreams)
            .filter_map(|id| Some((id, self.worker.outbox(id)?.front())));
        let Some((id, bytes)) = waits.find(|(_, bytes)| !bytes.is_empty()) else {
            return false;
        };
        let bytes = bytes.to_vec();
        match id {
            ConnId::Client(id) => {
                let client = self
                    .clients
                    .iter_mut()
                    .find(|client| client.id == id)
                    .expect("it is one of them");
                client.answers += bytes.windows(9).filter(|part| part == b"HTTP/1.1 ").count();
                assert!(
                    client.answers <= client.asked,
                    "an answer that nobody asked for"
                );
            }
            ConnId::Upstream(id) => {
                self.upstreams
                    .get_mut(&id)
                    .expect("it is one of them")
                    .heard = true;
            }
        }
        self.worker
            .handle_input(id, Input::Wrote(bytes.len()), self.now);
        true
    }

    /// A client goes away, and another one comes in its place.
    fn leaves(&mut self, at: usize) {
        let id = self.clients[at].id;
        self.input(id.into(), Input::Broken);
        assert!(self.worker.space(id.into()).is_none(), "it is closed");
        assert_ne!(self.clients[at].id, id, "its socket is closed");
    }

    fn step(&mut self, draws: &mut Draws<'_>) {
        let which = draws.below(16);
        match draws.below(16) {
            0..=4 => self.asks(which % CLIENTS, draws.of(HOSTS), which >= 12),
            5..=7 => self.connects(which, true),
            8 => self.connects(which, false),
            9..=11 => self.answers(which, draws.of(STATUSES), which % 4 == 3),
            12 => {
                if let Some(id) = self.one_of(which, |one| one.made) {
                    self.input(id.into(), Input::Eof);
                }
            }
            13 => self.leaves(which % CLIENTS),
            _ => self.passes(Duration::from_millis(100) * draws.below(32) as u32),
        }
    }

    /// Endpoints answer nobody any more, and time goes on.
    fn is_left_alone(&mut self) {
        while self.one_of(0, |one| !one.made).is_some() {
            self.connects(0, false);
        }
        while let Some(id) = self.one_of(0, |one| one.made) {
            self.input(id.into(), Input::Broken);
        }
        self.passes(Duration::from_secs(30));
    }

    /// Each request was answered, and when all clients go nothing is left.
    fn ends(&mut self) {
        for client in &self.clients {
            assert_eq!(client.asked, client.answers, "each request is answered");
        }
        for at in 0..CLIENTS {
            self.leaves(at);
        }
        self.passes(Duration::from_secs(3600));
        let bytes = self.worker.counts().buffered.bytes;
        assert_eq!((self.worker.exchanges().count(), bytes), (0, 0));
        assert_eq!(self.upstreams.len(), 0, "connections are left");
    }
}

/// Each worker is told when another has let go of something.
fn tell(stages: &mut [Stage; 2]) {
    while let Some(at) = stages.iter().position(|stage| stage.tells_others) {
        stages[at].tells_others = false;
        let other = &mut stages[1 - at];
        other.worker.on_announced(other.now);
        other.outputs();
    }
}

/// Two workers, and configurations that follow each other, as the bytes say. Gives back how often a worker adopted one.
pub fn in_the_middle(bytes: &[u8]) -> usize {
    let mut draws = Draws(bytes);
    let mut compiler = Compiler::default();
    let mut newest = compiler.next(&mut draws);
    let mut all = vec![newest.clone()];
    let mut stages = [Stage::new(newest.clone(), 1), Stage::new(newest.clone(), 2)];
    let mut adopted = 0;
    while !draws.0.is_empty() {
        match draws.below(20) {
            0 if all.len() < 12 => {
                newest = compiler.next(&mut draws);
                all.push(newest.clone());
            }
            1 | 2 => {
                let stage = &mut stages[draws.below(2)];
                if stage.in_use.snapshot.revision != newest.snapshot.revision {
                    stage.adopt(&newest);
                    adopted += 1;
                }
            }
            other => stages[other % 2].step(&mut draws),
        }
        tell(&mut stages);
    }
    for _ in 0..40 {
        stages.iter_mut().for_each(Stage::is_left_alone);
        tell(&mut stages);
    }
    for stage in &mut stages {
        stage.ends();
    }
    for configuration in &all {
        for cluster in &*configuration.snapshot.clusters {
            let gauges = cluster.state.gauges();
            for counted in [
                Counted::Connections,
                Counted::Pending,
                Counted::Requests,
                Counted::Waiting,
                Counted::Retries,
            ] {
                assert_eq!(
                    gauges.current(counted),
                    0,
                    "{counted:?} of {}",
                    cluster.name
                );
            }
        }
    }
    adopted
}
