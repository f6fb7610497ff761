//! Which priority each endpoint of a cluster has for this workload, and how localities share its traffic (Istio reference
//! §1.2, `localityLbSetting` and `zoneAwareLbSetting`).
//!
//! Owns the order of endpoints by distance and by labels, explicit distribution, and what zone-aware routing needs. Which
//! setting holds is `locality_setting`'s business.

use std::collections::{BTreeMap, BTreeSet};

use super::endpoints::Candidate;
use super::labels::Labels;
use super::locality::{Locality, NETWORK};
use super::locality_setting::Setting;
use super::peers::Source;
use crate::config::destination_rule::{LocalityDistribute, LocalityFailover, LocalityLbSetting};
use crate::snapshot::{LocalityPolicy, LocalityWeight, ZoneAware};

/// With fewer healthy endpoints zone-aware routing is off (Envoy).
const MIN_CLUSTER_SIZE: u64 = 6;

/// Where the endpoints of a cluster stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// Of each candidate; `None` leaves it out.
    pub(super) priorities: Vec<Option<u32>>,
    pub(super) policy: LocalityPolicy,
}

/// An endpoint as placement sees it.
#[derive(Clone, Debug)]
struct WeightedEndpoint<'a> {
    locality: Locality,
    labels: &'a Labels,
    weight: u32,
}

/// Places the candidates of a cluster. `ejects`: the cluster has outlier detection.
#[must_use]
pub(super) fn place(
    setting: &Setting<'_>,
    ejects: bool,
    source: &Source,
    candidates: &[Candidate],
) -> Placement {
    let seen: Vec<WeightedEndpoint<'_>> = candidates
        .iter()
        .map(|candidate| WeightedEndpoint {
            locality: Locality::parse(&candidate.locality),
            labels: &candidate.labels,
            weight: candidate.weight,
        })
        .collect();
    match setting {
        Setting::Off => Placement::alike(seen.len()),
        Setting::Locality { setting, .. } if !setting.distribute.is_empty() => {
            distribute(&setting.distribute, source, &seen)
        }
        Setting::Locality { setting, force } if ejects || *force => {
            fail_over(setting, source, &seen)
        }
        Setting::Locality { .. } => Placement::alike(seen.len()),
        Setting::ZoneAware(setting) => {
            let ranks = seen.iter().map(|endpoint| {
                let by_labels = label_rank(&setting.failover_priority, &source.labels, endpoint);
                (by_labels, region_rank(&setting.failover, source, endpoint))
            });
            let priorities = compact(ranks.collect());
            let min = setting.min_cluster_size.unwrap_or(MIN_CLUSTER_SIZE);
            let policy = zone_aware(source, min);
            Placement { priorities, policy }
        }
    }
}

impl Placement {
    /// It does not matter where any of so many candidates is.
    #[must_use]
    pub(super) fn alike(count: usize) -> Self {
        Self {
            priorities: vec![Some(0); count],
            policy: LocalityPolicy::Alike,
        }
    }
}

fn fail_over(
    setting: &LocalityLbSetting,
    source: &Source,
    seen: &[WeightedEndpoint<'_>],
) -> Placement {
    let labels = &setting.failover_priority;
    let goes_by_distance = labels.is_empty() || !setting.failover.is_empty();
    let ranks = seen.iter().map(|endpoint| {
        let by_distance = match goes_by_distance {
            true => distance_rank(&setting.failover, source, endpoint),
            false => 0,
        };
        (label_rank(labels, &source.labels, endpoint), by_distance)
    });
    let priorities = compact(ranks.collect());
    // Istio weighs localities only where failover is written down, so that the default leaves least request its choice.
    let policy = if labels.is_empty() && setting.failover.is_empty() {
        LocalityPolicy::Alike
    } else {
        weighted(sums(&priorities, seen))
    };
    Placement { priorities, policy }
}

/// By distance; where `failover` says which region comes next, that one goes before all others.
fn distance_rank(
    failover: &[LocalityFailover],
    source: &Source,
    endpoint: &WeightedEndpoint<'_>,
) -> u32 {
    let distance = source.locality.distance(&endpoint.locality);
    let mut rules = failover.iter();
    let rule = rules.find(|rule| rule.from == source.locality.region);
    let is_passed_over = |rule: &LocalityFailover| rule.to != endpoint.locality.region;
    distance + u32::from(distance == 3 && rule.is_some_and(is_passed_over))
}

/// By region alone, so that zones of the own one stay together.
fn region_rank(
    failover: &[LocalityFailover],
    source: &Source,
    endpoint: &WeightedEndpoint<'_>,
) -> u32 {
    let (own, region) = (&source.locality.region, &endpoint.locality.region);
    if own == region {
        return 0;
    }
    let rule = failover.iter().find(|rule| rule.from == *own);
    if rule.is_some_and(|rule| rule.to == *region) {
        1
    } else {
        2
    }
}

/// By how many of the labels are the workload's own, counted from the first. `key=value` stands for a value of the
/// workload's. A network that differs does not end the count when it comes first; it only puts all such endpoints behind.
fn label_rank(wanted: &[String], own: &Labels, endpoint: &WeightedEndpoint<'_>) -> u32 {
    if own.is_empty() {
        return 0;
    }
    let count = wanted.len() as u32; // a document has fewer than 2^32
    let mut behind = 0;
    for (at, label) in (0..).zip(wanted) {
        let (key, _) = split_label(label);
        let of_workload = value_of(wanted, key).or_else(|| text(own, key));
        if of_workload.unwrap_or_default() == text(endpoint.labels, key).unwrap_or_default() {
            continue;
        }
        if at == 0 && label == NETWORK {
            behind = count;
            continue;
        }
        return behind + count - at;
    }
    behind
}

/// The last value that the list gives to a key, as Istio has it.
fn value_of<'a>(wanted: &'a [String], key: &str) -> Option<&'a str> {
    let mut all = wanted.iter().rev().map(|label| split_label(label));
    all.find_map(|(other, value)| value.filter(|_| other == key))
}

