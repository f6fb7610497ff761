//! Kinds that are judged and not used, and what is said about them.

use crate::config::fixture::judged_document;

/// Judges a document and leaves out that its kind is not used.
#[track_caller]
fn check(kind: &str, cases: &[(&str, &[&str])]) {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => {
            "security.istio.io/v1"
        }
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
fn authorization_policies() {
    let rule = |rule: &str| format!("{{rules: [{rule}]}}");
    check(
        "AuthorizationPolicy",
        &[
            ("{}", &[]),
            ("{rules: [{}]}", &[]),
            ("{action: DENY}", &["policy-without-rules spec"]),
            (
                "{action: CUSTOM, rules: [{}]}",
                &["required-field spec.provider"],
            ),
            ("{action: CUSTOM, provider: {name: a}, rules: [{}]}", &[]),
            ("{provider: {name: a}}", &["invalid-policy spec.provider"]),
            ("{action: allow}", &["invalid-enum spec.action"]),
            (&rule("{from: []}"), &["invalid-policy spec.rules[0].from"]),
            (
                &rule("{from: [{}]}"),
                &["required-field spec.rules[0].from[0]"],
            ),
            (
                &rule("{to: [{operation: {}}]}"),
                &["invalid-policy spec.rules[0].to[0].operation"],
            ),
            (
                &rule("{from: [{source: {namespaces: [a, '']}}]}"),
                &["invalid-policy spec.rules[0].from[0].source.namespaces[1]"],
            ),
            (
                &rule("{from: [{source: {serviceAccounts: [a/b, c]}}]}"),
                &[],
            ),
            (
                &rule("{from: [{source: {serviceAccounts: [a/b/c]}}]}"),
                &["invalid-policy spec.rules[0].from[0].source.serviceAccounts[0]"],
            ),
            (
                &rule("{from: [{source: {serviceAccounts: [a], principals: [b]}}]}"),
                &["invalid-policy spec.rules[0].from[0].source"],
            ),
            (
                &rule("{from: [{source: {ipBlocks: [1.2.3.4, 10.0.0.0/8, x]}}]}"),
                &["invalid-policy spec.rules[0].from[0].source.ipBlocks[2]"],
            ),
            (
                &rule("{to: [{operation: {ports: ['80', x]}}]}"),
                &["invalid-policy spec.rules[0].to[0].operation.ports[1]"],
            ),
            (
                &rule("{to: [{operation: {paths: ['/a/{*}/b', '/a/{**}', '/a*']}}]}"),
                &[],
            ),
            (
                &rule("{to: [{operation: {paths: ['/{**}/{*}']}}]}"),
                &["invalid-policy spec.rules[0].to[0].operation.paths[0]"],
            ),
            (
                &rule("{to: [{operation: {paths: ['/{a}']}}]}"),
                &["invalid-policy spec.rules[0].to[0].operation.paths[0]"],
            ),
            (
                &rule("{when: [{key: 'request.headers[x]', values: [a]}]}"),
                &[],
            ),
            (
                &rule("{when: [{key: 'request.auth.claims[a][b]', values: [a]}]}"),
                &[],
            ),
            (
                &rule("{when: [{key: request.headers, values: [a]}]}"),
                &["invalid-policy spec.rules[0].when[0].key"],
            ),
            (
                &rule("{when: [{key: a, values: [a]}]}"),
                &["invalid-policy spec.rules[0].when[0].key"],
            ),
            (
                &rule("{when: [{values: [a]}]}"),
                &["required-field spec.rules[0].when[0].key"],
            ),
            (
                &rule("{when: [{key: source.ip}]}"),
                &["required-field spec.rules[0].when[0]"],
            ),
            (
                "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}",
                &["denies-tcp spec.rules[0]"],
            ),
            (
                "{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['80']}}]}]}",
                &[],
            ),
            (
                "{action: DENY, rules: [{from: [{source: {requestPrincipals: [a]}}]}]}",
                &["denies-tcp spec.rules[0]"],
            ),
            (
                "{action: DENY, rules: [{from: [{source: {namespaces: [a]}}]}]}",
                &[],
            ),
        ],
    );
}

#[test]
fn authentication() {
    check(
        "PeerAuthentication",
        &[
            ("{mtls: {mode: STRICT}}", &[]),
            ("{mtls: {mode: BLAH}}", &["invalid-enum spec.mtls.mode"]),
            (
                "{portLevelMtls: {'80': {mode: STRICT}}}",
                &["invalid-policy spec.portLevelMtls"],
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {'80': {mode: STRICT}}}",
                &[],
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}",
                &["invalid-policy spec.portLevelMtls"],
            ),
            (
                "{selector: {matchLabels: {a: b}}, portLevelMtls: {'0': {}}}",
                &["invalid-port spec.portLevelMtls[\"0\"]"],
            ),
        ],
    );
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
    for (group, kind, spec, expected) in [
        (
            "security",
            "AuthorizationPolicy",
            "{}",
            &["kind-not-read kind"][..],
        ),
        (
            "security",
            "AuthorizationPolicy",
            "{action: AUDIT}",
            &["invalid-annotation spec", "kind-not-read kind"],
        ),
        (
            "security",
            "RequestAuthentication",
            "{}",
            &[
                "invalid-annotation metadata.annotations",
                "kind-not-read kind",
            ],
        ),
    ] {
        let yaml = format!(
            "apiVersion: {group}.istio.io/v1\nkind: {kind}\nmetadata: {{name: case, annotations: {{istio.io/dry-run: 'true'}}}}\nspec: {spec}\n"
        );
        assert_eq!(judged_document(&yaml), expected, "{yaml}");
    }
}

/// What keeps nobody out may be left out; all else is an error until it is enforced.
#[test]
fn policies_that_refuse_are_errors_until_they_are_enforced() {
    let jwt = "{jwtRules: [{issuer: a, jwksUri: 'https://a.test/keys'}]}";
    for (kind, spec, is_error) in [
        ("AuthorizationPolicy", "{}", true),
        ("AuthorizationPolicy", "{action: DENY, rules: [{}]}", true),
        ("AuthorizationPolicy", "{action: 1, rules: [{}]}", true),
        ("AuthorizationPolicy", "{rules: [{}]}", true),
        ("AuthorizationPolicy", "{action: AUDIT, rules: [{}]}", false),
        ("AuthorizationPolicy", "{action: 2, rules: [{}]}", false),
        ("PeerAuthentication", "{mtls: {mode: STRICT}}", true),
        ("PeerAuthentication", "{mtls: {mode: 3}}", true),
        (
            "PeerAuthentication",
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: STRICT}}}",
            true,
        ),
        ("PeerAuthentication", "{mtls: {mode: PERMISSIVE}}", false),
        ("PeerAuthentication", "{}", false),
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
