//! What is counted of requests at each cluster, under Envoy's names. Connections, retries, ejections and limits are counted in
//! core, where policies look at them.

use std::sync::Arc;

use outrigger_core::cluster::Counted;
use outrigger_core::decision::{Attempt, AttemptEnd, Details, Overflow, Record, ResetReason};
use outrigger_runtime::Counter;

use super::codes::{Codes, StatusCounts};
use super::connections::{ClusterConnections, TcpCells};
use super::histogram::{Distribution, Histogram};
use super::kept::{Cells, Gone};

/// What happens to an attempt, or instead of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The route's time ran out.
    Timeout,
    /// An attempt took longer than `perTryTimeout`.
    PerTryTimeout,
    /// A circuit limit had no place for it.
    PendingOverflow,
    /// It was no request, and the limit of connections had no place for it.
    CxOverflow,
    /// Its client gave it up, or another attempt was answered first.
    Cancelled,
    /// Its endpoint reset it.
    RxReset,
    /// We reset it.
    TxReset,
    /// Its connection took too long to be made.
    ConnectTimeout,
    /// Its connection ended under it.
    DestroyedWithActiveRequest,
    /// Its endpoint broke the protocol.
    ProtocolError,
    /// There was no endpoint to pick.
    NoneHealthy,
    /// The limit that follows response times had no place for it.
    ConcurrencyLimited,
}

impl ClusterEvent {
    /// All of them, with Envoy's name and what is told of it.
    pub const ALL: [(Self, &'static str, &'static str); 12] = [
        (
            Self::Timeout,
            "upstream_rq_timeout",
            "Requests whose route's time ran out",
        ),
        (
            Self::PerTryTimeout,
            "upstream_rq_per_try_timeout",
            "Attempts that took longer than perTryTimeout",
        ),
        (
            Self::PendingOverflow,
            "upstream_rq_pending_overflow",
            "Requests that a circuit limit had no place for",
        ),
        (
            Self::CxOverflow,
            "upstream_cx_overflow",
            "Connections that are not HTTP and that the limit of connections had no place for",
        ),
        (
            Self::Cancelled,
            "upstream_rq_cancelled",
            "Attempts given up by the client, or overtaken by another",
        ),
        (
            Self::RxReset,
            "upstream_rq_rx_reset",
            "Attempts that the endpoint reset",
        ),
        (
            Self::TxReset,
            "upstream_rq_tx_reset",
            "Attempts that the proxy reset",
        ),
        (
            Self::ConnectTimeout,
            "upstream_cx_connect_timeout",
            "Attempts whose connection took too long to be made",
        ),
        (
            Self::DestroyedWithActiveRequest,
            "upstream_cx_destroy_with_active_rq",
            "Attempts whose connection ended under them",
        ),
        (
            Self::ProtocolError,
            "upstream_cx_protocol_error",
            "Attempts whose endpoint broke the protocol",
        ),
        (
            Self::NoneHealthy,
            "upstream_cx_none_healthy",
            "Requests for which there was no endpoint to pick",
        ),
        (
            Self::ConcurrencyLimited,
            "upstream_rq_concurrency_limited",
            "Requests that the limit that follows response times refused",
        ),
    ];

    const fn of_reset(reason: ResetReason) -> Option<Self> {
        Some(match reason {
            ResetReason::ConnectionTimeout => Self::ConnectTimeout,
            ResetReason::ConnectionTermination => Self::DestroyedWithActiveRequest,
            ResetReason::RemoteReset | ResetReason::RemoteRefusedStreamReset => Self::RxReset,
            ResetReason::ProtocolError => Self::ProtocolError,
            ResetReason::Overflow(Overflow {
                counted: Counted::Connections,
                ..
            }) => Self::CxOverflow,
            ResetReason::Overflow(_) => Self::PendingOverflow,
            ResetReason::PerTryTimeout => Self::PerTryTimeout,
            ResetReason::LocalReset => Self::TxReset,
            // Counted as connections that could not be made.
            ResetReason::RemoteConnectionFailure
            | ResetReason::Tls(_)
            | ResetReason::LocalConnectionFailure
            | ResetReason::Unresolved => return None,
        })
    }
}

/// What one worker counts of one cluster.
#[derive(Debug, Default)]
pub(crate) struct ClusterCells {
    codes: Codes,
    events: [Counter; ClusterEvent::ALL.len()],
    /// In microseconds.
    time: Histogram,
    /// Of connections that are not HTTP.
    pub(crate) tcp: TcpCells,
}

/// What all have counted of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterRequests {
    /// Responses by status, those of the proxy for the cluster included.
    pub codes: StatusCounts,
    /// In the order of [`ClusterEvent::ALL`].
    pub events: [u64; ClusterEvent::ALL.len()],
    /// From the beginning of an attempt to the end of its response, in microseconds.
    pub time: Distribution,
    /// Connections that are not HTTP.
    pub tcp: ClusterConnections,
}

impl ClusterCells {
    fn event(&self, event: ClusterEvent) {
        self.events[event as usize].add(1);
    }

    /// One attempt at this cluster has ended. `counts`: it is the one whose end the client was told.
    pub(crate) fn count(&self, attempt: &Attempt, record: &Record, counts: bool) {
        let is_answered = match attempt.end {
            AttemptEnd::Response(status) | AttemptEnd::Call { status, .. } => {
                self.codes.count(status);
                true
            }
            AttemptEnd::Reset(reason) => {
                if let Some(event) = ClusterEvent::of_reset(reason) {
                    self.event(event);
                }
                false
            }
            AttemptEnd::Cancelled | AttemptEnd::Overtaken => {
                self.event(ClusterEvent::Cancelled);
                false
            }
            AttemptEnd::Unprocessed => {
                self.event(ClusterEvent::RxReset);
                false
            }
            AttemptEnd::Open | AttemptEnd::Connected | AttemptEnd::StaleConnection => false,
        };
        if !counts {
            return;
        }
        if record.details == Details::ResponseTimeout {
            self.event(ClusterEvent::Timeout);
        }
        if is_answered && record.details == Details::ViaUpstream {
            let time = record.ended.since(attempt.began).as_micros();
            self.time.record(u64::try_from(time).unwrap_or(u64::MAX));
        }
        // As in Envoy, what the proxy answers for a cluster counts as its response.
        if !is_answered && record.status != 0 {
            self.codes.count(record.status);
        }
    }

    /// A request was to go there, and no attempt was made.
    pub(crate) fn count_none(&self, record: &Record) {
        let event = match record.details {
            Details::NoHealthyUpstream => ClusterEvent::NoneHealthy,
            Details::ConcurrencyLimit => ClusterEvent::ConcurrencyLimited,
            _ => return,
        };
        self.event(event);
        if record.connection.is_none() {
            self.codes.count(record.status);
        }
    }
}

impl Cells for ClusterCells {
    type Sum = ClusterRequests;

    fn add_to(&self, sum: &mut ClusterRequests) {
        self.codes.add_to(&mut sum.codes);
        for (sum, event) in sum.events.iter_mut().zip(&self.events) {
            *sum += event.value();
        }
        self.time.add_to(&mut sum.time);
        self.tcp.add_to(&mut sum.tcp);
    }
}

/// Whether a cluster of the configuration is gone, and with it everything that used it.
pub(crate) fn gone(state: &Arc<outrigger_core::cluster::ClusterState>) -> Gone {
    let state = Arc::downgrade(state);
    Box::new(move || state.strong_count() == 0)
}
