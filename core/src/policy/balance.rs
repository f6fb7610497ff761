//! Which endpoint of a cluster a request goes to (Envoy's thread-local balancers).
//!
//! A worker keeps one balancer for each cluster of its snapshot: the position of a round, or a weighted schedule. Load
//! is read from the endpoints themselves, because it belongs to the whole process. Nothing is allocated by a pick.

use super::edf::Edf;
use crate::decision::Picked;
use crate::entropy::{Draw, Entropy};
use crate::snapshot::{Balancing, Cluster, Endpoint};

/// The place of one worker in the rounds of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    /// The next turn of an unweighted round; it survives changes of the endpoint list.
    next: u64,
    /// The weighted schedule, when weights differ and the policy looks at them.
    schedule: Option<Edf>,
}

impl Balancer {
    /// A balancer for a cluster. `seed` places its start, so that workers and sidecars do not move in step.
    #[must_use]
    pub fn new(cluster: &Cluster, seed: u64) -> Self {
        Self {
            next: seed,
            schedule: schedule(cluster, seed),
        }
    }

    /// A balancer for the same cluster in a new snapshot: an unweighted round goes on where it was, a weighted
    /// schedule is built anew.
    #[must_use]
    pub fn carry(&self, cluster: &Cluster, seed: u64) -> Self {
        Self {
            next: self.next,
            schedule: schedule(cluster, seed),
        }
    }

    /// The position of an endpoint of the cluster this balancer was made for, and why that one. `None` when the
    /// cluster has no endpoint. `attempt` counts the attempts of one request from 0.
    ///
    /// A passthrough cluster has no endpoints to choose from: the position is 0 and means nothing.
    pub fn pick(
        &mut self,
        cluster: &Cluster,
        entropy: Entropy,
        attempt: u64,
    ) -> Option<(usize, Picked)> {
        let endpoints = &cluster.endpoints;
        if cluster.balancing == Balancing::Passthrough {
            return Some((0, Picked::OriginalDestination));
        }
        if endpoints.len() < 2 {
            return (!endpoints.is_empty()).then_some((0, Picked::Only));
        }
        if let Some(schedule) = &mut self.schedule {
            let at = schedule.pick(|at| effective_weight(cluster, at))?;
            return (at < endpoints.len()).then_some((at, Picked::Weighted));
        }
        let draw = |purpose| (entropy.draw(purpose, attempt) % endpoints.len() as u64) as usize;
        Some(match cluster.balancing {
            Balancing::RoundRobin => {
                let at = (self.next % endpoints.len() as u64) as usize;
                self.next = self.next.wrapping_add(1);
                (at, Picked::Turn)
            }
            Balancing::Random | Balancing::Passthrough => (draw(Draw::FirstChoice), Picked::Random),
            Balancing::LeastRequest => {
                less_loaded(endpoints, draw(Draw::FirstChoice), draw(Draw::SecondChoice))
            }
        })
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

fn schedule(cluster: &Cluster, seed: u64) -> Option<Edf> {
    let looks_at_weights = match cluster.balancing {
        Balancing::LeastRequest | Balancing::RoundRobin => true,
        Balancing::Random | Balancing::Passthrough => false,
    };
    let weights_differ = cluster
        .endpoints
        .windows(2)
        .any(|two| two[0].weight != two[1].weight);
    (looks_at_weights && weights_differ).then(|| {
        Edf::new(cluster.endpoints.len(), seed, |at| {
            effective_weight(cluster, at)
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
