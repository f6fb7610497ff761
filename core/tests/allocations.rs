//! Budget: a keep-alive connection in its steady state allocates nothing per request.

use std::sync::Arc;

use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{
    Ambient, ConnectionId, Exchange, Input, ListenerKind, Output, Peer, Side,
};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Worker, WorkerSettings};

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

/// One request and its response; the kept connections are the worker's own business.
fn round(exchange: &mut Exchange, worker: &mut Worker, number: u64, body: &[u8]) {
    let ambient = Ambient {
        now: Instant::from_millis(number),
        entropy: Entropy(number),
    };
    let mut send = |exchange: &mut Exchange, side: Side, bytes: &[u8]| {
        exchange.space(side, worker).extend_from_slice(bytes);
        run(exchange, worker, ambient, Input::Read(side, bytes.len()));
    };
    send(
        exchange,
        Side::Downstream,
        b"GET /cart?id=7 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
    );
    send(
        exchange,
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n",
    );
    send(exchange, Side::Upstream, body);
    assert_eq!(exchange.record().status, 200);
}

/// Feeds one input and everything that follows from it, as a runtime whose peers take all bytes at once.
fn run(exchange: &mut Exchange, worker: &mut Worker, ambient: Ambient, input: Input) {
    let mut next = Some(input);
    while let Some(input) = next.take() {
        exchange.handle_input(input, ambient, worker);
        loop {
            match exchange.poll_output() {
                Output::Connect(_) | Output::Reuse(ConnectionId(_)) => {
                    next = Some(Input::Connected);
                }
                Output::Wait(interest) => {
                    if next.is_none() && interest.write_downstream {
                        let count = exchange.outbox(Side::Downstream).len();
                        next = Some(Input::Wrote(Side::Downstream, count));
                    } else if next.is_none() && interest.write_upstream {
                        let count = exchange.outbox(Side::Upstream).len();
                        next = Some(Input::Wrote(Side::Upstream, count));
                    }
                    break;
                }
                Output::Keep(_) | Output::Ended => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn the_steady_state_allocates_nothing() {
    for configuration in [SHOP, HASHED] {
        allocates_nothing(configuration);
    }
}

fn allocates_nothing(configuration: &str) {
    let mut worker = Worker::new(
        Arc::new(from_yaml(configuration).snapshot),
        WorkerSettings::default(),
        1,
    );
    let peer = Peer {
        remote: ([127, 0, 0, 1], 1000).into(),
        local: ([127, 0, 0, 1], 15001).into(),
        listener: ListenerKind::Outbound,
    };
    let mut exchange = Exchange::accept(peer, Instant::ZERO, &worker);
    let body = [b'x'; 1024];
    for number in 0..100 {
        round(&mut exchange, &mut worker, number, &body);
    }
    let counted = allocation_counter::measure(|| {
        for number in 100..200 {
            round(&mut exchange, &mut worker, number, &body);
        }
    });
    assert_eq!(counted.count_total, 0, "allocations in 100 requests");
}
