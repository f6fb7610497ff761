//! What changes between two configurations: what is told, and that nothing that changes for a real request is missed.

use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile, from_yaml};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::message::RequestHead;
use outrigger_core::snapshot::Snapshot;
use outrigger_explain::diff::{Budget, Comparison, Difference, text};

const SERVICES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: http-other, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop.test, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
";

fn snapshot(rules: &str) -> Arc<Snapshot> {
    let rules = match rules {
        "" => String::new(),
        rules => format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: shop}}\n\
             spec: {{hosts: [shop.test], http: [{rules}]}}\n"
        ),
    };
    Arc::new(from_yaml(&format!("{SERVICES}{rules}")).snapshot)
}

fn difference(before: &Snapshot, after: &Snapshot) -> Difference {
    let mut comparison = Comparison::new(before, after);
    comparison.compare_rules(Budget::UNLIMITED);
    comparison.finish()
}

const TO_V1: &str = "route: [{destination: {host: shop.test, subset: v1}}]";
const TO_V2: &str = "route: [{destination: {host: shop.test, subset: v2}}]";

/// What was, what is, and for each way the requests that change with what changes.
#[test]
fn changes_are_found_where_rules_begin_and_end() {
    let both = |one: u32, two: u32| {
        format!(
            "{{route: [{{destination: {{host: shop.test, subset: v1}}, weight: {one}}}, \
             {{destination: {{host: shop.test, subset: v2}}, weight: {two}}}]}}"
        )
    };
    let with = |condition: &str| format!("{{match: [{{{condition}}}], {TO_V2}}}, {{{TO_V1}}}");
    let plain = format!("{{{TO_V1}}}");
    let timed = format!("{{timeout: 3s, {TO_V1}}}");
    for (before, after, examples, changes) in [
        (plain.clone(), plain.clone(), &[][..], &[][..]),
        // A percent is seen, whatever is drawn.
        (both(90, 10), both(89, 11), &["GET http://shop.test/"], &[]),
        (
            plain.clone(),
            timed,
            &["GET http://shop.test/"],
            &["timeout"],
        ),
        (
            plain.clone(),
            with("uri: {exact: /a}"),
            &["GET http://shop.test/a"],
            &[],
        ),
        // One prefix becomes a longer one: what only the shorter one takes in changes.
        (
            with("uri: {prefix: /a}"),
            with("uri: {prefix: /ab}"),
            &["GET http://shop.test/a"],
            &[],
        ),
        (
            with("uri: {regex: '/a[0-9]+'}"),
            with("uri: {regex: '/b[0-9]+'}"),
            &["GET http://shop.test/a0", "GET http://shop.test/b0"],
            &[],
        ),
        (
            with("headers: {who: {exact: me}}"),
            with("headers: {who: {exact: you}}"),
            &[
                "GET http://shop.test/ -H 'who: me'",
                "GET http://shop.test/ -H 'who: you'",
            ],
            &[],
        ),
        (
            plain.clone(),
            with("withoutHeaders: {who: {}}"),
            &["GET http://shop.test/"],
            &[],
        ),
        (
            plain.clone(),
            with("method: {exact: POST}"),
            &["POST http://shop.test/"],
            &[],
        ),
        (
            plain.clone(),
            with("queryParams: {q: {exact: '1'}}"),
            &["GET http://shop.test/?q=1"],
            &[],
        ),
        (
            plain.clone(),
            with("port: 8080"),
            &["GET http://shop.test:8080/"],
            &[],
        ),
        (
            plain.clone(),
            "{redirect: {uri: /b}}".to_owned(),
            &["GET http://shop.test/"],
            &[],
        ),
        (
            format!("{{fault: {{abort: {{httpStatus: 503, percentage: {{value: 1}}}}}}, {TO_V1}}}"),
            plain.clone(),
            &["GET http://shop.test/"],
            &["fault abort"],
        ),
        (
            format!("{{headers: {{request: {{set: {{x: a}}}}}}, {TO_V1}}}"),
            format!("{{headers: {{request: {{set: {{x: b}}}}}}, {TO_V1}}}"),
            &["GET http://shop.test/"],
            &["request headers"],
        ),
        (String::new(), plain, &["GET http://shop.test/"], &[]),
    ] {
        let difference = difference(&snapshot(&before), &snapshot(&after));
        let told: Vec<&str> = (difference.ways.iter())
            .flat_map(|way| &way.examples)
            .map(|example| &*example.request)
            .collect();
        for example in examples {
            assert!(told.contains(example), "{before} → {after}: {told:#?}");
        }
        assert_eq!(
            examples.is_empty(),
            difference.changed == 0,
            "{difference:#?}"
        );
        let whats = difference.ways.iter().flat_map(|way| &way.changes);
        let whats: Vec<&str> = whats.map(|change| change.what).collect();
        for change in changes {
            assert!(whats.contains(change), "{before} → {after}: {whats:?}");
        }
    }
}

