//! Budgets: a keep-alive connection in its steady state allocates nothing per request, and holds little between them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, CollectorFlag, TraceFlags, Workload, compile, from_yaml};
use outrigger_core::config::{MeshConfig, Source, load, log_format};
use outrigger_core::decision::Record;
use outrigger_core::decision::access_log::{self, Logged, Place, Surroundings};
use outrigger_core::entropy::Entropy;
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::{CollectorProtocol, Snapshot};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{Input, Output, Worker, WorkerSettings};

/// Three endpoints, a rule with a match, a timeout and a subset: what a sidecar's request usually meets.
const SHOP: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v1}}
  - {address: 10.0.0.3, labels: {version: v1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.test
  trafficPolicy: {outlierDetection: {interval: 1s}}
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.test]
  http:
  - match: [{uri: {prefix: /cart}, method: {exact: GET}}]
    timeout: 15s
    route: [{destination: {host: shop.test, subset: v1}}]
";

/// The same with a hash of a header that every request has, and loads bounded.
const HASHED: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, annotations: {outrigger.dev/hash-balance-factor: '125'}}
spec:
  host: shop.test
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: user-agent}}}
";

const PEER: Peer = Peer {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1000),
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001),
    original: None,
    listener: ListenerKind::Outbound,
};

/// One client of a worker, and a runtime whose peers take all bytes at once.
struct Stage {
    worker: Worker,
    client: ClientId,
    /// The connection to the endpoint that was asked for last.
    upstream: Option<UpstreamId>,
    /// The head of every response.
    answer: &'static [u8],
    now: Instant,
}

impl Stage {
    fn new(configuration: &str) -> Self {
        Self::with(from_yaml(configuration).snapshot)
    }

    fn with(snapshot: Snapshot) -> Self {
        let snapshot = Arc::new(snapshot);
        let mut worker = Worker::new(snapshot, WorkerSettings::default(), 1);
        let client = worker.accept(PEER, Entropy(7), Instant::ZERO);
        Self {
            worker,
            client,
            upstream: None,
            answer: b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n",
            now: Instant::ZERO,
        }
    }

    /// One request and its response; the kept connections are the worker's own business.
    fn round(&mut self, number: u64, body: &[u8]) {
        self.now = Instant::from_millis(number);
        self.worker.on_time(self.now);
        self.perform();
        let request =
            b"GET /cart?id=7 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n";
        self.send(self.client.into(), request);
        let endpoint = self.upstream.expect("an endpoint is asked").into();
        self.send(endpoint, self.answer);
        self.send(endpoint, body);
        assert_eq!(self.worker.exchanges().count(), 0, "it is answered");
    }

    fn send(&mut self, id: ConnId, bytes: &[u8]) {
        let space = self.worker.space(id).expect("it is open");
        space.extend_from_slice(bytes);
        self.input(id, Input::Read(bytes.len()));
    }

    fn input(&mut self, id: ConnId, input: Input) {
        self.worker.handle_input(id, input, self.now);
        self.perform();
    }

    fn perform(&mut self) {
        let mut next = None;
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Connect(id, ..) => {
                    self.upstream = Some(id);
                    next = Some((id.into(), Input::Connected(Box::default())));
                }
                Output::Wait(id, interest) if interest.write => {
                    if let ConnId::Upstream(id) = id {
                        self.upstream = Some(id);
                    }
                    let outbox = self.worker.outbox(id).expect("it is open");
                    next = Some((id, Input::Wrote(outbox.len())));
                }
                Output::Ended(id) => {
                    let exchange = self.worker.ended(id).expect("its story can be read");
                    assert_eq!(exchange.record().status, 200);
                }
                Output::Wait(..) => {}
                Output::Close(_)
                | Output::Reset(_)
                | Output::Refuse(..)
                | Output::Abort(_)
                | Output::ShutdownWrite(_)
                | Output::Secure(..)
                | Output::Announce => panic!("{output:?}"),
            }
        }
        if let Some((id, input)) = next {
            self.input(id, input);
        }
    }
}

