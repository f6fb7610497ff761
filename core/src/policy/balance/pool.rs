//! Endpoints among which one is picked by the cluster's policy (Envoy's HostsSource with its scheduler).
//!
//! Owns the rounds: the position of an unweighted one, or a weighted schedule. Who belongs to the pool is `level`'s
//! business.

use super::{Context, Making};
use crate::decision::PickedBy;
use crate::entropy::Draw;
use crate::policy::edf::Edf;
use crate::policy::peak_ewma;
use crate::policy::slow_start;
use crate::snapshot::{Balancing, Cluster, Endpoint};
use crate::time::Instant;

/// Positions of endpoints in their cluster, in its order. A cluster has fewer than 2^32.
#[derive(Clone, Debug)]
pub(super) enum Positions {
    /// All of a cluster of so many.
    All(u32),
    /// These.
    These(Vec<u32>),
}

impl Positions {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::All(count) => *count as usize,
            Self::These(positions) => positions.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<usize> {
        match self {
            Self::All(count) => (at < *count as usize).then_some(at),
            Self::These(positions) => positions.get(at).map(|at| *at as usize),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

/// Endpoints to pick from.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    positions: Positions,
    /// The next turn of an unweighted round; it survives changes of the endpoints.
    next: u64,
    /// The weighted schedule over the endpoints, when weights differ and the policy looks at them.
    schedule: Option<Edf>,
}

impl Pool {
    /// An empty pool, whose rounds begin at the seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            positions: Positions::All(0),
            next: seed,
            schedule: None,
        }
    }

    pub(super) const fn go_on_from(&mut self, before: &Self) {
        self.next = before.next;
    }

    /// Gives it its endpoints.
    pub(super) fn make(&mut self, making: &Making<'_>, positions: Positions) {
        self.schedule = schedule(making, &positions);
        self.positions = positions;
    }

    /// An endpoint of the cluster, and why it.
    pub(super) fn pick(
        &mut self,
        cluster: &Cluster,
        context: &Context<'_>,
    ) -> Option<(usize, PickedBy)> {
        let (positions, count) = (&self.positions, self.positions.len());
        if count < 2 {
            return positions.get(0).map(|only| (only, PickedBy::Only));
        }
        if let Some(schedule) = &mut self.schedule {
            let weight = |at| weight_at(cluster, positions, at, context.now);
            let picked = positions.get(schedule.pick(weight)?)?;
            let warmth = warmth(cluster, picked, context.now);
            return Some((picked, PickedBy::Weighted { warmth }));
        }
        let drawn = |purpose| {
            let random = context.entropy.draw(purpose, context.attempt);
            positions.get((random % count as u64) as usize)
        };
        match cluster.balancing {
            Balancing::RoundRobin => {
                let at = (self.next % count as u64) as usize;
                self.next = self.next.wrapping_add(1);
                positions.get(at).map(|picked| (picked, PickedBy::Turn))
            }
            // What looks hashes up has a table in place of a pool.
            Balancing::Random | Balancing::Passthrough | Balancing::ConsistentHash(_) => {
                drawn(Draw::FirstChoice).map(|picked| (picked, PickedBy::Random))
            }
            Balancing::PeakEwma => {
                let draw = |purpose| context.entropy.draw(purpose, context.attempt);
                let (first, second) = (draw(Draw::FirstChoice), draw(Draw::SecondChoice));
                let (first, second) = peak_ewma::two_of(count, first, second);
                let (first, second) = (positions.get(first)?, positions.get(second)?);
                Some(peak_ewma::cheaper(
                    &cluster.endpoints,
                    first,
                    second,
                    context.now,
                ))
            }
            Balancing::LeastRequest => less_loaded(
                &cluster.endpoints,
                drawn(Draw::FirstChoice)?,
                drawn(Draw::SecondChoice)?,
            ),
        }
    }
}

/// The first of two endpoints drawn, unless the second has strictly fewer requests in flight. They may be the same one.
fn less_loaded(endpoints: &[Endpoint], first: usize, second: usize) -> Option<(usize, PickedBy)> {
    let load = |at: usize| Some(endpoints.get(at)?.state.active());
    let (first_load, second_load) = (load(first)?, load(second)?);
    let (at, active, other, other_active) = if second_load < first_load {
        (second, second_load, first, first_load)
    } else {
        (first, first_load, second, second_load)
    };
    let other = other as u32; // see `Positions`
    Some((
        at,
        PickedBy::LeastRequest {
            active,
            other,
            other_active,
        },
    ))
}

fn schedule(making: &Making<'_>, positions: &Positions) -> Option<Edf> {
    let cluster = making.cluster;
    let looks_at_weights = match cluster.balancing {
        Balancing::LeastRequest | Balancing::RoundRobin => true,
        Balancing::Random
        | Balancing::Passthrough
        | Balancing::ConsistentHash(_)
        | Balancing::PeakEwma => false,
    };
    let mut weights = positions.iter().map(|at| cluster.endpoints[at].weight);
    let first = weights.next()?;
    let is_needed = making.is_warming || weights.any(|weight| weight != first);
    (looks_at_weights && is_needed && positions.len() > 1).then(|| {
        Edf::new(positions.len(), making.seed, |at| {
            weight_at(cluster, positions, at, making.now)
        })
    })
}

fn weight_at(cluster: &Cluster, positions: &Positions, at: usize, now: Instant) -> f64 {
    let endpoint = positions.get(at).and_then(|at| cluster.endpoints.get(at));
    endpoint.map_or(1.0, |endpoint| effective_weight(cluster, endpoint, now))
}

/// What the schedule goes by: the weight, less while the endpoint warms up, and for least request divided by the load it
/// would have (`active + 1`).
fn effective_weight(cluster: &Cluster, endpoint: &Endpoint, now: Instant) -> f64 {
    let weight = f64::from(endpoint.weight.max(1)) * warm_up_factor(cluster, endpoint, now);
    match cluster.balancing {
        Balancing::LeastRequest => weight / (f64::from(endpoint.state.active()) + 1.0),
        Balancing::RoundRobin
        | Balancing::Random
        | Balancing::Passthrough
        | Balancing::ConsistentHash(_)
        | Balancing::PeakEwma => weight,
    }
}

fn warm_up_factor(cluster: &Cluster, endpoint: &Endpoint, now: Instant) -> f64 {
    cluster.warm_up.as_ref().map_or(1.0, |warm_up| {
        slow_start::factor(warm_up, endpoint.state.joined(now), now)
    })
}

/// The same in thousandths, for the record.
fn warmth(cluster: &Cluster, at: usize, now: Instant) -> u16 {
    let endpoint = cluster.endpoints.get(at);
    let factor = endpoint.map_or(1.0, |endpoint| warm_up_factor(cluster, endpoint, now));
    (factor * 1000.0) as u16 // at most 1000
}
