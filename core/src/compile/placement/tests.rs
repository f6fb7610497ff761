//! Placements by hand, and against a model that moves groups of endpoints about as Istio does.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::compile::locality::{REGION, SUBZONE, ZONE, augment};
use crate::config::destination_rule::ZoneAwareLbSetting;
use crate::snapshot::Address;

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// `r/z/s` and labels after a space.
fn source(text: &str) -> Source {
    let (locality, own) = text.split_once(' ').unwrap_or((text, ""));
    let locality = Locality::parse(locality);
    Source {
        labels: augment(&labels(own), &locality, "", ""),
        locality,
        peers: None,
    }
}

/// The same with a weight after `*`.
fn candidates(all: &[&str]) -> Vec<Candidate> {
    let one = |(at, text): (usize, &&str)| {
        let (text, weight) = text.split_once('*').unwrap_or((text, "1"));
        let Source {
            labels, locality, ..
        } = source(text);
        Candidate {
            labels,
            weight: weight.parse().unwrap(),
            locality: locality.text(),
            ..Candidate::new(Address::Name(format!("e{at}").into(), 80))
        }
    };
    all.iter().enumerate().map(one).collect()
}

fn failover(pairs: &[(&str, &str)]) -> Vec<LocalityFailover> {
    let one = |(from, to): &(&str, &str)| LocalityFailover {
        from: (*from).to_owned(),
        to: (*to).to_owned(),
    };
    pairs.iter().map(one).collect()
}

fn owned(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn locality(setting: LocalityLbSetting) -> Setting<'static> {
    Setting::Locality {
        setting: Cow::Owned(setting),
        force: false,
    }
}

/// Priorities in a line, `-` for what is left out.
fn priorities(placement: &Placement) -> String {
    let one = |priority: &Option<u32>| priority.map_or("-".to_owned(), |p| p.to_string());
    let all: Vec<_> = placement.priorities.iter().map(one).collect();
    all.join(" ")
}

fn weights(placement: &Placement) -> String {
    match &placement.policy {
        LocalityPolicy::Alike => "alike".to_owned(),
        LocalityPolicy::ZoneAware(zones) => {
            format!(
                "{} of {:?} from {}",
                zones.own, zones.proxies, zones.min_endpoints
            )
        }
        LocalityPolicy::Weighted(all) => {
            let one = |w: &LocalityWeight| format!("{}:{}={}", w.priority, w.locality, w.weight);
            let all: Vec<_> = all.iter().map(one).collect();
            all.join(" ")
        }
    }
}

#[test]
fn nearer_endpoints_come_first() {
    let everywhere = ["r/z/s", "r/z/t", "r/y", "q/z/s", "p", ""];
    for (from, rules, all, want) in [
        ("r/z/s", &[][..], &everywhere[..], "0 1 2 3 3 3"),
        ("r/z/s", &[("r", "q")], &everywhere, "0 1 2 3 4 4"),
        ("r/z/s", &[("r", "x")], &everywhere, "0 1 2 3 3 3"),
        ("r/z/s", &[("q", "p")], &everywhere, "0 1 2 3 3 3"),
        // The first entry for the region is the one that counts.
        (
            "r/z/s",
            &[("r", "p"), ("r", "q")],
            &everywhere,
            "0 1 2 4 3 4",
        ),
        // Without gaps, whatever there is.
        ("r/z/s", &[("r", "q")], &["p", "r/z/t"], "1 0"),
        ("r/z/s", &[], &["p", "q"], "0 0"),
        ("r/z/s", &[], &["r/y/s"], "0"),
        ("", &[], &everywhere, "1 1 1 1 1 0"),
    ] {
        let setting = locality(LocalityLbSetting {
            failover: failover(rules),
            ..LocalityLbSetting::default()
        });
        let got = place(&setting, true, &source(from), &candidates(all));
        assert_eq!(priorities(&got), want, "{from} {rules:?} {all:?}");
        assert_eq!(got.policy == LocalityPolicy::Alike, rules.is_empty());
    }
}

