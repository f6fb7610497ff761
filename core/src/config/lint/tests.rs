//! Small folders of resources and what is said about them.

use crate::config::{Code, Finding, MeshConfig, Source, lint, load};

/// Every finding of the lint as `code path`, in order.
fn findings(yaml: &str) -> Vec<String> {
    let shown = |finding: &Finding| format!("{} {}", finding.code, finding.path);
    judged(yaml).iter().map(shown).collect()
}

fn judged(yaml: &str) -> Vec<Finding> {
    let source = Source {
        name: "test.yaml",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[source], "default");
    let errors: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    let errors: Vec<&String> = errors.iter().filter(|e| e.contains(": error:")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let findings = lint(&loaded.resources, &MeshConfig::default());
    for finding in &findings {
        assert!(finding.line > 0, "{finding}");
    }
    findings
}

/// A Kubernetes Service `name` in `namespace` with one port.
pub(super) fn service(name: &str, namespace: &str, port: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{port}]}}
"
    )
}

const HTTP: &str = "{name: http, port: 80}";

pub(super) fn istio(kind: &str, meta: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{{meta}}}
spec: {spec}
"
    )
}

fn route(name: &str, to: &str) -> String {
    let spec = format!("{{hosts: [a], http: [{{route: [{{destination: {to}}}]}}]}}");
    istio("VirtualService", &format!("name: {name}"), &spec)
}

fn subsets(meta: &str, host: &str, names: &[&str]) -> String {
    let subsets: Vec<String> = names
        .iter()
        .map(|name| format!("{{name: {name}, labels: {{version: {name}}}}}"))
        .collect();
    let spec = format!("{{host: {host}, subsets: [{}]}}", subsets.join(", "));
    istio("DestinationRule", meta, &spec)
}

fn pod(name: &str, labels: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: default, labels: {{{labels}}}}}\n"
    )
}

#[track_caller]
pub(super) fn check(parts: &[&str], expected: &[&str]) {
    assert_eq!(findings(&parts.concat()), expected, "{}", parts.concat());
}

/// As `check`, with the resource that each finding is about: `code namespace/name path`.
#[track_caller]
pub(super) fn check_named(parts: &[String], expected: &[&str]) {
    let text = parts.concat();
    let named = |finding: &Finding| {
        let resource = finding.resource.as_ref()?;
        let (namespace, name) = (&resource.namespace, &resource.name);
        Some(format!(
            "{} {namespace}/{name} {}",
            finding.code, finding.path
        ))
    };
    let said: Vec<String> = judged(&text).iter().filter_map(named).collect();
    assert_eq!(said, expected, "{text}");
}

const DESTINATION: &str = "spec.http[0].route[0].destination";

#[test]
fn destinations_lead_somewhere() {
    let a = service("a", "default", HTTP);
    let b = service("b", "prod", HTTP);
    let at = |code: &str, field: &str| format!("{code} {DESTINATION}.{field}");
    let cases: [(&str, Vec<String>); 8] = [
        ("{host: a}", vec![]),
        (
            "{host: a.default.svc.cluster.local, port: {number: 80}}",
            vec![],
        ),
        ("{host: b.prod.svc.cluster.local}", vec![]),
        ("{host: typo}", vec![at("unknown-host", "host")]),
        ("{host: example.com}", vec![]),
        ("{host: b.prod}", vec![at("dotted-short-name", "host")]),
        (
            "{host: a, port: {number: 81}}",
            vec![at("unknown-port", "port.number")],
        ),
        (
            "{host: a, subset: v1}",
            vec![at("subset-without-rule", "subset")],
        ),
    ];
    for (to, expected) in cases {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&[&a, &b, &route("r", to)], &expected);
    }
    check(
        &[&b, &route("r", "{host: b.prod.svc.cluster.local}")],
        &["host-without-service spec.hosts[0]"],
    );
    let other = istio(
        "ServiceEntry",
        "name: e",
        "{hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
    );
    let unknown = at("unknown-host", "host");
    check(
        &[&a, &other, &route("r", "{host: example.com}")],
        &[&unknown],
    );
    // Without any service nothing is unknown.
    check(&[&route("r", "{host: typo}")], &[]);
}

