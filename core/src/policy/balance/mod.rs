//! Which endpoint of a cluster a request goes to (Envoy's thread-local balancers).
//!
//! A worker keeps one balancer for each cluster of its snapshot. Three steps: a priority by its share of traffic, in it a
//! locality where those matter (both in `level`), and among what is left an endpoint (`pool`). Load and health are read
//! from the endpoints themselves, because they belong to the whole process. Nothing is allocated by a pick while nobody's
//! health changes.

mod hashing;
mod level;
mod pool;

use self::level::Level;
use super::members::{Members, Share, Shares};
use super::priority;
use super::retry_priority;
use super::slow_start::is_warming;
use crate::decision::{HashedBy, Picked, PickedBy};
use crate::entropy::{Draw, Entropy};
use crate::snapshot::{Balancing, Cluster, Endpoint};
use crate::time::Instant;

/// What a pick goes by besides the cluster (Envoy's LoadBalancerContext).
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The random number of the request.
    pub entropy: Entropy,
    /// Counts the picks for one request from 0.
    pub attempt: u64,
    /// The time.
    pub now: Instant,
    /// The priorities of earlier attempts, for a retry that is to go elsewhere.
    pub tried: &'a [u32],
    /// What the request hashes to, and what was hashed, for a cluster that looks hashes up.
    pub hash: Option<(u64, HashedBy)>,
    /// Counts the picks for one attempt from 0.
    pub step: u64,
}

impl Context<'_> {
    /// The number to look up: the request's hash, or one drawn when it has nothing that is hashed.
    fn looked_up(&self) -> (u64, HashedBy) {
        self.hash.unwrap_or_else(|| {
            let drawn = self.entropy.draw(Draw::Hash, self.attempt);
            (drawn, HashedBy::Nothing)
        })
    }
}

/// The place of one worker in the rounds of one cluster.
#[derive(Clone, Debug)]
pub struct Balancer {
    seed: u64,
    /// The health version it was made at; `None` where nobody is ejected.
    version: Option<u64>,
    /// When the newest endpoint came, while that one warms up.
    newest: Option<Instant>,
    /// By priority.
    levels: Vec<Level>,
    /// By priority.
    members: Vec<Members>,
    shares: Shares,
}

/// What the parts of a balancer go by when they are made anew.
#[derive(Clone, Copy)]
struct Making<'a> {
    cluster: &'a Cluster,
    seed: u64,
    /// Somebody warms up.
    is_warming: bool,
    now: Instant,
}

impl Making<'_> {
    fn is_usable(&self, endpoint: &Endpoint) -> bool {
        self.cluster.outlier_detection.is_none() || !endpoint.state.is_ejected()
    }
}

impl Balancer {
    /// A balancer for a cluster. `seed` places its start, so that workers and sidecars do not move in step.
    #[must_use]
    pub fn new(cluster: &Cluster, seed: u64, now: Instant) -> Self {
        Self::at(Level::all(cluster, seed), cluster, seed, now)
    }

    /// A balancer for the same cluster in a new snapshot: unweighted rounds go on where they were, weighted schedules are
    /// built anew.
    #[must_use]
    pub fn carry(&self, cluster: &Cluster, seed: u64, now: Instant) -> Self {
        let mut levels = Level::all(cluster, seed);
        for (level, before) in levels.iter_mut().zip(&self.levels) {
            level.go_on_from(before);
        }
        Self::at(levels, cluster, seed, now)
    }

    fn at(levels: Vec<Level>, cluster: &Cluster, seed: u64, now: Instant) -> Self {
        let mut balancer = Self {
            seed,
            version: None,
            newest: None,
            members: Vec::with_capacity(levels.len()),
            levels,
            shares: Shares::new(),
        };
        balancer.make(cluster, now);
        balancer
    }

    /// The position of an endpoint of the cluster this balancer was made for, and why that one. `None` when the
    /// cluster has no endpoint that may be used.
    ///
    /// A passthrough cluster has no endpoints to choose from: the position is 0 and means nothing.
    pub fn pick(&mut self, cluster: &Cluster, context: &Context<'_>) -> Option<(usize, Picked)> {
        if cluster.balancing == Balancing::Passthrough {
            return Some((0, Picked::simply(PickedBy::OriginalDestination)));
        }
        self.refresh(cluster, context.now);
        let (at, share) = self.priority(cluster, context)?;
        let level = self.levels.get_mut(at)?;
        let (endpoint, locality, by) = level.pick(cluster, context)?;
        let picked = Picked {
            priority: at as u32, // as many as there are numbers in endpoints
            load: share.load,
            is_panic: share.is_panic,
            locality,
            by,
        };
        (endpoint < cluster.endpoints.len()).then_some((endpoint, picked))
    }

    /// The priority of a pick, and its share.
    fn priority(&self, cluster: &Cluster, context: &Context<'_>) -> Option<(usize, Share)> {
        if let [only] = &*self.shares {
            return Some((0, *only));
        }
        let random = match cluster.balancing {
            // The same hash leads to the same priority while shares are what they are.
            Balancing::ConsistentHash(_) => context.looked_up().0,
            Balancing::LeastRequest
            | Balancing::RoundRobin
            | Balancing::Random
            | Balancing::Passthrough
            | Balancing::PeakEwma => context.entropy.draw(Draw::Priority, context.attempt),
        };
        let choose = |shares: &Shares| {
            let at = priority::choose(shares, random);
            shares.get(at).map(|share| (at, *share))
        };
        if context.tried.len() < 2 {
            return choose(&self.shares);
        }
        choose(&retry_priority::shares(
            &self.shares,
            &self.members,
            context.tried,
        ))
    }

    /// Follows what has changed since the last pick.
    fn refresh(&mut self, cluster: &Cluster, now: Instant) {
        let is_over = |newest| !cluster.warm_up.is_some_and(|w| is_warming(&w, newest, now));
        if self.version != version(cluster) || self.newest.is_some_and(is_over) {
            self.make(cluster, now);
        }
    }

    fn make(&mut self, cluster: &Cluster, now: Instant) {
        self.version = version(cluster);
        let mut making = Making {
            cluster,
            seed: self.seed,
            is_warming: false,
            now,
        };
        self.newest = newest(&making);
        making.is_warming = self.newest.is_some();
        self.members.clear();
        let members = self.levels.iter().map(|level| level.members(&making));
        self.members.extend(members);
        // Without ejection nobody is out, so there is nothing to panic about.
        let detection = cluster.outlier_detection.as_ref();
        let threshold = detection.map_or(0, |detection| detection.min_health_percent);
        self.shares = priority::shares(&self.members, threshold);
        for (level, share) in self.levels.iter_mut().zip(&self.shares) {
            level.make(&making, share.is_panic);
        }
    }
}

fn version(cluster: &Cluster) -> Option<u64> {
    let ejects = cluster.outlier_detection.is_some();
    ejects.then(|| cluster.state.health_version())
}

/// When the newest usable endpoint came, if it still warms up. Sees to it that all have a time when they came.
fn newest(making: &Making<'_>) -> Option<Instant> {
    let warm_up = making.cluster.warm_up?;
    let endpoints = making.cluster.endpoints.iter();
    let usable = endpoints.filter(|endpoint| making.is_usable(endpoint));
    let newest = usable.map(|endpoint| endpoint.state.joined(making.now));
    newest
        .max()
        .filter(|newest| is_warming(&warm_up, *newest, making.now))
}

#[cfg(test)]
mod tests;
