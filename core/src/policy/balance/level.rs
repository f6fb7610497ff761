//! One priority of a cluster: its endpoints, and which locality of it a request goes to.
//!
//! Owns who is a member and what of it is used: everybody in panic, otherwise the healthy ones, by locality where the
//! cluster's policy asks for it. How weights and zones turn into choices is `policy::locality`.

use super::hashing::{Hashing, Part};
use super::pool::{Pool, Positions};
use super::{Context, Making};
use crate::decision::{LocalityChoice, PickedBy};
use crate::entropy::Draw;
use crate::policy::edf::Edf;
use crate::policy::locality::{Plan, Way, Zone, effective_weight};
use crate::policy::members::Members;
use crate::snapshot::{Balancing, Cluster, ConsistentHash, Endpoint, LocalityPolicy, ZoneAware};

/// The endpoints of one priority.
#[derive(Clone, Debug)]
pub(super) struct Level {
    priority: u32,
    /// All of them.
    all: Positions,
    /// What a request is given when its locality does not matter.
    whole: Pool,
    /// Its localities, where they may matter; the proxy's own one first for zone-aware routing.
    places: Vec<LocalityEndpoints>,
    route: Route,
}

/// The endpoints of one locality.
#[derive(Clone, Debug)]
struct LocalityEndpoints {
    all: Positions,
    pool: Pool,
    /// For zone-aware routing how many proxies are there, otherwise the weight.
    weight: u32,
}

/// How a locality is chosen now.
#[derive(Clone, Debug)]
enum Route {
    /// It does not matter.
    Whole,
    /// By weight: the schedule, and the places in it with their effective weights.
    Weighted(Edf, Vec<(usize, f64)>),
    /// As the plan says.
    Zones(Plan),
    /// The hash says which endpoint.
    Hashed(ConsistentHash, Hashing),
}

impl Level {
    /// The priorities of a cluster.
    pub(super) fn all(cluster: &Cluster, seed: u64) -> Vec<Self> {
        let endpoints = &cluster.endpoints;
        let last = endpoints.iter().map(|e| e.priority).max().unwrap_or(0);
        (0..=last)
            .map(|priority| {
                let all = if last == 0 {
                    Positions::All(endpoints.len() as u32) // a cluster of 2^32 endpoints does not fit into memory
                } else {
                    positions(cluster, |endpoint| endpoint.priority == priority)
                };
                Self {
                    priority,
                    all,
                    whole: Pool::new(seed),
                    places: places(cluster, priority, seed),
                    route: Route::Whole,
                }
            })
            .collect()
    }