#[test]
fn a_wildcard_is_no_service_of_the_hosts_under_it() {
    let entry = |host: &str| {
        let spec = format!(
            "{{hosts: ['{host}'], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: NONE}}"
        );
        istio("ServiceEntry", "name: e", &spec)
    };
    let rule = |host: &str, to: &str| {
        let spec = format!(
            "{{hosts: ['{host}'], http: [{{route: [{{destination: {{host: '{to}'}}}}]}}]}}"
        );
        istio("VirtualService", "name: r", &spec)
    };
    let wild = entry("*.wild.com");
    let (host, destination) = (
        "host-without-service spec.hosts[0]",
        format!("unknown-host {DESTINATION}.host"),
    );
    let cases: [(&str, &str, &[&str]); 4] = [
        ("*.wild.com", "*.wild.com", &[]),
        ("a.wild.com", "*.wild.com", &[host]),
        ("*.wild.com", "a.wild.com", &[&destination]),
        ("*.a.wild.com", "*.wild.com", &[host]),
    ];
    for (of, to, expected) in cases {
        check(&[&wild, &rule(of, to)], expected);
    }
    let policy = istio("DestinationRule", "name: d", "{host: a.wild.com}");
    check(&[&wild, &policy], &["unknown-host spec.host"]);
    // Services of the cluster may be elsewhere.
    let cluster = entry("*.cluster.local");
    check(&[&cluster, &route("r", "{host: a}")], &[]);
}

#[test]
fn subsets_are_defined() {
    let rule = subsets("name: a", "a", &["v1", "v2"]);
    check(&[&rule, &route("r", "{host: a, subset: v2}")], &[]);
    let unknown = format!("unknown-subset {DESTINATION}.subset");
    check(&[&rule, &route("r", "{host: a, subset: v3}")], &[&unknown]);
    // A rule for many hosts is rarely the one that defines the subsets of one.
    let maybe = format!("subset-without-rule {DESTINATION}.subset");
    let many = subsets("name: m", "'*.local'", &[]);
    check(&[&many, &route("r", "{host: a, subset: v1}")], &[&maybe]);
    let wildcard = subsets("name: w", "'*.default.svc.cluster.local'", &["v1"]);
    check(&[&wildcard, &route("r", "{host: a, subset: v1}")], &[]);
}

#[test]
fn a_service_that_is_not_exported_is_hidden() {
    let hidden = istio(
        "ServiceEntry",
        "name: ext, namespace: other",
        "{hosts: [ext.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, exportTo: ['.']}",
    );
    let expected = format!("hidden-host {DESTINATION}.host");
    let a = service("a", "default", HTTP);
    check(&[&a, &hidden, &route("r", "{host: ext.com}")], &[&expected]);
}

#[test]
fn virtual_services_do_not_compete() {
    let (a, b) = (route("a", "{host: a}"), route("b", "{host: a}"));
    check(&[&a, &b], &["conflicting-hosts spec.hosts[0]"]);
    // A gateway's VirtualService does not compete with one of the mesh.
    let spec = "{hosts: [a], gateways: [gw], http: [{route: [{destination: {host: a}}]}]}";
    let gateway = istio("VirtualService", "name: g", spec);
    check(&[&a, &gateway], &["not-for-sidecars spec.gateways"]);
    // Private to another namespace.
    let spec = "{hosts: [a.default.svc.cluster.local], exportTo: ['.'], http: [{route: [{destination: {host: a}}]}]}";
    let private = istio("VirtualService", "name: p, namespace: other", spec);
    check(&[&a, &private], &[]);
}

