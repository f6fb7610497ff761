//! Endpoints that are new.

use super::*;
use crate::snapshot::WarmUp;

const WINDOW: Duration = Duration::from_secs(10);

/// A cluster of these endpoints, by the ports they listen on.
fn warming(registry: &mut Registry, balancing: Balancing, ports: &[u16]) -> Cluster {
    let state = registry.cluster("c");
    state.set_endpoints(u32::try_from(ports.len()).unwrap());
    let endpoints = ports.iter().map(|port| {
        let address = Address::Socket(([10, 0, 0, 1], *port).into());
        let key = HostKey {
            cluster: "c".into(),
            address: address.to_string().into(),
        };
        Endpoint::new(address, registry.host(key))
    });
    let cluster = Cluster {
        endpoints: endpoints.collect(),
        balancing,
        warm_up: Some(WarmUp {
            duration: WINDOW,
            minimum: 0.1,
            aggression: 1.0,
        }),
        ..Cluster::new("c".into(), state)
    };
    registry.sweep();
    cluster
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// How often each is picked, and the last reason for each.
fn shares(
    balancer: &mut Balancer,
    cluster: &Cluster,
    now: Instant,
    of: u64,
) -> (Vec<usize>, Vec<Option<PickedBy>>) {
    let mut counts = vec![0; cluster.endpoints.len()];
    let mut why = vec![None; cluster.endpoints.len()];
    for entropy in 0..of {
        let context = Context {
            now,
            ..context(entropy)
        };
        let (at, picked) = balancer.pick(cluster, &context).unwrap();
        counts[at] += 1;
        why[at] = Some(picked.by);
    }
    (counts, why)
}

const fn warm(warmth: u16) -> Option<PickedBy> {
    Some(PickedBy::Weighted { warmth })
}

#[test]
fn those_a_cluster_begins_with_warm_up_side_by_side() {
    let cluster = warming(&mut Registry::default(), Balancing::RoundRobin, &[1, 2]);
    let mut balancer = Balancer::new(&cluster, 0, at(100));
    let (counts, why) = shares(&mut balancer, &cluster, at(100), 10);
    assert_eq!((counts, why), (vec![5, 5], vec![warm(100); 2]));
    let (counts, why) = shares(&mut balancer, &cluster, at(105), 10);
    assert_eq!((counts, why), (vec![5, 5], vec![warm(500); 2]));
    // At the end of the window a plain round takes over.
    let (counts, why) = shares(&mut balancer, &cluster, at(110), 10);
    assert_eq!((counts, why), (vec![5, 5], vec![Some(PickedBy::Turn); 2]));
}

#[test]
fn a_new_one_gets_more_as_time_passes() {
    for balancing in [Balancing::RoundRobin, Balancing::LeastRequest] {
        let mut registry = Registry::default();
        let two = warming(&mut registry, balancing, &[1, 2]);
        let before = Balancer::new(&two, 0, at(0));
        let three = warming(&mut registry, balancing, &[1, 2, 3]);
        let mut balancer = before.carry(&three, 0, at(100));
        let (counts, why) = shares(&mut balancer, &three, at(100), 210);
        assert_eq!(why, [warm(1000), warm(1000), warm(100)]);
        assert!(counts[2].abs_diff(10) <= 1, "{counts:?}");
        let mut balancer = before.carry(&three, 0, at(105));
        let (counts, why) = shares(&mut balancer, &three, at(105), 250);
        assert_eq!(why[2], warm(500));
        assert!(counts[2].abs_diff(50) <= 1, "{counts:?}");
        let (_, why) = shares(&mut balancer, &three, at(110), 250);
        assert!(
            !matches!(why[2], Some(PickedBy::Weighted { .. })),
            "{why:?}"
        );
    }
}

#[test]
fn random_knows_no_warm_up() {
    let mut registry = Registry::default();
    let one = warming(&mut registry, Balancing::Random, &[1]);
    let two = warming(&mut registry, Balancing::Random, &[1, 2]);
    let mut balancer = Balancer::new(&one, 0, at(0)).carry(&two, 0, at(100));
    let (counts, why) = shares(&mut balancer, &two, at(100), 1000);
    assert_eq!(why[1], Some(PickedBy::Random));
    assert!(counts[1].abs_diff(500) < 80, "{counts:?}");
}

#[test]
fn coming_back_from_an_ejection_does_not_begin_it_anew_and_joining_again_does() {
    let mut registry = Registry::default();
    let two = without(
        warming(&mut registry, Balancing::RoundRobin, &[1, 2]),
        &[],
        0,
    );
    let mut balancer = Balancer::new(&two, 0, at(0));
    let detection = two.outlier_detection.as_deref().unwrap();
    two.sweep(at(20), Entropy(0));
    ejection::report(detection, &two.endpoints[1].state, Outcome::Failed, at(20));
    assert_eq!(shares(&mut balancer, &two, at(20), 10).0, [10, 0]);
    two.sweep(at(22), Entropy(0));
    let (counts, why) = shares(&mut balancer, &two, at(22), 10);
    assert_eq!((counts, why[1]), (vec![5, 5], Some(PickedBy::Turn)));

    let one = warming(&mut registry, Balancing::RoundRobin, &[1]);
    let balancer = balancer.carry(&one, 0, at(30));
    let both = warming(&mut registry, Balancing::RoundRobin, &[1, 2]);
    let mut balancer = balancer.carry(&both, 0, at(40));
    let (_, why) = shares(&mut balancer, &both, at(40), 20);
    assert_eq!(why, [warm(1000), warm(100)]);
    drop(two); // it kept the endpoint's state alive
}

#[test]
fn one_that_is_out_when_it_is_first_seen_warms_up_when_it_comes_back() {
    let mut registry = Registry::default();
    let two = warming(&mut registry, Balancing::RoundRobin, &[1, 2]);
    let two = without(two, &[1], 0);
    let mut balancer = Balancer::new(&two, 0, at(0));
    assert_eq!(shares(&mut balancer, &two, at(50), 10).0, [10, 0]);
    two.sweep(at(50), Entropy(0));
    two.sweep(at(60), Entropy(0));
    let (_, why) = shares(&mut balancer, &two, at(60), 20);
    assert_eq!(why, [warm(1000), warm(100)]);
}
