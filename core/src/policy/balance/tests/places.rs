//! Priorities and localities of a cluster, and the whole pick against a model that knows no shortcuts.

use std::collections::BTreeMap;

use super::*;
use crate::decision::LocalityChoice;
use crate::snapshot::{LocalityPolicy, LocalityWeight, ZoneAware};

/// A cluster whose endpoints have these priorities, localities and weights.
fn placed(balancing: Balancing, endpoints: &[(u32, &str, u32)]) -> Cluster {
    let plain: Vec<_> = endpoints
        .iter()
        .map(|(_, _, weight)| (*weight, 0))
        .collect();
    let mut cluster = cluster(balancing, &plain);
    for (endpoint, (priority, locality, _)) in cluster.endpoints.iter_mut().zip(endpoints) {
        endpoint.priority = *priority;
        endpoint.locality = (*locality).into();
    }
    cluster
}

/// Localities go by the weights of their endpoints.
fn weighted(cluster: Cluster) -> Cluster {
    let mut sums = BTreeMap::new();
    for endpoint in &cluster.endpoints {
        *sums
            .entry((endpoint.priority, endpoint.locality.clone()))
            .or_default() += endpoint.weight;
    }
    let weights = sums
        .into_iter()
        .map(|((priority, locality), weight)| LocalityWeight {
            priority,
            locality,
            weight,
        });
    Cluster {
        locality_policy: LocalityPolicy::Weighted(weights.collect()),
        ..cluster
    }
}

/// How often each endpoint is picked in so many picks.
fn counts(cluster: &Cluster, of: u64) -> Vec<usize> {
    let mut balancer = balancer_of(cluster, 0);
    let mut counts = vec![0; cluster.endpoints.len()];
    for entropy in 0..of {
        if let Some((at, _)) = balancer.pick(cluster, &context(entropy)) {
            counts[at] += 1;
        }
    }
    counts
}

#[track_caller]
fn assert_near(got: &[usize], want: &[usize], slack: usize) {
    let far = got
        .iter()
        .zip(want)
        .any(|(got, want)| got.abs_diff(*want) > slack);
    assert!(!far && got.len() == want.len(), "{got:?}, not {want:?}");
}

#[test]
fn the_next_priority_gets_what_the_first_cannot_carry() {
    let ten: Vec<(u32, &str, u32)> = (0..14).map(|n| (u32::from(n >= 10), "", 1)).collect();
    let cluster = placed(Balancing::RoundRobin, &ten);
    let healthy = |out: &[usize], min| {
        let got = counts(&without(cluster.clone(), out, min), 10_000);
        [got[..10].iter().sum::<usize>(), got[10..].iter().sum()]
    };
    assert_eq!(healthy(&[], 0), [10_000, 0]);
    assert_near(&healthy(&[0, 1, 2, 3], 0), &[8400, 1600], 150);
    let first: Vec<usize> = (0..14).collect();
    assert_near(&healthy(&first[..9], 0), &[1400, 8600], 150);
    assert_eq!(healthy(&first[..10], 0), [0, 10_000]);
    // Nobody is left, and nobody panics.
    assert_eq!(healthy(&first, 0), [0, 0]);
    // Total panic: by how many there are.
    assert_near(&healthy(&first, 1), &[7200, 2800], 180);
}

#[test]
fn a_pick_tells_its_priority_and_what_it_got() {
    let all = [(0, "", 1), (0, "", 1), (1, "", 1)];
    let cluster = without(placed(Balancing::RoundRobin, &all), &[0], 0);
    let mut seen = BTreeSet::new();
    let mut balancer = balancer_of(&cluster, 0);
    for entropy in 0..100 {
        let (at, picked) = balancer.pick(&cluster, &context(entropy)).unwrap();
        assert_eq!((picked.by, picked.is_panic), (PickedBy::Only, false));
        seen.insert((at, picked.priority, picked.load));
    }
    assert_eq!(seen, BTreeSet::from([(1, 0, 70), (2, 1, 30)]));
    let cluster = without(placed(Balancing::RoundRobin, &all), &[0, 2], 60);
    let mut balancer = balancer_of(&cluster, 0);
    let (_, picked) = balancer.pick(&cluster, &context(0)).unwrap();
    assert!(picked.is_panic);
    assert!([67, 33].contains(&picked.load), "{picked:?}");
}