#[test]
fn without_ejection_nothing_fails_over() {
    let setting = LocalityLbSetting {
        failover: failover(&[("r", "q")]),
        failover_priority: owned(&["app"]),
        ..LocalityLbSetting::default()
    };
    let all = candidates(&["q", "r app=a"]);
    let from = source("r app=a");
    for (force, ejects, want) in [
        (false, false, "0 0"),
        (false, true, "1 0"),
        (true, false, "1 0"),
    ] {
        let setting = Setting::Locality {
            setting: Cow::Borrowed(&setting),
            force,
        };
        let got = place(&setting, ejects, &from, &all);
        assert_eq!(priorities(&got), want, "{force} {ejects}");
    }
    assert_eq!(place(&Setting::Off, true, &from, &all), Placement::alike(2));
}

#[test]
fn labels_count_from_the_first_that_differs() {
    let all = [
        "r/z a=1,b=1",
        "r/z a=1,b=2",
        "r/z a=2,b=1",
        "r/z",
        "q a=1,b=1",
    ];
    for (from, wanted, rules, want) in [
        ("r/z a=1,b=1", &["a", "b"][..], &[][..], "0 1 2 2 0"),
        ("r/z a=1,b=1", &["b", "a"], &[], "0 2 1 2 0"),
        ("r/z a=1,b=1", &["a=2", "b"], &[], "1 1 0 1 1"),
        // `b=2` holds for every `b` of the list.
        ("r/z a=1,b=1", &["b", "b=2"], &[], "1 0 1 1 1"),
        // What nobody has is the same everywhere.
        ("r/z a=1,b=1", &["c"], &[], "0 0 0 0 0"),
        ("r/z a=1,b=1", &[REGION, "a"], &[], "0 0 1 1 2"),
        ("r/z a=1,b=1", &["a"], &[("r", "p")], "0 0 2 2 1"),
        // A workload without labels has nothing to compare.
        ("", &["a", "b"], &[], "0 0 0 0 0"),
        ("", &["a", "b"], &[("r", "p")], "0 0 0 0 0"),
    ] {
        let setting = locality(LocalityLbSetting {
            failover_priority: owned(wanted),
            failover: failover(rules),
            ..LocalityLbSetting::default()
        });
        let got = place(&setting, true, &source(from), &candidates(&all));
        assert_eq!(priorities(&got), want, "{from} {wanted:?} {rules:?}");
    }
}

#[test]
fn a_network_that_differs_only_puts_endpoints_behind() {
    let all = [
        "r/z topology.istio.io/network=n1",
        "r/y topology.istio.io/network=n1",
        "q topology.istio.io/network=n1",
        "r/z topology.istio.io/network=n2",
        "r/y topology.istio.io/network=n2",
        "q topology.istio.io/network=n2",
    ];
    let from = source("r/z topology.istio.io/network=n1");
    for (wanted, want) in [
        (&[NETWORK, REGION, ZONE][..], "0 1 2 3 4 5"),
        (&[REGION, NETWORK, ZONE], "0 1 3 2 2 3"),
        (&[NETWORK], "0 0 0 1 1 1"),
    ] {
        let setting = locality(LocalityLbSetting {
            failover_priority: owned(wanted),
            ..LocalityLbSetting::default()
        });
        let got = place(&setting, true, &from, &candidates(&all));
        assert_eq!(priorities(&got), want, "{wanted:?}");
    }
}

#[test]
fn localities_weigh_what_their_endpoints_weigh() {
    let setting = locality(LocalityLbSetting {
        failover_priority: owned(&["a"]),
        ..LocalityLbSetting::default()
    });
    let all = candidates(&["r/z a=1*2", "r/z a=1*3", "r/y a=1", "r/z a=2*7", "q"]);
    let got = place(&setting, true, &source("r/z a=1"), &all);
    assert_eq!(priorities(&got), "0 0 0 1 1");
    assert_eq!(weights(&got), "0:r/y=1 0:r/z=5 1:q=1 1:r/z=7");
}

