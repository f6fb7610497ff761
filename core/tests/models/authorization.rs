//! Authorization policies against a model of them: every rule of every policy is held against the request as it is written,
//! one after the other, without a table, in Istio's order (Istio's security reference, AuthorizationPolicy).

#![expect(clippy::unwrap_used, reason = "the model is fed what this file writes")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::Resources;
use outrigger_core::config::authorization_policy::{
    AuthorizationPolicy, Condition, Operation, PolicyAction, Rule, Source, Values,
};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::meta::Meta;
use outrigger_core::decision::{Access, AuthorizationSeen};
use outrigger_core::jose::{Claim, Claims};
use outrigger_core::message::RequestHead;
use outrigger_core::peer::{ListenerKind, Peer, PeerCertificate, TlsFacts, TlsVersion};
use outrigger_core::policy::authorization::{Asking, decide};
use outrigger_core::snapshot::{AccessRuleId, Authorization};
use proptest::prelude::*;
use proptest::sample::select;

/// A request as the model sees it.
#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    fields: Vec<(&'static str, &'static str)>,
    source: [u8; 4],
    /// Trust domain, namespace, service account.
    identity: Option<(&'static str, &'static str, &'static str)>,
    /// Issuer, subject, group.
    token: Option<(&'static str, &'static str, &'static str)>,
}

const PORT: u16 = 8080;

impl Request {
    fn field(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(of, _)| *of == name);
        named.map(|(_, value)| *value).collect()
    }

    fn principal(&self) -> Option<String> {
        let (domain, namespace, account) = self.identity?;
        Some(format!("{domain}/ns/{namespace}/sa/{account}"))
    }

    fn remote(&self) -> Ipv4Addr {
        let told = self.field("x-forwarded-for");
        let last = told.last().and_then(|text| text.rsplit(',').next());
        let last = last.and_then(|text| text.trim().parse().ok());
        last.unwrap_or_else(|| self.source.into())
    }

    fn host(&self) -> (String, String) {
        let (host, port) = self.host.split_once(':').unwrap_or((self.host, "80"));
        let host = host.strip_suffix('.').unwrap_or(host);
        (host.to_lowercase(), port.to_owned())
    }
}

/// Text with a wildcard at one end.
fn like(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => !text.is_empty(),
        (Some(end), _) => text.ends_with(end),
        (None, Some(begin)) => text.starts_with(begin),
        (None, None) => text == pattern,
    }
}

/// `{*}` is what has no slash and something else, `{**}` is anything: tried at every length.
fn like_template(template: &str, path: &str) -> bool {
    if let Some(rest) = template.strip_prefix("{**}") {
        return (0..=path.len()).any(|at| like_template(rest, &path[at..]));
    }
    if let Some(rest) = template.strip_prefix("{*}") {
        let segment = path.split('/').next().unwrap_or_default();
        return (1..=segment.len()).any(|at| like_template(rest, &path[at..]));
    }
    match (template.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => like_template(&template[1..], &path[1..]),
        _ => false,
    }
}

fn path(pattern: &str, request: &Request) -> bool {
    let path = request.path.split('?').next().unwrap_or_default();
    match pattern.contains('{') {
        true => like_template(pattern, path),
        false => like(pattern, path),
    }
}

fn host(pattern: &str, request: &Request) -> bool {
    let (host, port) = request.host();
    match pattern.split_once(':') {
        Some((pattern, of)) => like(&pattern.to_lowercase(), &host) && like(of, &port),
        None => like(&pattern.to_lowercase(), &host),
    }
}

fn block(pattern: &str, address: Ipv4Addr) -> bool {
    let (base, bits) = pattern.split_once('/').unwrap_or((pattern, "32"));
    let base: Ipv4Addr = base.parse().unwrap();
    let bits: u32 = bits.parse().unwrap();
    (0..bits).all(|bit| {
        let of = |address: Ipv4Addr| u32::from(address) >> (31 - bit) & 1;
        of(base) == of(address)
    })
}

fn token(pattern: &str, request: &Request) -> bool {
    let Some((issuer, subject, _)) = request.token else {
        return false;
    };
    if pattern == "*" {
        return true;
    }
    let (of, who) = pattern.split_once('/').unwrap();
    like(of, issuer) && like(who, subject)
}

