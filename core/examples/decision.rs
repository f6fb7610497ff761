//! YAML in, a decision and its story out: a rule that answers by itself, so nothing has to be connected.

use std::sync::Arc;

use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ListenerKind, Peer};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Output, Worker, WorkerSettings};

const YAML: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.test], http: [{name: closed, directResponse: {status: 503}}]}
";
const REQUEST: &[u8] = b"GET /cart/7 HTTP/1.1\r\nhost: shop.test\r\n\r\n";

fn main() {
    let snapshot = Arc::new(from_yaml(YAML).snapshot);
    let mut worker = Worker::new(snapshot, WorkerSettings::default(), 0);
    let (remote, local) = (([10, 0, 0, 9], 1000).into(), ([127, 0, 0, 1], 15001).into());
    let listener = ListenerKind::Outbound;
    let peer = Peer {
        remote,
        local,
        original: None,
        listener,
    };
    let client = worker.accept(peer, Entropy(7), Instant::ZERO).into();
    worker
        .space(client)
        .expect("it is connected")
        .extend_from_slice(REQUEST);
    worker.handle_input(client, Input::Read(REQUEST.len()), Instant::ZERO);
    while let Some(output) = worker.poll_output() {
        if let Output::Ended(id) = output {
            let exchange = worker.ended(id).expect("it has just ended");
            println!("{:?}\n{}", exchange.record().route, exchange.story());
        } else if let Some(outbox) = worker.outbox(client).filter(|outbox| !outbox.is_empty()) {
            let all = Input::Wrote(outbox.len());
            worker.handle_input(client, all, Instant::ZERO);
        }
    }
}
