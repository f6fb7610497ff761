//! Connections that are not HTTP: how they are told apart, and how their bytes pass.

use super::*;
use crate::cluster::Counted;
use crate::decision::{Details, ToldBy};
use crate::peer::Peer;

/// A TCP service with an address, one whose port says nothing, two whose TLS goes by name, and a plain one without an address.
const SERVICES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.test]
  addresses: [10.9.0.1]
  resolution: STATIC
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any}
spec:
  hosts: [any.test]
  addresses: [10.9.0.2]
  resolution: STATIC
  ports: [{number: 7000, name: any}]
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: tls-a}
spec:
  hosts: [a.tls.test]
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 10.0.0.3}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: tls-b}
spec:
  hosts: ['*.b.test']
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: HTTPS}]
  endpoints: [{address: 10.0.0.4}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.5}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ['*.wild.test']
  location: MESH_EXTERNAL
  resolution: DYNAMIC_DNS
  ports: [{number: 443, name: tls, protocol: TLS}]
";

fn to(original: &str) -> Peer {
    Peer {
        original: Some(original.parse().unwrap()),
        ..driver::PEER
    }
}

/// A client that wanted to go there.
fn captured_on(snapshot: Arc<Snapshot>, original: &str) -> Driver {
    let mut d = Driver::crowd(snapshot, WorkerSettings::default(), 1, 0);
    d.accept_from(to(original));
    d
}

fn captured(yaml: &str, original: &str) -> Driver {
    captured_on(snapshot(yaml), original)
}

/// With another document behind the services.
fn with(document: &str) -> String {
    format!("{SERVICES}---\napiVersion: networking.istio.io/v1\n{document}")
}

/// A driver whose connection is made.
fn connected(yaml: &str, original: &str) -> Driver {
    let mut d = captured(yaml, original);
    d.connects();
    d
}

fn asked(d: &mut Driver) -> Option<String> {
    match &d.outputs()[..] {
        [] => None,
        [Said::Connect(address)] => Some(address.to_string()),
        other => panic!("{other:?}"),
    }
}

