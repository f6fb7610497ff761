//! One client, one kept connection to an endpoint, and configurations of different sizes.

use std::fmt::Write as _;
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile, from_yaml};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Source, load};
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ConnId, ExchangeId, ListenerKind, Peer, UpstreamId};
use outrigger_core::policy::filter_chain::{self, Chosen, Seen};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Output, Worker, WorkerSettings};
use outrigger_runtime::{Ended, Sink, Sinks};
use outrigger_telemetry::metrics::MetricsSettings;
use outrigger_telemetry::{Settings, Telemetry};

/// A service with three endpoints and one rule that forwards with a timeout and retries.
#[must_use]
pub fn one_service() -> String {
    let mut text = service(0);
    text.push_str(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s0}
spec:
  hosts: [s0.example]
  http:
  - timeout: 15s
    retries: {attempts: 2, perTryTimeout: 10s, retryOn: 'connect-failure,503'}
    route: [{destination: {host: s0.example}}]
",
    );
    text
}

/// As many services, none of which concerns the first.
#[must_use]
pub fn many_services(count: usize) -> String {
    let mut text = one_service();
    for number in 1..count {
        text.push_str("---");
        text.push_str(&service(number));
    }
    text
}

/// One service whose VirtualService has as many rules, by exact path and by prefix in turn; the last one matches.
#[must_use]
pub fn many_rules(count: usize) -> String {
    let mut text = service(0);
    text.push_str(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s0}
spec:
  hosts: [s0.example]
  http:
",
    );
    for number in 1..count {
        let kind = if number % 2 == 0 { "exact" } else { "prefix" };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "  - {{match: [{{uri: {{{kind}: /p{number}/}}}}], route: [{{destination: {{host: s0.example}}}}]}}"
        );
    }
    text.push_str(
        "  - {match: [{uri: {prefix: /cart}}], route: [{destination: {host: s0.example}}]}\n",
    );
    text
}

/// An application behind an inbound listener, and as many policies: those that deny and those that allow in turn, by path,
/// method and the client's namespace; the last one allows the request.
#[must_use]
pub fn guarded(policies: usize) -> Arc<Snapshot> {
    let mut text = String::new();
    for number in 0..policies {
        let (action, path) = match number {
            0 => ("ALLOW", "/cart*".to_owned()),
            _ if number % 2 == 0 => ("ALLOW", format!("/p{number}/*")),
            _ => ("DENY", format!("/p{number}/admin")),
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: p{number}}}
spec:
  action: {action}
  rules:
  - to: [{{operation: {{paths: ['{path}'], methods: [GET, HEAD]}}}}]
  - from: [{{source: {{namespaces: [n{number}]}}}}]
"
        );
    }
    let source = Source {
        name: "policies.yaml",
        bytes: text.as_bytes(),
    };
    let workload = Workload::default();
    let inbound = [Inbound {
        listen: ([127, 0, 0, 1], 15_006).into(),
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let compiled = compile(
        &load(&[source], &workload.namespace).resources,
        &workload,
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    Arc::new(compiled.snapshot)
}

/// As many services of port 5432 that do not speak HTTP: each third has an address, each third a block of them, and each third
/// is told by the name that its clients ask for in TLS, on a port of its own.
#[must_use]
pub fn many_chains(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (high, low) = (number / 250, number % 250);
        let (address, port, protocol) = match number % 3 {
            0 => (format!("addresses: [10.0.{high}.{low}]"), 5432, "TCP"),
            1 => (
                format!("addresses: [172.{}.{low}.0/24]", 16 + high),
                5432,
                "TCP",
            ),
            _ => ("addresses: []".to_owned(), 8443, "TLS"),
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.example]
  {address}
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  endpoints: [{{address: 10.9.0.1}}]
"
        );
    }
    text
}

/// What becomes of three connections: to an address, into a block of addresses, and by a name. How many a rule was found for.
#[must_use]
pub fn choose_chains(snapshot: &Snapshot) -> usize {
    let connections = [
        ([10, 0, 0, 3], 5432, Seen::Nothing),
        ([172, 16, 7, 9], 5432, Seen::Nothing),
        ([192, 0, 2, 1], 8443, Seen::Tls(Some("s8.example"))),
    ];
    let chosen = connections.map(|(address, port, seen)| {
        let peer = Peer {
            remote: ([127, 0, 0, 1], 40_000).into(),
            local: ([127, 0, 0, 1], 15_001).into(),
            original: Some((address, port).into()),
            listener: ListenerKind::Outbound,
        };
        filter_chain::of_peer(snapshot, &peer, None, seen)
    });
    let rules = (chosen.iter()).filter(|chosen| matches!(chosen, Chosen::Rule(_)));
    rules.count()
}

fn service(number: usize) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}, {{address: 10.0.0.3}}]
"
    )
}

