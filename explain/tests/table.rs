//! What an explanation says of rules, destinations and inheritance, by the words that people read.

use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_explain::{Circumstances, Explanation, Question, explain, text};

const SERVICES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]
";

fn snapshot(yaml: &str) -> Arc<Snapshot> {
    served(yaml, &[])
}

/// For a workload that serves `app: shop`, with these inbound listeners.
fn served(yaml: &str, inbound: &[Inbound]) -> Arc<Snapshot> {
    let files = [("services.yaml", SERVICES), ("rules.yaml", yaml)];
    let sources = files.map(|(name, text)| Source {
        name,
        bytes: text.as_bytes(),
    });
    let loaded = load(&sources, "default");
    let errors: Vec<_> = loaded.findings.iter().filter(|f| f.blocks()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mesh = MeshConfig::default();
    let registry = &mut Registry::default();
    let compiled = compile(
        &loaded.resources,
        &Workload {
            labels: [("app".to_owned(), "shop".to_owned())].into(),
            ..Workload::default()
        },
        &mesh,
        inbound,
        &Answers::new(),
        registry,
        0,
    );
    Arc::new(compiled.snapshot)
}

fn told(yaml: &str, line: &str, fields: &[&str], random: u64) -> Explanation {
    let question = Question::new(line, fields.iter().copied()).expect("it is well formed");
    let circumstances = Circumstances {
        random: Entropy(random),
        ..Circumstances::default()
    };
    explain(&snapshot(yaml), &question, &circumstances)
}

/// The text without styles.
fn plain(told: &Explanation) -> String {
    let text = text::text(told);
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, styled)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = styled.split_once('m').expect("a style ends").1;
    }
    plain + rest
}

fn check(yaml: &str, line: &str, fields: &[&str], wanted: &[&str]) {
    let text = plain(&told(yaml, line, fields, 0));
    for want in wanted {
        assert!(text.contains(want), "`{want}` is not in\n{text}");
    }
}

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.test]
  http:
  - name: exact
    match: [{uri: {exact: /cart}}]
    route: [{destination: {host: shop.test}}]
  - name: posted
    match: [{uri: {prefix: /cart}, method: {exact: POST}}]
    route: [{destination: {host: shop.test}}]
  - name: mine
    match: [{headers: {who: {exact: me}}}]
    directResponse: {status: 418}
  - name: not-mine
    match: [{withoutHeaders: {who: {}}, queryParams: {debug: {exact: 'on'}}}]
    redirect: {uri: /away}
  - name: rest
    match: [{uri: {prefix: /r}}]
    timeout: 3s
    retries: {attempts: 1, perTryTimeout: 1s, retryOn: 5xx}
    route: [{destination: {host: shop.test}}]
";

#[test]
fn each_rule_says_what_it_misses() {
    check(
        RULES,
        "http://shop.test/cart/7",
        &["who: you"],
        &[
            "problem: none of the 5 rules of shop.test:80 holds for it: 404, flag NR",
            "no    1 exact  (rules.yaml:9, VirtualService default/shop spec.http[0].match[0])",
            "needs path exactly `/cart`: it is `/cart/7`",
            "needs method exactly `POST`: it is `GET`",
            "needs header `who` exactly `me`: it is `you`",
            "needs header `who` not present: it is `you`",
            "needs path prefix `/r`: it is `/cart/7`",
            "answer          the client sees 404 at once, route_not_found, flags NR",
        ],
    );
    check(
        RULES,
        "http://shop.test/x?debug=off",
        &[],
        &[
            "needs header `who` exactly `me`: it is absent",
            "needs query parameter `debug` exactly `on`: the query is `debug=off`",
        ],
    );
}

#[test]
fn answers_of_rules_are_told() {
    for (line, fields, action, want) in [
        (
            "http://shop.test/",
            &["who: me"][..],
            "direct_response",
            "the client sees 418 at once, direct_response",
        ),
        (
            "http://shop.test/?debug=on",
            &[],
            "redirect",
            "the client sees 301 at once, to http://shop.test/away?debug=on, direct_response",
        ),
        (
            "http://shop.test/cart",
            &[],
            "forward",
            "4 more stand behind the one that holds",
        ),
        ("GET http://other.test/", &[], "unknown_host", "ALLOW_ANY"),
        ("OPTIONS *", &["host: shop.test"], "refused", "404"),
    ] {
        let told = told(RULES, line, fields, 0);
        assert_eq!(told.action, action, "{line}");
        let text = plain(&told);
        assert!(text.contains(want), "`{want}` is not in\n{text}");
    }
}