#[test]
fn gateways_and_delegates_exist() {
    let gateway = istio(
        "Gateway",
        "name: gw",
        "{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
    );
    let with = |names: &str| {
        let spec = format!(
            "{{hosts: [a], gateways: [mesh, {names}], http: [{{route: [{{destination: {{host: a}}}}]}}]}}"
        );
        istio("VirtualService", "name: r", &spec)
    };
    check(&[&gateway, &with("gw, default/gw")], &[]);
    check(&[&gateway, &with("elsewhere/gw")], &[]);
    check(
        &[&gateway, &with("typo")],
        &["unknown-gateway spec.gateways[1]"],
    );
    let root = istio(
        "VirtualService",
        "name: root",
        "{hosts: [a], http: [{delegate: {name: leaf}}]}",
    );
    let leaf = istio(
        "VirtualService",
        "name: leaf",
        "{http: [{route: [{destination: {host: a}}]}]}",
    );
    let lone = istio(
        "VirtualService",
        "name: lone",
        "{http: [{route: [{destination: {host: a}}]}]}",
    );
    check(&[&root, &leaf], &[]);
    check(&[&root], &["unknown-delegate spec.http[0].delegate"]);
    check(&[&root, &leaf, &lone], &["unused-delegate spec"]);
}

#[test]
fn rules_fit_the_ports_and_each_other() {
    let tls = service("a", "default", "{name: https, port: 443}");
    check(
        &[&tls, &route("r", "{host: a}")],
        &["protocol-mismatch spec.http"],
    );
    let spec = "{hosts: [a], http: [{match: [{port: 81}], route: [{destination: {host: a}}]}, {route: [{destination: {host: a}}]}]}";
    let ported = istio("VirtualService", "name: r", spec);
    check(
        &[&service("a", "default", HTTP), &ported],
        &["unknown-port spec.http[0].match[0].port"],
    );
    for (whole, expected) in [
        (
            "1s",
            vec!["per-try-timeout spec.http[0].retries.perTryTimeout"],
        ),
        ("3s", vec![]),
    ] {
        let spec = format!(
            "{{hosts: [a], http: [{{timeout: {whole}, retries: {{attempts: 2, perTryTimeout: 1s}}, route: [{{destination: {{host: a}}}}]}}]}}"
        );
        check(&[&istio("VirtualService", "name: r", &spec)], &expected);
    }
}

#[test]
fn hedging_needs_a_time_for_each_try() {
    let meta = "name: r, annotations: {outrigger.dev/hedge-on-per-try-timeout: 'true'}";
    let annotation = "metadata.annotations[\"outrigger.dev/hedge-on-per-try-timeout\"]";
    for (retries, expected) in [
        (
            "{attempts: 2}",
            vec![format!("hedge-without-effect {annotation}")],
        ),
        ("{attempts: 2, perTryTimeout: 1s}", vec![]),
    ] {
        let spec = format!(
            "{{hosts: [a], http: [{{retries: {retries}, route: [{{destination: {{host: a}}}}]}}]}}"
        );
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&[&istio("VirtualService", meta, &spec)], &expected);
    }
}

#[test]
fn destination_rules_hide_and_shadow_each_other() {
    let owner = service("a", "default", HTTP);
    let host = "a.default.svc.cluster.local";
    let own = subsets("name: own", host, &["v1", "v2"]);
    let full = subsets("name: client, namespace: client", host, &["v1", "v2"]);
    let part = subsets("name: client, namespace: client", host, &["v1"]);
    check(&[&owner, &own, &full], &["hides-rule spec.host"]);
    check(&[&owner, &own, &part], &["hides-subsets spec.host"]);
    let twin = subsets("name: twin", host, &["v2"]);
    check(&[&owner, &own, &twin], &["shadowed-subset spec.subsets[0]"]);
}

