//! What is said about policies, and how one is read.

use super::*;
use crate::config::fixture::judged_document;
use crate::config::{Source as Text, load};

fn document(annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: case, annotations: {{{annotations}}}}}\nspec: {spec}\n"
    )
}

#[track_caller]
fn check(cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        assert_eq!(judged_document(&document("", spec)), *expected, "{spec}");
    }
}

#[test]
fn authorization_policies() {
    let rule = |rule: &str| format!("{{rules: [{rule}]}}");
    check(&[
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
    ]);
}

#[test]
fn attributes_that_nobody_knows_are_told() {
    check(&[
        (
            "{rules: [{when: [{key: 'experimental.envoy.filters.a.b[c]', values: [d]}]}]}",
            &["not-in-effect spec.rules[0].when[0].key"],
        ),
        ("{rules: [null]}", &["invalid-policy spec.rules[0]"]),
        (
            "{rules: [{form: []}]}",
            &["no-such-field spec.rules[0].form"],
        ),
        (
            "{targetRef: {group: '', kind: Service, name: a}}",
            &["not-in-effect spec"],
        ),
    ]);
}

#[test]
fn a_policy_may_be_tried() {
    for (value, action, dry_run, said) in [
        ("'true'", "ALLOW", true, &[][..]),
        ("'1'", "DENY", true, &[]),
        ("'false'", "DENY", false, &[]),
        ("'yes'", "DENY", false, &["invalid-annotation spec"]),
        ("'true'", "AUDIT", false, &["invalid-annotation spec"]),
    ] {
        let spec = format!("{{action: {action}, rules: [{{}}]}}");
        let text = document(&format!("istio.io/dry-run: {value}"), &spec);
        assert_eq!(judged_document(&text), said, "{text}");
        assert_eq!(read_one(&text).dry_run, dry_run, "{text}");
    }
}

fn read_one(text: &str) -> AuthorizationPolicy {
    let source = Text {
        name: "f",
        bytes: text.as_bytes(),
    };
    let mut policies = load(&[source], "default").resources.authorization_policies;
    assert_eq!(policies.len(), 1, "{text}");
    policies.remove(0)
}

/// One that cannot be used is kept: whoever compiles it refuses everything in its place.
#[test]
fn a_policy_with_errors_is_kept_as_rejected() {
    for (spec, rejected) in [
        ("{}", false),
        ("{rules: [{to: [{operation: {ports: [x]}}]}]}", true),
        ("{rules: [{form: [{source: {namespaces: [a]}}]}]}", true),
        ("", true),
    ] {
        assert_eq!(
            read_one(&document("", spec)).meta.rejected,
            rejected,
            "{spec}"
        );
    }
}

#[test]
fn every_field_is_read() {
    let policy = read_one(&document(
        "",
        "
  selector: {matchLabels: {app: shop}}
  action: DENY
  rules:
  - from: [{source: {principals: [a], notPrincipals: [b], requestPrincipals: [c], namespaces: [d], ipBlocks: [1.2.3.4],
      notRemoteIpBlocks: [::1]}}, {source: {serviceAccounts: [e], trustDomains: [f]}}]
    to: [{operation: {hosts: [g], notHosts: [h], ports: ['80'], methods: [GET], notPaths: [/i]}}]
    when: [{key: 'request.headers[x]', values: [j], notValues: [k]}]
",
    ));
    let list = |text: &str| match text {
        "" => Vec::new(),
        text => vec![text.to_owned()],
    };
    let of = |any: &str, none: &str| Values {
        any: list(any),
        none: list(none),
    };
    let rule = Rule {
        from: vec![
            Source {
                principals: of("a", "b"),
                request_principals: of("c", ""),
                namespaces: of("d", ""),
                ip_blocks: of("1.2.3.4", ""),
                remote_ip_blocks: of("", "::1"),
                ..Source::default()
            },
            Source {
                service_accounts: of("e", ""),
                trust_domains: of("f", ""),
                ..Source::default()
            },
        ],
        to: vec![Operation {
            hosts: of("g", "h"),
            ports: of("80", ""),
            methods: of("GET", ""),
            paths: of("", "/i"),
        }],
        when: vec![Condition {
            key: "request.headers[x]".into(),
            values: of("j", "k"),
        }],
    };
    assert_eq!(policy.rules, [rule]);
    assert_eq!(policy.action, PolicyAction::Deny);
    assert_eq!(policy.selector.get("app").map(String::as_str), Some("shop"));
}