fn account(pattern: &str, policy: &AuthorizationPolicy, request: &Request) -> bool {
    let Some((_, namespace, account)) = request.identity else {
        return false;
    };
    let whole = match pattern.contains('/') {
        true => pattern.to_owned(),
        false => format!("{}/{pattern}", policy.meta.namespace),
    };
    whole == format!("{namespace}/{account}")
}

/// One of `any`, if there are some, and none of `none`.
fn meets(values: &Values, matches: impl Fn(&str) -> bool) -> bool {
    let positive = values.any.is_empty() || values.any.iter().any(|value| matches(value));
    positive && !values.none.iter().any(|value| matches(value))
}

fn source(source: &Source, policy: &AuthorizationPolicy, request: &Request) -> bool {
    let of_identity = |pattern: &str, part: Option<&str>| part.is_some_and(|p| like(pattern, p));
    let identity = request.identity;
    let principal = request.principal();
    meets(&source.principals, |p| of_identity(p, principal.as_deref()))
        && meets(&source.namespaces, |p| {
            of_identity(p, identity.map(|(_, n, _)| n))
        })
        && meets(&source.trust_domains, |p| {
            of_identity(p, identity.map(|(d, ..)| d))
        })
        && meets(&source.service_accounts, |p| account(p, policy, request))
        && meets(&source.request_principals, |p| token(p, request))
        && meets(&source.ip_blocks, |p| block(p, request.source.into()))
        && meets(&source.remote_ip_blocks, |p| block(p, request.remote()))
}

fn operation(operation: &Operation, request: &Request) -> bool {
    meets(&operation.methods, |p| like(p, request.method))
        && meets(&operation.paths, |p| path(p, request))
        && meets(&operation.hosts, |p| host(p, request))
        && meets(&operation.ports, |p| p == PORT.to_string())
}

fn condition(condition: &Condition, request: &Request) -> bool {
    meets(&condition.values, |pattern| match &*condition.key {
        "source.ip" => block(pattern, request.source.into()),
        "destination.port" => pattern == PORT.to_string(),
        "request.auth.claims[group]" => request
            .token
            .is_some_and(|(.., group)| like(pattern, group)),
        "request.headers[x-user]" => {
            let values = request.field("x-user");
            values
                .iter()
                .any(|value| pattern == "*" || like(pattern, value))
        }
        other => panic!("{other}"),
    })
}

fn rule(rule: &Rule, policy: &AuthorizationPolicy, request: &Request) -> bool {
    (rule.from.is_empty() || rule.from.iter().any(|s| source(s, policy, request)))
        && (rule.to.is_empty() || rule.to.iter().any(|o| operation(o, request)))
        && rule.when.iter().all(|c| condition(c, request))
}

/// The name of the first rule by name that matches, of the policies with this action.
fn first(
    policies: &[AuthorizationPolicy],
    action: PolicyAction,
    dry_run: bool,
    request: &Request,
) -> Option<String> {
    let acting = policies
        .iter()
        .filter(|p| p.action == action && p.dry_run == dry_run);
    let matching = acting.flat_map(|policy| {
        let rules = policy.rules.iter().enumerate();
        let rules = rules.filter(|(_, of)| rule(of, policy, request));
        rules.map(move |(at, _)| {
            let Meta {
                namespace, name, ..
            } = &policy.meta;
            format!("ns[{namespace}]-policy[{name}]-rule[{at}]")
        })
    });
    matching.min()
}

/// Whether it may pass, and the rule that says so.
fn access(
    policies: &[AuthorizationPolicy],
    dry_run: bool,
    request: &Request,
) -> (bool, Option<String>) {
    if let Some(by) = first(policies, PolicyAction::Deny, dry_run, request) {
        return (false, Some(by));
    }
    let allows = |p: &AuthorizationPolicy| p.action == PolicyAction::Allow && p.dry_run == dry_run;
    match first(policies, PolicyAction::Allow, dry_run, request) {
        Some(by) => (true, Some(by)),
        None => (!policies.iter().any(allows), None),
    }
}

