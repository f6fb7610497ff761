//! Placements by hand.

use super::*;
use crate::compile::locality::{REGION, ZONE};
use crate::config::destination_rule::ZoneAwareLbSetting;

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