#[test]
fn shares_go_to_the_localities_that_are_meant() {
    let all = ["r/z/s*2", "r/z/t", "r/y", "q/x*3", "p"];
    type Rule<'a> = (&'a str, &'a [(&'a str, u32)]);
    for (from, rules, want, weigh) in [
        (
            "r/z/s",
            &[("r/*", &[("r/z/*", 80), ("q", 20)][..])][..],
            "0 0 - 0 -",
            "0:q/x=20 0:r/z/s=54 0:r/z/t=27", // two thirds of 80 and one third, rounded up
        ),
        (
            "r/z/s",
            &[("*", &[("*", 100)])],
            "0 0 0 0 0",
            "0:p=13 0:q/x=38 0:r/y=13 0:r/z/s=25 0:r/z/t=13",
        ),
        (
            "r/z/s",
            &[("r/z/s", &[("p", 100)]), ("*", &[("q", 100)])],
            "- - - - 0",
            "0:p=100",
        ),
        ("r/z/s", &[("r", &[("o", 100)])], "- - - - -", ""),
        // No rule for this workload: everybody, by weight.
        (
            "r/z/s",
            &[("q/*", &[("q", 100)])],
            "0 0 0 0 0",
            "0:p=1 0:q/x=3 0:r/y=1 0:r/z/s=2 0:r/z/t=1",
        ),
        (
            "",
            &[("r/*", &[("q", 100)])],
            "0 0 0 0 0",
            "0:p=1 0:q/x=3 0:r/y=1 0:r/z/s=2 0:r/z/t=1",
        ),
    ] as [(&str, &[Rule<'_>], &str, &str); 6]
    {
        let one = |(from, to): &Rule<'_>| LocalityDistribute {
            from: (*from).to_owned(),
            to: to
                .iter()
                .map(|(to, share)| ((*to).to_owned(), *share))
                .collect(),
        };
        let setting = locality(LocalityLbSetting {
            distribute: rules.iter().map(one).collect(),
            failover_priority: owned(&[REGION]), // which is not looked at
            ..LocalityLbSetting::default()
        });
        for ejects in [false, true] {
            let got = place(&setting, ejects, &source(from), &candidates(&all));
            assert_eq!(
                (priorities(&got).as_str(), weights(&got).as_str()),
                (want, weigh),
                "{from} {rules:?}"
            );
        }
    }
}

#[test]
fn zones_of_the_own_region_stay_together() {
    let all = candidates(&["r/z", "r/y/s", "q/z", "p", "r/z a=1"]);
    let peers = |of: &[(&str, u32)]| -> Option<BTreeMap<Locality, u32>> {
        Some(
            of.iter()
                .map(|(at, count)| (Locality::parse(at), *count))
                .collect(),
        )
    };
    let aware = |min: u32| format!("r/z of [(\"r/y\", 1), (\"r/z\", 2)] from {min}");
    for (rules, wanted, min, peers, want, policy) in [
        (
            &[][..],
            &[][..],
            None,
            peers(&[("r/z", 2), ("r/y", 1)]),
            "0 0 1 1 0",
            aware(6),
        ),
        (
            &[("r", "p")],
            &[],
            Some(0),
            peers(&[("r/z", 2), ("r/y", 1)]),
            "0 0 2 1 0",
            aware(0),
        ),
        (
            &[("r", "p")],
            &["a"],
            Some(3),
            peers(&[("r/z", 2), ("r/y", 1)]),
            "1 1 3 2 0",
            aware(3),
        ),
        (&[], &[], None, None, "0 0 1 1 0", "alike".to_owned()),
        (
            &[],
            &[],
            None,
            peers(&[("r/z", 2)]),
            "0 0 1 1 0",
            "alike".to_owned(),
        ),
        (
            &[],
            &[],
            None,
            peers(&[("r/x", 2), ("r/y", 1)]),
            "0 0 1 1 0",
            "alike".to_owned(),
        ),
    ] {
        let setting = ZoneAwareLbSetting {
            enabled: None,
            failover: failover(rules),
            failover_priority: owned(wanted),
            min_cluster_size: min,
        };
        let from = Source {
            peers,
            ..source("r/z a=1")
        };
        let got = place(&Setting::ZoneAware(&setting), false, &from, &all);
        assert_eq!(
            (priorities(&got).as_str(), weights(&got)),
            (want, policy),
            "{setting:?}"
        );
    }
}

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
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

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
