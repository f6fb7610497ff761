//! The connections of a thread to endpoints: what each may still carry, and which of them has room for a request.
//!
//! A connection has room for so many requests at a time: with HTTP/1 for none while one is on it, and for one while it is
//! kept. Age, an ejection, the number of requests it may carry and its idle time take its room away; who asks for a
//! connection gets the one that was given back last, so that spare ones expire (Envoy's LIFO). Sockets are not known here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use slotmap::SecondaryMap;

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
    /// How many more requests it may carry at the same time.
    room: u32,
    /// When it is closed if nobody has used it until then.
    expires: Option<Instant>,
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
            room: 0,
            expires: None,
        }
    }

    /// Whether it may carry another request when the one on it is over.
    fn may_go_on(&self, now: Instant) -> bool {
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

    /// Whether another request may use it. One past its idle time may not, however late it is closed: its endpoint counts
    /// the same time and may be closing it now.
    fn has_room(&self, now: Instant) -> bool {
        self.room > 0 && self.expires.is_none_or(|at| now < at) && self.is_good(now)
    }

    /// The cluster against whose limit it counts.
    fn limited_by(&self) -> Option<&Arc<ClusterState>> {
        self.slot.as_ref().map(Slot::cluster)
    }

    /// The endpoint's id.
    fn host_id(&self) -> u32 {
        self.open.host().id()
    }
}

/// All connections of one worker to endpoints.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    links: SecondaryMap<UpstreamId, Link>,
    /// Those that are kept because they have room, by the endpoint's id; the one that was given back last stands last.
    kept: BTreeMap<u32, VecDeque<UpstreamId>>,
    count: usize,
    /// No connection expires before this; `None` when none does. Known without a walk, because runtimes ask after each
    /// connection that is kept.
    soonest: Option<Instant>,
    /// When all are looked at next, because endpoints of some may have been ejected, here or by another worker.
    next_look: Option<Instant>,
}

impl Pool {
    /// A connection is asked for.
    pub(crate) fn open(&mut self, id: UpstreamId, link: Link) {
        self.links.insert(id, link);
    }

    /// It is made; its age counts from now.
    pub(crate) fn on_connected(&mut self, id: UpstreamId, now: Instant) {
        if let Some(link) = self.links.get_mut(id) {
            link.retires = link.max_duration.map(|most| now + most);
        }
    }

    /// It could not be made.
    pub(crate) fn on_failed(&mut self, id: UpstreamId) {
        if let Some(link) = self.links.remove(id) {
            link.open.fail();
        }
    }

    /// One more request goes over it.
    pub(crate) fn on_request(&mut self, id: UpstreamId) {
        if let Some(link) = self.links.get_mut(id) {
            link.requests += 1;
        }
    }

    /// The most recently kept connection to an endpoint that has room; it has none then. One that is not to be used any
    /// more stays behind, and expires.
    pub(crate) fn take(&mut self, host: &HostState, now: Instant) -> Option<UpstreamId> {
        let Self { links, kept, .. } = self;
        let list = kept.get_mut(&host.id())?;
        let has_room = |id: &UpstreamId| links.get(*id).is_some_and(|link| link.has_room(now));
        let id = list.remove(list.iter().rposition(has_room)?)?;
        self.count -= 1;
        if let Some(link) = links.get_mut(id) {
            link.room -= 1;
        }
        Some(id)
    }

    /// Whether an endpoint has a connection with room.
    pub(crate) fn has(&self, host: &HostState, now: Instant) -> bool {
        let list = self.kept.get(&host.id());
        let has_room = |id: &UpstreamId| self.links.get(*id).is_some_and(|link| link.has_room(now));
        list.is_some_and(|list| list.iter().any(has_room))
    }

    /// Whether a connection may carry another request when the one on it is over.
    pub(crate) fn may_go_on(&self, id: UpstreamId, now: Instant) -> bool {
        self.links.get(id).is_some_and(|link| link.may_go_on(now))
    }

    /// The cluster against whose limit a connection counts.
    pub(crate) fn limited_by(&self, id: UpstreamId) -> Option<&Arc<ClusterState>> {
        self.links.get(id)?.limited_by()
    }

