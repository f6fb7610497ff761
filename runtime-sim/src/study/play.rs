//! Playing a study: step by step through virtual time, with a look at every caller's endpoints after each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::cluster::Counted;
use outrigger_core::snapshot::{Cluster, Endpoint, Snapshot};
use outrigger_core::time::{Duration, Instant};

use super::limits;
use super::outcome::{ReplicaOutcome, StudyOutcome};
use super::world::{Study, World};

/// How long what is under way at the end may still take.
const GRACE: Duration = Duration::from_secs(600);

/// Where a play is, for whoever shows its progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The share of the time in which clients ask that has gone by, 0 to 1.
    pub share: f64,
    /// Calls so far.
    pub calls: u64,
}

impl Study {
    /// Plays the world of a seed.
    ///
    /// # Errors
    /// A broken invariant: a fault of ours.
    pub fn play(
        &self,
        seed: u64,
        mut progress: impl FnMut(Progress),
    ) -> Result<StudyOutcome, String> {
        let mut world = self.build(seed);
        let watch = Watch::new(self, &world.kinds);
        let duration = self.scenario().duration;
        let step = self.scenario().step();
        let end = Instant::ZERO + duration;
        let (mut at, mut seen) = (Instant::ZERO, EndpointHistory::new(self));
        loop {
            at = at + step;
            world.sim.run(at)?;
            watch.look(&mut world, &mut seen);
            progress(Progress {
                share: (at.as_nanos() as f64 / end.as_nanos() as f64).min(1.0),
                calls: calls(self, &world),
            });
            let waits = world.rows.iter().any(|row| row.borrow().under_way() > 0);
            if at >= end && (!waits || at >= end + GRACE) {
                break;
            }
        }
        Ok(self.outcome(seed, &mut world, seen, step))
    }

    fn outcome(
        &self,
        seed: u64,
        world: &mut World,
        seen: EndpointHistory,
        step: Duration,
    ) -> StudyOutcome {
        let calls = calls(self, world);
        let clients = self.scenario().clients.len();
        let mut rows: Vec<_> = world
            .rows
            .iter()
            .map(|row| row.borrow_mut().finish())
            .collect();
        let (of_clients, of_services) = rows.split_at_mut(clients);
        for ((replica, instance), out) in self.replicas().iter().zip(&world.instances).zip(seen.out)
        {
            let row = &mut of_services[replica.service];
            let log = instance.log();
            row.reached += log.requests;
            row.turned_away += log.turned_away;
            row.replicas.push(ReplicaOutcome {
                name: replica.name.clone(),
                reached: log.requests,
                out,
            });
        }
        let ejections = seen.ejections.into_iter().zip(seen.refused);
        for (row, (ejections, refused)) in of_services.iter_mut().zip(ejections) {
            row.ejections = ejections;
            if refused > 0 {
                row.limits.insert(limits::EJECTIONS, refused);
            }
        }
        StudyOutcome {
            seed,
            simulated: world.sim.now().since(Instant::ZERO),
            step,
            requests: of_clients.iter().map(|row| row.requests).sum(),
            calls,
            digest: world.sim.digest(),
            rows,
        }
    }
}

fn calls(study: &Study, world: &World) -> u64 {
    let clients = study.scenario().clients.len();
    let services = world.rows[clients..].iter();
    services.map(|row| row.borrow().recorded).sum()
}

/// What was seen of endpoints.
struct EndpointHistory {
    /// For each replica the share of callers that have it out of rotation, step by step.
    out: Vec<Vec<f32>>,
    /// Ejections so far, by service.
    ejections: Vec<u64>,
    /// Those that `maxEjectionPercent` refused.
    refused: Vec<u64>,
}

impl EndpointHistory {
    fn new(study: &Study) -> Self {
        Self {
            out: vec![Vec::new(); study.replicas().len()],
            ejections: vec![0; study.scenario().services.len()],
            refused: vec![0; study.scenario().services.len()],
        }
    }
}

/// What the clusters of one kind of snapshot are.
struct Known {
    /// The service of each cluster.
    services: Vec<Option<usize>>,
    /// The replica that each endpoint of each cluster is.
    replicas: Vec<Vec<Option<usize>>>,
}

/// Where to look.
struct Watch {
    /// By kind.
    known: Vec<Known>,
    clients: usize,
    /// The service of each replica.
    services: Vec<usize>,
}

/// What one look finds.
struct Look {
    /// For each service the callers that ever asked it.
    callers: Vec<u32>,
    /// Those of them that are at a limit.
    at_limit: Vec<u32>,
    /// For each replica the callers that have it out of rotation.
    out: Vec<u32>,
    /// The same, summed by service.
    out_of: Vec<u32>,
}