/// Most connections of a sidecar are idle most of the time.
#[test]
fn an_idle_client_takes_less_than_two_kibibytes() {
    const CLIENTS: u64 = 1000;
    let mut stage = Stage::new(SHOP);
    let body = [b'x'; 1024];
    // What all share is there already.
    for number in 0..10 {
        stage.round(number, &body);
    }
    for asks in [false, true] {
        let counted = allocation_counter::measure(|| {
            for number in 0..CLIENTS {
                stage.client = stage.worker.accept(PEER, Entropy(number), stage.now);
                stage.perform();
                if asks {
                    stage.round(10 + number, &body);
                }
            }
        });
        let each = counted.bytes_current / i64::try_from(CLIENTS).unwrap();
        assert!((100..2048).contains(&each), "{each} bytes, asks: {asks}");
    }
    assert_eq!(stage.worker.counts().clients, 2001);
}

#[test]
fn the_steady_state_allocates_nothing() {
    for configuration in [SHOP, HASHED] {
        allocates_nothing(Stage::new(configuration));
    }
}

/// Requests to a service of the mesh, from a workload of which others are told; what the endpoint's sidecar says is kept.
#[test]
fn telling_who_we_are_allocates_nothing() {
    let labels = [("app", "web"), ("version", "v1")];
    let workload = Workload {
        labels: labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Workload::default()
    };
    let internal = SHOP.replacen(
        "hosts: [shop.test]",
        "hosts: [shop.test]\n  location: MESH_INTERNAL",
        1,
    );
    let snapshot = compiled(&internal, &workload);
    assert!(snapshot.peer_metadata.is_some());
    let mut stage = Stage::with(snapshot);
    stage.answer =
        b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nx-envoy-peer-metadata: CgA=\r\n\r\n";
    allocates_nothing(stage);
}

fn compiled(text: &str, workload: &Workload) -> Snapshot {
    let source = Source {
        name: "shop.yaml",
        bytes: text.as_bytes(),
    };
    let resources = load(&[source], &workload.namespace).resources;
    let (mesh, answers) = (MeshConfig::default(), Answers::new());
    let registry = &mut Registry::default();
    compile(&resources, workload, &mesh, &[], &answers, registry, 0).snapshot
}

/// Neither a request that is not sampled nor, as far as core goes, one that is.
#[test]
fn traces_allocate_nothing() {
    for sampled_of_10000 in [0, 10_000] {
        let zipkin = CollectorProtocol::Zipkin { path: "/".into() };
        let trace = TraceFlags {
            collector: Some(CollectorFlag {
                is_https: false,
                url: "http://c:1".into(),
                host: "c".into(),
                port: 1,
                protocol: zipkin,
            }),
            sampled_of_10000: Some(sampled_of_10000),
        };
        let workload = Workload {
            trace,
            ..Workload::default()
        };
        let snapshot = compiled(SHOP, &workload);
        assert!(snapshot.tracing.outbound.is_some());
        allocates_nothing(Stage::with(snapshot));
    }
}

fn allocates_nothing(mut stage: Stage) {
    let body = [b'x'; 1024];
    for number in 0..100 {
        stage.round(number, &body);
    }
    let counted = allocation_counter::measure(|| {
        for number in 100..200 {
            stage.round(number, &body);
        }
    });
    assert_eq!(counted.count_total, 0, "allocations in 100 requests");
}

/// A line of an access log is written into memory that its worker keeps.
#[test]
fn a_line_of_an_access_log_allocates_nothing() {
    let mut record = Record::default();
    record.revision = Some(1);
    record.status = 503;
    record.request.path = b"/cart?item=1".to_vec();
    record.request.authority = b"shop.test".to_vec();
    let user_agent = (b"user-agent", b"curl/8.0");
    record
        .request
        .headers
        .append(user_agent.0, user_agent.1)
        .unwrap();
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001);
    let logged = Logged {
        record: &record,
        snapshot: &from_yaml(SHOP).snapshot,
        response: &ResponseHead::default(),
        around: Surroundings {
            began: Duration::from_secs(1_795_406_400),
            downstream_remote: local,
            downstream_local: local,
            upstream_local: Some(local),
        },
        tls: None,
        place: &Place::default(),
    };
    let (custom, _) = log_format::written(
        "%START_TIME(%F %T.%6f)% %REQ(X-A?:PATH):5% %RESPONSE_FLAGS_LONG% %DURATION%",
    );
    for format in [log_format::istio_text(), log_format::istio_json(), custom] {
        let mut out = Vec::with_capacity(4096);
        let counted = allocation_counter::measure(|| access_log::write(&format, &logged, &mut out));
        assert_eq!(counted.count_total, 0, "{}", String::from_utf8_lossy(&out));
        assert!(out.ends_with(b"\n"));
    }
}
