//! Endpoints that are names: which names are asked for, and what is made of answers.

use super::*;

const ENTRIES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: every}
spec:
  hosts: [every.test]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: more, protocol: HTTP}]
  resolution: DNS
  endpoints:
  - {address: One.test, weight: 3, locality: r/z/s}
  - {address: 10.9.0.7}
  - {address: two.test, ports: {http: 8080}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: first}
spec:
  hosts: [first.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS_ROUND_ROBIN
  endpoints: [{address: two.test}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: self}
spec: {hosts: [Self.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: static}
spec:
  hosts: [static.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.9.0.9}]
";

fn compiled_with(answers: &Answers, registry: &mut Registry) -> Compiled {
    let source = Source {
        name: "config.yaml",
        bytes: ENTRIES.as_bytes(),
    };
    let (workload, mesh) = (Workload::default(), MeshConfig::default());
    let loaded = load(&[source], &workload.namespace);
    compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        answers,
        registry,
        0,
    )
}

fn endpoints(snapshot: &Snapshot, cluster: &str) -> Vec<String> {
    let endpoints = find(snapshot, cluster).endpoints.iter();
    endpoints
        .map(|e| format!("{}*{} {}", e.text, e.weight, e.locality))
        .map(|text| text.trim_end().to_owned())
        .collect()
}

#[test]
fn names_are_asked_for_once_whether_they_have_answers_or_not() {
    for answers in [
        answers(&[]),
        answers(&[("one.test", &[1]), ("other", &[2])]),
    ] {
        let compiled = compiled_with(&answers, &mut Registry::default());
        let asked: Vec<_> = compiled.names.iter().map(|(n, u)| (&**n, *u)).collect();
        let want = [
            ("one.test", Uses::Every),
            ("self.test", Uses::Every),
            ("two.test", Uses::First),
        ];
        assert_eq!(asked, want);
    }
}

#[test]
fn each_address_is_an_endpoint_in_an_order_of_its_own() {
    let at_once = answers(&[("one.test", &[2, 7, 1, 2]), ("two.test", &[5, 3])]);
    let turned = answers(&[("one.test", &[1, 2, 7]), ("two.test", &[5, 3])]);
    for answers in [at_once, turned] {
        let snapshot = compiled_with(&answers, &mut Registry::default()).snapshot;
        for (cluster, want) in [
            (
                "80||every.test",
                &[
                    "10.9.0.1:80*3 r/z/s",
                    "10.9.0.2:80*3 r/z/s",
                    "10.9.0.7:80*3 r/z/s",
                    "10.9.0.3:8080*1",
                    "10.9.0.5:8080*1",
                ][..],
            ),
            ("80||first.test", &["10.9.0.5:80*1"]),
            ("80||self.test", &[]),
        ] {
            assert_eq!(endpoints(&snapshot, cluster), want, "{cluster}");
        }
    }
}

/// An address that stays keeps its state; a logical host keeps it wherever it is.
#[test]
fn endpoints_that_stay_keep_their_state() {
    let registry = &mut Registry::default();
    let before = answers(&[("one.test", &[1, 2]), ("two.test", &[5, 3])]);
    let after = answers(&[("one.test", &[2, 4]), ("two.test", &[3])]);
    let before = compiled_with(&before, registry).snapshot;
    let after = compiled_with(&after, registry).snapshot;
    let ids = |snapshot: &Snapshot, cluster| {
        let endpoints = find(snapshot, cluster).endpoints.iter();
        let all = endpoints.map(|e| (e.text.to_string(), e.state.id()));
        all.collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (
        ids(&before, "80||every.test"),
        ids(&after, "80||every.test"),
    );
    assert_eq!(old["10.9.0.2:80"], new["10.9.0.2:80"]);
    assert!(!new.contains_key("10.9.0.1:80") && new.contains_key("10.9.0.4:80"));
    let (old, new) = (
        ids(&before, "80||first.test"),
        ids(&after, "80||first.test"),
    );
    assert_eq!(old["10.9.0.5:80"], new["10.9.0.3:80"]);
}
