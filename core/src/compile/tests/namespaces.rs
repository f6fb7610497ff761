//! Who sees what, and whose DestinationRule holds.

use super::*;

fn subset_rule(name: &str, namespace: &str, host: &str, more: &str) -> String {
    istio(
        "DestinationRule",
        &format!("name: {name}, namespace: {namespace}"),
        &format!("{{host: {host}, subsets: [{{name: {name}, labels: {{version: v1}}}}]{more}}}"),
    )
}

/// The names of a service's subsets as clients of `default` see them.
fn subsets(config: &str, host: &str) -> String {
    let snapshot = compiled(config);
    let of_host = snapshot.clusters.iter().filter(|c| &*c.host == host);
    let names: Vec<&str> = of_host
        .map(|c| &*c.subset)
        .filter(|s| !s.is_empty())
        .collect();
    names.join(" ")
}

#[test]
fn the_first_namespace_with_a_rule_wins_entirely() {
    let far = service("far", "other", "10.5.0.1");
    let host = "far.other.svc.cluster.local";
    let owner = subset_rule("owner", "other", "far", "");
    let hidden = subset_rule("hidden", "other", "far", ", exportTo: ['.']");
    let client = subset_rule("client", "default", host, "");
    let root = subset_rule("root", "istio-system", host, "");
    let stranger = subset_rule("stranger", "third", host, "");
    let wildcard = subset_rule("wild", "other", "'*.svc.cluster.local'", "");
    let short = subset_rule("short", "default", "far", ""); // means far.default
    for (rules, want) in [
        (vec![&owner], "owner"),
        (vec![&hidden], ""),
        (vec![&owner, &client], "client"),
        (vec![&owner, &root], "owner"),
        (vec![&hidden, &root], "root"),
        (vec![&stranger], ""),
        (vec![&wildcard], "wild"),
        (vec![&wildcard, &owner], "owner"),
        (vec![&short, &owner], "owner"),
    ] {
        let rules: String = rules.into_iter().map(String::as_str).collect();
        let config = format!("{far}{rules}");
        assert_eq!(subsets(&config, host), want, "{rules}");
    }
}

#[test]
fn rules_of_one_host_and_audience_are_merged() {
    let host = "web.default.svc.cluster.local";
    let base = service("web", "default", "10.0.0.1");
    let a = subset_rule("a", "default", "web", "");
    let b = subset_rule("b", "default", "web", "");
    let private = subset_rule("c", "default", "web", ", exportTo: ['.']");
    let selecting = subset_rule(
        "s",
        "default",
        "web",
        ", workloadSelector: {matchLabels: {app: x}}",
    );
    assert_eq!(subsets(&format!("{base}{b}{a}"), host), "a b");
    assert_eq!(subsets(&format!("{base}{a}{private}"), host), "a");
    assert_eq!(subsets(&format!("{base}{a}{selecting}"), host), "a");
    let workload = Workload {
        labels: [("app".to_owned(), "x".to_owned())].into(),
        ..Workload::default()
    };
    let config = format!("{base}{a}{selecting}");
    let snapshot = compiled_for(&config, &workload, &MeshConfig::default());
    assert!(snapshot.clusters.iter().any(|c| &*c.subset == "s"));
    assert!(!snapshot.clusters.iter().any(|c| &*c.subset == "a"));
}

#[test]
fn virtual_services_are_seen_as_they_are_exported() {
    let rule = |name: &str, namespace: &str, export: &str, status: u16| {
        istio(
            "VirtualService",
            &format!("name: {name}, namespace: {namespace}"),
            &format!(
                "{{hosts: [web.default.svc.cluster.local], exportTo: {export}, http: [{{directResponse: {{status: {status}}}}}]}}"
            ),
        )
    };
    let public = rule("a", "other", "['*']", 210);
    let named = rule("b", "other", "[default]", 211);
    let private = rule("c", "default", "['.']", 212);
    let foreign = rule("d", "other", "['.']", 213);
    let third = rule("e", "other", "[third]", 214);
    for (rules, want) in [
        (vec![&public], "210 "),
        (vec![&public, &named], "211 "),
        (vec![&public, &named, &private], "212 "),
        (vec![&foreign, &third], "80||web"),
    ] {
        let rules: String = rules.into_iter().map(String::as_str).collect();
        check(&format!("{SERVICES}{rules}"), &[("GET web/", want)]);
    }
}

#[test]
fn short_names_belong_to_the_namespace_of_their_resource() {
    let rule = istio(
        "VirtualService",
        "name: far, namespace: other",
        "{hosts: [far], http: [{route: [{destination: {host: helper}}]}]}",
    );
    let config = format!(
        "{}{}{rule}",
        service("far", "other", "10.0.0.1"),
        service("helper", "other", "10.0.0.2")
    );
    check(
        &config,
        &[
            ("GET far.other/", "80||helper.other.svc.cluster.local"),
            ("GET far/", "unknown host"),
        ],
    );
}

#[test]
fn a_service_that_is_not_exported_is_unknown() {
    let hidden = istio(
        "ServiceEntry",
        "name: h, namespace: other",
        "{hosts: [h.test], exportTo: ['.'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
    );
    let rule = virtual_service(
        "v",
        "{hosts: [web], http: [{route: [{destination: {host: h.test}}]}]}",
    );
    check(
        &format!("{SERVICES}{hidden}{rule}"),
        &[
            ("GET h.test/", "unknown host"),
            ("GET web/", "503 NC 80||h.test"),
        ],
    );
}
