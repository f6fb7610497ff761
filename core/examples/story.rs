//! YAML in, decision and story out: one request to an endpoint where nobody is at home.
//!
//! It stands in for a runtime, without a socket: core says what to do, and is told what came of it.

use std::sync::Arc;

use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{Ambient, ConnectFault, Exchange, Input, Output, Peer, Side};
use outrigger_core::peer::ListenerKind;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Worker, WorkerSettings};

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
    let (remote, local) = (([10, 0, 0, 9], 1000).into(), ([127, 0, 0, 1], 15001).into());
    let peer = Peer {
        remote,
        local,
        listener: ListenerKind::Outbound,
    };
    let mut exchange = Exchange::accept(peer, Instant::ZERO, &worker);
    let mut ambient = Ambient {
        now: Instant::ZERO,
        entropy: Entropy(7),
    };

    let request = b"GET /cart HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    exchange
        .space(Side::Downstream, &mut worker)
        .extend_from_slice(request);
    exchange.handle_input(
        Input::Read(Side::Downstream, request.len()),
        ambient,
        &mut worker,
    );

    let decision = exchange.poll_output();
    println!("do: {decision:?}");
    assert!(matches!(decision, Output::Connect(_)));

    ambient.now = Instant::from_millis(3);
    exchange.handle_input(
        Input::ConnectFailed(ConnectFault::Refused),
        ambient,
        &mut worker,
    );

    let answer = exchange.outbox(Side::Downstream).front().to_vec();
    println!("{}\n", String::from_utf8_lossy(&answer));
    exchange.handle_input(
        Input::Wrote(Side::Downstream, answer.len()),
        ambient,
        &mut worker,
    );
    assert_eq!(exchange.poll_output(), Output::Ended);
    print!("{}", exchange.record().story());
}
