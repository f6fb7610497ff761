//! A sidecar before an application, and another one before that: what a client of the second says is protected between both.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::peer::{ListenerKind, TlsFacts};
use outrigger_core::snapshot::{
    Action, Address, Alpn, ClientTls, Cluster, ClusterId, Condition, Destination,
    DestinationCluster, Endpoint, Forward, HeaderOps, KeyName, MutualTls, PeerNames, RootsName,
    Rule, ServerTls, Snapshot, Sni, TlsParameters, Trust, UpstreamProtocol, VirtualHost,
    VirtualHostId,
};
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Ended, Listen, Running, Sink, Sinks, TlsStats};
use outrigger_tls::{Identities, Proofs};

use crate::start;

/// How long a test waits for what must happen; never reached when it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What both sidecars are.
pub(crate) const CLIENT: &str = "spiffe://td/ns/shop/sa/web";
pub(crate) const SERVER: &str = "spiffe://td/ns/shop/sa/cart";

/// What was told of a request: its status and details, what the client had proved, and what its endpoint had.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) details: String,
    pub(crate) client: Option<TlsFacts>,
    pub(crate) endpoint: Option<TlsFacts>,
}

/// Keeps what was told.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Told>>>);

impl Sinks for Heard {
    fn sink(&self, _worker: usize) -> Box<dyn Sink> {
        Box::new(self.clone())
    }

    fn finish(&self) {}
}

impl Sink for Heard {
    fn on_end(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        self.0.lock().unwrap().push(Told {
            status: ended.record.status,
            details: ended.record.details.to_string(),
            client: ended.client_tls.cloned(),
            endpoint: ended.facts.tls.as_deref().cloned(),
        });
        None
    }

    fn flush(&mut self) {}
}

/// A worker with one inbound listener before one address.
pub(crate) struct Sidecar {
    pub(crate) running: Option<Running>,
    pub(crate) addr: SocketAddr,
    pub(crate) identities: Arc<Identities>,
    heard: Heard,
}

/// How a sidecar's two sides are protected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sides {
    pub(crate) server: ServerTls,
    pub(crate) client: Option<ClientTls>,
    pub(crate) protocol: UpstreamProtocol,
    /// Each request has a connection of its own.
    pub(crate) is_each_anew: bool,
}

impl Sides {
    /// Its clients must be of the mesh.
    pub(crate) fn server(mode: MutualTls) -> Self {
        Self {
            server: server(mode),
            ..Self::default()
        }
    }

    /// Its endpoint is of the mesh, and has this name.
    pub(crate) fn client(name: &str) -> Self {
        Self {
            client: Some(client(name)),
            ..Self::default()
        }
    }
}

pub(crate) fn server(mode: MutualTls) -> ServerTls {
    ServerTls {
        mode,
        parameters: TlsParameters::default(),
        trust_domains: ["td".into()].into(),
        port: 80,
        servers: Box::default(),
    }
}

pub(crate) fn client(name: &str) -> ClientTls {
    ClientTls {
        identity: Some(KeyName::Mesh),
        trust: Trust::Chain {
            roots: RootsName::Mesh,
            crl: None,
            names: PeerNames::Of([name.into()].into()),
        },
        sni: Sni::Name("outbound_.80_._.cart.shop.svc.cluster.local".into()),
        alpn: Alpn::Mesh,
        parameters: TlsParameters::default(),
    }
}

impl Sidecar {
    pub(crate) fn start(to: SocketAddr, sides: &Sides, proofs: Proofs) -> Self {
        Self::set(to, sides, proofs, WorkerSettings::default())
    }

    pub(crate) fn set(
        to: SocketAddr,
        sides: &Sides,
        proofs: Proofs,
        settings: WorkerSettings,
    ) -> Self {
        let mut registry = Registry::default();
        let identities = Arc::new(Identities::new(proofs));
        let heard = Heard::default();
        let config = Config {
            listeners: vec![Listen::direct(
                ListenerKind::Inbound(0),
                "127.0.0.1:0".parse().unwrap(),
            )],
            workers: NonZeroUsize::MIN,
            settings,
            seed: Some(1),
            busy_poll: Duration::ZERO,
            own_addrs: Vec::new(),
            handover: Default::default(),
            names: None,
            snapshot: snapshot(&mut registry, to, sides),
            recorder: None,
            sinks: Some(Arc::new(heard.clone())),
            notices: Arc::new(|notice| panic!("{notice}")),
        };
        let running = start(config, Arc::clone(&identities)).unwrap();
        Self {
            addr: running.handle().local_addrs()[0],
            running: Some(running),
            identities,
            heard,
        }
    }

