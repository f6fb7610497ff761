//! Clients between requests, and one request behind the other.

use super::*;
use crate::connection::{Client, Upstream, Who};

#[test]
fn an_idle_client_holds_no_request_and_little_memory() {
    let mut d = Driver::new();
    for has_asked in [false, true] {
        if has_asked {
            d.round(GET, OK);
        }
        assert_eq!(d.worker.exchanges().count(), 0);
        let (_, sockets) = d.worker.parts();
        let client = sockets.clients.values().next().expect("it is there");
        assert_eq!(client.connection.inbox.capacity(), 0);
        assert!(!client.connection.outbox.has_block());
        // Besides itself it has what its codec keeps of the last turn, and an empty queue of pieces.
        assert!(
            size_of::<Client>() + client.connection.outbox.owned() <= 2048,
            "{} and {}",
            size_of::<Client>(),
            client.connection.outbox.owned()
        );
    }
}

/// An idle connection that is not HTTP is an exchange and two connections: what they take of memory is nearly all that core holds
/// for it (with the runtime's share of it: `benches/README.md`).
#[test]
fn a_connection_that_passes_bytes_holds_little_memory() {
    for (name, size, most) in [
        ("exchange", size_of::<Exchange>(), 1728),
        (
            "what TLS and TCP say of who is on it",
            size_of::<Who>(),
            128,
        ),
        ("client", size_of::<Client>(), 352),
        ("endpoint's", size_of::<Upstream>(), 360),
        ("what it is", size_of::<Connection>(), 72),
    ] {
        assert!(size <= most, "{name}: {size} of {most}");
    }
}

/// Each is answered once, in order, and told once.
#[test]
fn a_thousand_requests_in_one_read_are_answered_and_told_once_each() {
    let aborts = "fault: {abort: {httpStatus: 418, percentage: {value: 100}}}";
    for is_forwarded in [false, true] {
        let mut d = match is_forwarded {
            true => Driver::new(),
            false => Driver::with(with_rule(aborts)),
        };
        let mut all = String::new();
        for number in 0..1000 {
            all += &format!("GET /{number} HTTP/1.1\r\nHost: h.test\r\n\r\n");
        }
        d.sends(Side::Downstream, all.as_bytes());
        let (mut client, mut asked) = (String::new(), Vec::new());
        for _ in 0..1000 {
            if is_forwarded {
                d.connects();
                let upstream = d.receives(Side::Upstream);
                let path = upstream.split(' ').nth(1).map(str::to_owned);
                asked.push(path.expect("a request line"));
                d.sends(Side::Upstream, OK);
            }
            client += &d.receives(Side::Downstream);
        }
        let status = if is_forwarded { "200 OK" } else { "418 " };
        let line = format!("HTTP/1.1 {status}");
        assert_eq!(client.matches(&line).count(), 1000);
        let ends = d.outputs();
        let ends = ends.iter().filter(|said| **said == Said::Ended);
        assert_eq!(ends.count(), 1000);
        let wanted = (0..1000).map(|number| format!("/{number}"));
        assert!(!is_forwarded || asked.into_iter().eq(wanted));
        assert_eq!(d.worker.exchanges().count(), 0);
        assert!(!d.is_gone() && d.reads(Side::Downstream));
    }
}

#[test]
fn a_kept_connection_that_ends_or_speaks_is_closed_and_forgotten() {
    for input in [Input::Eof, Input::Broken, Input::Read(3)] {
        let mut d = Driver::new();
        d.round(GET, OK);
        d.outputs();
        assert_eq!(d.worker.counts().idle, 1);
        let kept = d.up();
        let space = d.worker.space(kept.into()).expect("it is open");
        space.extend_from_slice(b"HTT");
        d.input(Side::Upstream, input.clone());
        assert_eq!(d.outputs(), [Said::Close(Side::Upstream)], "{input:?}");
        assert_eq!(d.worker.counts().idle, 0, "{input:?}");
        assert!(d.worker.outbox(kept.into()).is_none());
        d.sends(Side::Downstream, GET);
        assert!(matches!(d.outputs()[..], [Said::Connect(_)]), "{input:?}");
    }
}

