//! Inheritance by table, and against a model that copies blocks between maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::destination_rule::{HashKey, SimpleLb, TcpSettings};

/// A policy of the named blocks, each marked with a number where its type has room for one.
fn policy(blocks: &[(&str, i32)]) -> TrafficPolicy {
    let get = |name: &str| {
        let mut all = blocks.iter();
        all.find(|(n, _)| *n == name).map(|(_, mark)| *mark)
    };
    TrafficPolicy {
        load_balancer: get("lb").map(|mark| LoadBalancerSettings {
            warmup_duration_secs: Some(crate::time::Duration::from_secs(
                mark.unsigned_abs().into(),
            )),
            ..LoadBalancerSettings::default()
        }),
        connection_pool: get("pool").map(|mark| ConnectionPoolSettings {
            tcp: Some(TcpSettings {
                max_connections: mark,
                ..TcpSettings::default()
            }),
            http: None,
        }),
        outlier_detection: get("outlier").map(|mark| OutlierDetection {
            max_ejection_percent: mark,
            ..OutlierDetection::default()
        }),
        tls: get("tls").map(|mark| ClientTlsSettings {
            sni: mark.to_string(),
            ..ClientTlsSettings::default()
        }),
        port_level_settings: Vec::new(),
        tunnel: get("tunnel").map(|mark| TunnelSettings {
            target_host: mark.to_string(),
            ..TunnelSettings::default()
        }),
        proxy_protocol: None,
        retry_budget: get("budget").map(|mark| RetryBudget {
            min_retry_concurrency: mark.unsigned_abs(),
            ..RetryBudget::default()
        }),
    }
}

fn entry(port: u32, blocks: &[(&str, i32)]) -> PortTrafficPolicy {
    let policy = policy(blocks);
    PortTrafficPolicy {
        port: Some(port),
        load_balancer: policy.load_balancer,
        connection_pool: policy.connection_pool,
        outlier_detection: policy.outlier_detection,
        tls: policy.tls,
    }
}

