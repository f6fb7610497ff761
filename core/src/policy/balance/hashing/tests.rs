//! Clusters that look hashes up: which table they have, and who shares it.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::cluster::ejection::{self, Outcome};
use crate::cluster::{HostKey, OutlierDetection, Registry};
use crate::decision::Picked;
use crate::entropy::Entropy;
use crate::policy::Balancer;
use crate::policy::balance::Context;
use crate::snapshot::{
    Address, Balancing, Endpoint, HashTableKind, LocalityPolicy, LocalityWeight, SharedTables,
};
use crate::time::Instant;

const RING: ConsistentHash = ConsistentHash {
    table: HashTableKind::Ring { min_size: 1024 },
    balance_factor: None,
};

/// A cluster of endpoints with these priorities and localities.
fn cluster(settings: ConsistentHash, endpoints: &[(u32, &str)]) -> Cluster {
    let mut registry = Registry::default();
    let state = registry.cluster("c");
    state.set_endpoints(endpoints.len() as u32);
    let endpoints: Vec<_> = (1_u8..)
        .zip(endpoints)
        .map(|(at, (priority, locality))| {
            let address = Address::Socket(([127, 7, 0, at], 18_080).into());
            let state = registry.host(HostKey {
                cluster: "c".into(),
                address: address.to_string().into(),
            });
            Endpoint {
                priority: *priority,
                locality: (*locality).into(),
                ..Endpoint::new(address, state)
            }
        })
        .collect();
    Cluster {
        tables: SharedTables::new(2),
        endpoints: endpoints.into(),
        balancing: Balancing::ConsistentHash(settings),
        ..Cluster::new("c".into(), state)
    }
}

fn hash(user: u64) -> u64 {
    crate::entropy::mix(user)
}

fn pick(balancer: &mut Balancer, cluster: &Cluster, hash: Option<u64>) -> (usize, Picked) {
    let context = Context {
        entropy: Entropy(77),
        attempt: 0,
        now: Instant::ZERO,
        tried: &[],
        hash: hash.map(|hash| (hash, HashedBy::Field)),
        step: 0,
    };
    balancer.pick(cluster, &context).unwrap()
}

fn balancer(cluster: &Cluster, seed: u64) -> Balancer {
    Balancer::new(cluster, seed, Instant::ZERO)
}

fn eject(cluster: &Cluster, detection: &OutlierDetection, at: usize) {
    let host = &cluster.endpoints[at].state;
    ejection::report(detection, host, Outcome::Response(500), Instant::ZERO);
    assert!(host.is_ejected());
}

fn detection() -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: NonZeroU32::new(1),
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    }
}

#[test]
fn every_worker_sends_a_hash_to_the_same_endpoint_by_one_table() {
    let cluster = cluster(RING, &[(0, ""); 5]);
    let (mut one, mut other) = (balancer(&cluster, 1), balancer(&cluster, 2));
    let mut seen = BTreeSet::new();
    for user in 0..64 {
        let (at, why) = pick(&mut one, &cluster, Some(hash(user)));
        assert_eq!((at, why), pick(&mut other, &cluster, Some(hash(user))));
        seen.insert(at);
        let PickedBy::Hashed { hash: told, by, .. } = why.by else {
            panic!("{why:?}")
        };
        assert_eq!((told, by), (hash(user), HashedBy::Field));
    }
    assert_eq!(seen.len(), 5);
    let shared = cluster.tables.get_or_make(0, || unreachable!());
    // This one, the place, and the two balancers.
    assert_eq!(Arc::strong_count(&shared), 4);
}

#[test]
fn without_a_hash_a_number_is_drawn() {
    let cluster = cluster(RING, &[(0, ""); 3]);
    let mut balancer = balancer(&cluster, 1);
    let (_, why) = pick(&mut balancer, &cluster, None);
    let by = |why: Picked| match why.by {
        PickedBy::Hashed { by, .. } => Some(by),
        _ => None,
    };
    assert_eq!(by(why), Some(HashedBy::Nothing));
}

#[test]
fn one_endpoint_needs_no_table() {
    let cluster = cluster(RING, &[(0, "")]);
    let (at, why) = pick(&mut balancer(&cluster, 1), &cluster, Some(7));
    assert_eq!((at, why.by), (0, PickedBy::Only));
    assert!(cluster.tables.get(0).is_none());
}