#[test]
fn tried_priorities_are_left_every_second_time() {
    let cluster = placed(Balancing::Random, &[(0, "", 1), (1, "", 1), (2, "", 1)]);
    let mut balancer = balancer_of(&cluster, 0);
    for (tried, want) in [
        (&[][..], 0),
        (&[0], 0),
        (&[0, 0], 1),
        (&[0, 0, 1], 1),
        (&[0, 0, 1, 1], 2),
        (&[0, 0, 1, 1, 2, 2], 0),
    ] {
        let context = Context {
            tried,
            ..context(7)
        };
        let picked = balancer.pick(&cluster, &context).map(|(at, _)| at);
        assert_eq!(picked, Some(want), "{tried:?}");
    }
}

#[test]
fn localities_get_their_weights_and_less_when_some_are_out() {
    let all = [
        (0, "a", 1),
        (0, "a", 1),
        (0, "b", 1),
        (0, "b", 1),
        (0, "b", 1),
        (0, "b", 1),
    ];
    let cluster = weighted(placed(Balancing::RoundRobin, &all));
    assert_eq!(counts(&cluster, 600), [100; 6]);
    // One of two: 70 % of a weight of 2 against 4.
    let half = without(cluster.clone(), &[0], 0);
    assert_near(&counts(&half, 540), &[0, 140, 100, 100, 100, 100], 1);
    let gone = without(cluster.clone(), &[0, 1], 0);
    assert_eq!(counts(&gone, 400), [0, 0, 100, 100, 100, 100]);
    let mut balancer = balancer_of(&gone, 0);
    let (_, picked) = balancer.pick(&gone, &context(0)).unwrap();
    assert_eq!(picked.locality, LocalityChoice::Weighted);
    // In panic localities do not matter.
    let panic = without(cluster, &[0, 1, 2, 3], 50);
    assert_eq!(counts(&panic, 600), [100; 6]);
}

#[test]
fn requests_stay_in_the_own_zone_as_far_as_it_carries_them() {
    let of = |endpoints: &[(u32, &str, u32)], proxies: &[(&str, u32)], min_endpoints| {
        let proxies = proxies.iter().map(|(zone, count)| ((*zone).into(), *count));
        Cluster {
            locality_policy: LocalityPolicy::ZoneAware(Box::new(ZoneAware {
                own: "b".into(),
                proxies: proxies.collect(),
                min_endpoints,
            })),
            ..placed(Balancing::RoundRobin, endpoints)
        }
    };
    let (a, b) = ((0, "a", 1), (0, "b", 1));
    let even = [("a", 1), ("b", 1)];
    assert_eq!(counts(&of(&[a, b], &even, 2), 100), [0, 100]);
    // Too few endpoints, or only one zone of them.
    assert_eq!(counts(&of(&[a, b], &even, 3), 100), [50, 50]);
    assert_eq!(counts(&of(&[a, a], &even, 2), 100), [50, 50]);
    // A third of the endpoints for half of the proxies: two thirds stay.
    let thirds = of(&[a, a, b], &even, 2);
    assert_near(&counts(&thirds, 9000), &[1500, 1500, 6000], 200);
    // Nobody is here: everything goes to where there is room.
    assert_near(
        &counts(&of(&[a, (0, "c", 1)], &even, 2), 1000),
        &[0, 1000],
        0,
    );
    // Of three zones with a third of everything each, each has enough for itself.
    let three = [("a", 1), ("b", 1), ("c", 1)];
    assert_eq!(
        counts(&of(&[a, b, (0, "c", 1)], &three, 2), 100),
        [0, 100, 0]
    );
    // Only in the first priority.
    let all = [a, b, (1, "a", 1), (1, "b", 1)];
    let second = without(of(&all, &even, 2), &[0, 1], 0);
    assert_eq!(counts(&second, 100), [0, 0, 50, 50]);
    // An ejected endpoint takes its share along.
    let out = without(of(&[a, a, b, b], &even, 2), &[3], 0);
    assert_near(&counts(&out, 9000), &[1500, 1500, 6000, 0], 200);
    let mut balancer = balancer_of(&thirds, 0);
    let mut choices = BTreeMap::new();
    for entropy in 0..100 {
        let (at, picked) = balancer.pick(&thirds, &context(entropy)).unwrap();
        choices.insert(at == 2, picked.locality);
    }
    let want = [(false, LocalityChoice::Other), (true, LocalityChoice::Kept)];
    assert_eq!(choices, BTreeMap::from(want));
}

