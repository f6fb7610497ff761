//! Balancers against the formulas of Envoy's policies.

use core::num::NonZeroU32;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::cluster::ejection::{self, Outcome};
use crate::cluster::{HostKey, OutlierDetection, Registry};
use crate::snapshot::Address;
use crate::time::{Duration, Instant};

/// A cluster whose endpoints have these weights and requests in flight.
fn cluster(balancing: Balancing, endpoints: &[(u32, u32)]) -> Cluster {
    let mut registry = Registry::default();
    let state = registry.cluster("c");
    state.set_endpoints(u32::try_from(endpoints.len()).unwrap());
    let endpoints = endpoints
        .iter()
        .zip(1u16..)
        .map(|((weight, active), port)| {
            let address = Address::Socket(([10, 0, 0, 1], port).into());
            let state = registry.host(HostKey {
                cluster: "c".into(),
                address: address.to_string().into(),
            });
            (0..*active).for_each(|_| core::mem::forget(state.begin_request())); // they never end
            Endpoint {
                weight: *weight,
                ..Endpoint::new(address, state)
            }
        });
    Cluster {
        endpoints: endpoints.collect(),
        balancing,
        ..Cluster::new("c".into(), state)
    }
}

/// A pick for a first attempt at the beginning of time.
fn context(entropy: u64) -> Context<'static> {
    Context {
        entropy: Entropy(entropy),
        attempt: 0,
        now: Instant::ZERO,
        tried: &[],
        hash: None,
        step: 0,
    }
}

fn balancer_of(cluster: &Cluster, seed: u64) -> Balancer {
    Balancer::new(cluster, seed, Instant::ZERO)
}

fn picks(balancer: &mut Balancer, cluster: &Cluster, count: u64) -> Vec<usize> {
    (0..count)
        .map(|e| balancer.pick(cluster, &context(e)).unwrap().0)
        .collect()
}

#[test]
fn none_one_and_passthrough() {
    for (balancing, endpoints, want) in [
        (Balancing::RoundRobin, &[][..], None),
        (Balancing::LeastRequest, &[], None),
        (
            Balancing::LeastRequest,
            &[(1, 9)],
            Some((0, PickedBy::Only)),
        ),
        (Balancing::Random, &[(5, 0)], Some((0, PickedBy::Only))),
        (
            Balancing::Passthrough,
            &[],
            Some((0, PickedBy::OriginalDestination)),
        ),
    ] {
        let cluster = cluster(balancing, endpoints);
        let got = balancer_of(&cluster, 1).pick(&cluster, &context(1));
        let want = want.map(|(at, by)| (at, Picked::simply(by)));
        assert_eq!(got, want, "{balancing:?} {endpoints:?}");
    }
}

#[test]
fn round_robin_goes_round_and_on_when_endpoints_change() {
    let three = cluster(Balancing::RoundRobin, &[(1, 0), (1, 5), (1, 0)]);
    let mut balancer = balancer_of(&three, 7);
    assert_eq!(picks(&mut balancer, &three, 4), [1, 2, 0, 1]);
    let five = cluster(Balancing::RoundRobin, &[(2, 0); 5]);
    let mut carried = balancer.carry(&five, 99, Instant::ZERO);
    assert_eq!(picks(&mut carried, &five, 3), [1, 2, 3]);
    let mut wrapping = balancer_of(&three, u64::MAX);
    assert_eq!(picks(&mut wrapping, &three, 2), [0, 0]);
}

#[test]
fn weighted_round_robin_keeps_the_shares() {
    let cluster = cluster(Balancing::RoundRobin, &[(1, 0), (3, 50), (6, 0)]);
    let mut balancer = balancer_of(&cluster, 12345);
    let got = picks(&mut balancer, &cluster, 1000);
    for (at, want) in [(0, 100), (1, 300), (2, 600)] {
        let count = got.iter().filter(|p| **p == at).count() as i64;
        assert!((count - want).abs() <= 1, "{at}: {count}");
    }
    assert_eq!(
        balancer.pick(&cluster, &context(0)).map(|(_, why)| why.by),
        Some(PickedBy::Weighted { warmth: 1000 })
    );
}

#[test]
fn random_ignores_weights() {
    let cluster = cluster(Balancing::Random, &[(1, 0), (100, 0)]);
    let got = picks(&mut balancer_of(&cluster, 0), &cluster, 10_000);
    let first = got.iter().filter(|p| **p == 0).count();
    assert!((4700..5300).contains(&first), "{first}");
}

#[test]
fn the_busier_of_two_gets_a_quarter() {
    // Power of two choices draws with replacement: the busier one is picked when it is drawn twice.
    let cluster = cluster(Balancing::LeastRequest, &[(1, 0), (1, 1)]);
    let got = picks(&mut balancer_of(&cluster, 0), &cluster, 10_000);
    let busier = got.iter().filter(|p| **p == 1).count();
    assert!((2300..2700).contains(&busier), "{busier}");
}

#[test]
fn weighted_least_request_divides_by_load() {
    // Weights 2 and 2·(3+1)/… : an idle endpoint of weight 1 and a loaded one of weight 4 with 3 requests are equal.
    let cluster = cluster(Balancing::LeastRequest, &[(1, 0), (4, 3)]);
    let got = picks(&mut balancer_of(&cluster, 3), &cluster, 100);
    assert_eq!(got.iter().filter(|p| **p == 0).count(), 50);
    // The load counts from the next time the endpoint goes back into the queue.
    for _ in 0..4 {
        core::mem::forget(cluster.endpoints[1].state.begin_request());
    }
    let mut balancer = balancer_of(&cluster, 0);
    let got = picks(&mut balancer, &cluster, 300);
    assert_eq!(got.iter().filter(|p| **p == 1).count(), 100);
}