/// What annotations add to ejection needs one to add to, of the whole rule, of a subset, or of a port of either.
#[test]
fn ejection_is_turned_on_somewhere() {
    let (on, of_port) = (
        "outlierDetection: {interval: 5s}",
        "portLevelSettings: [{port: {number: 80}, outlierDetection: {interval: 5s}}]",
    );
    let meta = "name: a, annotations: {outrigger.dev/failure-percentage-ejection: 'threshold=50'}";
    for (policy, is_told) in [
        ("connectionPool: {tcp: {maxConnections: 1}}", true),
        (on, false),
        (of_port, false),
    ] {
        let of_subset =
            format!("{{host: a, subsets: [{{name: v1, trafficPolicy: {{{policy}}}}}]}}");
        let whole = format!("{{host: a, trafficPolicy: {{{policy}}}}}");
        for spec in [whole, of_subset] {
            let said = judged(&istio("DestinationRule", meta, &spec));
            let is_about =
                |f: &&Finding| f.code == Code::NeverEjects && f.path == "metadata.annotations";
            assert_eq!(
                said.iter().any(|f| is_about(&f)),
                is_told,
                "{spec}: {said:?}"
            );
        }
    }
}

#[test]
fn endpoints_are_enough() {
    let a = service("a", "default", HTTP);
    let one = pod("a-1", "app: a, version: v1");
    let detection = |percent: &str| {
        let spec =
            format!("{{host: a, trafficPolicy: {{outlierDetection: {{interval: 5s{percent}}}}}}}");
        istio("DestinationRule", "name: a", &spec)
    };
    let never = "never-ejects spec.trafficPolicy.outlierDetection";
    check(&[&a, &detection("")], &[]);
    check(&[&a, &one, &detection("")], &[never]);
    check(
        &[&a, &one, &detection(", maxEjectionPercent: 99")],
        &[never],
    );
    check(&[&a, &one, &detection(", maxEjectionPercent: 100")], &[]);
    let rule = subsets("name: a", "a", &["v1", "v2"]);
    check(&[&a, &one, &rule], &["empty-subset spec.subsets[1].labels"]);
    let b = service("b", "default", HTTP);
    check(&[&b, &one], &["selects-nothing spec.selector"]);
}

#[test]
fn pods_that_a_cluster_will_make_are_meant_too() {
    let (a, one) = (service("a", "default", HTTP), pod("one", "app: other"));
    let sidecar = istio(
        "Sidecar",
        "name: a",
        "{workloadSelector: {labels: {app: a}}, egress: [{hosts: ['*/*']}]}",
    );
    let nobody = [
        "selects-nothing spec.selector",
        "selects-nothing spec.workloadSelector",
    ];
    for (template, expected) in [
        ("", &nobody[..]),
        (
            "kind: Deployment\nspec: {template: {metadata: {labels: {app: a}}}}",
            &[],
        ),
        (
            "kind: Rollout\nspec: {template: {metadata: {labels: {app: a, x: y}}}}",
            &[],
        ),
        (
            "kind: CronJob\nspec: {jobTemplate: {spec: {template: {metadata: {labels: {app: a}}}}}}",
            &[],
        ),
        (
            "kind: Deployment\nspec: {template: {metadata: {labels: {app: b}}}}",
            &nobody,
        ),
        (
            "kind: Deployment\nmetadata: {namespace: prod}\nspec: {template: {metadata: {labels: {app: a}}}}",
            &nobody,
        ),
        ("kind: Deployment\nspec: {template: [1]}", &nobody),
    ] {
        let template = match template {
            "" => String::new(),
            text => format!("---\napiVersion: apps/v1\n{text}\n"),
        };
        check(&[&a, &one, &sidecar, &template], expected);
    }
    // A pod of version 1, and a Deployment of version 2.
    let pod = pod("one", "app: a, version: v1");
    let rule = subsets("name: a", "a", &["v1", "v2"]);
    check(&[&a, &pod, &rule], &["empty-subset spec.subsets[1].labels"]);
    let deployment = "---\napiVersion: apps/v1\nkind: Deployment\nspec: {template: {metadata: {labels: {app: a, version: v2}}}}\n";
    check(&[&a, &pod, &rule, deployment], &[]);
}