fn settled(policies: &[AuthorizationPolicy]) -> Arc<Authorization> {
    let resources = Resources {
        authorization_policies: policies.to_vec(),
        ..Resources::default()
    };
    let inbound = [Inbound {
        listen: ([10, 0, 0, 1], 15006).into(),
        application: ([127, 0, 0, 1], PORT).into(),
    }];
    let compiled = compile(
        &resources,
        &Workload::default(),
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    compiled.snapshot.authorization
}

fn decided(policies: &Authorization, request: &Request) -> AuthorizationSeen {
    let mut head = RequestHead {
        method: request.method.parse().unwrap(),
        authority: request.host.into(),
        path: request.path.into(),
        ..RequestHead::default()
    };
    for (name, value) in &request.fields {
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    let tls = request.principal().map(|principal| TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "".into(),
        sni: None,
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: Box::new([format!("spiffe://{principal}").into()]),
            ..PeerCertificate::default()
        }),
    });
    let text = |text: &str| Claim::Text(text.into());
    let claims = request.token.map(|(issuer, subject, group)| {
        Claims::from([
            ("iss".into(), text(issuer)),
            ("sub".into(), text(subject)),
            ("group".into(), text(group)),
        ])
    });
    let peer = Peer {
        remote: SocketAddr::new(IpAddr::from(request.source), 4000),
        local: ([10, 0, 0, 1], 15006).into(),
        original: None,
        listener: ListenerKind::Inbound(0),
    };
    let asking = Asking {
        peer: &peer,
        port: PORT,
        tls: tls.as_ref(),
        request: Some((&head, "http")),
        claims: claims.as_ref(),
    };
    decide(&policies.http, &asking)
}

fn values(of: &'static [&'static str]) -> impl Strategy<Value = Values> {
    let list = |most: usize| proptest::collection::vec(select(of), 0..=most);
    let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    // Most fields are not written.
    prop_oneof![
        4 => Just(Values::default()),
        2 => list(3).prop_map(move |any| Values { any: texts(any), none: Vec::new() }),
        1 => (list(2), list(1)).prop_map(move |(any, none)| Values { any: texts(any), none: texts(none) }),
    ]
}

const PATHS: &[&str] = &[
    "/a",
    "/b",
    "/a*",
    "/api/v1/*",
    "*.css",
    "*",
    "/api/{*}/x",
    "/{**}/x",
    "/api/{**}",
    "/c/{*}",
];
const HOSTS: &[&str] = &[
    "shop",
    "Shop",
    "*.example",
    "a.example:80",
    "a.example:*",
    "*:81",
    "sh*",
];
const BLOCKS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/31",
    "1.2.3.4",
    "0.0.0.0/0",
];
const PRINCIPALS: &[&str] = &["td/ns/a/sa/x", "td/ns/a*", "*/sa/y", "*", "other/ns/b/sa/x"];

fn sources() -> impl Strategy<Value = Source> {
    (
        values(PRINCIPALS),
        values(&["iss/sub", "iss/*", "*", "*/sub", "iss/s*"]),
        values(&["a", "b", "a*", "*b"]),
        values(&["x", "a/x", "b/y"]),
        values(&["td", "*d", "other"]),
        values(BLOCKS),
        values(BLOCKS),
    )
        .prop_map(
            |(
                principals,
                request_principals,
                namespaces,
                service_accounts,
                trust_domains,
                ip_blocks,
                remote_ip_blocks,
            )| Source {
                principals,
                request_principals,
                namespaces,
                service_accounts,
                trust_domains,
                ip_blocks,
                remote_ip_blocks,
            },
        )
}

fn operations() -> impl Strategy<Value = Operation> {
    let ports = values(&["8080", "80"]);
    (
        values(HOSTS),
        ports,
        values(&["GET", "P*", "*T"]),
        values(PATHS),
    )
        .prop_map(|(hosts, ports, methods, paths)| Operation {
            hosts,
            ports,
            methods,
            paths,
        })
}