#[test]
fn what_would_come_of_answers_is_played() {
    let told = told(RULES, "http://shop.test/r", &[], 0);
    let seen = told.outcomes.iter();
    let seen: Vec<_> = seen
        .map(|of| (of.when, of.status, of.attempts.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("200", Some(200), 1),
            ("503", Some(503), 2),
            ("no answer", Some(504), 2),
            ("connection refused", Some(503), 2),
        ]
    );
    let after = told.outcomes[2].after_ms.unwrap();
    assert!((2000.0..2030.0).contains(&after), "{after}");
    let places: Vec<_> = (told.policies.iter())
        .filter_map(|told| Some((told.what, told.origin.as_ref()?.line)))
        .collect();
    assert_eq!(
        places,
        [("timeout", 22), ("time per try", 23), ("retries", 23)]
    );
}

#[test]
fn a_request_without_any_timeout_waits_for_ever() {
    let told = told("", "http://shop.test/", &[], 0);
    let silent = &told.outcomes[2];
    assert_eq!((silent.status, silent.after_ms), (None, None));
    assert!(plain(&told).contains("on no answer    the client waits for ever"));
}

#[test]
fn what_is_not_there_comes_first() {
    let route = |destination: &str| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop, namespace: default}}
spec: {{host: shop.test, subsets: [{{name: stable, labels: {{version: v1}}}}, {{name: none, labels: {{version: v9}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: default}}
spec: {{hosts: [shop.test], http: [{{route: {destination}}}]}}
"
        )
    };
    for (destination, want) in [
        (
            "[{destination: {host: shop.test, subset: stabel}}]",
            "shop.test has no subset `stabel`; did you mean `stable`?",
        ),
        (
            "[{destination: {host: shop.test, subset: canary}}]",
            "shop.test has no subset `canary`; there are none, stable",
        ),
        (
            "[{destination: {host: shop.test, port: {number: 81}}}]",
            "shop.test has no port 81; it has 80",
        ),
        (
            "[{destination: {host: shopp.test}}]",
            "there is no service shopp.test; did you mean `shop.test`?",
        ),
        (
            "[{destination: {host: shop.test, subset: none}}]",
            "outbound|80|none|shop.test has no endpoints",
        ),
        (
            "[{destination: {host: shop.test, subset: stable}, weight: 99}, {destination: {host: shop.test, subset: x}, weight: 1}]",
            "shop.test has no subset `x`; there are none, stable; 1 of 100 requests go there, this one does not",
        ),
    ] {
        let told = told(&route(destination), "http://shop.test/", &[], 0);
        assert_eq!(told.problems.first().map(String::as_str), Some(want));
    }
    let told = told("", "http://shpo.test/", &[], 0);
    let want = "no service has the host `shpo.test`; did you mean `shop.test`?";
    assert_eq!(told.problems, [want]);
}

#[test]
fn what_the_proxy_refuses_is_a_problem() {
    for (line, why) in [
        ("http://shop.test:99999/", "malformed host"),
        ("http://shop_test|x/", "malformed host"),
        ("http://shop.test/a%00b", ""),
    ] {
        let told = told("", line, &[], 0);
        let problem = told.problems.first().unwrap_or_else(|| panic!("{line}"));
        assert!(problem.starts_with("the proxy refuses it: "), "{problem}");
        assert!(problem.contains(why), "{problem}");
        assert_eq!(told.outcomes[0].status, Some(400), "{line}");
    }
}

/// Levels of one policy: the rule, a port of it, the subset, a port of that. Each says what is expected of the pool of the
/// subset: the place that holds, and what it took the place of.
#[test]
fn inheritance_says_what_it_took_the_place_of() {
    let policy = |level: &str| match level {
        "rule" => "connectionPool: {tcp: {maxConnections: 1}}",
        _ => "outlierDetection: {}",
    };
    let pool = "{connectionPool: {tcp: {maxConnections: 7}}}";
    let port =
        "portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 3}}}]";
    let bare_port = "portLevelSettings: [{port: {number: 80}, outlierDetection: {}}]";
    let (rule, nothing) = (policy("rule"), policy(""));
    for (top, subset, holds, overrides) in [
        (
            rule,
            "{outlierDetection: {}}",
            Some("spec.trafficPolicy.connectionPool"),
            &[][..],
        ),
        (
            rule,
            pool,
            Some("spec.subsets[0].trafficPolicy.connectionPool"),
            &["spec.trafficPolicy.connectionPool"],
        ),
        (
            &format!("{rule}, {port}"),
            "{outlierDetection: {}}",
            Some("spec.trafficPolicy.portLevelSettings[0].connectionPool"),
            &["spec.trafficPolicy.connectionPool"],
        ),
        (
            &format!("{rule}, {port}"),
            &format!("{{{port}}}"),
            Some("spec.subsets[0].trafficPolicy.portLevelSettings[0].connectionPool"),
            &[
                "spec.trafficPolicy.portLevelSettings[0].connectionPool",
                "spec.trafficPolicy.connectionPool",
            ],
        ),
        // The settings of a port take the place of all others, also of those that they do not have.
        (
            &format!("{rule}, {bare_port}"),
            "{outlierDetection: {}}",
            Some("spec.trafficPolicy.portLevelSettings[0]"),
            &["spec.trafficPolicy.connectionPool"],
        ),
        (nothing, "{outlierDetection: {}}", None, &[]),
    ] {
        let yaml = format!(
            "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop, namespace: default}}
spec:
  host: shop.test
  trafficPolicy: {{{top}}}
  subsets: [{{name: v1, labels: {{version: v1}}, trafficPolicy: {subset}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: default}}
spec: {{hosts: [shop.test], http: [{{route: [{{destination: {{host: shop.test, subset: v1}}}}]}}]}}
"
        );
        let told = told(&yaml, "http://shop.test/", &[], 0);
        let cluster = told.cluster.unwrap();
        let pool = cluster
            .settings
            .iter()
            .find(|told| told.what == "connections");
        let pool = pool.unwrap();
        let path = |place: &_| -> String {
            let place: &outrigger_explain::Place = place;
            place.path.clone()
        };
        assert_eq!(
            pool.origin.as_ref().map(path).as_deref(),
            holds,
            "{top} {subset}"
        );
        let seen: Vec<String> = pool.overrides.iter().map(path).collect();
        assert_eq!(seen, overrides, "{top} {subset}");
    }
}

#[test]
fn rules_of_namespaces_that_come_later_are_passed_over() {
    let rule = |namespace: &str| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop, namespace: {namespace}}}
spec: {{host: shop.test, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}}}
---"
        )
    };
    let yaml = ["istio-system", "default"].map(rule).concat();
    let told = told(&yaml, "http://shop.test/", &[], 0);
    let cluster = told.cluster.unwrap();
    let passed_over: Vec<_> = cluster
        .passed_over
        .iter()
        .map(|place| &*place.resource)
        .collect();
    assert_eq!(passed_over, ["DestinationRule istio-system/shop"]);
    let balancer = &cluster.settings[0];
    let origin = balancer.origin.as_ref().unwrap();
    assert_eq!(origin.resource, "DestinationRule default/shop");
    assert!(balancer.value.starts_with("RANDOM"));
}

