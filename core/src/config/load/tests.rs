//! Whole files through the loader.

use proptest::prelude::*;

use super::*;
use crate::config::lint;

const ROUTE: &str = "spec: {hosts: [a], http: [{route: [{destination: {host: b}}]}]}\n";

fn load_files(files: &[(&str, &str)]) -> Loaded {
    let sources: Vec<_> = files
        .iter()
        .map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    load(&sources, "default")
}

/// Every finding as `file:line:column code`.
fn told(loaded: &Loaded) -> Vec<String> {
    let show = |f: &Finding| format!("{}:{}:{} {}", f.file, f.line, f.column, f.code);
    loaded.findings.iter().map(show).collect()
}

fn document(kind: &str, metadata: &str, rest: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {metadata}\n{rest}")
}

#[test]
fn the_envelope_is_checked() {
    let spec = |metadata: &str| document("VirtualService", metadata, ROUTE);
    let cases: &[(String, &[&str])] = &[
        (spec("{name: a}"), &[]),
        (
            spec("{name: a, namespace: b, labels: {c: d}, uid: x, creationTimestamp: null}"),
            &[],
        ),
        (spec("{name: a, labels: {c: 1}}"), &["a:3:33 wrong-type"]),
        (spec("{namespace: b}"), &["a:3:11 metadata"]),
        (spec("{generateName: a-}"), &[]),
        (spec("{name: a_b}"), &["a:3:18 resource-name"]),
        (spec("{name: a, namespace: a.b}"), &["a:3:32 metadata"]),
        (spec("{name: a, namspace: b}"), &["a:3:21 no-such-field"]),
        (
            spec("{name: a}") + "status: {x: 1}\nhosts: []\n",
            &["a:6:1 unknown-top-level-field"],
        ),
        (
            document("VirtualService", "{name: a}", ""),
            &["a:1:1 no-spec"],
        ),
        (
            document("VirtualServise", "{name: a}", ROUTE),
            &["a:2:7 unknown-kind"],
        ),
        (
            document("EnvoyFilter", "{name: a}", "spec: {}").replace("/v1\n", "/v1alpha3\n"),
            &["a:2:7 kind-not-read"],
        ),
        (
            "apiVersion: networking.istio.io/v3\nkind: VirtualService\nmetadata: {name: a}"
                .to_owned(),
            &["a:1:13 api-version"],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment".to_owned(),
            &["a:2:7 kind-ignored"],
        ),
        ("kind: VirtualService".to_owned(), &["a:1:1 not-a-resource"]),
        ("just text".to_owned(), &["a:1:1 not-a-resource"]),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&load_files(&[("a", text)])), *expected, "{text}");
    }
}

#[test]
fn resources_know_who_they_are() {
    let text = document("VirtualService", "{name: a}", ROUTE)
        + "---\n"
        + &document(
            "DestinationRule",
            "{name: d, namespace: ns}",
            "spec: {host: a}",
        );
    let loaded = load_files(&[("x.yaml", &text)]);
    let meta = &loaded.resources.virtual_services[0].meta;
    assert_eq!(
        (meta.name.as_str(), meta.namespace.as_str(), &*meta.file),
        ("a", "default", "x.yaml")
    );
    assert_eq!(
        meta.locate("spec.http[0].route[0].destination.host").line,
        4
    );
    assert!(!meta.rejected);
    let meta = &loaded.resources.destination_rules[0].meta;
    assert_eq!(
        (meta.name.as_str(), meta.namespace.as_str(), meta.mark.line),
        ("d", "ns", 6)
    );
}

#[test]
fn a_faulty_resource_is_kept_as_rejected_and_harms_no_other() {
    let good = document("VirtualService", "{name: good}", ROUTE);
    let bad = document("VirtualService", "{name: bad}", "spec: {hosts: ['!']}\n");
    let text = format!("{bad}---\na: [\n---\n{good}");
    let loaded = load_files(&[("a", &text)]);
    let services = &loaded.resources.virtual_services;
    let rejected: Vec<_> = services
        .iter()
        .map(|s| (s.meta.name.as_str(), s.meta.rejected))
        .collect();
    assert_eq!(rejected, [("bad", true), ("good", false)]);
    assert_eq!(
        told(&loaded),
        [
            "a:4:7 no-routes",
            "a:4:16 invalid-host",
            "a:7:1 yaml-syntax"
        ]
    );
}

#[test]
fn lists_are_opened() {
    let item = "- apiVersion: networking.istio.io/v1\n  kind: DestinationRule\n  metadata: {name: NAME}\n  spec: {host: a}\n";
    let text = format!(
        "apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n{}{}",
        item.replace("NAME", "one"),
        item.replace("NAME", "two").replace("host", "hots"),
    );
    let loaded = load_files(&[("a", &text)]);
    assert_eq!(loaded.resources.destination_rules.len(), 2);
    assert_eq!(
        told(&loaded),
        ["a:12:9 required-field", "a:12:10 no-such-field"]
    );
}