    /// Continues the rounds of the same priority in an earlier snapshot.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        self.whole.go_on_from(&before.whole);
        for (place, before) in self.places.iter_mut().zip(&before.places) {
            place.pool.go_on_from(&before.pool);
        }
    }

    /// Its endpoints, counted.
    pub(super) fn members(&self, making: &Making<'_>) -> Members {
        count(&self.all, making)
    }

    /// Brings everything up to date with who is healthy.
    pub(super) fn make(&mut self, making: &Making<'_>, is_panic: bool) {
        if let Balancing::ConsistentHash(settings) = making.cluster.balancing {
            self.make_hashing(settings, making, is_panic);
            return;
        }
        self.route = Route::Whole;
        if is_panic {
            self.whole.make(making, self.all.clone());
            return;
        }
        self.whole.make(making, healthy(&self.all, making));
        match &making.cluster.locality_policy {
            LocalityPolicy::Alike => {}
            LocalityPolicy::Weighted(_) => self.make_weighted(making),
            LocalityPolicy::ZoneAware(zones) => self.make_zones(zones, making),
        }
    }

    fn make_hashing(&mut self, settings: ConsistentHash, making: &Making<'_>, is_panic: bool) {
        let mut is_whole = true;
        let mut part = |all: &Positions, share| {
            let positions = if is_panic {
                all.clone()
            } else {
                healthy(all, making)
            };
            is_whole &= positions.len() == all.len();
            Part { positions, share }
        };
        let parts: Vec<Part> = match &making.cluster.locality_policy {
            LocalityPolicy::Alike | LocalityPolicy::ZoneAware(_) => vec![part(&self.all, 1.0)],
            LocalityPolicy::Weighted(_) => {
                let total: u64 = self.places.iter().map(|p| u64::from(p.weight)).sum();
                let places = self.places.iter().filter(|place| place.weight > 0);
                places
                    .map(|place| part(&place.all, f64::from(place.weight) / total as f64))
                    .collect()
            }
        };
        let hashing = Hashing::new(making, settings, &parts, self.priority, is_whole);
        self.route = Route::Hashed(settings, hashing);
    }

    fn make_weighted(&mut self, making: &Making<'_>) {
        let weights = self.places.iter().enumerate().map(|(at, place)| {
            let members = count(&place.all, making);
            (at, effective_weight(place.weight, members))
        });
        let weights: Vec<_> = weights.filter(|(_, weight)| *weight > 0.0).collect();
        if weights.is_empty() {
            return; // nobody is healthy
        }
        let schedule = Edf::new(weights.len(), making.seed, |at| weights[at].1);
        self.route = Route::Weighted(schedule, weights);
        self.make_places(making);
    }

    fn make_zones(&mut self, zones: &ZoneAware, making: &Making<'_>) {
        let members: Vec<_> = self.places.iter().map(|p| count(&p.all, making)).collect();
        let healthy: u64 = members.iter().map(|m| u64::from(m.healthy)).sum();
        if members.len() < 2 || healthy < zones.min_endpoints {
            return;
        }
        let of = |(place, members): (&LocalityEndpoints, &Members)| Zone {
            proxies: place.weight,
            healthy: members.healthy,
        };
        let seen: Vec<_> = self.places.iter().zip(&members).map(of).collect();
        let is_own = |endpoint: &Endpoint| *endpoint.locality == *zones.own;
        let first = self.places.first().and_then(|place| place.all.get(0));
        let own = first.filter(|at| is_own(&making.cluster.endpoints[*at]));
        let proxies = zones.proxies.iter().map(|(_, count)| count).sum();
        self.route = Route::Zones(Plan::new(&seen, own.map(|_| 0), proxies));
        self.make_places(making);
    }

    fn make_places(&mut self, making: &Making<'_>) {
        for place in &mut self.places {
            place.pool.make(making, healthy(&place.all, making));
        }
    }

    /// An endpoint of the cluster, why its locality, and why it.
    pub(super) fn pick(
        &mut self,
        cluster: &Cluster,
        context: &Context<'_>,
    ) -> Option<(usize, LocalityChoice, PickedBy)> {
        let draw = |purpose| context.entropy.draw(purpose, context.attempt);
        let (place, choice) = match &mut self.route {
            Route::Whole => (None, LocalityChoice::Any),
            Route::Weighted(schedule, weights) => {
                let at = schedule.pick(|at| weights[at].1)?;
                (Some(weights[at].0), LocalityChoice::Weighted)
            }
            Route::Zones(plan) => match plan.choose(draw(Draw::OwnZone), draw(Draw::OtherZone)) {
                Some(Way::Own) => (Some(0), LocalityChoice::Own),
                Some(Way::Kept) => (Some(0), LocalityChoice::Kept),
                Some(Way::Other(at)) => (Some(at), LocalityChoice::Other),
                // Envoy takes any locality then, also one where nobody is healthy.
                None => (None, LocalityChoice::Any),
            },
            Route::Hashed(settings, hashing) => {
                let looked_up = context.looked_up();
                let (endpoint, by) = hashing.pick(cluster, *settings, looked_up, context.step)?;
                return Some((endpoint, LocalityChoice::Any, by));
            }
        };
        let pool = match place {
            Some(at) => &mut self.places.get_mut(at)?.pool,
            None => &mut self.whole,
        };
        let (endpoint, by) = pool.pick(cluster, context)?;
        Some((endpoint, choice, by))
    }
}

/// The localities of a priority that the cluster's policy tells apart.
fn places(cluster: &Cluster, priority: u32, seed: u64) -> Vec<LocalityEndpoints> {
    let at = |locality: &str, weight| LocalityEndpoints {
        all: positions(cluster, |endpoint| {
            endpoint.priority == priority && *endpoint.locality == *locality
        }),
        pool: Pool::new(seed),
        weight,
    };
    match &cluster.locality_policy {
        LocalityPolicy::Alike => Vec::new(),
        LocalityPolicy::Weighted(weights) => {
            let here = weights.iter().filter(|w| w.priority == priority);
            here.map(|w| at(&w.locality, w.weight)).collect()
        }
        // Envoy reference §1.5: the first priority only.
        LocalityPolicy::ZoneAware(_) if priority > 0 => Vec::new(),
        LocalityPolicy::ZoneAware(zones) => {
            let here = cluster.endpoints.iter().filter(|e| e.priority == 0);
            let mut names: Vec<&str> = here.map(|endpoint| &*endpoint.locality).collect();
            names.sort_unstable_by_key(|name| (**name != *zones.own, *name));
            names.dedup();
            let proxies = |name: &str| {
                let known = zones.proxies.iter().find(|(zone, _)| **zone == *name);
                known.map_or(0, |(_, count)| *count)
            };
            names.iter().map(|name| at(name, proxies(name))).collect()
        }
    }
}

/// The positions of endpoints for which something holds.
fn positions(cluster: &Cluster, holds: impl Fn(&Endpoint) -> bool) -> Positions {
    let all = (0..).zip(&cluster.endpoints);
    Positions::These(all.filter(|(_, e)| holds(e)).map(|(at, _)| at).collect())
}

fn count(positions: &Positions, making: &Making<'_>) -> Members {
    let endpoints = positions.iter().map(|at| &making.cluster.endpoints[at]);
    let healthy = endpoints.filter(|endpoint| making.is_usable(endpoint));
    Members {
        healthy: healthy.count() as u32, // see `Positions`
        all: positions.len() as u32,
    }
}

/// Those of them that are healthy; all of them stay what they are.
fn healthy(positions: &Positions, making: &Making<'_>) -> Positions {
    let is_healthy = |at: &usize| making.is_usable(&making.cluster.endpoints[*at]);
    if positions.iter().all(|at| is_healthy(&at)) {
        return positions.clone();
    }
    let healthy = positions.iter().filter(is_healthy);
    Positions::These(healthy.map(|at| at as u32).collect())
}