fn conditions() -> impl Strategy<Value = Condition> {
    let of = |key: &'static str, of| {
        values(of).prop_map(move |values| Condition {
            key: key.into(),
            values,
        })
    };
    prop_oneof![
        of("source.ip", BLOCKS),
        of("destination.port", &["8080", "80"]),
        of("request.auth.claims[group]", &["g", "h*", "*"]),
        of("request.headers[x-user]", &["jo", "m*", "*"]),
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    (
        proptest::collection::vec(sources(), 0..3),
        proptest::collection::vec(operations(), 0..3),
        proptest::collection::vec(conditions(), 0..3),
    )
        .prop_map(|(from, to, when)| Rule { from, to, when })
}

fn policies() -> impl Strategy<Value = Vec<AuthorizationPolicy>> {
    let actions = select(vec![
        PolicyAction::Allow,
        PolicyAction::Allow,
        PolicyAction::Deny,
        PolicyAction::Audit,
    ]);
    let one = (
        actions,
        proptest::bool::weighted(0.2),
        proptest::collection::vec(rules(), 0..4),
    );
    proptest::collection::vec(one, 0..8).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(at, (action, tried, rules))| AuthorizationPolicy {
                meta: Meta {
                    name: format!("p{}", (at * 7) % 8),
                    namespace: "default".into(),
                    ..Meta::default()
                },
                action,
                dry_run: tried && action != PolicyAction::Audit,
                rules,
                ..AuthorizationPolicy::default()
            })
            .collect()
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let field = prop_oneof![
        select(vec![("x-user", "jo"), ("x-user", "max"), ("x-user", "")]),
        select(vec![
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4, 10.0.0.1"),
            ("x-forwarded-for", "?")
        ]),
    ];
    (
        select(vec!["GET", "PUT", "POST", "DELETE"]),
        select(vec![
            "shop",
            "SHOP:81",
            "a.example",
            "a.example.:80",
            "b.example:81",
            "other",
        ]),
        select(vec![
            "/a",
            "/ab",
            "/b",
            "/api/v1/x",
            "/api//x",
            "/x",
            "/a/x",
            "/s.css",
            "/a?x=/b",
            "/c/*",
            "/c/",
            "/api/",
        ]),
        proptest::collection::vec(field, 0..4),
        select(vec![[10, 0, 0, 1], [10, 0, 0, 2], [1, 2, 3, 4]]),
        proptest::option::of((
            select(vec!["td", "other"]),
            select(vec!["a", "b", "ab"]),
            select(vec!["x", "y"]),
        )),
        proptest::option::of((
            select(vec!["iss", "id"]),
            select(vec!["sub", "s"]),
            select(vec!["g", "h1"]),
        )),
    )
        .prop_map(
            |(method, host, path, fields, source, identity, token)| Request {
                method,
                host,
                path,
                fields,
                source,
                identity,
                token,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn requests_pass_as_the_model_says(policies in policies(), requests in proptest::collection::vec(requests(), 2)) {
        let settled = settled(&policies);
        let name = |id: AccessRuleId| settled.name(id).text.to_string();
        let told = |access: Access| match access {
            Access::Allowed(by) => (true, by.map(name)),
            Access::Denied(by) => (false, by.map(name)),
        };
        for request in &requests {
            let seen = decided(&settled, request);
            prop_assert_eq!(told(seen.access), access(&policies, false, request), "{:?}", request);
            let tried = policies.iter().any(|p| {
                p.dry_run && (p.action == PolicyAction::Allow || !p.rules.is_empty())
            });
            let tried = tried.then(|| access(&policies, true, request));
            prop_assert_eq!(seen.tried.map(told), tried, "{:?}", request);
            let audited = first(&policies, PolicyAction::Audit, false, request);
            prop_assert_eq!(seen.audited.map(name), audited, "{:?}", request);
        }
    }
}

/// Each of the four outcomes is common, so that the property above says something of all of them.
#[test]
fn random_worlds_allow_and_refuse_for_every_reason() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = [0; 4];
    for _ in 0..400 {
        let all = policies().new_tree(&mut runner).unwrap().current();
        let request = requests().new_tree(&mut runner).unwrap().current();
        let (may, by) = access(&all, false, &request);
        seen[usize::from(may) * 2 + usize::from(by.is_some())] += 1;
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}