/// An ejected endpoint's users go elsewhere, nearly all others stay, and everybody is back when it is.
#[test]
fn ejection_moves_the_users_of_one_endpoint() {
    let detection = detection();
    let mut cluster = cluster(RING, &[(0, ""); 4]);
    cluster.outlier_detection = Some(Box::new(detection.clone()));
    let mut balancer = balancer(&cluster, 1);
    let mut places = |cluster: &Cluster| -> Vec<usize> {
        let of = |user| pick(&mut balancer, cluster, Some(hash(user))).0;
        (0..400).map(of).collect()
    };
    let before = places(&cluster);
    cluster.sweep(Instant::ZERO, Entropy(0));
    eject(&cluster, &detection, 2);
    let without = places(&cluster);
    assert!(before.contains(&2) && !without.contains(&2));
    let moved = before.iter().zip(&without);
    let moved = moved.filter(|(was, is)| **was != 2 && was != is).count();
    // The others get a few points more each.
    assert!(moved < 40, "{moved}");
    cluster.sweep(Instant::from_millis(60_000), Entropy(0));
    assert_eq!(places(&cluster), before);
}

#[test]
fn a_hash_stays_in_its_priority() {
    let mut cluster = cluster(RING, &[(0, ""), (0, ""), (0, ""), (1, ""), (1, "")]);
    let detection = detection();
    cluster.outlier_detection = Some(Box::new(detection.clone()));
    eject(&cluster, &detection, 0);
    eject(&cluster, &detection, 1);
    // A third is healthy: 46 % of the traffic stay.
    let mut balancer = balancer(&cluster, 1);
    let mut stayed = 0;
    for user in 0..1000 {
        let hash = hash(user);
        let (at, why) = pick(&mut balancer, &cluster, Some(hash));
        assert_eq!(why.priority, u32::from(hash % 100 + 1 > 46), "{hash}");
        assert_eq!(at == 2, why.priority == 0);
        stayed += usize::from(at == 2);
    }
    assert!((400..520).contains(&stayed), "{stayed}");
}

#[test]
fn weights_of_localities_are_shares_of_the_table() {
    let mut cluster = cluster(RING, &[(0, "b"), (0, "a"), (0, "a"), (0, "c")]);
    let weight = |locality: &str, weight| LocalityWeight {
        priority: 0,
        locality: locality.into(),
        weight,
    };
    let weights = [weight("a", 80), weight("b", 20), weight("c", 0)];
    cluster.locality_policy = LocalityPolicy::Weighted(weights.into());
    let mut balancer = balancer(&cluster, 1);
    let mut counts = [0; 4];
    for user in 0..4000 {
        counts[pick(&mut balancer, &cluster, Some(hash(user))).0] += 1;
    }
    for (count, fair) in counts.iter().zip([800, 1600, 1600, 0_i32]) {
        assert!((count - fair).abs() <= 200, "{counts:?}");
    }
}

#[test]
fn a_locality_that_is_alone_has_the_whole_table() {
    let mut cluster = cluster(RING, &[(0, "a"), (0, "a"), (0, "c")]);
    let only = LocalityWeight {
        priority: 0,
        locality: "a".into(),
        weight: 100,
    };
    cluster.locality_policy = LocalityPolicy::Weighted([only].into());
    let mut balancer = balancer(&cluster, 1);
    let users = (0..4000).map(|user| pick(&mut balancer, &cluster, Some(hash(user))).0);
    let first = users.filter(|at| *at == 0).count();
    assert!((1700..=2300).contains(&first), "{first} of 4000");
}

#[test]
fn a_busy_endpoint_is_passed_over() {
    let settings = ConsistentHash {
        balance_factor: Some(125),
        ..RING
    };
    // The last priority, so that positions in the table and in the cluster differ.
    let cluster = cluster(settings, &[(0, ""), (1, ""), (1, ""), (1, "")]);
    let detection = detection();
    let cluster = Cluster {
        outlier_detection: Some(Box::new(detection.clone())),
        ..cluster
    };
    eject(&cluster, &detection, 0);
    let mut balancer = balancer(&cluster, 1);
    let (named, _) = pick(&mut balancer, &cluster, Some(42));
    let host = &cluster.endpoints[named].state;
    let busy: Vec<_> = (0..9).map(|_| host.begin_request()).collect();
    let (taken, why) = pick(&mut balancer, &cluster, Some(42));
    let PickedBy::Hashed {
        bound: Some(bound), ..
    } = why.by
    else {
        panic!("{why:?}")
    };
    assert!(taken != named && taken > 0);
    assert_eq!((bound.named as usize, bound.named_active), (named, 9));
    // 10 * 125 %: 13 slots, a third of them 5.
    assert_eq!((bound.named_slots, bound.passed, bound.active), (5, 1, 0));
    drop(busy);
    assert_eq!(pick(&mut balancer, &cluster, Some(42)).0, named);
}