#[test]
fn retries_draw_again() {
    let cluster = cluster(Balancing::Random, &[(1, 0); 64]);
    let mut balancer = balancer_of(&cluster, 0);
    let mut of = |attempt| {
        let context = Context {
            attempt,
            ..context(7)
        };
        balancer.pick(&cluster, &context).unwrap().0
    };
    assert_eq!(of(0), of(0));
    assert!((1..4).any(|attempt| of(attempt) != of(0)));
}

#[test]
fn a_balancer_of_another_cluster_does_no_harm() {
    let many = cluster(Balancing::RoundRobin, &[(1, 0), (2, 0), (3, 0), (4, 0)]);
    let few = cluster(Balancing::RoundRobin, &[(1, 0), (2, 0)]);
    let mut balancer = balancer_of(&many, 0);
    for e in 0..20 {
        if let Some((at, _)) = balancer.pick(&few, &context(e)) {
            assert!(at < 2);
        }
    }
}

/// The same cluster with ejection, and the endpoints at these positions out.
fn without(mut cluster: Cluster, out: &[usize], min_health_percent: u8) -> Cluster {
    let detection = OutlierDetection {
        consecutive_5xx: NonZeroU32::new(1),
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(1),
        max_ejection_percent: 100,
        min_health_percent,
        ..OutlierDetection::default()
    };
    for at in out {
        let host = &cluster.endpoints[*at].state;
        ejection::report(&detection, host, Outcome::Failed, Instant::ZERO);
    }
    cluster.outlier_detection = Some(Box::new(detection));
    cluster
}

#[test]
fn picks_among_those_that_are_not_ejected() {
    let equal = [(1, 0); 4];
    for (balancing, endpoints, out, min_health, want) in [
        (Balancing::RoundRobin, equal, &[][..], 0, &[0, 1, 2, 3][..]),
        (Balancing::RoundRobin, equal, &[1, 2], 0, &[0, 3]),
        (Balancing::Random, equal, &[0], 0, &[1, 2, 3]),
        (Balancing::LeastRequest, equal, &[3], 0, &[0, 1, 2]),
        (Balancing::LeastRequest, equal, &[0, 1, 3], 0, &[2]),
        (Balancing::LeastRequest, equal, &[0, 1, 2, 3], 0, &[]),
        (
            Balancing::LeastRequest,
            equal,
            &[0, 1, 2, 3],
            1,
            &[0, 1, 2, 3],
        ),
        (Balancing::RoundRobin, equal, &[0, 1], 51, &[0, 1, 2, 3]),
        (Balancing::RoundRobin, equal, &[0, 1], 50, &[2, 3]),
        (
            Balancing::RoundRobin,
            [(1, 0), (9, 0), (3, 0), (2, 0)],
            &[1],
            0,
            &[0, 2, 3],
        ),
    ] {
        let cluster = without(cluster(balancing, &endpoints), out, min_health);
        let mut balancer = balancer_of(&cluster, 5);
        let picks = (0..200).filter_map(|e| balancer.pick(&cluster, &context(e)));
        let picked: BTreeSet<usize> = picks.map(|(at, _)| at).collect();
        let picked: Vec<usize> = picked.into_iter().collect();
        assert_eq!(picked, want, "{balancing:?} {out:?} {min_health}");
    }
}

#[test]
fn follows_ejections_and_returns() {
    let cluster = without(
        cluster(Balancing::RoundRobin, &[(1, 0), (2, 0), (1, 0)]),
        &[],
        0,
    );
    let mut balancer = balancer_of(&cluster, 0);
    let mut shares = || {
        let got = picks(&mut balancer, &cluster, 120);
        [0, 1, 2].map(|at| got.iter().filter(|p| **p == at).count())
    };
    assert_eq!(shares(), [30, 60, 30]);
    let detection = cluster.outlier_detection.as_deref().unwrap();
    let heavy = &cluster.endpoints[1].state;
    cluster.sweep(Instant::ZERO, Entropy(0));
    ejection::report(detection, heavy, Outcome::Failed, Instant::ZERO);
    assert_eq!(shares(), [60, 0, 60]);
    cluster.sweep(Instant::from_millis(999), Entropy(0));
    assert_eq!(shares(), [60, 0, 60]);
    cluster.sweep(Instant::from_millis(1000), Entropy(0));
    assert_eq!(shares(), [30, 60, 30]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn two_choices_by_the_formula(
        loads in prop::collection::vec(0u32..5, 2..12),
        entropy in any::<u64>(),
        attempt in 0u64..4,
    ) {
        let endpoints: Vec<(u32, u32)> = loads.iter().map(|load| (1, *load)).collect();
        let cluster = cluster(Balancing::LeastRequest, &endpoints);
        let entropy = Entropy(entropy);
        let of = |draw| (entropy.draw(draw, attempt) % loads.len() as u64) as usize;
        let (a, b) = (of(Draw::FirstChoice), of(Draw::SecondChoice));
        let want = if loads[b] < loads[a] { b } else { a };
        let other = if want == a { b } else { a };
        let context = Context { entropy, attempt, ..context(0) };
        let got = balancer_of(&cluster, 0).pick(&cluster, &context);
        let picked = PickedBy::LeastRequest {
            active: loads[want],
            other: other as u32,
            other_active: loads[other],
        };
        prop_assert_eq!(got, Some((want, Picked::simply(picked))));
    }
}

mod places;
mod warm_up;
