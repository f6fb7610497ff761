//! What is told of which name, by table and against what Istio's agent does.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SEARCH: &str = "shop.svc.cluster.local";

fn names(list: &[(&str, &str)]) -> ServiceNames {
    let mut addresses = Vec::new();
    let mut names = Vec::new();
    for ((name, all), at) in list.iter().zip(0..) {
        names.push(((*name).into(), at));
        let all = all.split_whitespace().map(|text| text.parse().unwrap());
        addresses.push(all.collect());
    }
    ServiceNames::new(names, addresses)
}

fn shop() -> ServiceNames {
    names(&[
        ("db", "10.0.0.1"),
        ("db.shop", "10.0.0.1"),
        ("db.shop.svc", "10.0.0.1"),
        ("db.shop.svc.cluster.local", "10.0.0.1"),
        ("api.example", "240.240.0.1 2001:2::f0f0:1"),
        ("*.wild.example", "10.0.0.9"),
        ("*.a.wild.example", "10.0.0.8"),
    ])
}

#[test]
fn services_are_told_and_all_else_is_asked_elsewhere() {
    let names = shop();
    for (name, kind, want) in [
        ("db", Kind::V4, "10.0.0.1"),
        ("db.shop.svc", Kind::V4, "10.0.0.1"),
        // It exists, and has no address of this family.
        ("db.shop.svc", Kind::V6, ""),
        ("db.shop.svc.cluster.local", Kind::V4, "10.0.0.1"),
        (
            "db.shop.shop.svc.cluster.local",
            Kind::V4,
            "=db.shop 10.0.0.1",
        ),
        ("api.example", Kind::V4, "240.240.0.1"),
        ("api.example", Kind::V6, "2001:2::f0f0:1"),
        ("api.example", Kind::Binding, ""),
        ("api.example", Kind::Other, "elsewhere"),
        (
            "api.example.shop.svc.cluster.local",
            Kind::V6,
            "=api.example 2001:2::f0f0:1",
        ),
        // The second search domain is for who has got no answer to the first.
        ("api.example.svc.cluster.local", Kind::V4, "elsewhere"),
        ("x.wild.example", Kind::V4, "10.0.0.9"),
        ("x.y.wild.example", Kind::V4, "10.0.0.9"),
        ("x.a.wild.example", Kind::V4, "10.0.0.8"),
        ("a.wild.example", Kind::V4, "10.0.0.9"),
        ("wild.example", Kind::V4, "elsewhere"),
        (
            "x.wild.example.shop.svc.cluster.local",
            Kind::V4,
            "=x.wild.example 10.0.0.9",
        ),
        ("other.shop.svc.cluster.local", Kind::V4, "elsewhere"),
        (SEARCH, Kind::V4, "elsewhere"),
        ("xshop.svc.cluster.local", Kind::V4, "elsewhere"),
        ("", Kind::V4, "elsewhere"),
    ] {
        assert_eq!(
            told(&names, name, kind, Some(SEARCH)),
            want,
            "{name} {kind:?}"
        );
    }
    let without = told(&names, "db.shop.shop.svc.cluster.local", Kind::V4, None);
    assert_eq!(without, "elsewhere");
}

/// In words.
fn told(names: &ServiceNames, name: &str, kind: Kind, search: Option<&str>) -> String {
    match tell(names, name, kind, search) {
        Told::Elsewhere => "elsewhere".to_owned(),
        Told::Here { alias, addresses } => {
            let alias = alias.map(|alias| format!("={alias}"));
            let of_kind = addresses.iter().filter(|address| kind.has(**address));
            let words = alias.into_iter().chain(of_kind.map(ToString::to_string));
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Istio's agent as a list that is walked: all names, and each with the search domain behind it, unless that is a name
/// itself; then wildcards, the longest first.
fn of_istio(hosts: &BTreeMap<String, String>, name: &str, search: &str) -> String {
    let mut all: BTreeMap<String, (bool, String)> = BTreeMap::new();
    for (host, address) in hosts {
        all.insert(format!("{host}.{search}"), (true, address.clone()));
    }
    for (host, address) in hosts {
        all.insert(host.clone(), (false, address.clone()));
    }
    let mut tried = vec![name.to_owned()];
    let labels: Vec<&str> = name.split('.').collect();
    tried.extend((1..labels.len()).map(|at| format!("*.{}", labels[at..].join("."))));
    for name_or_wildcard in tried {
        if let Some((is_expanded, address)) = all.get(&name_or_wildcard) {
            let short = name.strip_suffix(search).and_then(|s| s.strip_suffix('.'));
            return match is_expanded {
                true => format!("={} {address}", short.unwrap()),
                false => address.clone(),
            };
        }
    }
    "elsewhere".to_owned()
}

fn host() -> impl Strategy<Value = String> {
    let labels = proptest::collection::vec("[abs]", 1..5).prop_map(|labels| labels.join("."));
    (any::<bool>(), labels).prop_map(|(wild, name)| match wild {
        true => format!("*.{name}"),
        false => name,
    })
}

proptest! {
    #[test]
    fn names_are_told_as_istio_tells_them(
        hosts in proptest::collection::btree_set(host(), 0..8),
        asked in proptest::collection::vec("[abs]", 1..7),
        search in proptest::collection::vec("[abs]", 1..3),
    ) {
        let hosts: BTreeSet<String> = hosts;
        let with = hosts.iter().zip(1_u8..).map(|(host, at)| (host.clone(), format!("10.0.0.{at}")));
        let with: BTreeMap<String, String> = with.collect();
        let list: Vec<(&str, &str)> = with.iter().map(|(h, a)| (h.as_str(), a.as_str())).collect();
        let table = names(&list);
        let (asked, search) = (asked.join("."), search.join("."));
        let got = told(&table, &asked, Kind::V4, Some(&search));
        prop_assert_eq!(got, of_istio(&with, &asked, &search));
    }
}
