//! Kinds that are judged and not used, and what is said about them.

use crate::config::fixture::judged_document;

/// Judges a document and leaves out that its kind is not used.
#[track_caller]
fn check(kind: &str, cases: &[(&str, &[&str])]) {
    let group = match kind {
        "RequestAuthentication" => "security.istio.io/v1",
        "WasmPlugin" | "TrafficExtension" => "extensions.istio.io/v1alpha1",
        "EnvoyFilter" => "networking.istio.io/v1alpha3",
        _ => "networking.istio.io/v1beta1",
    };
    for (spec, expected) in cases {
        let yaml =
            format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: case}}\nspec: {spec}\n");
        let mut said = judged_document(&yaml);
        said.retain(|finding| {
            finding != "kind-not-read kind" && finding != "policy-not-enforced kind"
        });
        assert_eq!(said, *expected, "{kind}: {spec}");
    }
}

#[test]
fn what_a_policy_holds_for() {
    let target = "group: gateway.networking.k8s.io, kind: Gateway, name: a";
    check(
        "RequestAuthentication",
        &[
            ("{}", &[]),
            ("{selector: {matchLabels: {a: b}}}", &[]),
            (&format!("{{targetRefs: [{{{target}}}]}}"), &[]),
            ("{targetRef: {group: '', kind: Service, name: a}}", &[]),
            (
                "{targetRef: {kind: Service}}",
                &["required-field spec.targetRef.name"],
            ),
            (
                "{targetRef: {kind: Deployment, name: a}}",
                &["invalid-target spec.targetRef"],
            ),
            (
                &format!("{{targetRef: {{{target}, namespace: b}}}}"),
                &["invalid-target spec.targetRef.namespace"],
            ),
            (
                &format!("{{selector: {{matchLabels: {{a: b}}}}, targetRef: {{{target}}}}}"),
                &["one-of spec"],
            ),
            (
                "{selector: {matchLabels: {a: 'b*'}}}",
                &["invalid-label spec.selector.matchLabels[\"a\"]"],
            ),
        ],
    );
}

#[test]
fn request_authentication() {
    let rule = |fields: &str| format!("{{jwtRules: [{{issuer: a, {fields}}}]}}");
    check(
        "RequestAuthentication",
        &[
            ("{}", &[]),
            ("{jwtRules: [{}]}", &["required-field spec.jwtRules[0]"]),
            (
                &rule("jwksUri: 'https://a/b', timeout: 5s, presence: REQUIRED"),
                &[],
            ),
            (
                &rule("jwksUri: 'ftp://a'"),
                &["invalid-policy spec.jwtRules[0].jwksUri"],
            ),
            (
                &rule("jwks: '{\"keys\": [{\"kty\": \"RSA\", \"e\": \"AQAB\", \"n\": \"x\"}]}'"),
                &[],
            ),
            (
                &rule("jwks: '{\"keys\": [{\"kty\": \"RSA\", \"d\": \"x\"}]}'"),
                &["private-key spec.jwtRules[0].jwks"],
            ),
            (
                &rule("jwks: foo"),
                &["invalid-policy spec.jwtRules[0].jwks"],
            ),
            (
                &rule("audiences: ['']"),
                &["required-field spec.jwtRules[0].audiences[0]"],
            ),
            (
                &rule("fromHeaders: [{prefix: a}]"),
                &["required-field spec.jwtRules[0].fromHeaders[0]"],
            ),
            (
                &rule("outputClaimToHeaders: [{header: x-a, claim: b}]"),
                &[],
            ),
            (
                &rule("outputClaimToHeaders: [null]"),
                &["required-field spec.jwtRules[0].outputClaimToHeaders[0]"],
            ),
            (
                &rule("outputClaimToHeaders: [{header: 'x a', claim: b}]"),
                &["invalid-header-name spec.jwtRules[0].outputClaimToHeaders[0].header"],
            ),
            (
                &rule("timeout: apple"),
                &["invalid-duration spec.jwtRules[0].timeout"],
            ),
            (
                &rule("presence: MANDATORY"),
                &["invalid-enum spec.jwtRules[0].presence"],
            ),
        ],
    );
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

#[test]
fn only_a_policy_is_tried_without_effect() {
    for kind in ["PeerAuthentication", "RequestAuthentication"] {
        let yaml = format!(
            "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: case, annotations: {{istio.io/dry-run: 'true'}}}}\nspec: {{}}\n"
        );
        let expected = [
            "invalid-annotation metadata.annotations",
            "kind-not-read kind",
        ];
        assert_eq!(judged_document(&yaml), expected, "{yaml}");
    }
}

/// What keeps nobody out may be left out; all else is an error until it is enforced.
#[test]
fn policies_that_refuse_are_errors_until_they_are_enforced() {
    let jwt = "{jwtRules: [{issuer: a, jwksUri: 'https://a.test/keys'}]}";
    for (kind, spec, is_error) in [
        ("PeerAuthentication", "{mtls: {mode: STRICT}}", true),
        ("PeerAuthentication", "{mtls: {mode: 3}}", true),
        (
            "PeerAuthentication",
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: STRICT}}}",
            true,
        ),
        ("RequestAuthentication", jwt, true),
        ("RequestAuthentication", "{}", false),
    ] {
        let yaml = format!(
            "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: case}}\nspec: {spec}\n"
        );
        let said = judged_document(&yaml);
        let wanted = if is_error {
            "policy-not-enforced kind"
        } else {
            "kind-not-read kind"
        };
        assert!(said.iter().any(|said| said == wanted), "{yaml}{said:?}");
    }
}
