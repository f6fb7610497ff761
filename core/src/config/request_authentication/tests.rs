//! RequestAuthentication, and what is said about it.

use crate::config::fixture::judged_document;

#[track_caller]
fn check(cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        let yaml = format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: case}}\nspec: {spec}\n"
        );
        assert_eq!(judged_document(&yaml), *expected, "{spec}");
    }
}

#[test]
fn what_it_holds_for() {
    let target = "group: gateway.networking.k8s.io, kind: Gateway, name: a";
    check(&[
        ("{}", &[]),
        ("{selector: {matchLabels: {a: b}}}", &[]),
        (
            &format!("{{targetRefs: [{{{target}}}]}}"),
            &["not-in-effect spec"],
        ),
        (
            "{targetRef: {group: '', kind: Service, name: a}}",
            &["not-in-effect spec"],
        ),
        (
            "{targetRef: {kind: Service}}",
            &["not-in-effect spec", "required-field spec.targetRef.name"],
        ),
        (
            &format!("{{selector: {{matchLabels: {{a: b}}}}, targetRef: {{{target}}}}}"),
            &["not-in-effect spec", "one-of spec"],
        ),
        (
            "{targetRef: {kind: Deployment, name: a}}",
            &["invalid-target spec.targetRef", "not-in-effect spec"],
        ),
        (
            &format!("{{targetRef: {{{target}, namespace: b}}}}"),
            &[
                "invalid-target spec.targetRef.namespace",
                "not-in-effect spec",
            ],
        ),
        (
            "{selector: {matchLabels: {a: 'b*'}}}",
            &["invalid-label spec.selector.matchLabels[\"a\"]"],
        ),
    ]);
}

#[test]
fn rules_of_fields() {
    let rule = |fields: &str| format!("{{jwtRules: [{{issuer: 'https://a', {fields}}}]}}");
    let secret = r#"{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let keys = |keys: &str| rule(&format!("jwks: '{{\"keys\": [{keys}]}}'"));
    check(&[
        ("{jwtRules: [{}]}", &["required-field spec.jwtRules[0]"]),
        (
            "{jwtRules: [{issuer: me@test}]}",
            &["unusable-key spec.jwtRules[0].issuer"],
        ),
        (&rule(""), &[]),
        (
            &rule("jwksUri: 'https://a/b', timeout: 5s, presence: REQUIRED"),
            &[],
        ),
        (
            &rule("jwksUri: 'ftp://a'"),
            &["invalid-policy spec.jwtRules[0].jwksUri"],
        ),
        (
            &rule("jwksUri: 'http://a', jwks: foo"),
            &["one-of spec.jwtRules[0]"],
        ),
        (&keys(secret), &["private-key spec.jwtRules[0].jwks"]),
        (
            &keys(
                r#"{"kty": "OKP", "crv": "Ed25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            ),
            &[],
        ),
        (
            &keys(r#"{"kty": "RSA", "e": "AQAB", "n": "x"}"#),
            &["unusable-key spec.jwtRules[0].jwks"],
        ),
        (
            &keys(&format!("{secret}, {{}}")),
            &[
                "private-key spec.jwtRules[0].jwks",
                "unusable-key spec.jwtRules[0].jwks",
            ],
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
            &rule("fromHeaders: [{prefix: a}, {name: 'x y'}]"),
            &[
                "invalid-header-name spec.jwtRules[0].fromHeaders[1].name",
                "required-field spec.jwtRules[0].fromHeaders[0]",
            ],
        ),
        (
            &rule("outputPayloadToHeader: ':path'"),
            &["invalid-header-name spec.jwtRules[0].outputPayloadToHeader"],
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
    ]);
}

/// Only an AuthorizationPolicy is tried without effect.
#[test]
fn it_is_not_tried_without_effect() {
    let yaml = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: case, annotations: {istio.io/dry-run: 'true'}}\nspec: {}\n";
    let said = judged_document(yaml);
    assert_eq!(said, ["invalid-annotation metadata.annotations"]);
}
