//! The connections of a thread to endpoints: what each may still carry, and which of them has room for a request.
//!
//! A connection has room for so many requests at a time: with HTTP/1 for one, with HTTP/2 for as many streams as its peer
//! takes, from the moment it is asked for. Age, an ejection, the number of requests it may carry and its idle time take its
//! room away; who asks for a connection gets the one that was given back last, so that spare ones expire (Envoy's LIFO).
//! Sockets are not known here.

mod link;
mod protection;

pub(crate) use link::Link;
pub(crate) use protection::Wanted;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use slotmap::SecondaryMap;

use super::line::Slot;
use super::originals::Remaining;
use crate::cluster::{ClusterState, HostState};
use crate::peer::{TlsFacts, TlsFaultKind, UpstreamId};
use crate::snapshot::{ClientTls, Snapshot};
use crate::stream::Protocol;
use crate::time::{Duration, Instant};

/// How often those are looked for that no time ends, because their endpoint was ejected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All connections of one worker to endpoints.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    links: SecondaryMap<UpstreamId, Link>,
    /// Those that are below their capacity or idle, by the endpoint's id and what is spoken; the one that was given back last
    /// stands last.
    roomy: BTreeMap<(u32, Protocol), VecDeque<UpstreamId>>,
    /// How many nobody uses.
    idle: usize,
    /// No connection expires before this; `None` when none does. Known without a walk, because runtimes ask after each
    /// connection that is kept.
    soonest: Option<Instant>,
    /// When all are looked at next, because endpoints of some may have been ejected, here or by another worker.
    next_look: Option<Instant>,
}

/// A place on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) id: UpstreamId,
    /// The connection is still being made.
    pub(crate) is_promised: bool,
}

impl Pool {
    /// A connection is asked for, for one request. While it is being made, others may be promised a place on it.
    pub(crate) fn open(&mut self, id: UpstreamId, link: Link) {
        if link.is_listed() {
            self.roomy.entry(link.key()).or_default().push_back(id);
        }
        self.links.insert(id, link);
    }

    /// It is made, and protected so, and its age counts from now; or TLS was not agreed on, which is told before
    /// [`Pool::on_failed`].
    pub(crate) fn on_outcome(
        &mut self,
        id: UpstreamId,
        tls: Result<Option<&TlsFacts>, TlsFaultKind>,
        now: Instant,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let counts = link.cluster().tls();
        match tls {
            Ok(facts) => {
                facts.into_iter().for_each(|facts| counts.on_agreed(facts));
                link.is_made = true;
                link.retires = link.max_duration.map(|most| now + most);
            }
            Err(kind) => counts.on_failed(kind),
        }
    }

    /// It could not be made.
    pub(crate) fn on_failed(&mut self, id: UpstreamId) {
        if let Some(link) = self.forget(id) {
            link.open.fail();
        }
    }