#[test]
fn names_are_unique_and_findings_in_order() {
    let text = document("VirtualService", "{name: a}", ROUTE);
    let other = document("VirtualService", "{name: a, namespace: other}", ROUTE);
    let more = document("VirtualService", "{name: a, labels: {b: c}}", ROUTE);
    let loaded = load_files(&[("b", &text), ("a", &other), ("c", &more)]);
    assert_eq!(told(&loaded), ["c:1:1 duplicate-resource"]);
    assert!(
        loaded.findings[0].help.contains("b:1"),
        "{}",
        loaded.findings[0].help
    );
    assert!(loaded.resources.virtual_services[2].meta.rejected);
}

#[test]
fn a_resource_that_stands_twice_counts_once() {
    let text = document("VirtualService", "{name: a, uid: x}", ROUTE);
    let flow = text.replace("{name: a, uid: x}", "\n  # a comment\n  name: a\n  uid: x");
    let policy = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}}\n";
    let loaded = load_files(&[("a", &text), ("b", &flow), ("c", policy), ("d", policy)]);
    let expected = ["b:1:1 repeated-resource", "d:1:1 repeated-resource"];
    assert_eq!(told(&loaded), expected);
    assert_eq!(loaded.resources.virtual_services.len(), 1);
    // Quotes make another value.
    let quoted = text.replace("uid: x", "uid: 'x'");
    let loaded = load_files(&[("a", &text), ("b", &quoted)]);
    assert_eq!(told(&loaded), ["b:1:1 duplicate-resource"]);
}

#[test]
fn findings_of_one_file_are_bounded() {
    let fields: String = (0..5000).map(|n| format!("  k{n}: {n}\n")).collect();
    let loaded = load_files(&[(
        "a",
        &document(
            "DestinationRule",
            "{name: a}",
            &format!("spec:\n  host: a\n{fields}"),
        ),
    )]);
    assert_eq!(loaded.findings.len(), 1001);
    assert!(
        loaded
            .findings
            .iter()
            .any(|finding| finding.code == Code::TooManyFindings)
    );
}

/// A document with most of what is read, to be damaged.
const RICH: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: b}
spec:
  hosts: [a, '*.b.com']
  http:
  - name: first
    match:
    - {uri: {prefix: /a}, headers: {x: {regex: 'a+'}}, port: 80}
    route:
    - {destination: {host: b, subset: v1, port: {number: 80}}, weight: 10}
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: 5xx}
    fault: {abort: {httpStatus: 503, percentage: {value: 0.5}}}
    corsPolicy: {allowOrigins: [{exact: '*'}], maxAge: 24h}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy: {loadBalancer: {simple: RANDOM}, outlierDetection: {interval: 1s}}
  subsets: [{name: v1, labels: {version: v1}}]
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_documents_do_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[-{}\\[\\]:,'\"&*!|> \n\ta0.~]{0,3}"), 1..6),
    ) {
        let mut text = RICH.to_owned();
        for (at, cut, new) in edits {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.replace_range(at..end, &new);
        }
        let first = load_files(&[("a", &text)]);
        prop_assert!(first.findings.iter().all(|finding| !finding.message.is_empty()));
        // The same bytes are judged the same way.
        prop_assert_eq!(told(&first), told(&load_files(&[("a", &text)])));
    }
}

#[test]
fn near_misses_are_told_what_was_meant() {
    let cases = [
        (
            "VirtualService",
            "{hosts: [a], http: [{retries: {attempts: 2, retryOn: 'gateway-eror,5xx'}, route: [{destination: {host: a}}]}]}",
            "did you mean `gateway-error`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {simple: ROUND_ROBBIN}}}",
            "did you mean `ROUND_ROBIN`? use one of",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{route: [{destination: {host: a, port: 9080}}]}]}",
            "write `port: {number: 9080}`",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{match: [{uri: /api}], route: [{destination: {host: a}}]}]}",
            "write `{exact: /api}`, or `prefix`",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{fault: {delay: {percentage: 10, fixedDelay: 1s}}, route: [{destination: {host: a}}]}]}",
            "write `{value: 10}`",
        ),
        (
            "VirtualService",
            "{hosts: a, http: [{route: [{destination: {host: a}}]}]}",
            "write it as a list: `[a]`",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{match: {uri: {exact: /}}, route: [{destination: {host: a}}]}]}",
            "begin each of its entries with `- `",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{match: [{uri: {prefix: api}}], route: [{destination: {host: a}}]}]}",
            "paths begin with `/`: write `/api`",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{matches: [], route: [{destination: {host: a}}]}]}",
            "did you mean `match`?",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{requestTimeout: 1s, route: [{destination: {host: a}}]}]}",
            "did you mean `timeout`?",
        ),
        (
            "VirtualService",
            "{hosts: [a], http: [{match: [{path: {exact: /}}], route: [{destination: {host: a}}]}]}",
            "did you mean `uri`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicies: {}}",
            "did you mean `trafficPolicy`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancing: {}, tls: {mode: DISABLE}}}",
            "did you mean `loadBalancer`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {loadBalancer: {simple: LEAST_CONNECTIONS}}}",
            "did you mean `LEAST_CONN`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {outlierDetection: {maxEjectionPercentage: 10}}}",
            "did you mean `maxEjectionPercent`?",
        ),
        (
            "DestinationRule",
            "{host: a, trafficPolicy: {outlierDetection: {maxEjectionPercent: 10%}}}",
            "write decimal digits",
        ),
    ];
    for (kind, spec, help) in cases {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
        );
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let findings = load(&[source], "default").findings;
        let told: Vec<_> = findings
            .iter()
            .filter(|finding| finding.code.as_str() != "not-in-effect" && !finding.is_consequence)
            .collect();
        assert_eq!(told.len(), 1, "{spec}: {findings:?}");
        assert!(told[0].help.starts_with(help), "{spec}: {findings:?}");
    }
}

