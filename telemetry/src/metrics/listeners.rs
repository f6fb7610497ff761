//! What is counted of requests on each listener, under Envoy's names.

use outrigger_core::decision::{
    Access, AuthorizationSeen, Connection, Details, Record, Refused, ToldBy,
};
use outrigger_core::message::Version;
use outrigger_core::request::{SLOW_HEAD, TOO_LARGE};
use outrigger_runtime::Counter;

use super::codes::{Codes, StatusCounts};
use super::histogram::{Distribution, Histogram};

/// What a request on a listener may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerEvent {
    /// It came by HTTP/1.
    Http1,
    /// It came by HTTP/2.
    Http2,
    /// Its client went away, or reset its stream.
    RxReset,
    /// No rule applied.
    NoRoute,
    /// The cluster of its rule does not exist.
    NoCluster,
    /// The rule answered it.
    Direct,
    /// An abort was injected.
    Aborted,
    /// A delay was injected.
    Delayed,
    /// Nothing of it moved for too long.
    Idle,
    /// It was refused: it broke the rules of HTTP, or a limit.
    Refused,
    /// That: its body is longer than may be.
    TooLarge,
    /// That: its head did not come in time.
    HeaderTimeout,
    /// The proxy itself had no room for it.
    Overload,
    /// A rate limit refused it.
    RateLimited,
    /// AuthorizationPolicies let it pass.
    AccessAllowed,
    /// An AuthorizationPolicy refused it, or none says that it may pass.
    AccessDenied,
    /// Policies that are only tried would have let it pass.
    WouldAllow,
    /// They would have refused it.
    WouldDeny,
    /// The rule of an audit policy matched it.
    Audited,
}

impl ListenerEvent {
    /// All of them, with Envoy's name and what is told of it.
    pub const ALL: [(Self, &'static str, &'static str); 19] = [
        (
            Self::Http1,
            "downstream_rq_http1_total",
            "Requests by HTTP/1",
        ),
        (
            Self::Http2,
            "downstream_rq_http2_total",
            "Requests by HTTP/2",
        ),
        (
            Self::RxReset,
            "downstream_rq_rx_reset",
            "Requests whose client went away or reset them",
        ),
        (
            Self::NoRoute,
            "no_route",
            "Requests to which no rule applied",
        ),
        (
            Self::NoCluster,
            "no_cluster",
            "Requests whose rule names a service, port or subset that does not exist",
        ),
        (
            Self::Direct,
            "rq_direct_response",
            "Requests that a rule answered by itself, with a redirect too",
        ),
        (
            Self::Aborted,
            "fault.aborts_injected",
            "Requests that were aborted on purpose",
        ),
        (
            Self::Delayed,
            "fault.delays_injected",
            "Requests that were delayed on purpose",
        ),
        (
            Self::Idle,
            "downstream_rq_idle_timeout",
            "Requests of which nothing moved for too long",
        ),
        (
            Self::Refused,
            "downstream_rq_refused",
            "Requests that broke the rules of HTTP or a limit of size or time",
        ),
        (
            Self::TooLarge,
            "downstream_rq_too_large",
            "Those of them whose body was longer than may be",
        ),
        (
            Self::HeaderTimeout,
            "downstream_rq_header_timeout",
            "Those of them whose head did not come in time",
        ),
        (
            Self::Overload,
            "downstream_rq_overload_close",
            "Requests that were answered 503 because the proxy itself was full",
        ),
        (
            Self::RateLimited,
            "downstream_rq_rate_limited",
            "Requests that a rate limit refused",
        ),
        (
            Self::AccessAllowed,
            "rbac.allowed",
            "Requests that authorization policies let pass",
        ),
        (
            Self::AccessDenied,
            "rbac.denied",
            "Requests that authorization policies refused",
        ),
        (
            Self::WouldAllow,
            "rbac.shadow_allowed",
            "Requests that policies which are only tried would have let pass",
        ),
        (
            Self::WouldDeny,
            "rbac.shadow_denied",
            "Requests that policies which are only tried would have refused",
        ),
        (
            Self::Audited,
            "rbac.audited",
            "Requests that audit policies matched",
        ),
    ];

    /// What more is told of a request that was refused: the limit of size or time that it did not keep to.
    fn of_refused(refused: &Refused) -> Option<Self> {
        match refused.details {
            details if details == TOO_LARGE.details => Some(Self::TooLarge),
            details if details == SLOW_HEAD.details => Some(Self::HeaderTimeout),
            _ => None,
        }
    }