#[test]
fn endpoints_of_http2_are_played_too() {
    let yaml = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec: {host: shop.test, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec: {hosts: [shop.test], http: [{timeout: 2s, retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: shop.test}}]}]}
";
    let told = told(yaml, "http://shop.test/", &[], 0);
    let seen = told
        .outcomes
        .iter()
        .map(|of| (of.status, of.attempts.len()));
    let seen: Vec<_> = seen.collect();
    assert_eq!(
        seen,
        [
            (Some(200), 1),
            (Some(503), 3),
            (Some(504), 1),
            (Some(503), 3)
        ]
    );
    let cluster = told.cluster.unwrap();
    let protocol = cluster.settings.iter().find(|told| told.what == "protocol");
    assert_eq!(protocol.unwrap().value, "HTTP/2");
}

#[test]
fn tunnels_are_open_or_refused() {
    let told = told("", "CONNECT shop.test:80", &[], 0);
    let seen = told.outcomes.iter();
    let seen: Vec<_> = seen.map(|of| (of.when, of.status, &*of.details)).collect();
    assert_eq!(seen[0], ("200", Some(200), "tunnel"));
    assert_eq!((seen[1].0, seen[1].1), ("connection refused", Some(503)));
    assert_eq!(seen.len(), 2);
    assert!(
        plain(&told).contains("when connected  a tunnel is open\n"),
        "{}",
        plain(&told)
    );
}

