//! A request that panics takes its own connections with it and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::cluster::Counted;

/// With at most so many connections.
fn limited(connections: u32) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: {connections}}}}}}}}}
"
    ))
}

/// Tells the worker something that a runtime must not say, and what a runtime does about the panic.
fn panics(d: &mut Driver, side: Side) -> ConnId {
    let id = d.name(side).expect("it is there");
    let (worker, now) = (&mut d.worker, d.now);
    let call = AssertUnwindSafe(|| worker.handle_input(id, Input::Read(0), now));
    assert!(catch_unwind(call).is_err(), "nothing was read");
    d.worker.recover(Some(id), d.now);
    d.drain();
    id
}

fn is_served(d: &mut Driver) {
    let (_, client) = d.round(GET, OK);
    assert!(client.starts_with("HTTP/1.1 200 "), "{client}");
}

#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "only a debug build finds that mistake"
)]
fn a_request_that_panics_is_gone_and_nothing_else() {
    for is_waited_for in [false, true] {
        let snapshot = limited(if is_waited_for { 3 } else { 9 });
        let mut d = Driver::crowd(Arc::clone(&snapshot), WorkerSettings::default(), 1, 5);
        let cluster = snapshot.clusters.iter().find(|c| c.limits.is_some());
        let state = &cluster.unwrap().state;
        let host = &cluster.unwrap().endpoints[0].state;
        // One is kept, two are under way; perhaps one more waits.
        for at in [0, 1, 2] {
            d.of(at).sends(Side::Downstream, GET);
            d.connects();
            d.receives(Side::Upstream);
        }
        d.of(0).sends(Side::Upstream, OK);
        d.receives(Side::Downstream);
        if is_waited_for {
            d.of(3).sends(Side::Downstream, GET);
            d.connects();
            d.receives(Side::Upstream);
            d.of(4).sends(Side::Downstream, GET);
            assert!(d.is_in_line());
        }
        d.of(1).outputs();
        let broken = panics(&mut d, Side::Upstream);
        let said = d.outputs();
        assert_eq!(
            said,
            [Said::Close(Side::Downstream), Said::Close(Side::Upstream)]
        );
        assert!(d.is_gone() && d.worker.outbox(broken).is_none());
        assert_eq!(d.worker.counts().clients, 4);
        // Who waited gets its place.
        assert_eq!(d.of(4).is_connecting(), is_waited_for);
        let busy = if is_waited_for { 3 } else { 1 };
        assert_eq!(d.worker.exchanges().count(), busy);
        assert_eq!(state.gauges().current(Counted::Waiting), 0);
        assert_eq!(state.gauges().current(Counted::Requests) as usize, busy);
        assert_eq!(host.active() as usize, busy);
        // The others go on as if nothing had been.
        for at in [2, 3, 4] {
            if d.of(at).under_way().is_some() {
                d.connects();
                d.receives(Side::Upstream);
                d.sends(Side::Upstream, OK);
                let client = d.receives(Side::Downstream);
                assert!(client.starts_with("HTTP/1.1 200 "), "{at}: {client}");
            }
            is_served(d.of(at));
        }
        d.adopt(Arc::default());
        assert_eq!((host.active(), host.connections()), (0, 0));
        assert_eq!(state.gauges().current(Counted::Connections), 0);
    }
}

/// Outside of every request: the connection that the call was about is closed, and with it the request that it serves.
#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "only a debug build finds that mistake"
)]
fn who_panics_outside_of_a_request_is_gone_with_its_own() {
    for is_busy in [false, true] {
        let mut d = Driver::crowd(snapshot(SERVICE), WorkerSettings::default(), 1, 2);
        let host = d.worker.view().snapshot.clusters[0].endpoints[0]
            .state
            .clone();
        if is_busy {
            d.sends(Side::Downstream, GET);
            d.connects();
            d.receives(Side::Upstream);
        }
        d.of(1).sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        d.of(0);
        panics(&mut d, Side::Downstream);
        assert!(d.is_gone());
        assert_eq!(d.worker.exchanges().count(), 1);
        assert_eq!((host.active(), host.connections()), (1, 1));
        d.of(1).sends(Side::Upstream, OK);
        assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
        is_served(&mut d);
    }
}

/// The call was about one request and another one panicked because of it: the first has done nothing wrong.
#[test]
fn who_was_only_asked_about_goes_on() {
    let mut d = Driver::crowd(snapshot(SERVICE), WorkerSettings::default(), 1, 2);
    for at in [0, 1] {
        d.of(at).sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
    }
    let about = d.of(0).name(Side::Upstream);
    let broken = d.parties[1].exchange.expect("it is under way");
    d.worker.lose(broken);
    d.worker.recover(about, d.now);
    d.drain();
    assert!(d.of(1).is_gone() && !d.of(0).is_gone());
    d.sends(Side::Upstream, OK);
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(d.worker.parts().1.upstreams.len(), 1);
}

#[test]
fn a_kept_connection_that_a_panic_was_about_is_forgotten() {
    let mut d = Driver::new();
    d.round(GET, OK);
    let kept = d.up();
    d.outputs();
    d.worker.recover(Some(kept.into()), d.now);
    d.drain();
    assert_eq!(d.outputs(), [Said::Close(Side::Upstream)]);
    assert_eq!(d.worker.counts().idle, 0);
    is_served(&mut d);
}