#[test]
fn ports_say_their_protocol() {
    for (port, expected) in [
        ("{name: http-web, port: 80}", vec![]),
        ("{name: db, port: 3306}", vec![]),
        ("{name: web, port: 80}", vec!["port-protocol spec.ports[0]"]),
        ("{port: 80}", vec!["port-protocol spec.ports[0]"]),
        ("{name: dns, port: 53, protocol: UDP}", vec![]),
        (
            "{name: http, port: 80, appProtocol: tcp}",
            vec!["port-protocol spec.ports[0].appProtocol"],
        ),
        (
            "{name: http, port: 80, appProtocol: example.com/x}",
            vec!["port-protocol spec.ports[0].appProtocol"],
        ),
    ] {
        check(&[&service("a", "default", port)], &expected);
    }
}

#[test]
fn rules_for_another_name_are_told() {
    let a = service("a", "default", HTTP);
    let external = |to: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: b, namespace: default}}\n\
             spec: {{type: ExternalName, externalName: {to}, ports: [{{port: 81}}]}}\n"
        )
    };
    let rules = |host: &str| {
        let spec = format!(
            "{{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}, port: {{number: 80}}}}}}]}}]}}"
        );
        istio("VirtualService", "name: r", &spec) + &subsets("name: r", host, &[])
    };
    let alias = external("a.default.svc.cluster.local");
    check(&[&a, &alias, &rules("a")], &[]);
    check(
        &[&a, &alias, &rules("b")],
        &["alias-host spec.hosts[0]", "alias-host spec.host"],
    );
    check(
        &[&a, &external("example.com")],
        &["port-protocol spec.ports[0]"],
    );
}

#[test]
fn sidecars_and_entries_do_not_compete() {
    let sidecar = |name: &str, hosts: &str| {
        istio(
            "Sidecar",
            &format!("name: {name}"),
            &format!("{{egress: [{{hosts: [{hosts}]}}]}}"),
        )
    };
    check(
        &[&sidecar("a", "./*"), &sidecar("b", "./*")],
        &["several-default-sidecars spec"],
    );
    let a = service("a", "default", HTTP);
    check(
        &[
            &a,
            &sidecar(
                "s",
                "'*/a.default.svc.cluster.local', ./typo.default.svc.cluster.local, istio-system/*",
            ),
        ],
        &["unknown-host spec.egress[0].hosts[1]"],
    );
    let entry = istio(
        "ServiceEntry",
        "name: e",
        "{hosts: [a.default.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
    );
    check(&[&a, &entry], &["shadowed-host spec.hosts[0]"]);
}

#[test]
fn endpoints_beside_slices_are_told() {
    let a = service("a", "default", HTTP);
    let older = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 10.0.0.1}]}]\n";
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice
metadata: {name: a-x, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\n";
    check(&[&a, older], &[]);
    check(&[&a, older, slice], &["endpoints-not-used "]);
}