#[test]
fn documents_have_the_keys_that_machines_read() {
    let told = told(RULES, "http://shop.test/r", &[], 0);
    let document = serde_json::to_value(&told).unwrap();
    for pointer in [
        "/request/line",
        "/request/random",
        "/problems",
        "/host/virtual_host",
        "/rules/0/origin/file",
        "/rules/0/unmet",
        "/rules/4/matches",
        "/rules_not_tried",
        "/action",
        "/destinations/0/cluster",
        "/destinations/0/chosen",
        "/draw",
        "/policies/0/what",
        "/policies/0/origin/line",
        "/cluster/settings/0/overrides",
        "/cluster/endpoints/0/address",
        "/outcomes/1/attempts/1/followed",
        "/outcomes/0/story",
    ] {
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// What is tried on a proxy that runs counts for nobody there, and sees what is out.
#[test]
fn live_state_is_looked_at_and_left_as_it_is() {
    use outrigger_core::cluster::ejection::{Outcome, report};
    use outrigger_core::time::Instant;
    let yaml = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec: {host: shop.test, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}}
";
    let snapshot = snapshot(yaml);
    let cluster = snapshot.clusters.iter().next().expect("there is one");
    let now = Instant::from_millis(60_000);
    let eject = |at: usize| {
        let detection = cluster.outlier_detection.as_ref().expect("it ejects");
        let host = &cluster.endpoints[at].state;
        report(detection, host, Outcome::Response(500), now).expect("it is ejected");
    };
    let question = Question::new("http://shop.test/", []).expect("it is well formed");
    let explained = |random| {
        let circumstances = Circumstances {
            random: Entropy(random),
            now,
            ..Circumstances::default()
        };
        explain(&snapshot, &question, &circumstances)
    };
    eject(0);
    for random in 0..8 {
        let told = explained(random);
        let endpoints = &told.cluster.as_ref().expect("it goes there").endpoints;
        let ejected: Vec<bool> = endpoints.iter().map(|e| e.ejected.is_some()).collect();
        assert_eq!(ejected, [true, false]);
        assert_eq!(told.outcomes[0].attempts[0].endpoint, "10.0.0.2:80");
    }
    // A 503 ejects the other one, in the copy that it is tried on.
    assert!(!cluster.endpoints[1].state.is_ejected());
    assert_eq!(cluster.endpoints[1].state.requests(), 0);
    eject(1);
    let told = explained(0);
    assert_eq!(
        told.problems,
        ["all 2 endpoints of outbound|80||shop.test are ejected"]
    );
    let status = told.outcomes[0].status;
    assert_eq!(
        (told.outcomes[0].when, status),
        ("-", Some(503)),
        "{}",
        plain(&told)
    );
}

/// What the mesh asks of the application: one rule, the pool of whoever sets it, and what that took the place of.
#[test]
fn what_comes_in_says_what_holds_there() {
    let yaml = "
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {selector: {app: shop}, ports: [{name: http2, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: app, namespace: default}
spec: {host: app, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 3}}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: app, namespace: default}
spec:
  workloadSelector: {labels: {app: shop}}
  inboundConnectionPool: {http: {http2MaxRequests: 5}}
  ingress:
  - port: {number: 8080, name: http2, protocol: HTTP2}
    defaultEndpoint: 127.0.0.1:8080
    connectionPool: {http: {http2MaxRequests: 7}}
";
    let listen = ([0, 0, 0, 0], 15_006).into();
    let inbound = [Inbound {
        listen,
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let question = Question::new("http://app/a", []).expect("it is well formed");
    let circumstances = Circumstances::default().on(ListenerKind::Inbound(0), listen);
    let snapshot = served(yaml, &inbound);
    let told = explain(&snapshot, &question, &circumstances);
    assert_eq!(told.request.inbound.as_deref(), Some("127.0.0.1:8080"));
    let text = plain(&told);
    for want in [
        "inbound, for the application at 127.0.0.1:8080\n",
        "app is inbound|http|8080\n",
        "holds 1 default  (the one that every inbound listener has)",
        "(rules.yaml:5, Service default/app spec.ports[0])",
        "at most 7 requests  (rules.yaml:21, Sidecar default/app spec.ingress[0].connectionPool)\n",
        "  instead of (rules.yaml:17, Sidecar default/app spec.inboundConnectionPool)\n",
        "  instead of (rules.yaml:10, DestinationRule default/app spec.trafficPolicy.connectionPool)\n",
        "protocol        HTTP/2",
        "1. 127.0.0.1:8080, the only endpoint: ended with 200",
    ] {
        assert!(text.contains(want), "`{want}` is not in\n{text}");
    }
}