#[test]
fn values_that_were_to_be_filled_in_are_known() {
    for (host, is_placeholder) in [
        ("a.$(NAMESPACE).svc.cluster.local", true),
        ("a.${NAMESPACE}.svc", true),
        ("<namespace>", true),
        ("a.{{.Namespace}}.svc", true),
        ("a.NAMESPACE_PLACEHOLDER.svc", true),
        ("a b", false),
        ("a_b.c", false),
    ] {
        let spec = ROUTE.replace("hosts: [a]", &format!("hosts: ['{host}']"));
        let loaded = load_files(&[("a", &document("VirtualService", "{name: a}", &spec))]);
        let [finding] = loaded.findings.as_slice() else {
            panic!("{host}: {:?}", loaded.findings);
        };
        assert_eq!(finding.code.as_str(), "invalid-host", "{host}");
        assert_eq!(
            finding.help.contains("not filled in"),
            is_placeholder,
            "{host}"
        );
    }
}

#[test]
fn what_a_misspelt_field_leaves_missing_is_its_consequence() {
    for (kind, body, findings) in [
        (
            "VirtualService",
            "specs: {hosts: [a]}",
            &["no-spec", "unknown-top-level-field"][..],
        ),
        (
            "VirtualService",
            "spec: {hosts: [a], https: [{route: [{destination: {host: a}}]}]}",
            &["no-routes", "no-such-field"],
        ),
        (
            "VirtualService",
            "spec: {hosts: [a], http: [{retries: {attempt: 3, retryOn: 5xx}, route: [{destination: {host: a}}]}]}",
            &["invalid-retry", "no-such-field"],
        ),
        (
            "VirtualService",
            "spec: {hosts: [a], http: [{matches: [], route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]}",
            &["no-such-field", "unreachable-rule"],
        ),
        (
            "VirtualService",
            "spec: {hosts: [a], http: [{route: [{destinations: {host: a}}]}]}",
            &["no-such-field", "required-field"],
        ),
        (
            "DestinationRule",
            "spec: {hosts: a}",
            &["no-such-field", "required-field"],
        ),
        (
            "DestinationRule",
            "spec: {host: a, trafficPolicy: {connectionPool: {maxConnections: 1}}}",
            &["invalid-connection-pool", "no-such-field"],
        ),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: a}}\n{body}\n"
        );
        let loaded = load_files(&[("a", &text)]);
        let mut codes: Vec<_> = loaded.findings.iter().map(|f| f.code.as_str()).collect();
        codes.sort_unstable();
        assert_eq!(codes, findings, "{body}");
        let first: Vec<_> = loaded
            .findings
            .iter()
            .filter(|f| !f.is_consequence)
            .collect();
        let [first] = first.as_slice() else {
            panic!("{body}: {first:?}");
        };
        assert!(first.code.as_str().contains("field"), "{body}: {first}");
    }
}

/// A misspelt field of one rule excuses nothing that another rule gets wrong by itself.
#[test]
fn what_is_wrong_beside_a_misspelt_field_is_told_as_well() {
    let spec = "{hosts: [a], http: [{matches: [], route: [{destination: {host: a}}]}, {timeout: -1s, route: [{destination: {host: b}}]}]}";
    let text = document("VirtualService", "{name: a}", &format!("spec: {spec}\n"));
    let loaded = load_files(&[("a", &text)]);
    let told = loaded.findings.iter().filter(|f| !f.is_consequence);
    let mut paths: Vec<_> = told.map(|f| &*f.path).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["spec.http[0].matches", "spec.http[1].timeout"],
        "{:?}",
        loaded.findings
    );
}

#[test]
fn a_subset_of_a_rejected_rule_is_not_missed() {
    let rule = |subsets: &str| {
        document(
            "DestinationRule",
            "{name: b}",
            &format!("spec: {{host: b, subsets: [{subsets}]}}\n"),
        )
    };
    let route = ROUTE.replace("host: b", "host: b, subset: v2");
    let route = document("VirtualService", "{name: a}", &route);
    for (subsets, missed) in [
        ("{name: v1}, {name: v1}", false),
        ("{name: v1}", true),
        ("{name: v1}, {name: v2}", false),
    ] {
        let loaded = load_files(&[("a", &rule(subsets)), ("b", &route)]);
        let findings = lint(&loaded.resources, &MeshConfig::default());
        let found = findings.iter().any(|f| f.code.as_str() == "unknown-subset");
        assert_eq!(found, missed, "{subsets}: {findings:?}");
    }
}