#[test]
fn entries_of_one_host_add_up_where_they_are_alike() {
    const HOSTS: &str = "spec.hosts[0]";
    let entry = |meta: &str, spec: &str| {
        let meta = format!("creationTimestamp: '2024-01-01T00:00:00Z', {meta}");
        istio(
            "ServiceEntry",
            &meta,
            &format!("{{hosts: [a.com], {spec}}}"),
        )
    };
    let port = |number: u16, name: &str| {
        format!("ports: [{{number: {number}, name: {name}, protocol: HTTP}}]")
    };
    let fixed = "resolution: STATIC, endpoints: [{address: 10.0.0.1}]";
    let (http, web) = (port(80, "http"), port(81, "web"));
    let first = entry("name: a", &format!("{http}, {fixed}"));
    let (differs, shadowed) = (
        format!("entries-differ {HOSTS}"),
        format!("shadowed-host {HOSTS}"),
    );
    let cases: [(&str, String, &[&str]); 14] = [
        ("name: b", format!("{web}, {fixed}"), &[]),
        // Names of ports are what endpoints are found by: without one it does not matter.
        (
            "name: b",
            format!("{}, resolution: STATIC", port(80, "web")),
            &[],
        ),
        ("name: b", format!("{http}, {fixed}"), &[]),
        ("name: b", format!("{web}, resolution: DNS"), &[&differs]),
        (
            "name: b, labels: {a: b}",
            format!("{web}, {fixed}"),
            &[&differs],
        ),
        ("name: b, labels: {a: b}", format!("{http}, {fixed}"), &[]),
        (
            "name: b",
            format!("{web}, {fixed}, exportTo: ['*']"),
            &[&differs],
        ),
        ("name: b", format!("{web}, {fixed}, exportTo: ['~']"), &[]),
        (
            "name: b",
            format!("{web}, resolution: STATIC, workloadSelector: {{labels: {{a: b}}}}"),
            &[&differs],
        ),
        (
            "name: b",
            format!("{http}, resolution: DNS"),
            &["entries-differ spec.resolution"],
        ),
        (
            "name: b",
            format!("{}, {fixed}", port(80, "web")),
            &["entries-differ spec.ports[0].name"],
        ),
        (
            "name: b",
            format!("{}, {fixed}", port(81, "http")),
            &["entries-differ spec.ports[0].name"],
        ),
        (
            "name: b",
            format!("ports: [{{number: 80, name: http, protocol: HTTP2}}], {fixed}"),
            &["entries-differ spec.ports[0].protocol"],
        ),
        (
            "name: b, namespace: other",
            format!("{web}, {fixed}"),
            &[&shadowed],
        ),
    ];
    for (meta, spec, expected) in cases {
        check(&[&first, &entry(meta, &spec)], expected);
    }
    // Those of two namespaces that nobody sees together.
    let own = |meta: &str| entry(meta, &format!("{http}, {fixed}, exportTo: ['.']"));
    check(&[&own("name: a"), &own("name: a, namespace: other")], &[]);
    // What is exported by name comes first.
    let private = entry("name: b", &format!("{web}, {fixed}, exportTo: ['.']"));
    let said = judged(&format!("{first}{private}"));
    let resources: Vec<_> = said.iter().filter_map(|f| f.resource.as_ref()).collect();
    assert_eq!(resources.len(), 1, "{said:?}");
    assert!(resources[0].to_string().ends_with("default/a"), "{said:?}");
}

#[test]
fn ejection_of_endpoints_that_clients_name_is_told() {
    let passed = "{hosts: [a.default.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}";
    let passed = istio("ServiceEntry", "name: e", passed);
    let known = service("a", "default", HTTP);
    let rule = |service: &str, policy: &str| {
        let spec = format!("{{host: a, trafficPolicy: {policy}}}");
        let rule = istio("DestinationRule", "name: a", &spec);
        findings(&format!("{service}{rule}"))
    };
    let (ejects, passes) = (
        "outlierDetection: {}",
        "loadBalancer: {simple: PASSTHROUGH}",
    );
    let pool = "connectionPool: {tcp: {maxConnections: 1}}";
    for (service, policy, want) in [
        (
            &known,
            format!("{{{passes}, {ejects}}}"),
            Some("not-in-effect spec.trafficPolicy.outlierDetection"),
        ),
        (
            &passed,
            format!("{{{ejects}}}"),
            Some("not-in-effect spec.trafficPolicy.outlierDetection"),
        ),
        (
            &passed,
            format!("{{portLevelSettings: [{{port: {{number: 80}}, {ejects}}}]}}"),
            Some("not-in-effect spec.trafficPolicy.portLevelSettings[0].outlierDetection"),
        ),
        (&known, format!("{{{ejects}}}"), None),
        (&known, format!("{{{passes}, {pool}}}"), None),
        (&passed, format!("{{{pool}}}"), None),
    ] {
        let want: Vec<&str> = want.into_iter().collect();
        assert_eq!(rule(service, &policy), want, "{policy}");
    }
}

