//! Merging against a model that sorts, splits and copies, on rules that compete for few hosts.

use proptest::prelude::*;

use super::*;
use crate::compile::Workload;
use crate::config::destination_rule::{OutlierDetection, WorkloadSelector};
use crate::config::{MeshConfig, Meta, Resources};

#[test]
fn wildcards_over_a_host_come_longest_first() {
    for (host, want) in [
        ("a.b.c", "*.b.c *.c *"),
        ("*.b.c", "*.c *"),
        ("a", "*"),
        ("*", ""),
    ] {
        let got: Vec<String> = wildcards_over(host).collect();
        assert_eq!(got.join(" "), want, "{host}");
    }
}

/// What distinguishes one random rule.
#[derive(Clone, Debug)]
struct Written {
    namespace: &'static str,
    host: &'static str,
    created: Option<u8>,
    export_to: &'static [&'static str],
    /// The value of the label `app` it selects.
    selects: Option<&'static str>,
    has_policy: bool,
    subsets: Vec<u8>,
}

fn any_rule() -> impl Strategy<Value = Written> {
    let audiences: [&[&str]; 4] = [&[], &["*"], &["."], &["client", "owner"]];
    (
        prop::sample::select(vec!["client", "owner", "istio-system", "third"]),
        prop::sample::select(vec!["s.test", "*.test", "*"]),
        prop::option::of(0u8..3),
        prop::sample::select(audiences.to_vec()),
        prop_oneof![4 => Just(None), 1 => Just(Some("x")), 1 => Just(Some("y"))],
        any::<bool>(),
        prop::collection::vec(0u8..4, 0..3),
    )
        .prop_map(
            |(namespace, host, created, export_to, selects, has_policy, subsets)| Written {
                namespace,
                host,
                created,
                export_to,
                selects,
                has_policy,
                subsets,
            },
        )
}

fn build(number: usize, written: &Written) -> DestinationRule {
    DestinationRule {
        meta: Meta {
            name: format!("r{number:02}"),
            namespace: written.namespace.into(),
            created: written.created.map(|day| format!("2024-01-0{}", day + 1)),
            ..Meta::default()
        },
        host: written.host.into(),
        // The policy is marked with the number of its rule.
        traffic_policy: written.has_policy.then(|| TrafficPolicy {
            outlier_detection: Some(OutlierDetection {
                max_ejection_percent: i32::try_from(number).unwrap(),
                ..OutlierDetection::default()
            }),
            ..TrafficPolicy::default()
        }),
        subsets: written
            .subsets
            .iter()
            .map(|name| Subset {
                name: name.to_string(),
                labels: [("rule".to_owned(), number.to_string())].into(),
                traffic_policy: None,
            })
            .collect(),
        export_to: written.export_to.iter().map(ToString::to_string).collect(),
        workload_selector: written.selects.map(|app| WorkloadSelector {
            match_labels: [("app".to_owned(), app.to_owned())].into(),
        }),
        ..DestinationRule::default()
    }
}

/// The number of the rule that gives the policy, and for each subset in order its name and the rule that gives it.
type Outcome = Option<(Option<usize>, Vec<(u8, usize)>)>;

/// Clients are in `client` with the label `app: x`, the service is `s.test` of `owner`.
fn model(rules: &[Written]) -> Outcome {
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|at| (rules[*at].created, *at));
    for namespace in ["client", "owner", "istio-system"] {
        for host in ["s.test", "*.test", "*"] {
            let holds = |at: &usize| {
                let r = &rules[*at];
                let exported = r.export_to.is_empty()
                    || r.export_to.contains(&"*")
                    || r.export_to.contains(&"client");
                r.namespace == namespace
                    && r.host == host
                    && (namespace == "client" || exported)
                    && (r.selects.is_none() || (namespace == "client" && r.selects == Some("x")))
            };
            let mut usable: Vec<usize> = order.iter().copied().filter(holds).collect();
            if usable.iter().any(|at| rules[*at].selects.is_some()) {
                usable.retain(|at| rules[*at].selects.is_some());
            }
            let Some(first) = usable.first().copied() else {
                continue;
            };
            usable.retain(|at| rules[*at].export_to == rules[first].export_to);
            let policy = usable.iter().copied().find(|at| rules[*at].has_policy);
            let mut subsets: Vec<(u8, usize)> = Vec::new();
            for at in usable {
                for name in &rules[at].subsets {
                    if !subsets.iter().any(|(known, _)| known == name) {
                        subsets.push((*name, at));
                    }
                }
            }
            return Some((policy, subsets));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn merges_as_the_model_does(written in prop::collection::vec(any_rule(), 0..10)) {
        let rules = written.iter().enumerate().map(|(number, w)| build(number, w));
        let resources = Resources {
            destination_rules: rules.collect(),
            ..Resources::default()
        };
        let workload = Workload {
            namespace: "client".into(),
            labels: [("app".to_owned(), "x".to_owned())].into(),
            ..Workload::default()
        };
        let input = Input {
            resources: &resources,
            workload: &workload,
            mesh: &MeshConfig::default(),
        };
        let rules = DestinationRules::new(&input);
        let got: Outcome = rules.find("s.test", "owner").map(|merged| {
            let outlier = merged.traffic_policy.and_then(|p| p.outlier_detection.as_ref());
            let policy = outlier.map(|o| usize::try_from(o.max_ejection_percent).unwrap());
            let subsets = merged.subsets.iter().map(|subset| {
                (subset.name.parse().unwrap(), subset.labels["rule"].parse().unwrap())
            });
            (policy, subsets.collect())
        });
        prop_assert_eq!(got, model(&written));
    }
}
