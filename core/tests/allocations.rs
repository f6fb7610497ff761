//! Budget: a keep-alive connection in its steady state allocates nothing per request.

#![expect(unsafe_code, reason = "counting allocations needs a global allocator")]
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{
    Ambient, ConnectionId, Exchange, Input, ListenerKind, Output, Peer, Side,
};
use outrigger_core::snapshot::{
    Action, Address, Balancing, Cluster, ClusterId, Condition, Destination, DestinationCluster,
    Endpoint, Forward, HeaderOps, HostEntry, HostTable, PortEntry, Rule, Snapshot, VirtualHost,
    VirtualHostId,
};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{Worker, WorkerSettings};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn snapshot() -> Arc<Snapshot> {
    let mut registry = Registry::default();
    let endpoints = (1..=3)
        .map(|at| {
            let address = Address::Socket(([10, 0, 0, at], 80).into());
            let text: Box<str> = address.to_string().into();
            let key = HostKey {
                cluster: "c".into(),
                address: text.clone(),
            };
            Endpoint {
                address,
                text,
                weight: 1,
                locality: "".into(),
                state: registry.host(key),
            }
        })
        .collect();
    let cluster = Cluster {
        name: "outbound|80||shop".into(),
        host: "shop".into(),
        port: 80,
        subset: "".into(),
        endpoints,
        balancing: Balancing::LeastRequest,
        connect_timeout: Duration::from_secs(10),
        idle_timeout: None,
        max_requests_per_connection: None,
    };
    let destination = Destination {
        weight: 1,
        cluster: DestinationCluster::Known(ClusterId(0)),
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    let forward = Forward {
        destinations: [destination].into(),
        total_weight: 1,
        ..Forward::default()
    };
    let rule = Rule {
        name: "default".into(),
        origin: None,
        condition: Condition::default(),
        action: Arc::new(Action::Forward(forward)),
    };
    let entry = HostEntry {
        ports: [PortEntry {
            port: 80,
            virtual_host: VirtualHostId(0),
        }]
        .into(),
    };
    Arc::new(Snapshot {
        hosts: HostTable::new([("shop".into(), 0)], vec![entry]),
        virtual_hosts: [VirtualHost {
            name: "shop:80".into(),
            rules: [rule].into(),
            index: None,
        }]
        .into(),
        clusters: [cluster].into(),
        ..Snapshot::default()
    })
}

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
        b"GET /cart?id=7 HTTP/1.1\r\nHost: shop\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n",
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
    let mut worker = Worker::new(snapshot(), WorkerSettings::default(), 1);
    let peer = Peer {
        remote: "127.0.0.1:1000".parse().unwrap(),
        local: "127.0.0.1:15001".parse().unwrap(),
        listener: ListenerKind::Outbound,
    };
    let mut exchange = Exchange::accept(peer, Instant::ZERO, &worker);
    let body = [b'x'; 1024];
    for number in 0..100 {
        round(&mut exchange, &mut worker, number, &body);
    }
    let before = COUNT.with(Cell::get);
    for number in 100..200 {
        round(&mut exchange, &mut worker, number, &body);
    }
    let allocated = COUNT.with(Cell::get) - before;
    assert_eq!(allocated, 0, "allocations in 100 requests");
}
