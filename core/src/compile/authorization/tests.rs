//! Which policies hold, what their rules are called, and what is left of them on TCP.

use super::*;
use crate::cluster::Registry;
use crate::compile::Answers;
use crate::compile::{Compiled, Inbound, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::snapshot::{Check, Test};

fn compiled(text: &str) -> Authorization {
    let source = Source {
        name: "f.yaml",
        bytes: text.as_bytes(),
    };
    let workload = Workload {
        namespace: "shop".into(),
        labels: [("app".to_owned(), "cart".to_owned())].into(),
        ..Workload::default()
    };
    let inbound = [Inbound {
        listen: ([10, 0, 0, 1], 15006).into(),
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let Compiled { snapshot, .. } = compile(
        &load(&[source], "shop").resources,
        &workload,
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    (*snapshot.authorization).clone()
}

fn policy(name: &str, namespace: &str, more: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: {name}, namespace: {namespace}{more}}}\nspec: {spec}\n---\n"
    )
}

const TRIED: &str = ", annotations: {istio.io/dry-run: 'true'}";

fn names(of: &Authorization, set: &RuleSet) -> Vec<String> {
    let rules = set.rules.iter();
    rules
        .map(|rule| of.name(rule.id).text.to_string())
        .collect()
}

#[test]
fn policies_hold_by_namespace_and_labels() {
    let deny = |selector: &str| format!("{{action: DENY, {selector} rules: [{{}}]}}");
    let all = [
        policy("mesh", "istio-system", "", &deny("")),
        policy("mine", "shop", "", &deny("")),
        policy(
            "selects",
            "shop",
            "",
            &deny("selector: {matchLabels: {app: cart}},"),
        ),
        policy(
            "mesh-selects",
            "istio-system",
            "",
            &deny("selector: {matchLabels: {app: cart}},"),
        ),
        policy(
            "others",
            "shop",
            "",
            &deny("selector: {matchLabels: {app: x}},"),
        ),
        policy("elsewhere", "other", "", &deny("")),
        policy(
            "targeted",
            "shop",
            "",
            &deny("targetRef: {group: '', kind: Service, name: a},"),
        ),
    ]
    .concat();
    let of = compiled(&all);
    assert_eq!(
        names(&of, &of.http.deny),
        [
            "ns[istio-system]-policy[mesh-selects]-rule[0]",
            "ns[istio-system]-policy[mesh]-rule[0]",
            "ns[shop]-policy[mine]-rule[0]",
            "ns[shop]-policy[selects]-rule[0]"
        ]
    );
    assert_eq!(&*of.ports, [8080]);
    assert!(of.http.allow.is_none());
}

#[test]
fn actions_have_sets_of_their_own() {
    let all = [
        policy("a", "shop", "", "{rules: [{}, {}]}"),
        policy("b", "shop", "", "{action: AUDIT, rules: [{}]}"),
        policy("c", "shop", TRIED, "{action: DENY, rules: [{}]}"),
        policy("d", "shop", TRIED, "{rules: []}"),
        policy(
            "e",
            "shop",
            "",
            "{action: CUSTOM, provider: {name: x}, rules: [{}]}",
        ),
    ]
    .concat();
    let of = compiled(&all);
    let sets = &of.http;
    let name = |policy: &str, at: u32| format!("ns[shop]-policy[{policy}]-rule[{at}]");
    assert_eq!(
        names(&of, sets.allow.as_ref().unwrap()),
        [name("a", 0), name("a", 1)]
    );
    assert_eq!(names(&of, &sets.audit), [name("b", 0)]);
    assert_eq!(names(&of, &sets.tried_deny), [name("c", 0)]);
    assert_eq!(names(&of, sets.tried_allow.as_ref().unwrap()), [""; 0]);
    // Its provider is none of the mesh's.
    assert_eq!(names(&of, &sets.deny), [name("e", 0)]);
}

/// Who would refuse nothing refuses nothing when it is broken either.
#[test]
fn a_policy_with_errors_refuses_everything() {
    let broken = "rules: [{to: [{operation: {ports: [x]}}]}]";
    for (more, action, refuses) in [
        ("", "ALLOW", true),
        ("", "DENY", true),
        ("", "AUDIT", false),
        (TRIED, "DENY", false),
    ] {
        let of = compiled(&policy(
            "a",
            "shop",
            more,
            &format!("{{action: {action}, {broken}}}"),
        ));
        let rules = &of.http.deny.rules;
        assert_eq!(rules.len(), usize::from(refuses), "{more} {action}");
        for rule in rules {
            assert!(rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty());
            assert!(of.name(rule.id).is_broken);
        }
        assert_eq!(of.tcp.deny.rules.len(), rules.len(), "{more} {action}");
    }
}

/// What Istio's generator makes of rules on TCP (`pilot/pkg/security/authz/model`): with HTTP's attributes a rule that
/// allows is useless, and one that refuses is wider.
#[test]
fn rules_on_tcp_have_no_attributes_of_http() {
    let tests = |set: &RuleSet| -> Vec<Vec<String>> {
        let told = |test: &Test| {
            let name = match &test.check {
                Check::DestinationPort(_) => "port",
                Check::Namespace(_) => "namespace",
                Check::Sni(_) => "sni",
                Check::SourceIp(_) => "ip",
                other => panic!("{other:?}"),
            };
            format!("{}{name}", if test.negated { "not " } else { "" })
        };
        let rules = set.rules.iter();
        rules
            .map(|rule| {
                let alternatives = rule.from.iter().chain(&rule.to);
                let tests = alternatives.flat_map(|tests| tests.iter());
                tests.chain(&rule.when).map(told).collect()
            })
            .collect()
    };
    for (rule, allows, refuses) in [
        ("{to: [{operation: {methods: [GET]}}]}", None, &[][..]),
        (
            "{to: [{operation: {methods: [GET], ports: ['80']}}]}",
            None,
            &["port"],
        ),
        (
            "{to: [{operation: {ports: ['80'], notPorts: ['81']}}]}",
            Some(&["port", "not port"][..]),
            &["port", "not port"],
        ),
        (
            "{from: [{source: {namespaces: [a]}}], to: [{operation: {notPaths: [/a]}}]}",
            None,
            &["namespace"],
        ),
        (
            "{when: [{key: connection.sni, values: [a]}, {key: 'request.headers[a]', values: [b]}]}",
            None,
            &["sni"],
        ),
        (
            "{when: [{key: request.auth.principal, notValues: [a]}]}",
            None,
            &[],
        ),
        (
            "{from: [{source: {ipBlocks: [::/0]}}]}",
            Some(&["ip"]),
            &["ip"],
        ),
        ("{}", Some(&[]), &[]),
    ] {
        let of = compiled(&policy("a", "shop", "", &format!("{{rules: [{rule}]}}")));
        let allowed = tests(of.tcp.allow.as_ref().unwrap());
        assert_eq!(
            allowed.first().map(Vec::as_slice).map(|all| all.to_vec()),
            allows.map(|all| { all.iter().map(|&test| test.to_owned()).collect::<Vec<_>>() }),
            "{rule}"
        );
        let of = compiled(&policy(
            "a",
            "shop",
            "",
            &format!("{{action: DENY, rules: [{rule}]}}"),
        ));
        assert_eq!(tests(&of.tcp.deny), [refuses], "{rule}");
    }
}

/// A rule that allows by what nobody knows allows nothing, and one that refuses does so without it.
#[test]
fn what_filters_of_envoy_say_is_not_known() {
    let when = "{when: [{key: 'experimental.envoy.filters.a.b[c]', values: [d]}]}";
    let of = compiled(&policy("a", "shop", "", &format!("{{rules: [{when}]}}")));
    assert_eq!(of.http.allow.map(|set| set.rules.len()), Some(0));
    let of = compiled(&policy(
        "a",
        "shop",
        "",
        &format!("{{action: DENY, rules: [{when}]}}"),
    ));
    let rules: Vec<_> = of
        .http
        .deny
        .rules
        .iter()
        .map(|rule| rule.when.len())
        .collect();
    assert_eq!(rules, [0]);
}