#[test]
fn what_clusters_are_counts_too() {
    let change = |from: &str, to: &str| {
        let yaml = SERVICES.replace(from, to);
        assert_ne!(yaml, SERVICES, "`{from}` is there");
        let before = from_yaml(SERVICES).snapshot;
        difference(&before, &from_yaml(&yaml).snapshot)
    };
    for (from, to, what) in [
        (
            "spec: {host: shop.test,",
            "spec: {host: shop.test, trafficPolicy: {loadBalancer: {simple: RANDOM}},",
            "balancer",
        ),
        (
            "spec: {host: shop.test,",
            "spec: {host: shop.test, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}},",
            "connections",
        ),
        (
            "spec: {host: shop.test,",
            "spec: {host: shop.test, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}},",
            "ejection",
        ),
        ("10.0.0.2", "10.0.0.3", "endpoints"),
    ] {
        let difference = change(from, to);
        let whats = difference.ways.iter().flat_map(|way| &way.changes);
        let mut whats: Vec<&str> = whats.map(|change| change.what).collect();
        // On both ports.
        whats.dedup();
        assert_eq!(whats, [what], "{difference:#?}");
    }
    // A host that goes is not known any more.
    let gone = change("hosts: [shop.test]", "hosts: [other.test]");
    let ways: Vec<_> = gone
        .ways
        .iter()
        .map(|way| (&*way.before, &*way.after))
        .collect();
    assert!(
        ways.iter()
            .any(|(before, after)| before.contains("shop.test") && after.contains("ALLOW_ANY")),
        "{ways:?}"
    );
}

#[test]
fn budgets_are_kept_and_told() {
    let (before, after) = (
        snapshot(&format!("{{{TO_V1}}}")),
        snapshot(&format!("{{{TO_V2}}}")),
    );
    let mut comparison = Comparison::new(&before, &after);
    comparison.compare_rules(Budget {
        requests: 1,
        is_over: &|| false,
    });
    let difference = comparison.finish();
    assert_eq!((difference.requests, difference.incomplete), (1, true));
    assert!(text::summary(&difference).starts_with("at least 1 of 1 requests"));
    let mut comparison = Comparison::new(&before, &after);
    comparison.compare_rules(Budget {
        requests: 16,
        is_over: &|| true,
    });
    let difference = comparison.finish();
    assert_eq!((difference.requests, difference.incomplete), (0, true));
    assert!(text::summary(&difference).ends_with("and there are more"));
}

#[test]
fn summaries_are_short() {
    let long = "x".repeat(2000);
    let rules = |to: &str| {
        let each = (0..9).map(|n| {
            format!(
                "{{match: [{{uri: {{exact: /{n}{long}}}}}], timeout: {}s, {to}}}",
                n + 1
            )
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let difference = difference(&snapshot(&rules(TO_V1)), &snapshot(&rules(TO_V2)));
    let summary = text::summary(&difference);
    assert!(summary.len() < 1200, "{} bytes", summary.len());
    assert!(!summary.contains('\n'));
    let same = snapshot(&rules(TO_V1));
    let nothing = text::summary(&self::difference(&same, &same));
    assert_eq!(nothing, "nothing changes for requests");
}

#[test]
fn requests_of_others_are_compared_as_well() {
    let (before, after) = (
        snapshot(&format!("{{{TO_V1}}}")),
        snapshot(&format!(
            "{{match: [{{uri: {{prefix: /deep}}}}], {TO_V2}}}, {{{TO_V1}}}"
        )),
    );
    let mut comparison = Comparison::new(&before, &after);
    for path in ["/deep/down", "/else"] {
        comparison.compare(&RequestHead {
            authority: b"shop.test".to_vec(),
            path: path.into(),
            ..RequestHead::default()
        });
    }
    let difference = comparison.finish();
    assert_eq!((difference.requests, difference.changed), (2, 1));
    assert_eq!(
        difference.ways[0].examples[0].request,
        "GET http://shop.test/deep/down"
    );
}

/// However many rules there are, no more is made than may be asked.
#[test]
fn many_rules_are_asked_within_the_budget() {
    let rules = |to: &str| {
        let each = (0..3000).map(|n| format!("{{match: [{{uri: {{prefix: /{n}/}}}}], {to}}}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let (before, after) = (snapshot(&rules(TO_V1)), snapshot(&rules(TO_V2)));
    let mut comparison = Comparison::new(&before, &after);
    comparison.compare_rules(Budget {
        requests: 100,
        is_over: &|| false,
    });
    let difference = comparison.finish();
    assert_eq!((difference.requests, difference.incomplete), (100, true));
    let all = self::difference(&before, &after);
    // For each rule its prefix, what lies within twice, and one that is shorter; the root is nobody's.
    assert_eq!(all.changed, 3000 * 2 * 2, "on both ports");
    assert!(!all.incomplete);
}

#[test]
fn what_comes_in_is_compared_too() {
    let served = |pool: u32| {
        let yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\n\
             spec: {{inboundConnectionPool: {{http: {{http2MaxRequests: {pool}}}}}}}\n"
        );
        let source = Source {
            name: "f",
            bytes: yaml.as_bytes(),
        };
        let inbound = [Inbound {
            listen: ([0, 0, 0, 0], 15_006).into(),
            application: ([127, 0, 0, 1], 8080).into(),
        }];
        compile(
            &load(&[source], "default").resources,
            &Workload::default(),
            &MeshConfig::default(),
            &inbound,
            &Answers::new(),
            &mut Registry::default(),
            0,
        )
        .snapshot
    };
    let told = difference(&served(3), &served(4));
    assert_eq!((told.requests, told.changed), (1, 1), "{told:?}");
    let way = &told.ways[0];
    assert_eq!(way.before, "inbound|8080||");
    assert_eq!(way.changes[0].after, "made within 10s, at most 4 requests");
    let example = &way.examples[0].request;
    assert_eq!(example, "GET http://127.0.0.1:8080/ (inbound)");
    assert_eq!(difference(&served(3), &served(3)).changed, 0);
}
