//! Sidecars, egress and unknown hosts.

use super::*;
use crate::config::sidecar::OutboundTrafficPolicy;
use crate::snapshot::UnknownHosts;

fn sidecar(name: &str, spec: &str) -> String {
    istio("Sidecar", &format!("name: {name}"), spec)
}

fn config() -> String {
    format!(
        "{SERVICES}{}{}",
        service("far", "other", "10.5.0.1"),
        service("near", "default", "10.5.0.2")
    )
}

#[test]
fn a_sidecar_imports_what_it_names() {
    for (hosts, web, far) in [
        ("['*/*']", "80||web", "80||far.other.svc.cluster.local"),
        ("['./*']", "80||web", "unknown host"),
        (
            "['other/*']",
            "unknown host",
            "80||far.other.svc.cluster.local",
        ),
        (
            "['./near.default.svc.cluster.local']",
            "unknown host",
            "unknown host",
        ),
        (
            "['*/*.svc.cluster.local']",
            "80||web",
            "80||far.other.svc.cluster.local",
        ),
        ("['~/*']", "unknown host", "unknown host"),
        ("['*/*', '~other/*']", "80||web", "unknown host"),
    ] {
        let config = format!(
            "{}{}",
            config(),
            sidecar("s", &format!("{{egress: [{{hosts: {hosts}}}]}}"))
        );
        check(&config, &[("GET web/", web), ("GET far.other/", far)]);
    }
}

#[test]
fn of_two_services_with_one_host_the_one_that_is_imported_counts() {
    let entry = |namespace: &str, created: u8, export: &str| {
        let meta = format!(
            "name: api, namespace: {namespace}, creationTimestamp: '200{created}-01-01T00:00:00Z'"
        );
        let spec = format!(
            "{{hosts: [api.test], exportTo: ['{export}'], ports: [{{number: 80, name: http, protocol: HTTP}}], \
             location: MESH_INTERNAL, resolution: STATIC, endpoints: [{{address: 10.9.0.{created}}}]}}"
        );
        istio("ServiceEntry", &meta, &spec)
    };
    let both = |first: &str, second: &str| {
        let (old, new) = (entry(first, 1, "*"), entry(second, 2, "*"));
        format!("{SERVICES}{old}{new}")
    };
    let rule = virtual_service(
        "v",
        "{hosts: [web], http: [{route: [{destination: {host: api.test}}]}]}",
    );
    let private = format!(
        "{SERVICES}{}{}",
        entry("other", 1, "*"),
        entry("default", 2, "default")
    );
    for (config, hosts, endpoint) in [
        // Nobody says: the oldest, and before it who is exported to us by name.
        (both("default", "other"), "['*/*']", Some("10.9.0.1")),
        (private.clone(), "['*/*']", Some("10.9.0.2")),
        // Whoever is imported alone, be it younger and further away.
        (both("default", "other"), "['other/*']", Some("10.9.0.2")),
        (both("default", "other"), "['./*']", Some("10.9.0.1")),
        (both("other", "default"), "['./*']", Some("10.9.0.2")),
        (both("other", "default"), "['other/*']", Some("10.9.0.1")),
        (private.clone(), "['other/*']", Some("10.9.0.1")),
        (private, "['*/*', '~default/api.test']", Some("10.9.0.1")),
        (both("default", "other"), "['third/*']", None),
        // A rule leads to the one that is imported, and to the first of those that are not.
        (
            both("default", "other") + &rule,
            "['other/*']",
            Some("10.9.0.2"),
        ),
        (
            both("other", "default") + &rule,
            "['./*.local']",
            Some("10.9.0.1"),
        ),
    ] {
        let spec = format!("{{egress: [{{hosts: {hosts}}}]}}");
        let snapshot = compiled(&format!("{config}{}", sidecar("s", &spec)));
        let cluster = snapshot.clusters.iter().find(|c| &*c.host == "api.test");
        let endpoints = cluster.map(|cluster| {
            let of = cluster.endpoints.iter().map(|e| &*e.text);
            of.collect::<Vec<_>>().join(" ")
        });
        let wanted = endpoint.map(|ip| format!("{ip}:80"));
        assert_eq!(endpoints, wanted, "{hosts}: {config}");
    }
}

#[test]
fn a_listener_of_a_port_is_for_that_port_alone() {
    let spec = "{egress: [{port: {number: 8080, protocol: HTTP, name: http}, hosts: ['./*']}, {hosts: ['other/*']}]}";
    check(
        &format!("{}{}", config(), sidecar("s", spec)),
        &[
            ("GET shop:8080/", "8080||shop"),
            ("GET shop:80/", "8080||shop"), // its only port here
            ("GET web/", "unknown host"),
            ("GET far.other/", "80||far.other.svc.cluster.local"),
        ],
    );
}