/// What the runtime knew when it made a connection is told with each request that goes over it.
#[test]
fn facts_of_a_connection_go_with_it() {
    let mut d = Driver::new();
    let facts = Facts {
        local: Some(([10, 0, 0, 9], 40_000).into()),
        tls: None,
    };
    d.sends(Side::Downstream, GET);
    assert_eq!(d.exchange().facts(), &Facts::default());
    d.input(Side::Upstream, Input::Connected(facts.clone().into()));
    for is_kept in [false, true] {
        if is_kept {
            d.sends(Side::Downstream, GET);
        }
        d.receives(Side::Upstream);
        d.sends(Side::Upstream, OK);
        assert_eq!(d.exchange().facts(), &facts, "kept: {is_kept}");
        d.receives(Side::Downstream);
    }
}

/// What is not known any more is nothing: a runtime may still have something to tell of a connection that it closes.
#[test]
fn what_is_told_of_a_connection_that_is_closed_is_nothing() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    let (client, up) = (d.name(Side::Downstream), d.name(Side::Upstream));
    d.input(Side::Downstream, Input::Eof);
    d.outputs();
    for id in [client, up].into_iter().flatten() {
        for input in [
            Input::Eof,
            Input::Connected(Box::default()),
            Input::Wrote(1),
            Input::ConnectFailed(ConnectFault::Refused.into()),
            Input::Drain,
        ] {
            d.worker.handle_input(id, input.clone(), d.now);
            d.drain();
            assert_eq!(d.outputs(), [], "{input:?}");
        }
        assert!(d.worker.space(id).is_none() && d.worker.outbox(id).is_none());
    }
}

/// A client that idles ends at once with its worker; one whose request may be on its way has a second for it.
#[test]
fn a_client_that_drains_ends_when_nothing_is_in_flight() {
    for (idles_for, is_closed) in [(999, false), (1000, true)] {
        let mut d = Driver::new();
        d.round(GET, OK);
        d.outputs();
        d.now = Instant::from_millis(idles_for);
        d.input(Side::Downstream, Input::Drain);
        assert_eq!(d.is_gone(), is_closed, "{idles_for}");
        if !is_closed {
            assert_eq!(d.due(), Some((Instant::from_millis(1000), Whose::Rest)));
            let (_, client) = d.round(GET, OK);
            assert!(client.contains("connection: close\r\n"), "{client}");
            assert!(d.is_gone());
        }
    }
    // In the middle of a request, it ends with that one.
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    d.input(Side::Downstream, Input::Drain);
    assert!(!d.is_gone());
    d.connects();
    d.receives(Side::Upstream);
    d.sends(Side::Upstream, OK);
    let client = d.receives(Side::Downstream);
    assert!(client.contains("connection: close\r\n"), "{client}");
    assert!(d.is_gone());
}

/// A client that the kernel brought here goes by where it wanted to go: to a service by its host and that port, else there.
#[test]
fn who_was_brought_here_goes_where_he_wanted() {
    const DYNAMIC: &str = "
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dynamic}
spec:
  hosts: ['*.dynamic.test']
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DYNAMIC_DNS
";
    let rules = format!("{SERVICE}{DYNAMIC}");
    let connects = |host: &str, original: &str| {
        let settings = WorkerSettings::default();
        let mut d = Driver::crowd(from_yaml(&rules).snapshot.into(), settings, 1, 0);
        d.accept_from(Peer {
            original: Some(original.parse().unwrap()),
            ..driver::PEER
        });
        let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        d.sends(Side::Downstream, get.as_bytes());
        match &d.outputs()[..] {
            [Said::Connect(address)] => address.to_string(),
            other => panic!("{host} {original}: {other:?}"),
        }
    };
    for (host, original, want) in [
        ("h.test", "10.9.9.9:80", "10.0.0.1:80"),
        ("h.test:81", "10.9.9.9:80", "10.0.0.1:80"),
        ("h.test", "10.9.9.9:81", "10.9.9.9:81"),
        ("other.test", "10.9.9.9:80", "10.9.9.9:80"),
        ("127.0.0.1:15000", "[fd00::9]:80", "[fd00::9]:80"),
        // Where its host leads, wherever it was connected to (`DYNAMIC_DNS`).
        ("a.dynamic.test", "240.240.0.1:80", "a.dynamic.test:80"),
        ("a.dynamic.test:81", "240.240.0.1:80", "a.dynamic.test:80"),
    ] {
        assert_eq!(connects(host, original), want, "{host} {original}");
    }
}
