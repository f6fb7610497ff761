//! A new snapshot while requests are under way and connections are kept.

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::snapshot::Address;

/// Compiles one configuration after another, whose endpoints stay the same ones where they are named again.
#[derive(Default)]
pub(super) struct Compiler {
    registry: Registry,
    revision: u64,
}

impl Compiler {
    pub(super) fn snapshot(&mut self, text: &str) -> Arc<Snapshot> {
        let source = Source {
            name: "config.yaml",
            bytes: text.as_bytes(),
        };
        let (workload, mesh) = (Workload::default(), MeshConfig::default());
        let resources = load(&[source], &workload.namespace).resources;
        let registry = &mut self.registry;
        let compiled = compile(
            &resources,
            &workload,
            &mesh,
            &[],
            &Answers::new(),
            registry,
            self.revision,
        );
        self.revision = compiled.snapshot.revision;
        Arc::new(compiled.snapshot)
    }
}

const LIMITS: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: h}
spec: {host: h.test, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}
";

/// What becomes of a connection to the one endpoint, when the configuration changes from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Closed,
}

#[test]
fn a_connection_is_kept_only_to_an_endpoint_that_is_still_named() {
    use Fate::{Closed, Kept};
    let limited = format!("{SERVICE}{LIMITS}");
    let moved = SERVICE.replace("10.0.0.1", "10.0.0.2");
    let grown = SERVICE.replace("10.0.0.1}", "10.0.0.1}, {address: 10.0.0.2}");
    // What becomes of it if it carries a request at the change, and if it is idle.
    let cases = [
        ("nothing changes", SERVICE, SERVICE, Kept, Kept),
        ("another endpoint comes", SERVICE, &grown, Kept, Kept),
        ("its endpoint goes", SERVICE, &moved, Closed, Closed),
        ("its service goes", SERVICE, "", Closed, Closed),
        ("limits stay", &limited, &limited, Kept, Kept),
        ("limits go", &limited, SERVICE, Kept, Kept),
        (
            "limits come, and it is not counted",
            SERVICE,
            &limited,
            Kept,
            Closed,
        ),
    ];
    for (why, before, after, busy, idle) in cases {
        for (is_idle, fate) in [(false, busy), (true, idle)] {
            let mut compiler = Compiler::default();
            let mut d = Driver::with(compiler.snapshot(before));
            d.sends(Side::Downstream, GET);
            d.connects();
            d.receives(Side::Upstream);
            let after = compiler.snapshot(after);
            let closed = if is_idle {
                d.sends(Side::Upstream, OK);
                d.receives(Side::Downstream);
                d.adopt(after)
            } else {
                let closed = d.adopt(after);
                d.sends(Side::Upstream, OK);
                d.receives(Side::Downstream);
                closed
            };
            let case = format!("{why}, idle: {is_idle}");
            let expected: &[_] = match fate {
                Closed if is_idle => &[Said::Close(Side::Upstream)],
                Kept | Closed => &[],
            };
            assert_eq!(closed, expected, "{case}");
            let left = d.worker.parts().1.upstreams.len();
            assert_eq!(left, usize::from(fate == Kept), "{case}");
            let left = usize::from(fate == Kept);
            assert_eq!(d.worker.counts().idle, left, "{case}");
        }
    }
}

/// Who removes an endpoint stops it next: a request that knows no other finds the new ones when it tries again.
#[test]
fn a_retry_finds_the_endpoints_that_are_there_now() {
    let moved = SERVICE.replace("10.0.0.1", "10.0.0.2");
    let grown = SERVICE.replace(
        "10.0.0.1}",
        "10.0.0.0}, {address: 10.0.0.1}, {address: 10.0.0.2}",
    );
    let rule = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: h}
spec: {hosts: [h.test], http: [{timeout: 5s, route: [{destination: {host: h.test}}]}]}
";
    let ruled = format!("{moved}{rule}");
    let other = format!(
        "{moved}---{}",
        SERVICE
            .replace("h.test", "a.test")
            .replace("name: h", "name: a")
    );
    for (why, after, tried, told) in [
        ("nothing changes", SERVICE, &[1][..], "10.0.0.1"),
        (
            "the endpoint moves",
            &*moved,
            &[2],
            "an endpoint that is gone",
        ),
        ("others come", &*grown, &[0, 2], "10.0.0.1"),
        ("another rule holds", &*ruled, &[1], "10.0.0.1"),
        (
            "another service comes, and numbers move",
            &*other,
            &[1],
            "10.0.0.1",
        ),
        ("the service goes", "", &[1], "10.0.0.1"),
    ] {
        let mut compiler = Compiler::default();
        let mut d = Driver::with(compiler.snapshot(SERVICE));
        d.sends(Side::Downstream, GET);
        d.outputs();
        d.adopt(compiler.snapshot(after));
        d.fails(ConnectFault::Refused);
        let (at, timer) = d.deadline().unwrap();
        assert_eq!(timer, Timer::Backoff, "{why}");
        d.now = at;
        d.time();
        let outputs = d.outputs();
        let goes_to = |last: &u8| {
            let to = Address::Socket(([10, 0, 0, *last], 80).into());
            outputs.contains(&Said::Connect(to))
        };
        assert!(tried.iter().any(goes_to), "{why}: {outputs:?}");
        d.connects();
        d.receives(Side::Upstream);
        d.sends(Side::Upstream, OK);
        let answer = d.receives(Side::Downstream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{why}: {answer}");
        let story = d.story();
        assert!(
            story.contains(&format!("attempt 1    {told}")),
            "{why}: {story}"
        );
    }
}

#[test]
fn turns_go_on_where_they_were() {
    let endpoints =
        "{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}, {address: 10.0.0.4}";
    let text = format!(
        "{}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}}}
",
        SERVICE.replace("{address: 10.0.0.1}", endpoints)
    );
    for taken in 0..4 {
        let (mut compiler, mut seen) = (Compiler::default(), Vec::new());
        let mut d = Driver::with(compiler.snapshot(&text));
        for turn in 0..8 {
            if turn == taken {
                // A service before it makes the cluster's number another one.
                let before = SERVICE
                    .replace("h.test", "a.test")
                    .replace("name: h}", "name: a}");
                let next = compiler.snapshot(&format!("{before}---{text}"));
                assert_ne!(next.clusters.len(), d.worker.view().snapshot.clusters.len());
                d.adopt(next);
            }
            d.round(GET, OK);
            seen.push(d.record().attempts[0].endpoint);
        }
        for turn in 0..4 {
            assert_eq!(seen[turn], seen[turn + 4], "{taken}: {seen:?}");
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4, "{taken}: {seen:?}");
    }
}

#[test]
fn memory_that_waits_for_the_next_request_keeps_no_old_configuration() {
    let mut compiler = Compiler::default();
    let (first, second) = (compiler.snapshot(SERVICE), compiler.snapshot(SERVICE));
    let old = Arc::downgrade(&first);
    let mut d = Driver::with(first);
    d.round(GET, OK);
    // Part of a head is no request yet.
    d.sends(Side::Downstream, &GET[..9]);
    d.forget_story();
    assert!(old.upgrade().is_some());
    d.worker.adopt(second, d.now);
    assert!(old.upgrade().is_none());
}
