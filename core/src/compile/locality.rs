//! Where workloads are: `region/zone/subzone`, from what configuration says about them, as Istio finds it.
//!
//! Owns the reading of localities and the labels that Istio adds to a workload because of where it is. What follows from
//! it for traffic is `placement`'s business.

use std::collections::BTreeMap;

use super::labels::Labels;

/// Region.
pub(super) const REGION: &str = "topology.kubernetes.io/region";
/// Zone.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
/// Subzone.
pub(super) const SUBZONE: &str = "topology.istio.io/subzone";
/// Network.
pub(super) const NETWORK: &str = "topology.istio.io/network";
/// Node.
pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";

/// Older names of region and zone on a node.
const OLD_REGION: &str = "failure-domain.beta.kubernetes.io/region";
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";

/// Labels that give the whole locality, the first one wins. They write `region.zone.subzone`, because slashes may not
/// stand in labels.
const WHOLE: [&str; 2] = ["topology.istio.io/locality", "istio-locality"];

/// Every label that says where a workload is.
pub(super) const PLACES: [&str; 9] = [
    REGION, ZONE, SUBZONE, NETWORK, HOSTNAME, OLD_REGION, OLD_ZONE, WHOLE[0], WHOLE[1],
];

/// Where a workload is. Parts may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Locality {
    pub(super) region: String,
    pub(super) zone: String,
    pub(super) subzone: String,
}

impl Locality {
    /// From `region/zone/subzone`; what comes after is ignored.
    #[must_use]
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = text.splitn(4, '/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            region: next(),
            zone: next(),
            subzone: next(),
        }
    }

    /// From a label of the workload itself.
    #[must_use]
    pub(super) fn of_labels(labels: &Labels) -> Option<Self> {
        let text = WHOLE.iter().find_map(|name| labels.get(*name))?;
        if text.is_empty() {
            return None;
        }
        Some(if text.contains('/') {
            Self::parse(text)
        } else {
            Self::parse(&text.replace('.', "/"))
        })
    }

    /// Of the workload that the sidecar stands beside: from the labels Kubernetes knows places by, or from a label of its
    /// own.
    #[must_use]
    pub(super) fn of_proxy(labels: &Labels) -> Self {
        let topology = Self::of_topology(labels, &[REGION], &[ZONE]);
        topology
            .or_else(|| Self::of_labels(labels))
            .unwrap_or_default()
    }

    /// Of everything on a node.
    #[must_use]
    pub(super) fn of_node(labels: &Labels) -> Option<Self> {
        Self::of_topology(labels, &[REGION, OLD_REGION], &[ZONE, OLD_ZONE])
    }

    /// From the first label of each kind that is there.
    fn of_topology(labels: &Labels, region: &[&str], zone: &[&str]) -> Option<Self> {
        let of = |names: &[&str]| names.iter().find_map(|name| labels.get(*name)).cloned();
        let parts = [of(region), of(zone), of(&[SUBZONE])];
        parts.iter().any(Option::is_some).then(|| {
            let [region, zone, subzone] = parts.map(Option::unwrap_or_default);
            Self {
                region,
                zone,
                subzone,
            }
        })
    }

    /// Whether nothing is known.
    #[must_use]
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// `region/zone/subzone`; parts after the first empty one are left out, unless only the region is missing.
    #[must_use]
    pub(super) fn text(&self) -> Box<str> {
        let parts = [&self.region, &self.zone, &self.subzone];
        let first = usize::from(self.region.is_empty());
        let known = parts[first..].iter().take_while(|part| !part.is_empty());
        let count = known.count();
        let known = &parts[..if count == 0 { 0 } else { first + count }];
        let known: Vec<&str> = known.iter().map(|part| part.as_str()).collect();
        known.join("/").into()
    }

    /// Whether it is one of those a rule means: `*` and what is left out stand for all.
    #[must_use]
    pub(super) fn is_meant_by(&self, rule: &str) -> bool {
        let rule = Self::parse(rule);
        let matches = |wanted: &str, have: &str| wanted == "*" || wanted == have;
        matches(&rule.region, &self.region)
            && (rule.zone.is_empty() || matches(&rule.zone, &self.zone))
            && (rule.subzone.is_empty() || matches(&rule.subzone, &self.subzone))
    }

    /// How far away another one is: 0 in the same subzone, 1 in the same zone, 2 in the same region, 3 elsewhere.
    #[must_use]
    pub(super) fn distance(&self, other: &Self) -> u32 {
        if self.region != other.region {
            3
        } else if self.zone != other.zone {
            2
        } else {
            u32::from(self.subzone != other.subzone)
        }
    }
}