/// Compiles a configuration; the scenarios are valid, so findings are only advice.
#[must_use]
pub fn snapshot(text: &str) -> Arc<Snapshot> {
    Arc::new(from_yaml(text).snapshot)
}

/// A worker with one client, whose peers take all bytes they are given at once.
pub struct Client {
    worker: Worker,
    id: ConnId,
    /// The connection that the request under way is on.
    upstream: Option<UpstreamId>,
    requests: u64,
    status: u16,
    /// Told of each request that has ended.
    sink: Option<Box<dyn Sink>>,
}

impl Client {
    /// A connection that has already made enough requests for every endpoint to have a kept connection.
    #[must_use]
    pub fn warm(snapshot: Arc<Snapshot>) -> Self {
        Self::told(snapshot, None)
    }

    /// The same, whose requests are counted.
    #[must_use]
    pub fn counted(snapshot: Arc<Snapshot>) -> Self {
        let telemetry = Telemetry::start(Settings {
            metrics: Some(MetricsSettings::default()),
            ..Settings::default()
        });
        Self::told(snapshot, telemetry.sinks())
    }

    fn told(snapshot: Arc<Snapshot>, sinks: Option<Arc<dyn Sinks>>) -> Self {
        let listener = match snapshot.inbound.is_empty() {
            true => ListenerKind::Outbound,
            false => ListenerKind::Inbound(0),
        };
        let mut worker = Worker::new(snapshot, WorkerSettings::default(), 1);
        let peer = Peer {
            remote: ([127, 0, 0, 1], 40_000).into(),
            local: ([127, 0, 0, 1], 15_001).into(),
            original: None,
            listener,
        };
        let id = worker.accept(peer, Entropy(1), Instant::ZERO);
        let mut client = Self {
            worker,
            id: ConnId::Client(id),
            upstream: None,
            requests: 0,
            status: 0,
            sink: sinks.map(|sinks| sinks.sink(0, 1)),
        };
        client.perform();
        for _ in 0..32 {
            client.request();
        }
        client
    }

    /// One GET with the fields a browser sends, answered with 1 KiB. Returns the status the client saw.
    pub fn request(&mut self) -> u16 {
        self.requests += 1;
        self.receive(
            self.id,
            b"GET /cart?id=7 HTTP/1.1\r\nHost: s0.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
              Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n\r\n",
        );
        let mut response = [b'x'; 1100];
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n";
        response[..head.len()].copy_from_slice(head);
        if let Some(upstream) = self.upstream {
            self.receive(upstream.into(), &response[..head.len() + 1024]);
        }
        self.status
    }

    /// Bytes arrive on a connection, and everything that follows is done.
    fn receive(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(space) = self.worker.space(id) {
            space.extend_from_slice(bytes);
            self.tell(id, Input::Read(bytes.len()));
        }
        self.perform();
    }

    fn tell(&mut self, id: ConnId, input: Input) {
        let now = Instant::from_millis(self.requests);
        self.worker.handle_input(id, input, now);
    }

    fn perform(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Connect(id, ..) => {
                    self.upstream = Some(id);
                    self.tell(id.into(), Input::Connected(Box::default()));
                }
                Output::Wait(id, interest) if interest.write => {
                    if let ConnId::Upstream(id) = id {
                        self.upstream = Some(id);
                    }
                    let count = self.worker.outbox(id).map_or(0, |outbox| outbox.len());
                    self.tell(id, Input::Wrote(count));
                }
                Output::Ended(id) => {
                    if let Some(exchange) = self.worker.ended(id) {
                        self.status = exchange.record().status;
                        if let Some(sink) = &mut self.sink {
                            sink.on_end(&Ended {
                                id: ExchangeId::default(),
                                record: exchange.record(),
                                snapshot: exchange.snapshot(),
                                response: exchange.response(),
                                peer: *exchange.peer(),
                                listener: Some(0),
                                facts: exchange.facts(),
                                client_tls: exchange.client_tls().map(|tls| &**tls),
                                now: exchange.record().ended,
                            });
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_works() {
        for text in [one_service(), many_services(50), many_rules(50)] {
            for of in [Client::warm, Client::counted] {
                let mut client = of(snapshot(&text));
                assert_eq!(client.request(), 200);
            }
        }
    }

    #[test]
    fn who_may_ask_is_looked_for_among_many() {
        for policies in [0, 10, 1000] {
            let mut client = Client::warm(guarded(policies));
            assert_eq!(client.request(), 200, "{policies}");
        }
    }

    #[test]
    fn a_chain_is_found_among_few_and_among_many() {
        for services in [10, 5000] {
            assert_eq!(
                choose_chains(&snapshot(&many_chains(services))),
                3,
                "{services}"
            );
        }
    }
}