    /// The peer takes so many streams at a time.
    pub(crate) fn on_peer_limit(&mut self, id: UpstreamId, streams: u32) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let had_room = link.is_listed();
        link.capacity = streams.min(link.max_streams);
        let (has_room, key) = (link.is_listed(), link.key());
        match (had_room, has_room) {
            (false, true) => self.roomy.entry(key).or_default().push_back(id),
            (true, false) => self.leave(key, id),
            (true, true) | (false, false) => {}
        }
    }

    /// The peer takes no other request on it.
    pub(crate) fn retire(&mut self, id: UpstreamId, now: Instant) {
        if let Some(link) = self.links.get_mut(id) {
            link.retires = Some(now);
            // Nobody will give it back.
            if link.is_idle() {
                link.expires = Some(now);
                self.soonest = self.soonest.into_iter().chain(link.expires).min();
            }
        }
    }

    /// A place on the connection to an endpoint that has room and was given back last, or is still being made if there is no
    /// other. One that is not to be used any more stays behind, and expires.
    pub(crate) fn take(
        &mut self,
        host: &HostState,
        protocol: Protocol,
        wanted: Wanted<'_>,
        now: Instant,
    ) -> Option<Taken> {
        let key = (host.id(), protocol);
        let Self { links, roomy, .. } = self;
        let list = roomy.get_mut(&key)?;
        let find = |is_made: bool| {
            list.iter().rposition(|id| {
                let link = links.get(*id);
                link.is_some_and(|link| {
                    link.is_made == is_made && link.has_room(now) && link.is_as(wanted)
                })
            })
        };
        let at = find(true).or_else(|| find(false))?;
        let id = list[at];
        let link = links.get_mut(id)?;
        if link.is_idle() {
            self.idle -= 1;
        }
        link.streams += 1;
        link.requests += 1;
        link.expires = None;
        let is_promised = !link.is_made;
        if !link.is_listed() {
            list.remove(at);
        }
        Some(Taken { id, is_promised })
    }

    /// Whether an endpoint has a connection with room, made or (`promised`) being made.
    pub(crate) fn has(
        &self,
        host: &HostState,
        protocol: Protocol,
        wanted: Wanted<'_>,
        promised: bool,
        now: Instant,
    ) -> bool {
        let list = self.roomy.get(&(host.id(), protocol));
        let has_room = |id: &UpstreamId| {
            let link = self.links.get(*id);
            link.is_some_and(|link| {
                link.is_made != promised && link.has_room(now) && link.is_as(wanted)
            })
        };
        list.is_some_and(|list| list.iter().any(has_room))
    }

    /// Whether a connection may carry another request when one on it is over.
    pub(crate) fn may_go_on(&self, id: UpstreamId, now: Instant) -> bool {
        self.links.get(id).is_some_and(|link| link.may_go_on(now))
    }

    /// How many requests are on a connection, or wait for it.
    pub(crate) fn streams(&self, id: UpstreamId) -> u32 {
        self.links.get(id).map_or(0, |link| link.streams)
    }

    /// Whether it is made, and nobody uses it.
    pub(crate) fn is_idle(&self, id: UpstreamId) -> bool {
        let link = self.links.get(id);
        link.is_some_and(|link| link.is_made && link.is_idle())
    }

    /// Whether it is made.
    pub(crate) fn is_made(&self, id: UpstreamId) -> bool {
        self.links.get(id).is_some_and(|link| link.is_made)
    }

    /// The cluster against whose limit a connection counts.
    pub(crate) fn limited_by(&self, id: UpstreamId) -> Option<&Arc<ClusterState>> {
        self.links.get(id)?.limited_by()
    }

    /// A connection is over, and another one is to take its place in the limit.
    pub(crate) fn hand_over(&mut self, id: UpstreamId) -> Option<Slot> {
        self.links.get_mut(id)?.slot.take()
    }

    /// A request is over, and its place on the connection is free for another one.
    pub(crate) fn give_back(&mut self, id: UpstreamId, now: Instant) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let had_room = link.is_listed();
        link.streams = link.streams.saturating_sub(1);
        if link.is_idle() {
            self.idle += 1;
            let idle_until = link.idle_timeout.map(|t| now + t);
            link.expires = idle_until.into_iter().chain(link.retires).min();
            self.soonest = self.soonest.into_iter().chain(link.expires).min();
            if link.may_be_ejected && self.next_look.is_none() {
                self.next_look = Some(now + LOOK_EVERY);
            }
        }
        let is_last = !had_room && link.is_listed();
        if is_last || had_room && link.is_idle() {
            let list = self.roomy.entry(link.key()).or_default();
            if list.back() != Some(&id) {
                if had_room {
                    list.retain(|roomy| *roomy != id);
                }
                list.push_back(id);
            }
        }
    }

    /// A connection is closed. What it held is free.
    pub(crate) fn close(&mut self, id: UpstreamId) {
        self.forget(id);
    }

    fn forget(&mut self, id: UpstreamId) -> Option<Link> {
        let link = self.links.remove(id)?;
        if link.is_idle() {
            self.idle -= 1;
        }
        if link.is_listed() {
            self.leave(link.key(), id);
        }
        Some(link)
    }

    /// It has no room any more.
    fn leave(&mut self, key: (u32, Protocol), id: UpstreamId) {
        if let Some(list) = self.roomy.get_mut(&key) {
            // Many are closed at once in the order in which they were kept.
            if list.front() == Some(&id) {
                list.pop_front();
            } else {
                list.retain(|kept| *kept != id);
            }
            if list.is_empty() {
                self.roomy.remove(&key);
            }
        }
    }

    /// How many nobody uses.
    pub(crate) const fn idle(&self) -> usize {
        self.idle
    }

    /// An idle connection that counts against a cluster's limit: the one kept longest of some endpoint.
    pub(crate) fn spare(&self, cluster: &Arc<ClusterState>) -> Option<UpstreamId> {
        let counts = |link: &Link| {
            let limited_by = link.limited_by();
            limited_by.is_some_and(|limited| Arc::ptr_eq(limited, cluster))
        };
        self.find(counts).next()
    }

    /// Idle connections that count against the limits of these clusters.
    pub(crate) fn of_clusters(
        &self,
        mut of: impl FnMut(&Arc<ClusterState>) -> bool,
    ) -> Vec<UpstreamId> {
        let counts = |link: &Link| link.limited_by().is_some_and(&mut of);
        self.find(counts).collect()
    }

    /// Idle connections whose time is over, or whose endpoint was ejected; all of them are closed then.
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

    /// Idle connections to one endpoint.
    pub(crate) fn of_host(&self, host: u32) -> Vec<UpstreamId> {
        let of_host = (host, Protocol::Http1)..=(host, Protocol::Http2);
        let all = self.roomy.range(of_host).flat_map(|(_, list)| list);
        let is_idle = |id: &UpstreamId| self.links.get(*id).is_some_and(Link::is_idle);
        all.copied().filter(is_idle).collect()
    }

    /// Idle connections to endpoints that neither a snapshot names nor clients do, those that are to be protected otherwise by
    /// now, and those that were made before their cluster had limits: they are not counted. One that is in use and is to be
    /// protected otherwise carries no other request.
    pub(crate) fn unwanted(
        &mut self,
        snapshot: &Snapshot,
        originals: &[Remaining],
        now: Instant,
    ) -> Vec<UpstreamId> {
        let clusters = snapshot.clusters.iter();
        let mut live: Vec<(u32, bool, Option<&Arc<ClientTls>>)> = clusters
            .flat_map(|c| {
                let limited = c.limits.is_some();
                let endpoints = c.endpoints.iter();
                endpoints.map(move |e| (e.state.id(), limited, c.tls_to(e)))
            })
            .chain(
                originals
                    .iter()
                    .map(|of| (of.id, of.limited, of.tls.as_ref())),
            )
            .collect();
        live.sort_unstable_by_key(|(id, ..)| *id);
        let find = |link: &Link| {
            let found = live.binary_search_by_key(&link.host_id(), |(id, ..)| *id);
            found.ok().map(|at| live[at])
        };
        for link in self.links.values_mut().filter(|link| !link.is_idle()) {
            if find(link).is_some_and(|(.., tls)| !link.is_protected_by(tls)) {
                link.retires = Some(now);
            }
        }
        let is_unwanted = |link: &Link| {
            find(link).is_none_or(|(_, limited, tls)| {
                limited && link.slot.is_none() || !link.is_protected_by(tls)
            })
        };
        self.find(is_unwanted).collect()
    }

    /// Idle connections of which this holds, by endpoint, those kept longest first.
    fn find(&self, mut is_wanted: impl FnMut(&Link) -> bool) -> impl Iterator<Item = UpstreamId> {
        let all = self.roomy.values().flatten().copied();
        all.filter(move |id| {
            let link = self.links.get(*id).filter(|link| link.is_idle());
            link.is_some_and(&mut is_wanted)
        })
    }
}
