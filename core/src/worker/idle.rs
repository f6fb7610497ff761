//! Connections to endpoints that wait for their next request.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{HostState, OpenConnection};
use crate::peer::ConnectionId;
use crate::snapshot::{Cluster, Snapshot};
use crate::time::{Duration, Instant};

/// A connection to an endpoint, as long as it is open.
#[derive(Debug)]
pub(crate) struct Link {
    open: OpenConnection,
    requests: u32,
    max_requests: Option<u32>,
    idle_timeout: Option<Duration>,
}

impl Link {
    /// A connection that is being made.
    pub(crate) fn new(host: &Arc<HostState>, cluster: &Cluster) -> Self {
        Self {
            open: host.begin_connection(),
            requests: 0,
            max_requests: cluster.max_requests_per_connection,
            idle_timeout: cluster.idle_timeout,
        }
    }

    /// One more request goes over it.
    pub(crate) const fn on_request(&mut self) {
        self.requests += 1;
    }

    /// Whether it may carry another request.
    pub(crate) fn has_requests_left(&self) -> bool {
        self.max_requests.is_none_or(|max| self.requests < max)
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
    id: ConnectionId,
    link: Link,
    expires: Option<Instant>,
}

/// All idle connections of one worker, by endpoint.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections {
    /// By the endpoint's id; the last one kept is the first one used (Envoy's LIFO), so that spare ones expire.
    hosts: BTreeMap<u32, Vec<Idle>>,
    next_id: u64,
}

impl IdleConnections {
    /// The most recently kept connection to an endpoint.
    pub(crate) fn take(&mut self, host: &HostState) -> Option<(ConnectionId, Link)> {
        let idle = self.hosts.get_mut(&host.id())?.pop()?;
        Some((idle.id, idle.link))
    }

    /// Keeps a connection and names it.
    pub(crate) fn keep(&mut self, link: Link, now: Instant) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let expires = link.idle_timeout.map(|t| now + t);
        self.hosts
            .entry(link.host_id())
            .or_default()
            .push(Idle { id, link, expires });
        id
    }

    /// Forgets one connection.
    pub(crate) fn forget(&mut self, id: ConnectionId) {
        self.remove_where(|idle| idle.id == id);
    }

    pub(crate) fn len(&self) -> usize {
        self.hosts.values().map(Vec::len).sum()
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Vec<ConnectionId> {
        self.remove_where(|idle| idle.expires.is_some_and(|at| at <= now))
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.hosts
            .values()
            .flatten()
            .filter_map(|idle| idle.expires)
            .min()
    }

    /// Forgets connections to endpoints that a snapshot does not name.
    pub(crate) fn retain_hosts(&mut self, snapshot: &Snapshot) -> Vec<ConnectionId> {
        let mut live: Vec<u32> = snapshot
            .clusters
            .iter()
            .flat_map(|c| c.endpoints.iter().map(|e| e.state.id()))
            .collect();
        live.sort_unstable();
        self.remove_where(|idle| live.binary_search(&idle.link.host_id()).is_err())
    }

    fn remove_where(&mut self, mut doomed: impl FnMut(&Idle) -> bool) -> Vec<ConnectionId> {
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
        gone
    }
}
