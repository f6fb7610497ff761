//! Authorization policies against the plain model of them (`fuzz/src/authorization/model.rs`): random policies and requests.

#[path = "../../../fuzz/src/authorization/model.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with a fuzz target, where it is a library"
)]
pub(crate) mod model;

use outrigger_core::config::authorization_policy::{
    AuthorizationPolicy, Condition, Operation, PolicyAction, Rule, Source, Values,
};
use outrigger_core::config::meta::Meta;
use outrigger_core::decision::Access;
use outrigger_core::snapshot::AccessRuleId;
use proptest::prelude::*;
use proptest::sample::select;

use model::{Request, access, decided, first, settled};

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

fn requests() -> impl Strategy<Value = Request<'static>> {
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
