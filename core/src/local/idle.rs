//! Connections to endpoints that wait for their next request.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line::Slot;
use crate::cluster::{ClusterState, HostState, OpenConnection};
use crate::peer::UpstreamId;
use crate::snapshot::{Cluster, Snapshot};
use crate::time::{Duration, Instant};

/// How long a connection to a host that no service has is kept (Envoy's default, what Istio's clusters have too).
const UNKNOWN_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// How often those are looked for that no time ends, because their endpoint was ejected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A connection to an endpoint, as long as it is open.
#[derive(Debug)]
pub(crate) struct Link {
    open: OpenConnection,
    /// Its share of the cluster's limit, if there is one.
    slot: Option<Slot>,
    requests: u32,
    max_requests: Option<u32>,
    idle_timeout: Option<Duration>,
    max_duration: Option<Duration>,
    /// From then on it carries no other request.
    retires: Option<Instant>,
    /// Its cluster ejects endpoints.
    may_be_ejected: bool,
    /// How often its endpoint had been ejected when it was begun.
    ejections: u64,
}

impl Link {
    /// A connection that is being made.
    pub(crate) fn new(
        host: &Arc<HostState>,
        cluster: Option<&Cluster>,
        slot: Option<Slot>,
    ) -> Self {
        Self {
            open: host.begin_connection(),
            slot,
            requests: 0,
            max_requests: cluster.and_then(|cluster| cluster.max_requests_per_connection),
            idle_timeout: cluster.map_or(Some(UNKNOWN_IDLE_TIMEOUT), |c| c.idle_timeout),
            max_duration: cluster.and_then(|cluster| cluster.max_connection_duration),
            retires: None,
            may_be_ejected: cluster.is_some_and(|cluster| cluster.outlier_detection.is_some()),
            ejections: host.ejections(),
        }
    }

    /// The connection is made; its age counts from now.
    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.retires = self.max_duration.map(|most| now + most);
    }

    /// One more request goes over it.
    pub(crate) const fn on_request(&mut self) {
        self.requests += 1;
    }

    /// Whether it may carry another request.
    pub(crate) fn may_go_on(&self, now: Instant) -> bool {
        let has_requests_left = self.max_requests.is_none_or(|max| self.requests < max);
        has_requests_left && self.is_good(now)
    }

    /// Neither too old nor from before an ejection (Envoy drains the connections of an endpoint that it ejects).
    fn is_good(&self, now: Instant) -> bool {
        self.retires.is_none_or(|at| now < at) && self.is_of_this_stay()
    }

    fn is_of_this_stay(&self) -> bool {
        self.open.host().ejections() == self.ejections
    }

    /// The connection is over, and another one is to take its place in the limit.
    pub(crate) fn into_slot(self) -> Option<Slot> {
        self.slot
    }

    /// The cluster against whose limit it counts.
    pub(crate) fn limited_by(&self) -> Option<&Arc<ClusterState>> {
        self.slot.as_ref().map(Slot::cluster)
    }

    /// It could not be made.
    pub(crate) fn fail(self) {
        self.open.fail();
    }

    /// The endpoint's id.
    pub(crate) fn host_id(&self) -> u32 {
        self.open.host().id()
    }
}

#[derive(Debug)]
struct Idle {
    id: UpstreamId,
    link: Link,
    expires: Option<Instant>,
}

impl Idle {
    /// Whether another request may use it. One past its idle time may not, however late it is closed: its endpoint counts
    /// the same time and may be closing it now.
    fn is_good(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| now < at) && self.link.is_good(now)
    }
}

/// All idle connections of one worker, by endpoint.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections {
    /// By the endpoint's id; the last one kept is the first one used (Envoy's LIFO), so that spare ones expire.
    hosts: BTreeMap<u32, Vec<Idle>>,
    count: usize,
    /// No connection expires before this; `None` when none does. Known without a walk, because runtimes ask after each
    /// connection that is kept.
    soonest: Option<Instant>,
    /// When all are looked at next, because endpoints of some may have been ejected, here or by another worker.
    next_look: Option<Instant>,
}

impl IdleConnections {
    /// The most recently kept connection to an endpoint. One that is not to be used any more stays behind, and expires.
    pub(crate) fn take(&mut self, host: &HostState, now: Instant) -> Option<(UpstreamId, Link)> {
        let list = self.hosts.get_mut(&host.id())?;
        let at = list.iter().rposition(|idle| idle.is_good(now))?;
        let idle = list.remove(at);
        self.count -= 1;
        Some((idle.id, idle.link))
    }

