//! Real sockets for tests: a proxy in front of one endpoint, an endpoint that does as it is told, a client.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part, and a failure here fails the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{
    Action, Address, Cluster, ClusterId, Condition, Destination, DestinationCluster, Endpoint,
    Forward, HeaderOps, Limits, Rule, Snapshot, VirtualHost, VirtualHostId,
};
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::Recorder;
use outrigger_runtime::{Config, Listen, Notice, Running};
use outrigger_telemetry::metrics::{Collected, MetricsSettings};
use outrigger_telemetry::{Hears, Settings, Telemetry};

use crate::start;

/// How long a test waits for what must happen; never reached when it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A snapshot in which the inbound listener forwards everything to one address.
pub(crate) fn forwarding_to(registry: &mut Registry, address: Address) -> Arc<Snapshot> {
    limited_to(registry, address, None)
}

fn limited_to(registry: &mut Registry, address: Address, limits: Option<Limits>) -> Arc<Snapshot> {
    let state = registry.host(HostKey {
        cluster: "inbound".into(),
        address: address.to_string().into(),
    });
    let cluster = Cluster {
        endpoints: [Endpoint::new(address, state)].into(),
        limits,
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
        ..Snapshot::default()
    })
}

/// A proxy with one inbound listener.
pub(crate) struct Proxy {
    pub(crate) running: Running,
    pub(crate) telemetry: Telemetry,
    pub(crate) addr: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) notices: Receiver<Notice>,
}

impl Proxy {
    pub(crate) fn before(address: Address) -> Self {
        Self::with(address, 1, None)
    }

    pub(crate) fn with(address: Address, workers: usize, hears: Option<Hears>) -> Self {
        Self::start(address, workers, hears, None, None)
    }

    /// With circuit limits.
    pub(crate) fn limited(address: Address, workers: usize, limits: Limits) -> Self {
        Self::start(address, workers, None, Some(limits), None)
    }

    /// One whose run is recorded.
    pub(crate) fn recorded(address: Address, workers: usize, recorder: Recorder) -> Self {
        Self::start(address, workers, None, None, Some(recorder))
    }

    /// One with an outbound listener too, the second.
    pub(crate) fn both(address: Address) -> Self {
        let kinds = &[ListenerKind::Inbound(0), ListenerKind::Outbound];
        Self::listening(kinds, address, 1, None, None, None)
    }

    fn start(
        address: Address,
        workers: usize,
        hears: Option<Hears>,
        limits: Option<Limits>,
        recorder: Option<Recorder>,
    ) -> Self {
        let kinds = &[ListenerKind::Inbound(0)];
        Self::listening(kinds, address, workers, hears, limits, recorder)
    }

    fn listening(
        kinds: &[ListenerKind],
        address: Address,
        workers: usize,
        hears: Option<Hears>,
        limits: Option<Limits>,
        recorder: Option<Recorder>,
    ) -> Self {
        let mut registry = Registry::default();
        let (sender, notices) = channel();
        let sender = Mutex::new(sender);
        let telemetry = Telemetry::start(Settings {
            metrics: Some(MetricsSettings::default()),
            hears,
            ..Settings::default()
        });
        let running = start(Config {
            listeners: (kinds.iter())
                .map(|kind| Listen::direct(*kind, "127.0.0.1:0".parse().unwrap()))
                .collect(),
            workers: NonZeroUsize::new(workers).unwrap(),
            settings: WorkerSettings::default(),
            seed: None,
            busy_poll: Duration::ZERO,
            own_addrs: Vec::new(),
            handover: Default::default(),
            names: None,
            snapshot: limited_to(&mut registry, address, limits),
            recorder,
            sinks: telemetry.sinks(),
            notices: Arc::new(move |notice| {
                let _ = sender.lock().unwrap().send(notice);
            }),
        })
        .unwrap();
        Self {
            addr: running.handle().local_addrs()[0],
            running,
            telemetry,
            registry,
            notices,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    pub(crate) fn counted(&self) -> Collected {
        self.telemetry.collect(&self.running.handle().snapshot())
    }

    pub(crate) fn publish(&mut self, address: Address) {
        let snapshot = forwarding_to(&mut self.registry, address);
        self.running.handle().publish(snapshot);
    }
}

/// One connection, from either end.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// A message as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).unwrap())
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).unwrap();
    }

    pub(crate) fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: app\r\n\r\n"));
    }

    /// The next message with its `content-length` body; `None` at the end.
    pub(crate) fn message(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        let length = message.field("content-length");
        message.body = vec![0; length.map_or(0, |text| text.parse().unwrap())];
        self.reader.read_exact(&mut message.body).ok()?;
        Some(message)
    }

    /// The next head; `None` at the end.
    pub(crate) fn head(&mut self) -> Option<Message> {
        let start = self.line()?;
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Message {
            start,
            fields,
            body: Vec::new(),
        })
    }

    /// Waits for the end of the connection, before which nothing comes.
    pub(crate) fn ends(&mut self) {
        assert_eq!(self.read_at_most(1), 0, "nothing but the end");
    }

    /// Something has come that was not read.
    fn has_unread(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_ok_and(|count| count > 0)
    }

    /// Reads and counts up to `limit` bytes.
    pub(crate) fn read_at_most(&mut self, limit: u64) -> u64 {
        std::io::copy(&mut (&mut self.reader).take(limit), &mut std::io::sink()).unwrap()
    }

    /// The next line without its end; `None` when there is no whole one.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Some(line.trim_end().to_owned()),
            Ok(_) | Err(_) => None,
        }
    }
}

/// An endpoint that hands every connection to the test.
pub(crate) struct Endpoints {
    pub(crate) addr: SocketAddr,
    accepted: Receiver<Client>,
}

impl Endpoints {
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, accepted) = channel();
        thread::spawn(move || accept_all(&listener, &sender));
        Self { addr, accepted }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Socket(self.addr)
    }

    pub(crate) fn accept(&self) -> Client {
        self.accepted.recv_timeout(PATIENCE).unwrap()
    }

    /// The next connection here or there.
    pub(crate) fn accept_or(&self, other: &Self) -> Client {
        loop {
            for endpoints in [self, other] {
                if let Ok(client) = endpoints.accepted.recv_timeout(Duration::from_millis(5)) {
                    return client;
                }
            }
        }
    }

    /// The next connection, unless a request comes over this one.
    pub(crate) fn accept_unless(&self, open: &Client) -> Option<Client> {
        let patience = Instant::now() + PATIENCE;
        while !open.has_unread() {
            assert!(Instant::now() < patience, "neither has come");
            if let Ok(client) = self.accepted.recv_timeout(Duration::from_millis(5)) {
                return Some(client);
            }
        }
        None
    }

    pub(crate) fn has_more(&self) -> bool {
        self.accepted.try_recv().is_ok()
    }
}

fn accept_all(listener: &TcpListener, sender: &Sender<Client>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if sender.send(Client::new(stream)).is_err() {
            return;
        }
    }
}

/// A whole response with a body.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a GET, answers it at the endpoint, and returns the body that came back.
pub(crate) fn roundtrip(client: &mut Client, endpoint: &mut Client, path: &str) -> Vec<u8> {
    client.get(path);
    let request = endpoint.message().unwrap();
    assert_eq!(request.start, format!("GET {path} HTTP/1.1"));
    endpoint.send(&ok(path));
    client.message().unwrap().body
}
