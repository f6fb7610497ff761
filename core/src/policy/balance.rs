//! Which endpoint of a cluster a request goes to (Envoy's thread-local balancers).
//!
//! A worker keeps one balancer for each cluster of its snapshot: the position of a round, or a weighted schedule. Load
//! and health are read from the endpoints themselves, because they belong to the whole process. Nothing is allocated by a
//! pick while nobody's health changes.

use super::edf::Edf;
use super::panic::is_panic;
use crate::decision::Picked;
use crate::entropy::{Draw, Entropy};
use crate::snapshot::{Balancing, Cluster, Endpoint};

/// The place of one worker in the rounds of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    /// The next turn of an unweighted round; it survives changes of the endpoint list.
    next: u64,
    seed: u64,
    usable: Usable,
    /// The weighted schedule over usable endpoints, when weights differ and the policy looks at them.
    schedule: Option<Edf>,
}

/// Which endpoints of a cluster a pick may yield; made anew when somebody's health changes.
#[derive(Clone, Debug, Default)]
struct Usable {
    /// The health version it was made at.
    version: Option<u64>,
    /// Whether `positions` counts. Otherwise all are usable: nobody is ejected, or so many are that health is ignored.
    some: bool,
    /// The positions of healthy endpoints.
    positions: Vec<u32>,
}

impl Balancer {
    /// A balancer for a cluster. `seed` places its start, so that workers and sidecars do not move in step.
    #[must_use]
    pub fn new(cluster: &Cluster, seed: u64) -> Self {
        Self::at(cluster, seed, seed)
    }

    /// A balancer for the same cluster in a new snapshot: an unweighted round goes on where it was, a weighted
    /// schedule is built anew.
    #[must_use]
    pub fn carry(&self, cluster: &Cluster, seed: u64) -> Self {
        Self::at(cluster, self.next, seed)
    }

    fn at(cluster: &Cluster, next: u64, seed: u64) -> Self {
        let mut balancer = Self {
            next,
            seed,
            usable: Usable::default(),
            schedule: None,
        };
        balancer.usable.refresh(cluster);
        balancer.schedule = schedule(cluster, seed, &balancer.usable);
        balancer
    }

    /// The position of an endpoint of the cluster this balancer was made for, and why that one. `None` when the
    /// cluster has no endpoint that may be used. `attempt` counts the attempts of one request from 0.
    ///
    /// A passthrough cluster has no endpoints to choose from: the position is 0 and means nothing.
    pub fn pick(
        &mut self,
        cluster: &Cluster,
        entropy: Entropy,
        attempt: u64,
    ) -> Option<(usize, Picked)> {
        if cluster.balancing == Balancing::Passthrough {
            return Some((0, Picked::OriginalDestination));
        }
        if self.usable.refresh(cluster) {
            self.schedule = schedule(cluster, self.seed, &self.usable);
        }
        let (usable, count) = (&self.usable, self.usable.count(cluster));
        if count < 2 {
            return (count == 1).then(|| (usable.position(0), Picked::Only));
        }
        if let Some(schedule) = &mut self.schedule {
            let at = schedule.pick(|at| effective_weight(cluster, usable.position(at)))?;
            return (at < count).then(|| (usable.position(at), Picked::Weighted));
        }
        let draw =
            |purpose| usable.position((entropy.draw(purpose, attempt) % count as u64) as usize);
        Some(match cluster.balancing {
            Balancing::RoundRobin => {
                let at = (self.next % count as u64) as usize;
                self.next = self.next.wrapping_add(1);
                (usable.position(at), Picked::Turn)
            }
            Balancing::Random | Balancing::Passthrough => (draw(Draw::FirstChoice), Picked::Random),
            Balancing::LeastRequest => less_loaded(
                &cluster.endpoints,
                draw(Draw::FirstChoice),
                draw(Draw::SecondChoice),
            ),
        })
    }
}

impl Usable {
    /// Follows what has changed since the last pick, and says whether something may have.
    fn refresh(&mut self, cluster: &Cluster) -> bool {
        let Some(detection) = &cluster.outlier_detection else {
            return false;
        };
        let version = Some(cluster.state.health_version());
        if self.version == version {
            return false;
        }
        let endpoints = &cluster.endpoints;
        self.version = version;
        self.positions.clear();
        let healthy = (0..)
            .zip(endpoints)
            .filter(|(_, e)| !e.state.is_ejected())
            .map(|(at, _)| at);
        self.positions.extend(healthy);
        let healthy = self.positions.len();
        self.some = healthy < endpoints.len()
            && !is_panic(healthy, endpoints.len(), detection.min_health_percent);
        true
    }

    fn count(&self, cluster: &Cluster) -> usize {
        if self.some {
            self.positions.len()
        } else {
            cluster.endpoints.len()
        }
    }

    /// The position in the cluster of the usable endpoint at a position among those.
    fn position(&self, at: usize) -> usize {
        if self.some {
            self.positions.get(at).map_or(0, |at| *at as usize)
        } else {
            at
        }
    }
}

/// The first of two endpoints drawn, unless the second has strictly fewer requests in flight. They may be the same one.
fn less_loaded(endpoints: &[Endpoint], first: usize, second: usize) -> (usize, Picked) {
    let load = |at: usize| endpoints[at].state.active();
    let (first_load, second_load) = (load(first), load(second));
    let (at, active, other, other_active) = if second_load < first_load {
        (second, second_load, first, first_load)
    } else {
        (first, first_load, second, second_load)
    };
    let other = u32::try_from(other).unwrap_or(u32::MAX);
    (
        at,
        Picked::LeastRequest {
            active,
            other,
            other_active,
        },
    )
}

fn schedule(cluster: &Cluster, seed: u64, usable: &Usable) -> Option<Edf> {
    let looks_at_weights = match cluster.balancing {
        Balancing::LeastRequest | Balancing::RoundRobin => true,
        Balancing::Random | Balancing::Passthrough => false,
    };
    let count = usable.count(cluster);
    let weight = |at: usize| cluster.endpoints[usable.position(at)].weight;
    let weights_differ = (1..count).any(|at| weight(at) != weight(0));
    (looks_at_weights && weights_differ).then(|| {
        Edf::new(count, seed, |at| {
            effective_weight(cluster, usable.position(at))
        })
    })
}

/// What the schedule goes by: the weight, for least request divided by the load it would have (`active + 1`).
fn effective_weight(cluster: &Cluster, at: usize) -> f64 {
    let Some(endpoint) = cluster.endpoints.get(at) else {
        return 1.0;
    };
    let weight = f64::from(endpoint.weight.max(1));
    match cluster.balancing {
        Balancing::LeastRequest => weight / (f64::from(endpoint.state.active()) + 1.0),
        Balancing::RoundRobin | Balancing::Random | Balancing::Passthrough => weight,
    }
}

#[cfg(test)]
mod tests;