/// `key=value`; with a second `=` only the key counts.
fn split_label(label: &str) -> (&str, Option<&str>) {
    let mut parts = label.split('=');
    let key = parts.next().unwrap_or_default();
    let value = parts.next();
    (key, value.filter(|_| parts.next().is_none()))
}

fn text<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.get(key).map(String::as_str)
}

/// Ranks as priorities: 0, 1 and so on without a gap.
fn compact(ranks: Vec<(u32, u32)>) -> Vec<Option<u32>> {
    let order: BTreeSet<(u32, u32)> = ranks.iter().copied().collect();
    let order: BTreeMap<_, u32> = order.into_iter().zip(0..).collect();
    ranks.iter().map(|rank| order.get(rank).copied()).collect()
}

/// Weights of endpoints, by priority and locality.
fn sums(
    priorities: &[Option<u32>],
    seen: &[WeightedEndpoint<'_>],
) -> BTreeMap<(u32, Locality), u32> {
    let mut sums = BTreeMap::new();
    for (priority, endpoint) in priorities.iter().zip(seen) {
        if let Some(priority) = priority {
            let key = (*priority, endpoint.locality.clone());
            let sum: &mut u32 = sums.entry(key).or_default();
            *sum = sum.saturating_add(endpoint.weight);
        }
    }
    sums
}

fn weighted(weights: BTreeMap<(u32, Locality), u32>) -> LocalityPolicy {
    let all = weights
        .into_iter()
        .map(|((priority, locality), weight)| LocalityWeight {
            priority,
            locality: locality.text(),
            weight,
        });
    let mut all: Vec<_> = all.collect();
    all.sort();
    LocalityPolicy::Weighted(all.into())
}

/// The shares of the first rule that is about this workload; without one, localities go by the weights of their endpoints.
fn distribute(
    rules: &[LocalityDistribute],
    source: &Source,
    seen: &[WeightedEndpoint<'_>],
) -> Placement {
    let Placement { priorities, .. } = Placement::alike(seen.len());
    let own = sums(&priorities, seen);
    let mut rules = rules.iter();
    let Some(rule) = rules.find(|rule| source.locality.is_meant_by(&rule.from)) else {
        return Placement {
            priorities,
            policy: weighted(own),
        };
    };
    let mut shares = BTreeMap::new();
    for (to, share) in &rule.to {
        let left = own.iter().filter(|(key, _)| !shares.contains_key(*key));
        let meant = left.filter(|((_, locality), _)| locality.is_meant_by(to));
        let meant: Vec<_> = meant.map(|(key, weight)| (key.clone(), *weight)).collect();
        let total: u64 = meant.iter().map(|(_, weight)| u64::from(*weight)).sum();
        for (key, weight) in meant {
            let part = (u64::from(weight) * u64::from(*share)).div_ceil(total.max(1));
            shares.insert(key, u32::try_from(part).unwrap_or(u32::MAX));
        }
    }
    let is_meant =
        |endpoint: &WeightedEndpoint<'_>| shares.contains_key(&(0, endpoint.locality.clone()));
    Placement {
        priorities: seen.iter().map(|e| is_meant(e).then_some(0)).collect(),
        policy: weighted(shares),
    }
}

/// Zone-aware routing needs proxies of this workload in two localities, its own among them; otherwise it is off, as in
/// Envoy.
fn zone_aware(source: &Source, min_endpoints: u64) -> LocalityPolicy {
    let Some(peers) = &source.peers else {
        return LocalityPolicy::Alike;
    };
    if peers.len() < 2 || !peers.contains_key(&source.locality) {
        return LocalityPolicy::Alike;
    }
    let proxies = peers
        .iter()
        .map(|(locality, count)| (locality.text(), *count));
    LocalityPolicy::ZoneAware(Box::new(ZoneAware {
        own: source.locality.text(),
        proxies: proxies.collect(),
        min_endpoints,
    }))
}

#[cfg(test)]
mod tests;