#[test]
fn rounds_of_every_priority_go_on_in_a_new_snapshot() {
    let all = [(0, "", 1), (0, "", 1), (1, "", 1), (1, "", 1), (1, "", 1)];
    let cluster = without(placed(Balancing::RoundRobin, &all), &[0, 1], 0);
    let mut balancer = balancer_of(&cluster, 3);
    assert_eq!(picks(&mut balancer, &cluster, 2), [2, 3]);
    let mut carried = balancer.carry(&cluster, 8, Instant::ZERO);
    assert_eq!(picks(&mut carried, &cluster, 2), [4, 2]);
}

/// Weighted turns without a heap: the least deadline, and of equal ones the one set first.
#[derive(Default)]
struct Turns(Vec<(usize, f64, f64, usize)>, usize);

impl Turns {
    /// Entries with their weights. The one that was due longest ago, as far as anybody can tell at the start, is the one
    /// with the smallest weight.
    fn new(entries: &[(usize, f64)]) -> Self {
        let mut sorted = entries.to_vec();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        let numbered = sorted.iter().enumerate();
        let all = numbered.map(|(number, (of, weight))| (*of, *weight, 1.0 / weight, number));
        Self(all.collect(), entries.len())
    }

    fn next(&mut self) -> usize {
        let mut best = 0;
        for at in 1..self.0.len() {
            let (this, that) = (self.0[at], self.0[best]);
            if this.2 < that.2 || (this.2 == that.2 && this.3 < that.3) {
                best = at;
            }
        }
        let entry = &mut self.0[best];
        entry.2 += 1.0 / entry.1;
        entry.3 = self.1;
        self.1 += 1;
        entry.0
    }
}

/// Everything a pick does, worked out anew from what the endpoints look like.
#[derive(Default)]
struct Model {
    /// Unweighted rounds, by priority and locality, if that was chosen.
    rounds: BTreeMap<(u32, Option<String>), u64>,
    /// Weighted schedules since somebody's health changed last, likewise.
    schedules: BTreeMap<(u32, Option<String>), Turns>,
    localities: BTreeMap<u32, Turns>,
}

impl Model {
    fn pick(&mut self, cluster: &Cluster, entropy: Entropy) -> Option<usize> {
        let is_out = |at: &usize| cluster.endpoints[*at].state.is_ejected();
        let all: Vec<usize> = (0..cluster.endpoints.len()).collect();
        let of = |priority: u32| -> Vec<usize> {
            let here = all
                .iter()
                .filter(|at| cluster.endpoints[**at].priority == priority);
            here.copied().collect()
        };
        let threshold = u64::from(
            cluster
                .outlier_detection
                .as_ref()
                .unwrap()
                .min_health_percent,
        );
        let last = cluster
            .endpoints
            .iter()
            .map(|e| e.priority)
            .max()
            .unwrap_or(0);
        let sizes: Vec<(u64, u64)> = (0..=last)
            .map(|p| {
                let here = of(p);
                let healthy = here.iter().filter(|at| !is_out(at)).count();
                (healthy as u64, here.len() as u64)
            })
            .collect();
        let available = |(healthy, all): &(u64, u64)| (140 * healthy / (*all).max(1)).min(100);
        let total = sizes.iter().map(available).sum::<u64>().min(100);
        let panics = |(healthy, all): &(u64, u64)| {
            total < 100 && (100 * healthy < threshold * all || (*all == 0 && threshold > 0))
        };
        let (loads, first): (Vec<u64>, _) = if sizes.iter().all(panics) {
            let count: u64 = sizes.iter().map(|(_, all)| all).sum();
            let loads = sizes
                .iter()
                .map(|(_, all)| 100 * all / count.max(1))
                .collect();
            (loads, sizes.iter().position(|(_, all)| *all > 0))
        } else {
            let mut left = 100;
            let mut loads = Vec::new();
            for size in &sizes {
                let load = (available(size) * 100)
                    .checked_div(total)
                    .unwrap_or(0)
                    .min(left);
                loads.push(load);
                left -= load;
            }
            (loads, sizes.iter().position(|(healthy, _)| *healthy > 0))
        };
        let rest = 100 - loads.iter().sum::<u64>();
        let first = first.unwrap_or(0);
        let number = entropy.draw(Draw::Priority, 0) % 100 + 1;
        let mut sum = 0;
        let mut priority = 0;
        for (at, load) in loads.iter().enumerate() {
            sum += load + if at == first { rest } else { 0 };
            if number <= sum {
                priority = at;
                break;
            }
        }
        let here = of(priority as u32);
        if panics(&sizes[priority]) {
            return self.among(cluster, priority as u32, None, &here, entropy);
        }
        let healthy: Vec<usize> = here.into_iter().filter(|at| !is_out(at)).collect();
        let LocalityPolicy::Weighted(weights) = &cluster.locality_policy else {
            return self.among(cluster, priority as u32, None, &healthy, entropy);
        };
        let mut entries = Vec::new();
        for (number, weight) in weights.iter().enumerate() {
            if weight.priority as usize == priority {
                let there = of(priority as u32);
                let there = there
                    .iter()
                    .filter(|at| cluster.endpoints[**at].locality == weight.locality);
                let fit = there.clone().filter(|at| !is_out(at)).count() as f64;
                let factor = (fit / there.count() as f64 * 140.0 / 100.0).min(1.0);
                if factor > 0.0 {
                    entries.push((number, f64::from(weight.weight) * factor));
                }
            }
        }
        if entries.is_empty() {
            return None;
        }
        let turns = self
            .localities
            .entry(priority as u32)
            .or_insert_with(|| Turns::new(&entries));
        let name = &weights[turns.next()].locality;
        let healthy: Vec<usize> = healthy
            .into_iter()
            .filter(|at| cluster.endpoints[*at].locality == *name)
            .collect();
        self.among(cluster, priority as u32, Some(name), &healthy, entropy)
    }