/// The labels of a workload with those that Istio adds because of where it is.
#[must_use]
pub(super) fn augment(labels: &Labels, locality: &Locality, node: &str, network: &str) -> Labels {
    let mut labels = labels.clone();
    let mut set = |name: &str, value: &str| {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.to_owned());
        }
    };
    set(REGION, &locality.region);
    set(ZONE, &locality.zone);
    set(SUBZONE, &locality.subzone);
    set(HOSTNAME, node);
    // A workload knows its network better than anybody else.
    if labels.get(NETWORK).is_none_or(String::is_empty) && !network.is_empty() {
        labels.insert(NETWORK.to_owned(), network.to_owned());
    }
    labels
}

/// Localities of nodes by name.
pub(super) type Nodes<'a> = BTreeMap<&'a str, Locality>;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn reads_and_writes() {
        for (text, parts, again) in [
            ("", ["", "", ""], ""),
            ("r", ["r", "", ""], "r"),
            ("r/z", ["r", "z", ""], "r/z"),
            ("r/z/", ["r", "z", ""], "r/z"),
            ("r/z/s", ["r", "z", "s"], "r/z/s"),
            ("r/z/s/more", ["r", "z", "s"], "r/z/s"),
            ("r//s", ["r", "", "s"], "r"),
            ("/z", ["", "z", ""], "/z"),
            ("/z/s", ["", "z", "s"], "/z/s"),
            ("//s", ["", "", "s"], ""),
        ] {
            let got = Locality::parse(text);
            assert_eq!([&*got.region, &*got.zone, &*got.subzone], parts, "{text}");
            assert_eq!(&*got.text(), again, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_where_its_labels_say() {
        for (of, want) in [
            (&[][..], ""),
            (&[("app", "a")], ""),
            (&[("istio-locality", "r.z.s")], "r/z/s"),
            (&[("istio-locality", "r/z.1")], "r/z.1"),
            (
                &[
                    ("istio-locality", "a.b"),
                    ("topology.istio.io/locality", "r.z"),
                ],
                "r/z",
            ),
            (&[(REGION, "r"), (ZONE, "z"), (SUBZONE, "s")], "r/z/s"),
            (&[(REGION, "r"), ("istio-locality", "a.b.c")], "r"),
            (&[(ZONE, "z")], "/z"),
        ] {
            assert_eq!(&*Locality::of_proxy(&labels(of)).text(), want, "{of:?}");
        }
        let old = labels(&[(OLD_REGION, "r"), (OLD_ZONE, "z")]);
        assert_eq!(Locality::of_node(&old), Some(Locality::parse("r/z")));
        assert_eq!(Locality::of_node(&labels(&[("a", "b")])), None);
    }

    #[test]
    fn rules_mean_localities() {
        for (rule, locality, want) in [
            ("*", "r/z/s", true),
            ("r", "r/z/s", true),
            ("r/*", "r/z/s", true),
            ("r/z", "r/z/s", true),
            ("r/z/*", "r/z/s", true),
            ("r/z/s", "r/z/s", true),
            ("r/z/t", "r/z/s", false),
            ("r/y", "r/z/s", false),
            ("r/y/*", "r/z/s", false),
            ("q/*", "r/z/s", false),
            ("r/z", "r", false),
            ("r/*", "r", true),
            ("*", "", true),
            ("r", "", false),
        ] {
            let got = Locality::parse(locality).is_meant_by(rule);
            assert_eq!(got, want, "{rule} {locality}");
        }
    }

    #[test]
    fn distance_counts_the_first_difference() {
        for (a, b, want) in [
            ("r/z/s", "r/z/s", 0),
            ("r/z/s", "r/z/t", 1),
            ("r/z/s", "r/z", 1),
            ("r/z/s", "r/y/s", 2),
            ("r/z/s", "q/z/s", 3),
            ("", "", 0),
            ("", "r", 3),
            ("", "/z", 2),
        ] {
            let got = Locality::parse(a).distance(&Locality::parse(b));
            assert_eq!(got, want, "{a} {b}");
        }
    }

    #[test]
    fn a_place_becomes_labels() {
        let of = labels(&[("app", "a"), (REGION, "old"), (NETWORK, "n1")]);
        let got = augment(&of, &Locality::parse("r/z"), "node", "n2");
        let want = labels(&[
            ("app", "a"),
            (REGION, "r"),
            (ZONE, "z"),
            (HOSTNAME, "node"),
            (NETWORK, "n1"),
        ]);
        assert_eq!(got, want);
        let got = augment(&Labels::new(), &Locality::default(), "", "n2");
        assert_eq!(got, labels(&[(NETWORK, "n2")]));
    }
}
