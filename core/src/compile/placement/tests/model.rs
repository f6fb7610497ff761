//! Random placements against a model that moves groups of endpoints about as Istio does.

use proptest::prelude::*;

use super::*;
use crate::compile::locality::{REGION, SUBZONE, ZONE};

/// Endpoints of one locality, as Istio moves them about.
#[derive(Clone, Debug)]
struct Group {
    region: String,
    zone: String,
    subzone: String,
    priority: usize,
    members: Vec<usize>,
}

/// Istio's steps one after the other: groups by locality, split by labels, lined up without gaps, spread by distance on
/// top of that, lined up again.
fn model(setting: &LocalityLbSetting, source: &Source, all: &[Candidate]) -> Vec<usize> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, candidate) in all.iter().enumerate() {
        let Locality {
            region,
            zone,
            subzone,
        } = Locality::parse(&candidate.locality);
        let same = |g: &&mut Group| (&g.region, &g.zone, &g.subzone) == (&region, &zone, &subzone);
        match groups.iter_mut().find(same) {
            Some(group) => group.members.push(at),
            None => groups.push(Group {
                region,
                zone,
                subzone,
                priority: 0,
                members: vec![at],
            }),
        }
    }
    let wanted = &setting.failover_priority;
    if !wanted.is_empty() && !source.labels.is_empty() {
        let mut split = Vec::new();
        for group in groups {
            for member in group.members.clone() {
                let mut priority = 0;
                let mut adjust = 0;
                for (j, label) in wanted.iter().enumerate() {
                    let mut mine = source.labels.get(label).cloned().unwrap_or_default();
                    let mut key = label.clone();
                    if let Some((name, value)) = label.split_once('=') {
                        key = name.to_owned();
                        mine = value.to_owned();
                    }
                    let theirs = all[member].labels.get(&key).cloned().unwrap_or_default();
                    if mine != theirs {
                        if j == 0 && label == NETWORK {
                            adjust = wanted.len();
                            continue;
                        }
                        priority = wanted.len() - j;
                        break;
                    }
                }
                split.push(Group {
                    priority: priority + adjust,
                    members: vec![member],
                    ..group.clone()
                });
            }
        }
        groups = split;
        line_up(&mut groups);
    }
    if wanted.is_empty() || !setting.failover.is_empty() {
        for group in &mut groups {
            let own = &source.locality;
            let mut priority = if own.region != group.region {
                3
            } else if own.zone != group.zone {
                2
            } else if own.subzone != group.subzone {
                1
            } else {
                0
            };
            if priority == 3 {
                for rule in &setting.failover {
                    if rule.from == own.region {
                        if group.region != rule.to {
                            priority = 4;
                        }
                        break;
                    }
                }
            }
            group.priority = group.priority * 5 + priority;
        }
        line_up(&mut groups);
    }
    let mut of = vec![0; all.len()];
    for group in groups {
        for member in group.members {
            of[member] = group.priority;
        }
    }
    of
}

fn line_up(groups: &mut [Group]) {
    let mut used: Vec<usize> = groups.iter().map(|group| group.priority).collect();
    used.sort_unstable();
    used.dedup();
    for group in groups {
        group.priority = used.iter().position(|p| *p == group.priority).unwrap();
    }
}

/// `r0/z1/s0` with labels from a few.
fn place_text() -> impl Strategy<Value = String> {
    let part = |name: &'static str| {
        prop_oneof![
            Just(String::new()),
            (0..2u8).prop_map(move |n| format!("{name}{n}"))
        ]
    };
    (part("r"), part("z"), part("s"), 0..3u8, 0..3u8).prop_map(|(r, z, s, a, n)| {
        let locality = Locality {
            region: r,
            zone: z,
            subzone: s,
        }
        .text();
        format!("{locality} a=v{a},topology.istio.io/network=n{n}")
    })
}

fn failover_label() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("a=v1".to_owned()),
        Just(REGION.to_owned()),
        Just(ZONE.to_owned()),
        Just(SUBZONE.to_owned()),
        Just(NETWORK.to_owned()),
        Just("none".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn priorities_are_istios(
        from in prop_oneof![Just(String::new()), place_text()],
        all in prop::collection::vec(place_text(), 0..8),
        wanted in prop::collection::btree_set(failover_label(), 0..5),
        rules in prop::collection::vec((0..3u8, 0..3u8), 0..3),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut wanted: Vec<String> = wanted.into_iter().collect();
        // An `a` beside an `a=v1` takes its value; the model does not know that.
        if wanted.iter().any(|label| label == "a=v1") {
            wanted.retain(|label| label != "a");
        }
        if !wanted.is_empty() {
            let by = shuffle.index(wanted.len());
            wanted.rotate_left(by);
        }
        let setting = LocalityLbSetting {
            failover_priority: wanted,
            failover: rules.iter().map(|(from, to)| LocalityFailover { from: format!("r{from}"), to: format!("r{to}") }).collect(),
            ..LocalityLbSetting::default()
        };
        let texts: Vec<&str> = all.iter().map(String::as_str).collect();
        let (from, all) = (source(&from), candidates(&texts));
        let want: Vec<_> = model(&setting, &from, &all).into_iter().map(|p| Some(p as u32)).collect();
        let got = place(&locality(setting), true, &from, &all);
        prop_assert_eq!(&got.priorities, &want);
        // Every endpoint of a weighted cluster is in a locality that has a weight.
        if let LocalityPolicy::Weighted(weights) = &got.policy {
            for (candidate, priority) in all.iter().zip(&got.priorities) {
                let has = weights.iter().any(|w| Some(w.priority) == *priority && w.locality == candidate.locality && w.weight > 0);
                prop_assert!(has, "{:?}", candidate);
            }
        }
    }
}
