//! Circuit limits, load and budgets: never more than allowed, and nothing is left behind.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::cluster::{ClusterState, Counted, HostKey, Registry, TokenBudget};
use crate::time::{Duration, Instant};

/// Three workers ask for one of two connections and let it go.
pub fn never_more_than_the_limit() {
    const LIMIT: u32 = 2;
    let cluster = Arc::new(ClusterState::default());
    let inside = Arc::new(AtomicU32::new(0));
    let ask = {
        let (cluster, inside) = (Arc::clone(&cluster), Arc::clone(&inside));
        move || {
            let permit = cluster.admit(Counted::Connections, LIMIT);
            if permit.is_some() {
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= LIMIT, "{now} of {LIMIT}");
                inside.fetch_sub(1, Ordering::SeqCst);
            }
            permit.is_some()
        }
    };
    let others = [thread::spawn(ask.clone()), thread::spawn(ask.clone())];
    let mut admitted = usize::from(ask());
    for other in others {
        admitted += usize::from(other.join().unwrap_or_default());
    }
    assert!(admitted >= 2, "two of three find room whatever happens");
    assert_eq!(cluster.gauges().current(Counted::Connections), 0);
}

/// Who is refused was refused because the limit was reached, and one that was let go can be had at once.
pub fn what_is_let_go_can_be_had() {
    let cluster = Arc::new(ClusterState::default());
    let held = cluster.admit(Counted::Requests, 1);
    let other = {
        let cluster = Arc::clone(&cluster);
        thread::spawn(move || {
            drop(held);
            cluster.admit(Counted::Requests, 1).is_some()
        })
    };
    let first = cluster.admit(Counted::Requests, 1);
    let second = other.join().unwrap_or_default();
    assert!(first.is_some() || second, "it is nobody's");
    drop(first);
    assert_eq!(cluster.gauges().current(Counted::Requests), 0);
}

/// Requests and connections of one endpoint begin and end on two workers.
pub fn load_returns_to_zero() {
    let mut registry = Registry::default();
    let host = registry.host(HostKey {
        cluster: "c".into(),
        address: "a".into(),
    });
    let serve = {
        let host = Arc::clone(&host);
        move || {
            let connection = host.begin_connection();
            let mut request = host.begin_request();
            assert!((1..=2).contains(&host.active()));
            request.fail();
            drop(request);
            connection.fail();
        }
    };
    let other = thread::spawn(serve.clone());
    serve();
    assert!(other.join().is_ok());
    assert_eq!((host.active(), host.connections()), (0, 0));
    assert_eq!((host.requests(), host.failures()), (2, 2));
    assert_eq!(host.connect_failures(), 2);
}

/// Two retries draw from a budget that has one left.
pub fn a_budget_is_never_overdrawn() {
    let budget = TokenBudget {
        per_million: 1_000_000,
        per_second: 0,
        ttl: Duration::from_secs(10),
    };
    let cluster = Arc::new(ClusterState::default());
    cluster.pay(&budget, Instant::ZERO);
    let draw = {
        let cluster = Arc::clone(&cluster);
        move || cluster.draw(&budget, Instant::ZERO).is_ok()
    };
    let other = thread::spawn(draw.clone());
    let drawn = [draw(), other.join().unwrap_or_default()];
    assert!(drawn != [true, true], "one was paid for");
    assert!(
        draw() != (drawn[0] || drawn[1]),
        "what was refused is not drawn"
    );
}
