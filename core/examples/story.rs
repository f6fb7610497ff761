//! A worker driven by hand: one request to an endpoint where nobody is at home.
//!
//! It stands in for a runtime, without a socket and with a clock that it makes up: core says what to do, and is told what
//! came of it.

use std::sync::Arc;

use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ConnId, ListenerKind, Peer};
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Input, Output, Worker, WorkerSettings};

const YAML: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop.test, subsets: [{name: new, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.test]
  http: [{retries: {attempts: 0}, route: [{destination: {host: shop.test, subset: new}}]}]
";

fn main() {
    let snapshot = Arc::new(from_yaml(YAML).snapshot);
    let mut worker = Worker::new(snapshot, WorkerSettings::default(), 0);
    let peer = Peer {
        remote: ([10, 0, 0, 9], 1000).into(),
        local: ([127, 0, 0, 1], 15001).into(),
        original: None,
        listener: ListenerKind::Outbound,
    };
    let client = ConnId::Client(worker.accept(peer, Entropy(7), Instant::ZERO));

    let request = b"GET /cart HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    let space = worker.space(client).expect("it is connected");
    space.extend_from_slice(request);
    worker.handle_input(client, Input::Read(request.len()), Instant::ZERO);

    let mut now = Instant::ZERO;
    while let Some(output) = worker.poll_output() {
        println!("do: {output:?}");
        match output {
            Output::Connect(id, ..) => {
                now = Instant::from_millis(3);
                let nobody = Input::ConnectFailed(ConnectFault::Refused.into());
                worker.handle_input(id.into(), nobody, now);
            }
            Output::Wait(id, interest) if interest.write => {
                let outbox = worker.outbox(id).expect("it is connected");
                let answer = outbox.front().to_vec();
                println!("{}", String::from_utf8_lossy(&answer));
                worker.handle_input(id, Input::Wrote(answer.len()), now);
            }
            Output::Ended(id) => {
                let exchange = worker.ended(id).expect("it has just ended");
                print!("{}", exchange.story());
            }
            _ => {}
        }
    }
}