#[test]
fn destinations_of_imported_rules_need_no_import() {
    let rule = istio(
        "VirtualService",
        "name: near",
        "{hosts: [near], http: [{route: [{destination: {host: far.other.svc.cluster.local}}]}]}",
    );
    let only_near = "{egress: [{hosts: ['./near.default.svc.cluster.local']}]}";
    check(
        &format!("{}{rule}{}", config(), sidecar("s", only_near)),
        &[
            ("GET near/", "80||far.other.svc.cluster.local"),
            ("GET far.other/", "unknown host"),
        ],
    );
    let elsewhere = "{egress: [{hosts: ['./web.default.svc.cluster.local']}]}";
    check(
        &format!("{}{rule}{}", config(), sidecar("s", elsewhere)),
        &[("GET near/", "unknown host")],
    );
}

#[test]
fn the_closest_sidecar_holds() {
    let of = |name: &str, namespace: &str, labels: &str, created: &str, hosts: &str| {
        istio(
            "Sidecar",
            &format!("name: {name}, namespace: {namespace}, creationTimestamp: '{created}'"),
            &format!("{{{labels}egress: [{{hosts: ['{hosts}']}}]}}"),
        )
    };
    let (old, new) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let root = of(
        "root",
        "istio-system",
        "",
        old,
        "./web.default.svc.cluster.local",
    );
    let default = of(
        "default",
        "default",
        "",
        new,
        "./near.default.svc.cluster.local",
    );
    let selecting = of(
        "mine",
        "default",
        "workloadSelector: {labels: {app: x}}, ",
        new,
        "./shop.default.svc.cluster.local",
    );
    let base = format!("{SERVICES}{}", service("near", "default", "10.5.0.2"));
    let mine = Workload {
        labels: [("app".to_owned(), "x".to_owned())].into(),
        ..Workload::default()
    };
    let other = Workload::default();
    let mesh = MeshConfig::default();
    for (config, workload, known) in [
        (root.clone(), &other, "web"),
        (format!("{root}{default}"), &other, "near"),
        (format!("{root}{default}{selecting}"), &other, "near"),
        (format!("{root}{default}{selecting}"), &mine, "shop"),
    ] {
        let config = format!("{base}{config}");
        let snapshot = compiled_for(&config, workload, &mesh);
        for host in ["web", "near", "shop"] {
            let got = outcome(&snapshot, &format!("GET {host}/"), 0) != "unknown host";
            assert_eq!(got, host == known, "{host}\n{config}");
        }
    }
}

#[test]
fn unknown_hosts_follow_the_policy() {
    let mesh_only = MeshConfig {
        outbound_traffic_policy: Some(OutboundTrafficPolicy::default()),
        ..MeshConfig::default()
    };
    let open = MeshConfig::default();
    let egress = "egress: [{hosts: ['*/*']}]";
    for (spec, mesh, want) in [
        (None, &open, UnknownHosts::AllowAny),
        (None, &mesh_only, UnknownHosts::RegistryOnly),
        (Some("{}"), &open, UnknownHosts::RegistryOnly),
        (
            Some("{mode: REGISTRY_ONLY}"),
            &open,
            UnknownHosts::RegistryOnly,
        ),
        (
            Some("{mode: ALLOW_ANY}"),
            &mesh_only,
            UnknownHosts::AllowAny,
        ),
    ] {
        let config = spec.map(|policy| {
            sidecar(
                "s",
                &format!("{{{egress}, outboundTrafficPolicy: {policy}}}"),
            )
        });
        let config = config.unwrap_or_default();
        let snapshot = compiled_for(&config, &Workload::default(), mesh);
        assert_eq!(snapshot.settings.unknown_hosts, want, "{spec:?}");
    }
    let proxy = "{mode: ALLOW_ANY, egressProxy: {host: shop.default.svc.cluster.local, port: {number: 8080}}}";
    let spec = format!("{{{egress}, outboundTrafficPolicy: {proxy}}}");
    let snapshot = compiled(&format!("{SERVICES}{}", sidecar("s", &spec)));
    let UnknownHosts::EgressProxy(cluster) = &snapshot.settings.unknown_hosts else {
        panic!("{:?}", snapshot.settings);
    };
    assert_eq!(short(&cluster_name(&snapshot, cluster)), "8080||shop");
}