impl Watch {
    fn new(study: &Study, kinds: &[Arc<Snapshot>]) -> Self {
        let hosts = study.hosts().iter().zip(0..);
        let hosts: BTreeMap<&str, usize> = hosts.map(|(host, at)| (&**host, at)).collect();
        let replicas = study.replicas().iter().enumerate();
        let replicas: BTreeMap<String, usize> = replicas
            .map(|(at, replica)| (replica.address.to_string(), at))
            .collect();
        let known = kinds.iter().map(|snapshot| {
            let clusters = snapshot.clusters.iter();
            let services = clusters.clone().map(|c| hosts.get(&*c.host).copied());
            let replica = |endpoint: &Endpoint| replicas.get(&*endpoint.text).copied();
            Known {
                services: services.collect(),
                replicas: clusters
                    .map(|c| c.endpoints.iter().map(replica).collect())
                    .collect(),
            }
        });
        let services = study.replicas().iter().map(|replica| replica.service);
        Self {
            known: known.collect(),
            clients: study.scenario().clients.len(),
            services: services.collect(),
        }
    }

    /// Ends a step of every row.
    fn look(&self, world: &mut World, seen: &mut EndpointHistory) {
        let services = seen.ejections.len();
        seen.ejections.fill(0);
        seen.refused.fill(0);
        let mut look = Look {
            callers: vec![0; services],
            at_limit: vec![0; services],
            out: vec![0; seen.out.len()],
            out_of: vec![0; services],
        };
        let mut clusters = Vec::new();
        for (kind, snapshot) in &world.callers {
            let known = &self.known[*kind];
            clusters.clear();
            clusters.extend(snapshot.clusters.used().filter_map(|(id, cluster)| {
                let at = id.0 as usize;
                Some((known.services[at]?, &known.replicas[at], cluster))
            }));
            clusters.sort_by_key(|(service, ..)| *service);
            for pools in clusters.chunk_by(|(a, ..), (b, ..)| a == b) {
                look.at(pools, seen);
            }
        }
        self.close_step(&look, world, seen);
    }

    fn close_step(&self, look: &Look, world: &mut World, seen: &mut EndpointHistory) {
        for (replica, out) in look.out.iter().enumerate() {
            let service = self.services[replica];
            seen.out[replica].push(share(*out, look.callers[service]));
        }
        for (at, row) in world.rows.iter().enumerate() {
            let (out, at_limit) = match at.checked_sub(self.clients) {
                None => (0.0, 0.0),
                Some(service) => (
                    share(look.out_of[service], look.callers[service]),
                    share(look.at_limit[service], look.callers[service]),
                ),
            };
            row.borrow_mut().close_step(out, at_limit);
        }
    }
}

/// A cluster of a service, and the replicas that its endpoints are.
type Pool<'a> = (usize, &'a Vec<Option<usize>>, &'a Cluster);

impl Look {
    /// Looks at a caller's pools of one service.
    fn at(&mut self, pools: &[Pool<'_>], seen: &mut EndpointHistory) {
        let Some((service, ..)) = pools.first() else {
            return;
        };
        let clusters = || pools.iter().map(|(_, _, cluster)| *cluster);
        let ejections = clusters().map(|c| c.state.tally().enforced_total());
        seen.ejections[*service] += ejections.sum::<u64>();
        let refused = clusters().map(|c| c.state.tally().overflow());
        seen.refused[*service] += refused.sum::<u64>();
        let endpoints = || {
            let all = pools.iter();
            let all =
                all.flat_map(|(_, replicas, cluster)| replicas.iter().zip(&cluster.endpoints));
            all.filter_map(|(replica, endpoint)| Some(((*replica)?, &endpoint.state)))
        };
        if !endpoints().any(|(_, state)| state.requests() > 0) {
            return;
        }
        self.callers[*service] += 1;
        self.at_limit[*service] += u32::from(clusters().any(is_at_limit));
        let mut told = Vec::new();
        for (replica, state) in endpoints() {
            if state.is_ejected() && !told.contains(&replica) {
                told.push(replica);
                self.out[replica] += 1;
                self.out_of[*service] += 1;
            }
        }
    }
}

fn share(part: u32, of: u32) -> f32 {
    if of == 0 {
        0.0
    } else {
        part as f32 / of as f32
    }
}

/// Whether one more connection or request would be refused.
fn is_at_limit(cluster: &Cluster) -> bool {
    let Some(limits) = cluster.limits else {
        return false;
    };
    let gauges = cluster.state.gauges();
    let is_full = |counted, limit| gauges.current(counted) >= limit;
    is_full(Counted::Pending, limits.pending) || is_full(Counted::Requests, limits.requests)
}
