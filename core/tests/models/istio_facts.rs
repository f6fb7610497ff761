//! What Istio says of AuthorizationPolicies, row by row: its reference (security.istio.io, conditions, normalization), its guides' examples,
//! and the tables of its own matchers (exact, prefix, suffix, presence; addresses; hosts). Facts, not our model: what both say is the
//! same, or one of them is wrong.

use outrigger_core::config::{Finding, Source, load};
use outrigger_core::decision::Access;

use super::authorization::model::{Request, decided, settled};

const NOBODY: Request<'static> = Request {
    method: "GET",
    host: "httpbin.foo",
    path: "/headers",
    fields: Vec::new(),
    source: [10, 0, 0, 7],
    identity: None,
    token: None,
};

/// The sleep of namespace `foo`, as its mesh knows it.
fn sleep() -> Request<'static> {
    Request {
        identity: Some(("cluster.local", "foo", "sleep")),
        ..NOBODY
    }
}

fn at(path: &'static str) -> Request<'static> {
    Request { path, ..NOBODY }
}

fn to(host: &'static str) -> Request<'static> {
    Request { host, ..NOBODY }
}

fn by(method: &'static str) -> Request<'static> {
    Request { method, ..NOBODY }
}

fn from(source: [u8; 4]) -> Request<'static> {
    Request { source, ..NOBODY }
}

fn with(name: &'static str, value: &'static str) -> Request<'static> {
    Request {
        fields: vec![(name, value)],
        ..NOBODY
    }
}

/// A token of issuer, subject and group.
fn token(issuer: &'static str, subject: &'static str, group: &'static str) -> Request<'static> {
    Request {
        token: Some((issuer, subject, group)),
        ..NOBODY
    }
}

/// Whether policies with these specs let a request in.
fn passes(specs: &[&str], request: &Request<'_>) -> bool {
    let yaml: String = (0..)
        .zip(specs)
        .map(|(at, spec)| {
            let at: usize = at;
            format!(
                "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                 metadata: {{name: p{at}, namespace: default}}\nspec: {spec}\n---\n"
            )
        })
        .collect();
    let file = Source {
        name: "facts.yaml",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[file], "default");
    let blocking = loaded
        .findings
        .iter()
        .find(|finding| Finding::blocks(finding));
    assert_eq!(blocking, None, "{yaml}");
    let settled = settled(&loaded.resources.authorization_policies);
    matches!(decided(&settled, request).access, Access::Allowed(_))
}

/// One policy that allows by one rule.
fn allows(rule: &str, request: &Request<'_>) -> bool {
    passes(&[&format!("{{rules: [{rule}]}}")], request)
}

#[test]
fn actions_are_asked_in_order() {
    let allow_all = "{rules: [{}]}";
    let deny_all = "{action: DENY, rules: [{}]}";
    let allow_get = "{rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let deny_get = "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let audit_all = "{action: AUDIT, rules: [{}]}";
    for (what, specs, may_get, may_post) in [
        ("nothing", &[][..], true, true),
        ("allow-nothing", &["{}"], false, false),
        ("allow-all", &[allow_all], true, true),
        ("deny-all", &[deny_all], false, false),
        ("both: deny is first", &[allow_all, deny_all], false, false),
        ("allow GET", &[allow_get], true, false),
        ("deny GET", &[deny_get], false, true),
        ("deny GET, allow all", &[deny_get, allow_all], false, true),
        ("deny GET, allow GET", &[deny_get, allow_get], false, false),
        ("allow nothing, allow GET", &["{}", allow_get], true, false),
        ("audit", &[audit_all], true, true),
        ("audit, allow GET", &[audit_all, allow_get], true, false),
    ] {
        let seen = [by("GET"), by("POST")].map(|request| passes(specs, &request));
        assert_eq!(seen, [may_get, may_post], "{what}");
    }
}

#[test]
fn sources_are_who_asks() {
    let source = |fields: &str| format!("{{from: [{{source: {{{fields}}}}}]}}");
    let other = Request {
        identity: Some(("cluster.local", "bar", "sleep")),
        ..NOBODY
    };
    for (fields, is_sleep, is_other, is_nobody) in [
        (
            "principals: [cluster.local/ns/foo/sa/sleep]",
            true,
            false,
            false,
        ),
        ("principals: ['*']", true, true, false),
        ("principals: [cluster.local/ns/foo*]", true, false, false),
        ("principals: ['*/sa/sleep']", true, true, false),
        (
            "principals: [spiffe://cluster.local/ns/foo/sa/sleep]",
            false,
            false,
            false,
        ),
        (
            "notPrincipals: [cluster.local/ns/foo/sa/sleep]",
            false,
            true,
            true,
        ),
        ("notPrincipals: ['*']", false, false, true),
        ("namespaces: [foo]", true, false, false),
        ("namespaces: [foo, bar]", true, true, false),
        ("namespaces: [f*]", true, false, false),
        ("namespaces: ['*o']", true, false, false),
        ("notNamespaces: [foo]", false, true, true),
        (
            "namespaces: [foo], notPrincipals: [cluster.local/ns/foo/sa/sleep]",
            false,
            false,
            false,
        ),
        ("serviceAccounts: [foo/sleep]", true, false, false),
        // Of the policy's own namespace where none is named.
        ("serviceAccounts: [sleep]", false, false, false),
        ("notServiceAccounts: [foo/sleep]", false, true, true),
    ] {
        let seen = [sleep(), other.clone(), NOBODY].map(|who| allows(&source(fields), &who));
        assert_eq!(seen, [is_sleep, is_other, is_nobody], "{fields}");
    }
}

#[test]
fn addresses_are_compared_bit_by_bit() {
    for (block, address, is_in) in [
        ("1.2.3.4", [1, 2, 3, 4], true),
        ("1.2.3.4", [1, 2, 3, 5], false),
        ("1.2.3.0/24", [1, 2, 3, 255], true),
        ("1.2.3.0/24", [1, 2, 4, 0], false),
        ("1.2.3.4/31", [1, 2, 3, 5], true),
        ("0.0.0.0/0", [255, 255, 255, 255], true),
    ] {
        for (rule, is_wanted) in [
            (
                format!("{{from: [{{source: {{ipBlocks: [{block}]}}}}]}}"),
                is_in,
            ),
            (
                format!("{{from: [{{source: {{notIpBlocks: [{block}]}}}}]}}"),
                !is_in,
            ),
            (
                format!("{{when: [{{key: source.ip, values: [{block}]}}]}}"),
                is_in,
            ),
        ] {
            assert_eq!(
                allows(&rule, &from(address)),
                is_wanted,
                "{rule} {address:?}"
            );
        }
    }
    // The client is who the last proxy names, and the other end who is connected.
    let named = with("x-forwarded-for", "9.9.9.9, 1.2.3.4");
    let remote = |block: &str| format!("{{from: [{{source: {{remoteIpBlocks: [{block}]}}}}]}}");
    assert!(allows(&remote("1.2.3.4"), &named));
    assert!(!allows(&remote("9.9.9.9"), &named));
    assert!(!allows(&remote("10.0.0.7"), &named));
    assert!(allows("{from: [{source: {ipBlocks: [10.0.0.7]}}]}", &named));
}

#[test]
fn texts_match_as_wholes_beginnings_ends_and_presence() {
    for (pattern, path, matches) in [
        ("/productpage", "/productpage", true),
        ("/productpage", "/productpage/", false),
        ("/productpage", "/productpage2", false),
        ("/productpage", "/Productpage", false),
        ("/productpage", "/productpage?u=normal", true),
        ("/product*", "/productpage", true),
        ("/product*", "/product", true),
        ("/product*", "/v1/product", false),
        ("*/info", "/v1/info", true),
        ("*/info", "/info/v1", false),
        ("*", "/", true),
        ("/foo/{*}", "/foo/bar", true),
        ("/foo/{*}", "/foo/bar/baz", false),
        ("/foo/{*}", "/foo/", false),
        ("/foo/{**}", "/foo/bar/baz", true),
        ("/foo/{**}", "/foo/", true),
        ("/foo/{*}/bar/{**}", "/foo/buzz/bar/baz/x", true),
        ("/foo/{*}/bar/{**}", "/foo/buzz/x/bar/baz", false),
        ("/{*}/baz/{**}/x", "/a/baz/x", false),
        // A dot, and whatever means something elsewhere, is what it is.
        ("/a.b", "/axb", false),
        ("/[a-z]+", "/abc", false),
    ] {
        let rule = format!("{{to: [{{operation: {{paths: ['{pattern}']}}}}]}}");
        assert_eq!(allows(&rule, &at(path)), matches, "{pattern} {path}");
        let rule = format!("{{to: [{{operation: {{notPaths: ['{pattern}']}}}}]}}");
        assert_eq!(allows(&rule, &at(path)), !matches, "not {pattern} {path}");
    }
}

#[test]
fn hosts_match_in_any_case_and_with_any_port() {
    for (pattern, host, matches) in [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.com", true),
        // Envoy compares them as they are; here a last dot is no matter on either side.
        ("example.com", "example.com.", true),
        ("example.com.", "example.com", true),
        ("*.example.com.", "www.example.com", true),
        ("Example.Com", "example.com", true),
        ("example.com", "example.com:8080", true),
        ("example.com:8080", "example.com:8080", true),
        ("example.com:8080", "example.com:80", false),
        ("*.example.com", "www.example.com", true),
        ("*.example.com", "example.com", false),
        ("example*", "example.org", true),
        ("example.com", "example.com.evil.test", false),
        ("example.com", "www.example.com", false),
        ("*", "anything", true),
    ] {
        let rule = format!("{{to: [{{operation: {{hosts: ['{pattern}']}}}}]}}");
        assert_eq!(allows(&rule, &to(host)), matches, "{pattern} {host}");
    }
}

#[test]
fn a_rule_asks_for_one_of_each_list_and_all_conditions() {
    let both = "from: [{source: {namespaces: [foo]}}], to: [{operation: {methods: [GET]}}]";
    let (one_rule, two_rules) = (
        format!("{{rules: [{{{both}}}]}}"),
        "{rules: [{from: [{source: {namespaces: [foo]}}]}, {to: [{operation: {methods: [GET]}}]}]}",
    );
    let post = Request {
        method: "POST",
        ..sleep()
    };
    for (what, spec, seen) in [
        ("one rule", &*one_rule, [true, false, false]),
        // The second dash makes two of them.
        ("two rules", two_rules, [true, true, true]),
    ] {
        let all = [sleep(), post.clone(), NOBODY].map(|request| passes(&[spec], &request));
        assert_eq!(all, seen, "{what}");
    }
    let group = "{key: 'request.auth.claims[group]', values: [group1, admin*]}";
    let header = "{key: 'request.headers[x-user]', values: [jo], notValues: [max]}";
    let user = |value| with("x-user", value);
    for (what, when, request, matches) in [
        ("a claim", group, token("iss", "sub", "group1"), true),
        (
            "a claim that begins so",
            group,
            token("iss", "sub", "administrators"),
            true,
        ),
        ("another claim", group, token("iss", "sub", "group2"), false),
        ("no token", group, NOBODY, false),
        ("a field", header, user("jo"), true),
        ("another value", header, user("ann"), false),
        ("no such field", header, NOBODY, false),
    ] {
        let rule = format!("{{when: [{when}]}}");
        assert_eq!(allows(&rule, &request), matches, "{what}");
    }
    let rule = format!("{{when: [{group}, {header}]}}");
    let mut both = token("iss", "sub", "group1");
    assert!(!allows(&rule, &both), "all of them");
    both.fields = vec![("x-user", "jo")];
    assert!(allows(&rule, &both));
}

#[test]
fn tokens_are_who_issued_them_and_for_whom() {
    for (principal, matches) in [
        ("testing@secure.istio.io/testing@secure.istio.io", true),
        ("testing@secure.istio.io/*", true),
        ("*/testing@secure.istio.io", true),
        ("*", true),
        ("testing@secure.istio.io/other", false),
        ("other/testing@secure.istio.io", false),
    ] {
        let rule = format!("{{from: [{{source: {{requestPrincipals: ['{principal}']}}}}]}}");
        let of = token("testing@secure.istio.io", "testing@secure.istio.io", "g");
        assert_eq!(allows(&rule, &of), matches, "{principal}");
        assert!(!allows(&rule, &NOBODY), "{principal} without a token");
    }
    // The way of Istio's guide to ask everybody for a token.
    let deny = "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}";
    assert!(!passes(&[deny], &NOBODY));
    assert!(passes(&[deny], &token("iss", "sub", "g")));
}