/// The blocks of a result with their marks.
fn marks(effective: &Effective<'_>) -> BTreeMap<&'static str, String> {
    let mut out = BTreeMap::new();
    let mut add = |name, mark: Option<String>| {
        if let Some(mark) = mark {
            out.insert(name, mark);
        }
    };
    let lb = effective
        .load_balancer
        .and_then(|lb| lb.warmup_duration_secs);
    add("lb", lb.map(|d| d.as_secs().to_string()));
    let tcp = effective.connection_pool.and_then(|pool| pool.tcp.as_ref());
    add("pool", tcp.map(|tcp| tcp.max_connections.to_string()));
    let outlier = effective.outlier_detection;
    add(
        "outlier",
        outlier.map(|o| o.max_ejection_percent.to_string()),
    );
    add("tls", effective.tls.map(|tls| tls.sni.clone()));
    add("tunnel", effective.tunnel.map(|t| t.target_host.clone()));
    let budget = effective.retry_budget;
    add(
        "budget",
        budget.map(|b| b.min_retry_concurrency.to_string()),
    );
    out
}

#[test]
fn blocks_replace_as_units() {
    // A subset that sets one half of `connectionPool` loses the other half.
    let top = policy(&[("pool", 1)]);
    let subset = TrafficPolicy {
        connection_pool: Some(ConnectionPoolSettings::default()),
        ..TrafficPolicy::default()
    };
    let got = effective(Some(&top), Some(&subset), 80);
    assert_eq!(
        got.connection_pool,
        Some(&ConnectionPoolSettings::default())
    );
}

#[test]
fn a_port_entry_replaces_the_whole_policy() {
    let top = TrafficPolicy {
        port_level_settings: vec![entry(80, &[("lb", 2)])],
        ..policy(&[("outlier", 1), ("tunnel", 1)])
    };
    let of = |port| marks(&effective(Some(&top), None, port));
    assert_eq!(of(80), [("lb", "2".into())].into());
    assert_eq!(
        of(81),
        [("outlier", "1".into()), ("tunnel", "1".into())].into()
    );
}

/// Reference §2.14: subset's port, subset, rule's port, rule; what does not hash is passed over.
#[test]
fn what_is_hashed_is_looked_up_from_the_inside_out() {
    let balancer = |written: &str| match written {
        "" => None,
        "random" => Some(LoadBalancerPolicy::Simple(SimpleLb::Random)),
        header => Some(LoadBalancerPolicy::ConsistentHash(ConsistentHash {
            key: Some(HashKey::HeaderName(header.into())),
            ..ConsistentHash::default()
        })),
    };
    let settings = |written| {
        let policy = Some(balancer(written)?);
        Some(LoadBalancerSettings {
            policy,
            ..LoadBalancerSettings::default()
        })
    };
    let policy = |whole, port| TrafficPolicy {
        load_balancer: settings(whole),
        port_level_settings: vec![PortTrafficPolicy {
            port: Some(80),
            load_balancer: settings(port),
            ..PortTrafficPolicy::default()
        }],
        ..TrafficPolicy::default()
    };
    for (rule, rules_port, subset, subsets_port, want) in [
        ("a", "b", "c", "d", Some("d")),
        ("a", "b", "c", "", Some("c")),
        ("a", "b", "", "", Some("b")),
        ("a", "", "", "", Some("a")),
        ("a", "random", "random", "random", Some("a")),
        ("random", "", "c", "random", Some("c")),
        ("random", "", "", "", None),
        ("", "", "", "", None),
    ] {
        let (top, subset) = (policy(rule, rules_port), policy(subset, subsets_port));
        let found = hashed_by(Some(&top), Some(&subset), 80);
        let name = found.and_then(|hash| match &hash.key {
            Some(HashKey::HeaderName(name)) => Some(name.as_str()),
            _ => None,
        });
        assert_eq!(name, want, "{rule} {rules_port} {subset:?}");
    }
    let (top, subset) = (policy("a", "b"), policy("c", "d"));
    let of = |port| hashed_by(Some(&top), Some(&subset), port);
    assert_eq!(of(81), hashed_by(None, Some(&policy("c", "")), 80));
    assert_eq!(hashed_by(None, None, 80), None);
}

type Blocks = Vec<(&'static str, i32)>;

/// A random policy: its blocks, and a port entry for port 80.
type Written = (Blocks, Option<Blocks>);

const PER_PORT: [&str; 4] = ["lb", "pool", "outlier", "tls"];

fn any_blocks(names: &'static [&'static str]) -> impl Strategy<Value = Blocks> {
    let marks = prop::collection::vec(prop::option::of(1i32..100), names.len());
    marks.prop_map(move |marks| {
        let pairs = names.iter().zip(marks);
        pairs
            .filter_map(|(name, mark)| Some((*name, mark?)))
            .collect()
    })
}

fn any_policy() -> impl Strategy<Value = Option<Written>> {
    let all = any_blocks(&["lb", "pool", "outlier", "tls", "tunnel", "budget"]);
    prop::option::of((all, prop::option::of(any_blocks(&PER_PORT))))
}

fn build(written: &Option<Written>) -> Option<TrafficPolicy> {
    written.as_ref().map(|(blocks, port)| TrafficPolicy {
        port_level_settings: port.iter().map(|blocks| entry(80, blocks)).collect(),
        ..policy(blocks)
    })
}

fn as_map(blocks: &Blocks) -> BTreeMap<&'static str, String> {
    blocks
        .iter()
        .map(|(name, mark)| (*name, mark.to_string()))
        .collect()
}

/// Istio reference §2.14, word by word.
fn model(top: &Option<Written>, subset: &Option<Written>) -> BTreeMap<&'static str, String> {
    let mut result = match top {
        None => BTreeMap::new(),
        Some((_, Some(port))) => as_map(port),
        Some((blocks, None)) => as_map(blocks),
    };
    match subset {
        None => {}
        Some((_, Some(port))) => {
            for name in PER_PORT {
                result.remove(name);
            }
            result.extend(as_map(port));
        }
        Some((blocks, None)) => result.extend(as_map(blocks)),
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn inherits_as_the_model_does(top in any_policy(), subset in any_policy()) {
        let (top_policy, subset_policy) = (build(&top), build(&subset));
        let got = effective(top_policy.as_ref(), subset_policy.as_ref(), 80);
        prop_assert_eq!(marks(&got), model(&top, &subset));
    }
}