#[test]
fn annotations_that_nothing_lets_take_effect_are_told() {
    let rule = |annotation: &str, policy: &str| {
        let spec = format!("{{host: a, trafficPolicy: {policy}}}");
        let meta = format!("name: a, annotations: {{outrigger.dev/{annotation}}}");
        let rule = istio("DestinationRule", &meta, &spec);
        findings(&format!("{}{rule}", service("a", "default", HTTP)))
    };
    let hash = "{consistentHash: {useSourceIp: true}}";
    let peak = "load-balancer: PEAK_EWMA";
    let factor = "hash-balance-factor: '125'";
    let told = "extension-unused spec.trafficPolicy";
    for (annotation, policy, want) in [
        (factor, format!("{{loadBalancer: {hash}}}"), None),
        (
            factor,
            format!("{{portLevelSettings: [{{port: {{number: 80}}, loadBalancer: {hash}}}]}}"),
            None,
        ),
        (
            factor,
            "{loadBalancer: {simple: RANDOM}}".into(),
            Some(
                "extension-unused metadata.annotations[\"outrigger.dev/hash-balance-factor\"]"
                    .into(),
            ),
        ),
        (peak, "{loadBalancer: {simple: LEAST_REQUEST}}".into(), None),
        (
            peak,
            "{loadBalancer: {simple: ROUND_ROBIN}}".into(),
            Some(format!("{told}.loadBalancer.simple")),
        ),
        (
            peak,
            format!("{{portLevelSettings: [{{port: {{number: 80}}, loadBalancer: {hash}}}]}}"),
            Some(format!(
                "{told}.portLevelSettings[0].loadBalancer.consistentHash"
            )),
        ),
    ] {
        let want: Vec<String> = want.into_iter().collect();
        assert_eq!(rule(annotation, &policy), want, "{annotation} {policy}");
    }
}

#[test]
fn names_that_lead_nowhere_come_with_a_guess() {
    let gateway = istio(
        "Gateway",
        "name: shop-gateway",
        "{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
    );
    let known = [
        service("a", "default", HTTP),
        service("reviews", "default", HTTP),
        subsets("name: reviews", "reviews", &["canary", "stable"]),
        gateway,
    ]
    .concat();
    let bound = |gateways: &str| {
        let spec = format!(
            "{{hosts: [a], gateways: [mesh, {gateways}], http: [{{route: [{{destination: {{host: a}}}}]}}]}}"
        );
        istio("VirtualService", "name: r", &spec)
    };
    let sidecar = istio(
        "Sidecar",
        "name: s",
        "{egress: [{hosts: [./revews.default.svc.cluster.local]}]}",
    );
    for (text, meant) in [
        (route("r", "{host: revews}"), Some("reviews")),
        (
            route("r", "{host: reviews.defualt.svc.cluster.local}"),
            Some("reviews.default.svc.cluster.local"),
        ),
        (route("r", "{host: ratings}"), None),
        (
            route("r", "{host: reviews, subset: canray}"),
            Some("canary"),
        ),
        (route("r", "{host: reviews, subset: beta}"), None),
        (bound("shop-gatway"), Some("shop-gateway")),
        (bound("default/shop-gatway"), Some("default/shop-gateway")),
        (sidecar, Some("reviews.default.svc.cluster.local")),
    ] {
        let findings = judged(&[known.as_str(), &text].concat());
        assert_eq!(findings.len(), 1, "{findings:?}");
        let help = &findings[0].help;
        let guess = help.split_once("did you mean `").map(|(_, rest)| rest);
        let guess = guess.and_then(|rest| rest.split_once('`'));
        assert_eq!(guess.map(|(guess, _)| guess), meant, "{text}{help}");
    }
}

#[test]
fn a_service_of_another_namespace_may_be_meant() {
    let known = [
        service("a", "default", HTTP),
        service("reviews", "prod", HTTP),
        service("reviews-v2", "default", HTTP),
    ]
    .concat();
    for (host, elsewhere) in [
        ("reviews", Some("prod")),
        ("reviews.other.svc.cluster.local", Some("prod")),
        ("ratings", None),
    ] {
        let findings =
            judged(&[known.as_str(), &route("r", &format!("{{host: {host}}}"))].concat());
        let help = &findings[0].help;
        let found = help
            .strip_prefix("namespace `")
            .and_then(|rest| rest.split_once('`'));
        assert_eq!(found.map(|(namespace, _)| namespace), elsewhere, "{help}");
    }
}