    fn among(
        &mut self,
        cluster: &Cluster,
        priority: u32,
        locality: Option<&str>,
        hosts: &[usize],
        entropy: Entropy,
    ) -> Option<usize> {
        let key = (priority, locality.map(str::to_owned));
        if hosts.len() < 2 {
            return hosts.first().copied();
        }
        let drawn = hosts[(entropy.draw(Draw::FirstChoice, 0) % hosts.len() as u64) as usize];
        let weight = |at: usize| f64::from(cluster.endpoints[at].weight);
        let differ = hosts.iter().any(|at| weight(*at) != weight(hosts[0]));
        if cluster.balancing != Balancing::Random && differ {
            let entries: Vec<_> = hosts.iter().map(|at| (*at, weight(*at))).collect();
            let turns = self
                .schedules
                .entry(key)
                .or_insert_with(|| Turns::new(&entries));
            return Some(turns.next());
        }
        if cluster.balancing != Balancing::RoundRobin {
            return Some(drawn); // without load the first one drawn
        }
        let round = self.rounds.entry(key).or_default();
        let host = hosts[(*round % hosts.len() as u64) as usize];
        *round += 1;
        Some(host)
    }

    fn health_changed(&mut self) {
        self.schedules.clear();
        self.localities.clear();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pick(u64),
    Eject(prop::sample::Index),
    HealAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Pick),
        2 => any::<prop::sample::Index>().prop_map(Step::Eject),
        1 => Just(Step::HealAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_pick_is_the_models(
        endpoints in prop::collection::vec((0u32..3, "[ab]?", 1u32..4), 1..9),
        equal in any::<bool>(),
        by_locality in any::<bool>(),
        balancing in prop::sample::select(vec![Balancing::RoundRobin, Balancing::Random, Balancing::LeastRequest]),
        threshold in prop_oneof![Just(0u8), 0u8..=100],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|(priority, locality, weight)| (*priority, locality.as_str(), if equal { 1 } else { *weight }))
            .collect();
        let mut cluster = placed(balancing, &endpoints);
        if by_locality {
            cluster = weighted(cluster);
        }
        let cluster = without(cluster, &[], threshold);
        let detection = cluster.outlier_detection.as_deref().unwrap();
        let mut now = Instant::ZERO;
        cluster.sweep(now, Entropy(0));
        let mut balancer = balancer_of(&cluster, 0);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Pick(entropy) => {
                    let got = balancer.pick(&cluster, &context(entropy)).map(|(at, _)| at);
                    let want = model.pick(&cluster, Entropy(entropy));
                    prop_assert_eq!(got, want, "{:?}", step);
                }
                Step::Eject(index) => {
                    let host = &index.get(&cluster.endpoints).state;
                    if !host.is_ejected() {
                        ejection::report(detection, host, Outcome::Failed, now);
                        model.health_changed();
                    }
                }
                Step::HealAll => {
                    if cluster.endpoints.iter().any(|e| e.state.is_ejected()) {
                        model.health_changed();
                    }
                    now = now + Duration::from_secs(1000);
                    cluster.sweep(now, Entropy(0));
                    prop_assert!(cluster.endpoints.iter().all(|e| !e.state.is_ejected()));
                }
            }
        }
    }
}