    /// A connection is over, and another one is to take its place in the limit.
    pub(crate) fn hand_over(&mut self, id: UpstreamId) -> Option<Slot> {
        self.links.get_mut(id)?.slot.take()
    }

    /// A request is over, and its connection is kept for another one.
    pub(crate) fn keep(&mut self, id: UpstreamId, now: Instant) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.room += 1;
        let idle_until = link.idle_timeout.map(|t| now + t);
        link.expires = idle_until.into_iter().chain(link.retires).min();
        self.soonest = self.soonest.into_iter().chain(link.expires).min();
        if link.may_be_ejected && self.next_look.is_none() {
            self.next_look = Some(now + LOOK_EVERY);
        }
        self.kept.entry(link.host_id()).or_default().push_back(id);
        self.count += 1;
    }

    /// A connection is closed. What it held is free.
    pub(crate) fn close(&mut self, id: UpstreamId) {
        let Some(link) = self.links.remove(id) else {
            return;
        };
        if link.room == 0 {
            return;
        }
        let host = link.host_id();
        if let Some(list) = self.kept.get_mut(&host) {
            // Many are closed at once in the order in which they were kept.
            if list.front() == Some(&id) {
                list.pop_front();
            } else {
                list.retain(|kept| *kept != id);
            }
            self.count -= 1;
            if list.is_empty() {
                self.kept.remove(&host);
            }
        }
    }

    /// How many are kept.
    pub(crate) const fn kept(&self) -> usize {
        self.count
    }

    /// A kept connection that counts against a cluster's limit: the one kept longest of some endpoint.
    pub(crate) fn spare(&self, cluster: &Arc<ClusterState>) -> Option<UpstreamId> {
        let counts = |link: &Link| {
            let limited_by = link.limited_by();
            limited_by.is_some_and(|limited| Arc::ptr_eq(limited, cluster))
        };
        self.find(counts).next()
    }

    /// Kept connections that count against the limits of these clusters.
    pub(crate) fn of_clusters(
        &self,
        mut of: impl FnMut(&Arc<ClusterState>) -> bool,
    ) -> Vec<UpstreamId> {
        let counts = |link: &Link| link.limited_by().is_some_and(&mut of);
        self.find(counts).collect()
    }

    /// Kept connections whose time is over, or whose endpoint was ejected; all of them are closed then.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<UpstreamId> {
        // A worker comes here whenever any time is up, and there may be thousands.
        if self.next_expiry().is_none_or(|at| now < at) {
            return Vec::new();
        }
        let is_over =
            |link: &Link| link.expires.is_some_and(|at| at <= now) || !link.is_of_this_stay();
        let left = || {
            let left = self.find(move |link| !is_over(link));
            left.filter_map(|id| self.links.get(id))
        };
        let soonest = left().filter_map(|link| link.expires).min();
        let watches = left().any(|link| link.may_be_ejected);
        let expired = self.find(is_over).collect();
        self.soonest = soonest;
        self.next_look = watches.then(|| now + LOOK_EVERY);
        expired
    }

    /// No connection expires before this. The one that would have may be in use again.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.soonest.into_iter().chain(self.next_look).min()
    }

    /// Kept connections to one endpoint.
    pub(crate) fn of_host(&self, host: u32) -> Vec<UpstreamId> {
        let kept = self.kept.get(&host).into_iter().flatten();
        kept.copied().collect()
    }

    /// Kept connections to endpoints that neither a snapshot names nor clients do, and those that were made before their
    /// cluster had limits: they are not counted. `originals` are ids, and whether their cluster has limits.
    pub(crate) fn unwanted(
        &self,
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
        let is_unwanted = |link: &Link| {
            let found = live.binary_search_by_key(&link.host_id(), |(id, _)| *id);
            found.map_or(true, |at| live[at].1 && link.slot.is_none())
        };
        self.find(is_unwanted).collect()
    }

    /// Kept connections of which this holds, by endpoint, those kept longest first.
    fn find(&self, mut is_wanted: impl FnMut(&Link) -> bool) -> impl Iterator<Item = UpstreamId> {
        let all = self.kept.values().flatten().copied();
        all.filter(move |id| self.links.get(*id).is_some_and(&mut is_wanted))
    }
}