    /// Whether there is a kept connection to an endpoint that another request may use.
    pub(crate) fn has(&self, host: &HostState, now: Instant) -> bool {
        let list = self.hosts.get(&host.id());
        list.is_some_and(|list| list.iter().any(|idle| idle.is_good(now)))
    }

    /// Forgets one connection that counts against a cluster's limit; the one kept longest of some endpoint.
    pub(crate) fn discard_one(&mut self, cluster: &Arc<ClusterState>) -> Option<UpstreamId> {
        let is_counted = |idle: &Idle| {
            idle.link
                .limited_by()
                .is_some_and(|c| Arc::ptr_eq(c, cluster))
        };
        let list = self
            .hosts
            .values_mut()
            .find(|list| list.iter().any(is_counted))?;
        let at = list.iter().position(is_counted)?;
        self.count -= 1;
        Some(list.remove(at).id)
    }

    /// Forgets connections that count against the limits of these clusters.
    pub(crate) fn give_up(
        &mut self,
        mut of: impl FnMut(&Arc<ClusterState>) -> bool,
    ) -> Vec<UpstreamId> {
        self.remove_where(|idle| idle.link.limited_by().is_some_and(&mut of))
    }

    /// Keeps a connection.
    pub(crate) fn keep(&mut self, id: UpstreamId, link: Link, now: Instant) {
        let idle_until = link.idle_timeout.map(|t| now + t);
        let expires = idle_until.into_iter().chain(link.retires).min();
        self.soonest = self.soonest.into_iter().chain(expires).min();
        if link.may_be_ejected && self.next_look.is_none() {
            self.next_look = Some(now + LOOK_EVERY);
        }
        self.hosts
            .entry(link.host_id())
            .or_default()
            .push(Idle { id, link, expires });
        self.count += 1;
    }

    /// Forgets one connection to this endpoint.
    pub(crate) fn forget(&mut self, host: u32, id: UpstreamId) {
        let Some(list) = self.hosts.get_mut(&host) else {
            return;
        };
        let before = list.len();
        list.retain(|idle| idle.id != id);
        self.count -= before - list.len();
        if list.is_empty() {
            self.hosts.remove(&host);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Forgets those whose time is over, or whose endpoint was ejected.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<UpstreamId> {
        // A worker comes here whenever any time is up, and there may be thousands.
        if self.next_expiry().is_none_or(|at| now < at) {
            return Vec::new();
        }
        let is_due = |idle: &Idle| idle.expires.is_some_and(|at| at <= now);
        let expired = self.remove_where(|idle| is_due(idle) || !idle.link.is_of_this_stay());
        let left = || self.hosts.values().flatten();
        self.soonest = left().filter_map(|idle| idle.expires).min();
        let watches = left().any(|idle| idle.link.may_be_ejected);
        self.next_look = watches.then(|| now + LOOK_EVERY);
        expired
    }

    /// No connection expires before this. The one that would have may be in use again.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.soonest.into_iter().chain(self.next_look).min()
    }

    /// Forgets the connections to one endpoint.
    pub(crate) fn forget_host(&mut self, id: u32) -> Vec<UpstreamId> {
        let list = self.hosts.remove(&id).unwrap_or_default();
        self.count -= list.len();
        list.into_iter().map(|idle| idle.id).collect()
    }

    /// Forgets connections to endpoints that neither a snapshot names nor clients do, and those that were made before
    /// their cluster had limits: they are not counted. `originals` are ids, and whether their cluster has limits.
    pub(crate) fn retain_hosts(
        &mut self,
        snapshot: &Snapshot,
        originals: Vec<(u32, bool)>,
    ) -> Vec<UpstreamId> {
        let clusters = snapshot.clusters.iter();
        let mut live: Vec<(u32, bool)> = clusters
            .flat_map(|c| {
                c.endpoints
                    .iter()
                    .map(|e| (e.state.id(), c.limits.is_some()))
            })
            .chain(originals)
            .collect();
        live.sort_unstable();
        self.remove_where(|idle| {
            let found = live.binary_search_by_key(&idle.link.host_id(), |(id, _)| *id);
            found.map_or(true, |at| live[at].1 && idle.link.slot.is_none())
        })
    }

    fn remove_where(&mut self, mut doomed: impl FnMut(&Idle) -> bool) -> Vec<UpstreamId> {
        let mut gone = Vec::new();
        self.hosts.retain(|_, list| {
            let mut at = 0;
            while at < list.len() {
                if doomed(&list[at]) {
                    let idle = list.remove(at);
                    gone.push(idle.id);
                } else {
                    at += 1;
                }
            }
            !list.is_empty()
        });
        self.count -= gone.len();
        gone
    }
}
