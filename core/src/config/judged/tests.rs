//! Kinds that are judged and not used, and what is said about them.

use crate::config::fixture::judged_document;

/// Judges a document and leaves out that its kind is not used.
#[track_caller]
fn check(kind: &str, cases: &[(&str, &[&str])]) {
    let group = match kind {
        "WasmPlugin" | "TrafficExtension" => "extensions.istio.io/v1alpha1",
        "EnvoyFilter" => "networking.istio.io/v1alpha3",
        _ => "networking.istio.io/v1beta1",
    };
    for (spec, expected) in cases {
        let yaml =
            format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: case}}\nspec: {spec}\n");
        let mut said = judged_document(&yaml);
        said.retain(|finding| finding != "kind-not-read kind");
        assert_eq!(said, *expected, "{kind}: {spec}");
    }
}

#[test]
fn extensions() {
    check(
        "WasmPlugin",
        &[
            ("{url: 'oci://a/b'}", &[]),
            ("{url: 'https://a/b%20c?d=e#f'}", &[]),
            ("{url: '#%blah$#@'}", &["invalid-policy spec.url"]),
            ("{url: 'oci://a b'}", &["invalid-policy spec.url"]),
            ("{url: a/b:latest}", &[]),
            ("{}", &["required-field spec.url"]),
            ("{url: 'fake://a'}", &["invalid-policy spec.url"]),
            (
                "{url: a, pluginName: ''}",
                &["invalid-name spec.pluginName"],
            ),
            ("{url: a, sha256: abc}", &["invalid-policy spec.sha256"]),
            (
                "{url: a, vmConfig: {env: [{name: a}, {name: a}]}}",
                &["invalid-name spec.vmConfig.env[1].name"],
            ),
            (
                "{url: a, match: [{ports: [{}]}]}",
                &["required-field spec.match[0].ports[0].number"],
            ),
        ],
    );
    check(
        "TrafficExtension",
        &[
            ("{}", &["required-field spec"]),
            ("{lua: {inlineCode: a}}", &[]),
        ],
    );
    check(
        "ProxyConfig",
        &[
            ("{concurrency: 2}", &[]),
            ("{concurrency: -1}", &["invalid-number spec.concurrency"]),
        ],
    );
}

#[test]
fn groups_and_filters() {
    check(
        "WorkloadGroup",
        &[
            ("{template: {}}", &[]),
            ("{}", &["required-field spec.template"]),
            (
                "{template: {}, metadata: {labels: {a: b c}}}",
                &["invalid-label spec.metadata.labels[\"a\"]"],
            ),
            ("{template: {}, metadata: {annotations: {a: b c}}}", &[]),
            ("{template: {}, probe: {}}", &["required-field spec.probe"]),
            (
                "{template: {}, probe: {tcpSocket: {port: 65536}}}",
                &["invalid-port spec.probe.tcpSocket.port"],
            ),
            (
                "{template: {}, probe: {exec: {command: [a]}, periodSeconds: -1}}",
                &["invalid-number spec.probe.periodSeconds"],
            ),
        ],
    );
    let patch = |fields: &str| format!("{{configPatches: [{{{fields}}}]}}");
    check(
        "EnvoyFilter",
        &[
            (
                &patch(
                    "applyTo: CLUSTER, patch: {operation: MERGE, value: {}}, match: {cluster: {name: a}}",
                ),
                &[],
            ),
            (
                &patch("patch: {operation: REMOVE}"),
                &["required-field spec.configPatches[0].applyTo"],
            ),
            (
                &patch("applyTo: CLUSTER"),
                &["required-field spec.configPatches[0]"],
            ),
            (
                &patch("applyTo: CLUSTER, patch: {operation: ADD}"),
                &["required-field spec.configPatches[0].patch"],
            ),
            (
                &patch("applyTo: CLUSTER, patch: {operation: REMOVE}, match: {listener: {}}"),
                &["invalid-match spec.configPatches[0].match"],
            ),
            (
                &patch(
                    "applyTo: LISTENER, patch: {operation: REMOVE}, match: {listener: {filterChain: {filter: {name: a, subFilter: {name: b}}}}}",
                ),
                &["invalid-match spec.configPatches[0].match"],
            ),
        ],
    );
}