    /// What was told of the requests so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.heard.0.lock().unwrap().clone()
    }

    /// The same, once so many have ended: a client may have its answer before.
    pub(crate) fn told_of(&self, count: usize) -> Vec<Told> {
        let began = Instant::now();
        loop {
            let told = self.told();
            if told.len() >= count {
                return told;
            }
            assert!(began.elapsed() < PATIENCE, "{told:?}");
            thread::yield_now();
        }
    }

    /// What was counted of handshakes and connections.
    pub(crate) fn counted(&self) -> (TlsStats, u64) {
        let stats = self.running.as_ref().unwrap().handle().stats();
        (
            stats.listeners[0].tls.clone(),
            stats.listeners[0].connections,
        )
    }

    /// Waits until this was counted.
    pub(crate) fn until(&self, mut is_so: impl FnMut(&TlsStats, u64) -> bool) {
        let began = Instant::now();
        loop {
            let (tls, connections) = self.counted();
            if is_so(&tls, connections) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{tls:?} {connections}");
            thread::yield_now();
        }
    }
}

fn snapshot(registry: &mut Registry, to: SocketAddr, sides: &Sides) -> Arc<Snapshot> {
    let address = Address::Socket(to);
    let state = registry.host(HostKey {
        cluster: "inbound".into(),
        address: address.to_string().into(),
    });
    let mut endpoint = Endpoint::new(address, state);
    endpoint.is_secured = sides.client.is_some();
    let cluster = Cluster {
        endpoints: [endpoint].into(),
        tls: sides.client.clone().map(Arc::new),
        protocol: sides.protocol,
        max_requests_per_connection: sides.is_each_anew.then_some(1),
        ..Cluster::new("inbound|80||".into(), Arc::default())
    };
    let destination = Destination {
        weight: 1,
        cluster: DestinationCluster::Known(ClusterId(0)),
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    let rule = Rule {
        name: "default".into(),
        origin: None,
        fields: Default::default(),
        condition: Condition::default(),
        action: Arc::new(Action::Forward(Forward {
            destinations: [destination].into(),
            total_weight: 1,
            ..Forward::default()
        })),
    };
    let virtual_host = VirtualHost {
        name: "inbound|http|80".into(),
        rules: [rule].into(),
        ..VirtualHost::default()
    };
    Arc::new(Snapshot {
        virtual_hosts: [virtual_host].into(),
        clusters: Arc::new(vec![cluster].into()),
        inbound: [VirtualHostId(0)].into(),
        inbound_tls: [Arc::new(sides.server.clone())].into(),
        ..Snapshot::default()
    })
}

/// An application that answers each request with its body, or with as many bytes as its path says.
pub(crate) fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || while answer(&stream).is_some() {});
        }
    });
    addr
}

fn answer(mut stream: &TcpStream) -> Option<()> {
    let (start, body) = message(&mut BufReader::with_capacity(1, stream))?;
    let path = start.split(' ').nth(1)?.trim_start_matches('/');
    let body = match path.parse::<usize>() {
        Ok(count) => pattern(count),
        Err(_) => body,
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}

/// Bytes that are nowhere alike.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// The first line and the body of a message that has a length.
pub(crate) fn message(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut start, mut length) = (String::new(), 0);
    stream
        .read_line(&mut start)
        .ok()
        .filter(|count| *count > 0)?;
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((start.trim_end().to_owned(), body))
}

/// A client's connection in clear text.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn to(sidecar: &Sidecar) -> Self {
        Self::at(sidecar.addr)
    }

    pub(crate) fn at(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// The first line and the body of an answer.
    pub(crate) fn ask(&mut self, path: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = self.0.get_ref();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: cart\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        message(&mut self.0).expect("there is an answer")
    }

    /// Whatever comes until the end.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest
    }
}