/// A ClientHello that asks for a name.
fn hello(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let entry = long(&[&[0][..], &long(name.as_bytes())].concat());
    let extensions = long(&[&[0, 0][..], &long(&entry)].concat());
    let body = [
        &[3, 3][..],
        &[0; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

#[test]
fn where_a_connection_goes_says_what_is_spoken_on_it() {
    for (original, first, want, told_by) in [
        (
            "10.9.0.1:5432",
            &b""[..],
            "10.0.0.1:5432",
            ToldBy::Destination,
        ),
        // Nobody knows this port, or this address.
        ("10.9.0.1:5433", b"", "10.9.0.1:5433", ToldBy::Destination),
        ("10.9.0.9:5432", b"", "10.9.0.9:5432", ToldBy::Destination),
        (
            "10.9.0.2:7000",
            b"hello",
            "10.0.0.2:7000",
            ToldBy::FirstBytes,
        ),
        (
            "10.9.0.2:7000",
            b"\0\0\0\x01",
            "10.0.0.2:7000",
            ToldBy::FirstBytes,
        ),
        (
            "10.1.1.1:443",
            &hello("a.tls.test"),
            "10.0.0.3:443",
            ToldBy::Tls,
        ),
        (
            "10.1.1.1:443",
            &hello("x.B.test"),
            "10.0.0.4:443",
            ToldBy::Tls,
        ),
        (
            "10.1.1.1:443",
            &hello("other.test"),
            "10.1.1.1:443",
            ToldBy::Tls,
        ),
        ("10.1.1.1:443", b"hello", "10.1.1.1:443", ToldBy::FirstBytes),
        // Under a wildcard whose names are looked up it goes where the name leads.
        (
            "10.1.1.1:443",
            &hello("x.Wild.test"),
            "x.wild.test:443",
            ToldBy::Tls,
        ),
        (
            "10.9.0.2:7000",
            &hello("other.test"),
            "10.0.0.2:7000",
            ToldBy::Tls,
        ),
    ] {
        let mut d = captured(SERVICES, original);
        if !first.is_empty() {
            assert_eq!(asked(&mut d), None, "{original}: its bytes tell");
            assert!(d.reads(Side::Downstream));
            d.sends(Side::Downstream, first);
        }
        assert_eq!(asked(&mut d).as_deref(), Some(want), "{original}");
        assert!(
            !d.reads(Side::Downstream),
            "{original}: there is nobody yet to read for"
        );
        let connection = d.record().connection.as_ref().unwrap();
        assert_eq!((connection.told_by, &*connection.to), (told_by, original));
        d.connects();
        assert_eq!(d.outbox(Side::Upstream).front(), first);
        assert!(d.reads(Side::Downstream) && d.reads(Side::Upstream));
    }
}

#[test]
fn http_is_spoken_where_its_port_says_so_or_its_bytes() {
    for original in ["10.9.0.2:7000", "10.1.1.1:80"] {
        let mut d = captured(SERVICES, original);
        let host = if original.ends_with("80") {
            "web.test"
        } else {
            "any.test:7000"
        };
        let get = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
        // However it is cut.
        let (first, rest) = get.as_bytes().split_at(6);
        d.sends(Side::Downstream, first);
        d.sends(Side::Downstream, rest);
        assert!(asked(&mut d).is_some(), "{original}");
        d.connects();
        assert!(d.receives(Side::Upstream).starts_with("GET / HTTP/1.1\r\n"));
        assert!(d.record().connection.is_none());
    }
    // A port that is named is not waited for, nor are broken requests taken for something else.
    let mut d = captured(SERVICES, "10.1.1.1:80");
    d.sends(Side::Downstream, b"hello\r\n\r\n");
    let answer = d.receives(Side::Downstream);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn a_client_that_waits_for_its_server_is_served_when_it_has_said_nothing_for_a_while() {
    for first in [&b""[..], b"GE"] {
        let mut d = captured(SERVICES, "10.9.0.2:7000");
        if !first.is_empty() {
            d.sends(Side::Downstream, first);
        }
        assert_eq!(asked(&mut d), None);
        let at = d.worker.next_deadline().unwrap();
        assert_eq!(at, Instant::from_millis(1000));
        d.now = at;
        d.time();
        assert_eq!(asked(&mut d).as_deref(), Some("10.0.0.2:7000"));
        let connection = d.record().connection.as_ref().unwrap();
        assert_eq!(connection.told_by, ToldBy::Silence);
        d.connects();
        assert_eq!(d.outbox(Side::Upstream).front(), first);
        d.sends(Side::Upstream, b"220 ready\r\n");
        assert_eq!(d.receives(Side::Downstream), "220 ready\r\n");
    }
    // Who goes away without a word wanted nothing.
    let mut d = captured(SERVICES, "10.9.0.2:7000");
    d.input(Side::Downstream, Input::Eof);
    assert_eq!(d.outputs(), [Said::Close(Side::Downstream)]);
    // Who has said all it wants is served.
    let mut d = captured(SERVICES, "10.9.0.2:7000");
    d.sends(Side::Downstream, b"GE");
    d.input(Side::Downstream, Input::Eof);
    assert_eq!(asked(&mut d).as_deref(), Some("10.0.0.2:7000"));
    d.connects();
    assert_eq!(d.receives(Side::Upstream), "GE");
    assert_eq!(d.outputs(), [Said::ShutdownWrite(Side::Upstream)]);
}

#[test]
fn as_many_first_bytes_are_looked_at_and_no_more() {
    let settings = WorkerSettings {
        max_sniffed_bytes: 100,
        ..WorkerSettings::default()
    };
    let mut d = Driver::crowd(snapshot(SERVICES), settings, 1, 0);
    d.accept_from(to("10.9.0.2:7000"));
    d.sends(Side::Downstream, b"GET /");
    d.sends(Side::Downstream, &[b'a'; 94]);
    assert_eq!(asked(&mut d), None);
    d.sends(Side::Downstream, b"a");
    assert_eq!(asked(&mut d).as_deref(), Some("10.0.0.2:7000"));
    let connection = d.record().connection.as_ref().unwrap();
    assert_eq!(connection.told_by, ToldBy::Length);
}

#[test]
fn bytes_pass_and_each_direction_ends_by_itself() {
    let mut d = connected(SERVICES, "10.9.0.1:5432");
    d.outputs();
    d.sends(Side::Upstream, b"welcome");
    assert_eq!(d.receives(Side::Downstream), "welcome");
    d.sends(Side::Downstream, b"ask");
    d.input(Side::Downstream, Input::Eof);
    assert_eq!(d.outputs(), [], "what it said is still to be written");
    assert_eq!(d.receives(Side::Upstream), "ask");
    assert_eq!(d.outputs(), [Said::ShutdownWrite(Side::Upstream)]);
    assert!(!d.reads(Side::Downstream) && d.reads(Side::Upstream));
    d.sends(Side::Upstream, b"answer");
    assert_eq!(d.receives(Side::Downstream), "answer");
    d.input(Side::Upstream, Input::Eof);
    let outputs = d.outputs();
    assert_eq!(outputs[0], Said::ShutdownWrite(Side::Downstream));
    assert!(outputs.contains(&Said::Ended) && d.is_gone(), "{outputs:?}");
    let record = d.record();
    assert_eq!((record.bytes_received, record.bytes_sent), (3, 13));
    assert_eq!((record.status, record.flags().to_string()), (0, "-".into()));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(d.worker.counts().idle, 0, "it is of no use to others");
}

#[test]
fn nothing_is_read_for_who_does_not_take_it() {
    let mut d = connected(SERVICES, "10.9.0.1:5432");
    let mut sent = 0;
    while d.reads(Side::Downstream) {
        d.sends(Side::Downstream, &[b'x'; 4096]);
        sent += 4096;
        assert!(sent < 4 << 20, "it ends");
    }
    assert!(d.reads(Side::Upstream) && d.writes(Side::Upstream));
    assert_eq!(d.receives(Side::Upstream).len(), sent);
    assert!(d.reads(Side::Downstream));
}

#[test]
fn a_reset_is_passed_on() {
    for side in [Side::Downstream, Side::Upstream] {
        let mut d = connected(SERVICES, "10.9.0.1:5432");
        d.outputs();
        d.input(side, Input::Broken);
        let outputs = d.outputs();
        let other = match side {
            Side::Downstream => Side::Upstream,
            Side::Upstream | Side::Aside => Side::Downstream,
        };
        assert!(
            outputs.contains(&Said::Reset(other)),
            "{side:?}: {outputs:?}"
        );
        assert!(
            outputs.contains(&Said::Close(side)),
            "{side:?}: {outputs:?}"
        );
        assert!(d.is_gone());
    }
}

#[test]
fn what_can_not_be_connected_is_closed_and_says_why() {
    let blocked = "kind: Sidecar\nmetadata: {name: default}\nspec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n";
    let empty = "kind: ServiceEntry\nmetadata: {name: none}\nspec: {hosts: [none.test], addresses: [10.9.0.7], \
                 resolution: STATIC, ports: [{number: 9, name: tcp, protocol: TCP}]}\n";
    let missing = "kind: VirtualService\nmetadata: {name: m}\nspec: {hosts: [db.test], tcp: [{route: [{destination: \
                   {host: nobody.test}}]}]}\n";
    for (document, original, details, flags) in [
        (blocked, "10.9.0.9:1", Details::NoHealthyUpstream, "UH"),
        (empty, "10.9.0.7:9", Details::NoHealthyUpstream, "UH"),
        (missing, "10.9.0.1:5432", Details::ClusterNotFound, "NC"),
    ] {
        let mut d = captured(&with(document), original);
        let outputs = d.outputs();
        assert_eq!(
            outputs,
            [Said::Ended, Said::Close(Side::Downstream)],
            "{original}"
        );
        let record = d.record();
        assert_eq!(
            (&record.details, record.flags().to_string()),
            (&details, flags.into())
        );
    }
    for (fault, flags) in [
        (ConnectFault::Refused, "UF"),
        (ConnectFault::Unresolved, "DF"),
    ] {
        let mut d = captured(SERVICES, "10.9.0.1:5432");
        d.fails(fault);
        let outputs = d.outputs();
        assert!(
            outputs.ends_with(&[Said::Ended, Said::Close(Side::Downstream)]),
            "{outputs:?}"
        );
        assert_eq!(d.record().flags().to_string(), flags);
    }
    // Not in time.
    let mut d = captured(SERVICES, "10.9.0.1:5432");
    d.wait_for(Timer::Connect);
    assert!(d.is_gone());
    assert_eq!(
        (d.now, d.record().flags().to_string()),
        (Instant::from_millis(10_000), "UF".into())
    );
}

#[test]
fn as_many_connections_are_made_as_may_be() {
    let rule = "kind: DestinationRule\nmetadata: {name: db}\nspec: {host: db.test, trafficPolicy: {connectionPool: {tcp: \
                {maxConnections: 1}, http: {http2MaxRequests: 1}}}}\n";
    let mut d = captured(&with(rule), "10.9.0.1:5432");
    d.connects();
    let second = d.accept_from(to("10.9.0.1:5432"));
    assert_eq!(d.outputs(), [Said::Ended, Said::Close(Side::Downstream)]);
    assert_eq!(d.record().flags().to_string(), "UO");
    let snapshot = Arc::clone(&d.worker.view().snapshot);
    let cluster = snapshot
        .clusters
        .iter()
        .find(|c| c.host == "db.test".into())
        .unwrap();
    let counted = |of| cluster.state.gauges().current(of);
    assert_eq!(
        (counted(Counted::Connections), counted(Counted::Requests)),
        (1, 0)
    );
    d.of(0).input(Side::Upstream, Input::Broken);
    assert_eq!(counted(Counted::Connections), 0);
    d.accept_from(to("10.9.0.1:5432"));
    assert!(asked(&mut d).is_some() && second > 0);
}

#[test]
fn it_may_be_silent_and_last_for_so_long() {
    let rule = |tcp: &str| {
        with(&format!(
            "kind: DestinationRule\nmetadata: {{name: db}}\nspec: {{host: db.test, trafficPolicy: {{connectionPool: {{tcp: \
             {{{tcp}}}}}}}}}\n"
        ))
    };
    for (tcp, timer, ms, flags) in [
        ("maxConnections: 9", Timer::StreamIdle, 3_600_000, "-"),
        ("idleTimeout: 5s", Timer::StreamIdle, 5_000, "-"),
        (
            "idleTimeout: 5s, maxConnectionDuration: 3s",
            Timer::Duration,
            3_000,
            "DT",
        ),
    ] {
        let mut d = connected(&rule(tcp), "10.9.0.1:5432");
        assert_eq!(
            d.deadline(),
            Some((Instant::from_millis(ms), timer)),
            "{tcp}"
        );
        d.wait_for(timer);
        assert!(d.is_gone());
        assert_eq!(d.record().flags().to_string(), flags, "{tcp}");
    }
    assert_eq!(
        connected(&rule("idleTimeout: 0s"), "10.9.0.1:5432").deadline(),
        None
    );
    let mut d = connected(&rule("idleTimeout: 5s"), "10.9.0.1:5432");
    d.now = Instant::from_millis(4_000);
    d.sends(Side::Upstream, b"x");
    assert_eq!(
        d.deadline(),
        Some((Instant::from_millis(9_000), Timer::StreamIdle))
    );
}

#[test]
fn an_endpoint_that_can_not_be_connected_to_is_ejected() {
    let rule = "kind: DestinationRule\nmetadata: {name: db}\nspec: {host: db.test, trafficPolicy: {outlierDetection: \
                {consecutive5xxErrors: 2, maxEjectionPercent: 100, minHealthPercent: 0}}}\n";
    let mut d = Driver::crowd(snapshot(&with(rule)), WorkerSettings::default(), 1, 0);
    // A connection in between counts as a success.
    for (fault, ejected) in [(true, false), (false, false), (true, false), (true, true)] {
        d.accept_from(to("10.9.0.1:5432"));
        match fault {
            true => d.fails(ConnectFault::Refused),
            false => d.connects(),
        }
        let attempt = d.record().attempts[0].clone();
        assert_eq!(attempt.ejected.is_some(), ejected, "{attempt:?}");
    }
}

#[test]
fn rules_for_connections_hold() {
    let rules = "kind: VirtualService\nmetadata: {name: db}\nspec:\n  hosts: [db.test]\n  tcp:\n  \
                 - {match: [{port: 1}], route: [{destination: {host: web.test}}]}\n  \
                 - {match: [{sourceLabels: {app: other}}], route: [{destination: {host: web.test}}]}\n  \
                 - {match: [{gateways: [edge]}], route: [{destination: {host: web.test}}]}\n  \
                 - {match: [{destinationSubnets: [10.9.0.1/32, 10.8.0.0/16]}], route: [{destination: {host: any.test, port: \
                 {number: 7000}}}]}\n";
    let mut d = captured(&with(rules), "10.9.0.1:5432");
    assert_eq!(asked(&mut d).as_deref(), Some("10.0.0.2:7000"));
    let story = d.story();
    assert!(
        story.contains("VirtualService default/db spec.tcp[3].match[0]"),
        "{story}"
    );
    let by_name = "kind: VirtualService\nmetadata: {name: tls}\nspec:\n  hosts: [a.tls.test]\n  tls:\n  \
                   - {match: [{port: 443, sniHosts: [a.tls.test]}], route: [{destination: {host: db.test}, weight: 0}, \
                   {destination: {host: any.test, port: {number: 7000}}, weight: 7}]}\n";
    let mut d = captured(&with(by_name), "10.1.1.1:443");
    d.sends(Side::Downstream, &hello("a.tls.test"));
    assert_eq!(asked(&mut d).as_deref(), Some("10.0.0.2:7000"));
    assert!(
        d.story().contains("(a.tls.test): it begins as TLS does"),
        "{}",
        d.story()
    );
}

/// A workload whose application serves TCP on a port, and one of which nobody says what it serves, with policies.
fn workload(policies: &str) -> Arc<Snapshot> {
    use crate::cluster::Registry;
    use crate::compile::{Answers, Inbound, Workload, compile};
    use crate::config::mesh::MeshConfig;
    use crate::config::{Source, load};
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n\
                   spec: {selector: {app: shop}, ports: [{name: tcp-db, port: 5432}, {name: any, port: 9000}]}\n";
    let text = format!("{service}---\n{policies}");
    let source = Source {
        name: "f",
        bytes: text.as_bytes(),
    };
    let at = |port| ([127, 0, 0, 1], port).into();
    let listen = |port| Inbound {
        listen: at(15006),
        application: at(port),
    };
    let workload = Workload {
        labels: [("app".to_owned(), "shop".to_owned())].into(),
        ..Workload::default()
    };
    let compiled = compile(
        &load(&[source], "default").resources,
        &workload,
        &MeshConfig::default(),
        &[listen(5432), listen(9000)],
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    Arc::new(compiled.snapshot)
}

fn came_in(snapshot: Arc<Snapshot>, listener: usize) -> Driver {
    let mut d = Driver::crowd(snapshot, WorkerSettings::default(), 1, 0);
    d.accept_from(Peer {
        listener: ListenerKind::Inbound(listener),
        ..driver::PEER
    });
    d
}

#[test]
fn an_application_gets_its_connections() {
    let mut d = came_in(workload(""), 0);
    assert_eq!(
        asked(&mut d).as_deref(),
        Some("127.0.0.1:5432"),
        "its port says so"
    );
    let mut d = came_in(workload(""), 1);
    assert_eq!(asked(&mut d), None);
    d.sends(Side::Downstream, b"\x00hello");
    assert_eq!(asked(&mut d).as_deref(), Some("127.0.0.1:9000"));
    let mut d = came_in(workload(""), 1);
    d.sends(Side::Downstream, GET);
    assert_eq!(asked(&mut d).as_deref(), Some("127.0.0.1:9000"));
    d.connects();
    assert!(
        d.receives(Side::Upstream)
            .starts_with("GET /a HTTP/1.1\r\n")
    );
}

/// Reference §1.6: of rules that allow those with attributes of HTTP never match, in rules that deny these are left out.
#[test]
fn policies_hold_for_connections_as_far_as_they_can_be_asked() {
    let policy = |spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
        )
    };
    let allow = "ns[default]-policy[p]-rule[0]";
    for (spec, denied) in [
        (
            "{rules: [{to: [{operation: {ports: ['5432', '9000']}}]}]}",
            None,
        ),
        (
            "{rules: [{to: [{operation: {ports: ['80']}}]}]}",
            Some("none"),
        ),
        (
            "{rules: [{to: [{operation: {methods: [GET]}}]}]}",
            Some("none"),
        ),
        (
            "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}",
            Some(allow),
        ),
        (
            "{action: DENY, rules: [{to: [{operation: {ports: ['80'], methods: [GET]}}]}]}",
            None,
        ),
        (
            "{action: DENY, rules: [{from: [{source: {ipBlocks: [127.0.0.0/8]}}]}]}",
            Some(allow),
        ),
        (
            "{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}",
            None,
        ),
        (
            "{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {paths: [/a]}}]}]}",
            Some(allow),
        ),
        ("{action: AUDIT, rules: [{}]}", None),
    ] {
        for (listener, first) in [(0, &b""[..]), (1, b"\x00hello")] {
            let mut d = came_in(workload(&policy(spec)), listener);
            if !first.is_empty() {
                d.sends(Side::Downstream, first);
            }
            assert_eq!(d.is_gone(), denied.is_some(), "{spec} {listener}");
            let details = d.record().details.to_string();
            let want = denied.map(|by| format!("rbac_access_denied_matched_policy[{by}]"));
            assert_eq!(details, want.unwrap_or_else(|| "-".to_owned()), "{spec}");
        }
    }
}
