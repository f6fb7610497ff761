//! Playing a study: step by step through virtual time, with a look at every caller's endpoints after each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::cluster::Counted;
use outrigger_core::snapshot::{Cluster, Snapshot};
use outrigger_core::time::{Duration, Instant};

use super::outcome::{ReplicaOutcome, StudyOutcome};
use super::world::{Study, World};

/// A timeline has about so many steps.
const STEPS: u32 = 120;

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
        let watch = Watch::new(self, &world.snapshots);
        let duration = self.scenario().duration;
        let step = step(duration);
        let end = Instant::ZERO + duration;
        let (mut at, mut seen) = (Instant::ZERO, Seen::new(self));
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

    fn outcome(&self, seed: u64, world: &mut World, seen: Seen, step: Duration) -> StudyOutcome {
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
        for (row, ejections) in of_services.iter_mut().zip(seen.ejections) {
            row.ejections = ejections;
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

/// One, two or five of a unit, so that steps have round edges.
fn step(duration: Duration) -> Duration {
    let least = (duration / STEPS).max(Duration::from_millis(1));
    let mut unit = Duration::from_millis(1);
    loop {
        for times in [1, 2, 5] {
            if unit * times >= least {
                return unit * times;
            }
        }
        unit *= 10;
    }
}

/// What was seen of endpoints.
struct Seen {
    /// For each replica the share of callers that have it out of rotation, step by step.
    out: Vec<Vec<f32>>,
    /// Ejections so far, by service.
    ejections: Vec<u64>,
}

impl Seen {
    fn new(study: &Study) -> Self {
        Self {
            out: vec![Vec::new(); study.replicas().len()],
            ejections: vec![0; study.scenario().services.len()],
        }
    }
}

/// A caller's pools of one service.
struct Pools {
    snapshot: Arc<Snapshot>,
    service: usize,
    clusters: Vec<usize>,
    /// Each endpoint of each cluster that is a replica, with that replica.
    endpoints: Vec<(usize, usize, usize)>,
}

/// Where to look.
struct Watch {
    pools: Vec<Pools>,
    clients: usize,
    /// The service of each replica.
    services: Vec<usize>,
}

impl Watch {
    fn new(study: &Study, snapshots: &[Arc<Snapshot>]) -> Self {
        let clients = study.scenario().clients.len();
        let hosts = study.hosts().iter().zip(0..);
        let hosts: BTreeMap<&str, usize> = hosts.map(|(host, at)| (&**host, at)).collect();
        let replicas = study.replicas().iter().enumerate();
        let replicas: BTreeMap<String, usize> = replicas
            .map(|(at, replica)| (replica.address.to_string(), at))
            .collect();
        let mut pools = Vec::new();
        for snapshot in snapshots {
            let mut by_service: BTreeMap<usize, Pools> = BTreeMap::new();
            for (at, cluster) in snapshot.clusters.iter().enumerate() {
                let Some(service) = hosts.get(&*cluster.host).copied() else {
                    continue;
                };
                let pools = by_service.entry(service).or_insert_with(|| Pools {
                    snapshot: Arc::clone(snapshot),
                    service,
                    clusters: Vec::new(),
                    endpoints: Vec::new(),
                });
                pools.clusters.push(at);
                for (number, endpoint) in cluster.endpoints.iter().enumerate() {
                    let replica = replicas.get(&*endpoint.text);
                    pools
                        .endpoints
                        .extend(replica.map(|replica| (at, number, *replica)));
                }
            }
            pools.extend(by_service.into_values());
        }
        let services = study.replicas().iter().map(|replica| replica.service);
        Self {
            pools,
            clients,
            services: services.collect(),
        }
    }

    /// Ends a step of every row.
    fn look(&self, world: &mut World, seen: &mut Seen) {
        let services = seen.ejections.len();
        seen.ejections.fill(0);
        let mut callers = vec![0_u32; services];
        let mut at_limit = vec![0_u32; services];
        let mut out = vec![0_u32; seen.out.len()];
        let mut by_service = vec![0_u32; services];
        for pools in &self.pools {
            let own = |at: &usize| &pools.snapshot.clusters[*at];
            let ejections = pools
                .clusters
                .iter()
                .map(own)
                .map(|c| c.state.tally().enforced_total());
            seen.ejections[pools.service] += ejections.sum::<u64>();
            if !pools.is_used() {
                continue;
            }
            callers[pools.service] += 1;
            at_limit[pools.service] += u32::from(pools.clusters.iter().map(own).any(is_at_limit));
            let mut told = Vec::new();
            for (cluster, endpoint, replica) in &pools.endpoints {
                let state = &pools.snapshot.clusters[*cluster].endpoints[*endpoint].state;
                if state.is_ejected() && !told.contains(replica) {
                    told.push(*replica);
                    out[*replica] += 1;
                    by_service[pools.service] += 1;
                }
            }
        }
        for (replica, out) in out.iter().enumerate() {
            let service = self.services[replica];
            seen.out[replica].push(share(*out, callers[service]));
        }
        for (at, row) in world.rows.iter().enumerate() {
            let (out, at_limit) = match at.checked_sub(self.clients) {
                None => (0.0, 0.0),
                Some(service) => (
                    share(by_service[service], callers[service]),
                    share(at_limit[service], callers[service]),
                ),
            };
            row.borrow_mut().close_step(out, at_limit);
        }
    }
}

impl Pools {
    /// Whether the caller ever asked one of these endpoints.
    fn is_used(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.any(|(cluster, endpoint, _)| {
            self.snapshot.clusters[*cluster].endpoints[*endpoint]
                .state
                .requests()
                > 0
        })
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
