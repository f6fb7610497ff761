//! What one connection to an endpoint may carry, and until when.

use std::sync::Arc;

use super::protection::{self, Protection, Wanted};
use crate::cluster::{ClusterState, HostState, OpenConnection};
use crate::local::line::Slot;
use crate::snapshot::{ClientTls, Cluster, Http2Options};
use crate::stream::Protocol;
use crate::time::{Duration, Instant};

/// How long a connection to a host that no service has is kept (Envoy's default, what Istio's clusters have too).
const UNKNOWN_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// How many requests are sent along while it is not known how many streams the peer takes: as many as most take (RFC 9113
/// §6.5.2 recommends no less).
const ASSUMED_STREAMS: u32 = 100;

/// A connection to an endpoint, as long as it is open.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) open: OpenConnection,
    pub(super) protocol: Protocol,
    /// What protects it; `None` for clear text.
    protection: Option<Protection>,
    /// Its share of the cluster's limit, if there is one.
    pub(super) slot: Option<Slot>,
    pub(super) requests: u32,
    pub(super) max_requests: Option<u32>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_duration: Option<Duration>,
    /// From then on it carries no other request.
    pub(super) retires: Option<Instant>,
    /// Its cluster ejects endpoints.
    pub(super) may_be_ejected: bool,
    /// How often its endpoint had been ejected when it was begun.
    pub(super) ejections: u64,
    /// How many requests are on it, or wait for it to be made.
    pub(super) streams: u32,
    /// How many there may be: as many as the peer takes, within what is configured.
    pub(super) capacity: u32,
    /// What is configured.
    pub(super) max_streams: u32,
    pub(super) is_made: bool,
    /// When it is closed if nobody has used it until then.
    pub(super) expires: Option<Instant>,
}

impl Link {
    /// A connection that is being made, for one request at first.
    pub(crate) fn new(
        host: &Arc<HostState>,
        http2: Option<&Http2Options>,
        wanted: Wanted<'_>,
        cluster: Option<&Cluster>,
        slot: Option<Slot>,
    ) -> Self {
        let (protocol, max_streams) = match http2 {
            None => (Protocol::Http1, 1),
            Some(options) => {
                let most = options.max_concurrent_streams;
                (Protocol::Http2, most.unwrap_or(u32::MAX))
            }
        };
        Self {
            open: host.begin_connection(),
            protocol,
            protection: wanted.protection(),
            slot,
            requests: 1,
            max_requests: cluster.and_then(|cluster| cluster.max_requests_per_connection),
            idle_timeout: cluster.map_or(Some(UNKNOWN_IDLE_TIMEOUT), |c| c.idle_timeout),
            max_duration: cluster.and_then(|cluster| cluster.max_connection_duration),
            retires: None,
            may_be_ejected: cluster.is_some_and(|cluster| cluster.outlier_detection.is_some()),
            ejections: host.ejections(),
            streams: 1,
            capacity: max_streams.min(ASSUMED_STREAMS),
            max_streams,
            is_made: false,
            expires: None,
        }
    }

    /// Whether it may carry another request when the one on it is over.
    pub(super) fn may_go_on(&self, now: Instant) -> bool {
        let has_requests_left = self.max_requests.is_none_or(|max| self.requests < max);
        has_requests_left && self.is_good(now)
    }

    /// Neither too old nor from before an ejection (Envoy drains the connections of an endpoint that it ejects).
    fn is_good(&self, now: Instant) -> bool {
        self.retires.is_none_or(|at| now < at) && self.is_of_this_stay()
    }

    pub(super) fn is_of_this_stay(&self) -> bool {
        self.open.host().ejections() == self.ejections
    }

    /// Whether another request may use it. One past its idle time may not, however late it is closed: its endpoint counts
    /// the same time and may be closing it now.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.is_below_capacity() && self.expires.is_none_or(|at| now < at) && self.may_go_on(now)
    }

    /// Whether it is protected as a request wants it.
    pub(super) fn is_as(&self, wanted: Wanted<'_>) -> bool {
        wanted.is(self.protection.as_ref())
    }

    /// Whether it is protected by these settings.
    pub(super) fn is_protected_by(&self, tls: Option<&Arc<ClientTls>>) -> bool {
        protection::has(self.protection.as_ref(), tls)
    }

    /// The cluster of its endpoint.
    pub(super) fn cluster(&self) -> &ClusterState {
        self.open.host().cluster()
    }

    /// What is spoken on it.
    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    const fn is_below_capacity(&self) -> bool {
        self.streams < self.capacity
    }

    /// Whether the pool finds it: it has room for another one, or nobody uses it and its time will be up, though its peer
    /// takes none now.
    pub(super) const fn is_listed(&self) -> bool {
        self.is_below_capacity() || self.is_idle()
    }

    /// Nobody uses it.
    pub(super) const fn is_idle(&self) -> bool {
        self.streams == 0
    }

    pub(super) fn key(&self) -> (u32, Protocol) {
        (self.open.host().id(), self.protocol)
    }

    /// The cluster against whose limit it counts.
    pub(super) fn limited_by(&self) -> Option<&Arc<ClusterState>> {
        self.slot.as_ref().map(Slot::cluster)
    }

    /// The endpoint's id.
    pub(super) fn host_id(&self) -> u32 {
        self.open.host().id()
    }
}