    const fn of_details(details: &Details) -> Option<Self> {
        Some(match details {
            Details::RouteNotFound => Self::NoRoute,
            Details::ClusterNotFound => Self::NoCluster,
            Details::DirectResponse | Details::CorsPreflight => Self::Direct,
            Details::Refused(_) | Details::DownstreamProtocolError => Self::Refused,
            Details::DownstreamRemoteDisconnect | Details::DownstreamRemoteReset => Self::RxReset,
            Details::FaultAbort => Self::Aborted,
            Details::StreamIdleTimeout => Self::Idle,
            Details::Overload => Self::Overload,
            Details::RateLimited | Details::RequestRateLimited => Self::RateLimited,
            Details::None
            | Details::ViaUpstream
            | Details::NoHealthyUpstream
            | Details::ResetBeforeResponse(_)
            | Details::ResetAfterResponse(_)
            | Details::ResponseTimeout
            | Details::PerTryTimeout
            | Details::MaxDurationTimeout
            | Details::ConnectionIdleTimeout
            | Details::MaxConnectionDuration
            | Details::AccessDenied(_)
            | Details::JwtDenied(_)
            | Details::ExternalAuthorizationDenied
            | Details::ExternalAuthorizationError
            | Details::RateLimiterError
            | Details::ConcurrencyLimit => return None,
        })
    }
}

/// What one worker counts on one listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCells {
    codes: Codes,
    events: [Counter; ListenerEvent::ALL.len()],
    bytes_received: Counter,
    bytes_sent: Counter,
    silent: Counter,
    long: Counter,
    /// In microseconds.
    time: Histogram,
}

/// What all have counted on one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRequests {
    /// By the status that the client saw; 0 where it saw none.
    pub codes: StatusCounts,
    /// In the order of [`ListenerEvent::ALL`].
    pub events: [u64; ListenerEvent::ALL.len()],
    /// Body bytes from clients.
    pub bytes_received: u64,
    /// Body bytes to clients.
    pub bytes_sent: u64,
    /// Connections whose first bytes did not come in time to tell what is spoken.
    pub silent: u64,
    /// Connections of which as many bytes as are looked at did not tell it.
    pub long: u64,
    /// From the first byte of a request to the last of its response, in microseconds.
    pub time: Distribution,
}

impl ListenerRequests {
    /// How often something happened.
    #[must_use]
    pub const fn event(&self, event: ListenerEvent) -> u64 {
        self.events[event as usize]
    }
}

impl ListenerCells {
    /// A request has ended, after so many microseconds.
    pub(crate) fn count(&self, record: &Record, micros: u64) {
        self.codes.count(record.status);
        self.event(match record.request.version {
            Version::Http2 => ListenerEvent::Http2,
            Version::Http10 | Version::Http11 => ListenerEvent::Http1,
        });
        if let Some(event) = ListenerEvent::of_details(&record.details) {
            self.event(event);
        }
        if let Details::Refused(refused) = &record.details
            && let Some(event) = ListenerEvent::of_refused(refused)
        {
            self.event(event);
        }
        if record.delayed.is_some() {
            self.event(ListenerEvent::Delayed);
        }
        if let Some(seen) = record.authorization {
            self.authorize(seen);
        }
        self.bytes_received.add(record.bytes_received);
        self.bytes_sent.add(record.bytes_sent);
        self.time.record(micros);
    }

    /// A connection has ended that was none of HTTP: whether a limit made it so.
    pub(crate) fn count_connection(&self, connection: &Connection) {
        match connection.told_by {
            ToldBy::Silence => self.silent.add(1),
            ToldBy::Length => self.long.add(1),
            ToldBy::Destination | ToldBy::Tls | ToldBy::FirstBytes | ToldBy::Alpn => {}
        }
    }

    fn authorize(&self, seen: AuthorizationSeen) {
        self.event(match seen.access {
            Access::Allowed(_) => ListenerEvent::AccessAllowed,
            Access::Denied(_) => ListenerEvent::AccessDenied,
        });
        match seen.tried {
            None => {}
            Some(Access::Allowed(_)) => self.event(ListenerEvent::WouldAllow),
            Some(Access::Denied(_)) => self.event(ListenerEvent::WouldDeny),
        }
        if seen.audited.is_some() {
            self.event(ListenerEvent::Audited);
        }
    }

    fn event(&self, event: ListenerEvent) {
        self.events[event as usize].add(1);
    }

    pub(crate) fn add_to(&self, sum: &mut ListenerRequests) {
        self.codes.add_to(&mut sum.codes);
        for (sum, event) in sum.events.iter_mut().zip(&self.events) {
            *sum += event.value();
        }
        sum.bytes_received += self.bytes_received.value();
        sum.bytes_sent += self.bytes_sent.value();
        sum.silent += self.silent.value();
        sum.long += self.long.value();
        self.time.add_to(&mut sum.time);
    }
}
