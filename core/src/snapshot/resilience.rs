//! What a route does about failure: faults it injects, and how it tries again. Plain data; `policy::fault` and
//! `policy::retry` decide by it.

use http::StatusCode;

use crate::time::Duration;

/// A share of requests in millionths: Istio's percentage times 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMillion(u32);

impl PerMillion {
    /// Every request.
    pub const ALL: Self = Self(1_000_000);

    /// From a percentage of 0 to 100; what is outside is brought to the nearer end.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        // Validation keeps the percentage within 0 and 100, so the product fits.
        Self((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
    }

    /// From so many of so many; more than all is all. `whole` is above zero.
    #[must_use]
    pub const fn from_fraction(part: u32, whole: u32) -> Self {
        let millionths = part as u64 * 1_000_000 / whole as u64;
        if millionths < 1_000_000 {
            Self(millionths as u32)
        } else {
            Self::ALL
        }
    }

    /// Whether it takes in a number that was drawn for this purpose.
    #[must_use]
    pub const fn takes(self, drawn: u64) -> bool {
        drawn % 1_000_000 < self.0 as u64
    }

    /// The number of millionths.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Faults injected before a request is forwarded (VirtualService `fault`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPolicy {
    /// Wait first.
    pub delay: Option<FaultDelay>,
    /// Then perhaps answer instead of forwarding.
    pub abort: Option<FaultAbort>,
    /// Requests may ask for other ones (`outrigger.dev/header-faults`); `None` when they may not.
    pub on_request: Option<FaultsOnRequest>,
}

/// The largest shares of requests that get the faults they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultsOnRequest {
    /// Of those that ask for a delay.
    pub delay: PerMillion,
    /// Of those that ask for an abort.
    pub abort: PerMillion,
}

/// An injected delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultDelay {
    /// How long.
    pub duration: Duration,
    /// For which share of requests.
    pub share: PerMillion,
}

/// An injected answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultAbort {
    /// What is answered.
    pub answer: FaultAnswer,
    /// For which share of requests.
    pub share: PerMillion,
}

/// What an aborted request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAnswer {
    /// This status, 200 to 599.
    Http(StatusCode),
    /// 200 with this `grpc-status`.
    Grpc(u8),
}

/// The names of gRPC's statuses; a name's position is its code.
pub const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// For how long nothing of a request or its response may move, as a rule says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamIdle {
    /// It does not: the proxy's own setting holds.
    #[default]
    Unsaid,
    /// For ever.
    Never,
    /// For this long.
    After(Duration),
}

/// When and how a failed attempt is followed by another (VirtualService `retries`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first, at least 1.
    pub retries: u32,
    /// For each attempt, from the moment it has a connection and the request is complete.
    pub per_try_timeout: Option<Duration>,
    /// What is tried again.
    pub on: RetryOn,
    /// Statuses that are tried again, with [`RetryOn::RETRIABLE_STATUS_CODES`].
    pub status_codes: Box<[u16]>,
    /// The first back-off's bound; later ones double up to ten times this.
    pub backoff: Duration,
    /// A response's `retry-after` sets the wait, if it asks for no more than this.
    pub retry_after: Option<Duration>,
    /// An attempt that takes longer than its time goes on, and another one is made beside it.
    pub hedge_on_per_try_timeout: bool,
    /// Endpoints that were tried are avoided.
    pub ignore_previous_hosts: bool,
    /// Every second attempt leaves the priorities that were tried before (`retryRemoteLocalities`).
    pub remote_localities: bool,
}

/// A set of conditions of `retryOn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOn(u32);

impl RetryOn {
    /// `5xx`: a 5xx, or no response at all.
    pub const SERVER_ERROR: Self = Self(1);
    /// `gateway-error`: 502, 503, 504, or no response at all.
    pub const GATEWAY_ERROR: Self = Self(1 << 1);
    /// `reset`: no response at all.
    pub const RESET: Self = Self(1 << 2);
    /// `reset-before-request`: no response, and nothing of the request had been sent.
    pub const RESET_BEFORE_REQUEST: Self = Self(1 << 3);
    /// `connect-failure`: no connection.
    pub const CONNECT_FAILURE: Self = Self(1 << 4);
    /// `envoy-ratelimited`: a response with `x-envoy-ratelimited`.
    pub const ENVOY_RATELIMITED: Self = Self(1 << 5);
    /// `retriable-4xx`: 409.
    pub const RETRIABLE_4XX: Self = Self(1 << 6);
    /// `refused-stream`: HTTP/2 only.
    pub const REFUSED_STREAM: Self = Self(1 << 7);
    /// `retriable-status-codes`, and any status in the list.
    pub const RETRIABLE_STATUS_CODES: Self = Self(1 << 8);
    /// `retriable-headers`: Istio has no list of them, so it never applies.
    pub const RETRIABLE_HEADERS: Self = Self(1 << 9);
    /// `http3-post-connect-failure`: HTTP/3 only.
    pub const HTTP3_POST_CONNECT_FAILURE: Self = Self(1 << 10);
    /// `cancelled`: `grpc-status: 1` in the head of a response.
    pub const GRPC_CANCELLED: Self = Self(1 << 11);
    /// `deadline-exceeded`: 4.
    pub const GRPC_DEADLINE_EXCEEDED: Self = Self(1 << 12);
    /// `resource-exhausted`: 8.
    pub const GRPC_RESOURCE_EXHAUSTED: Self = Self(1 << 13);
    /// `internal`: 13.
    pub const GRPC_INTERNAL: Self = Self(1 << 14);
    /// `unavailable`: 14.
    pub const GRPC_UNAVAILABLE: Self = Self(1 << 15);

    /// Every condition with its word in `retryOn`.
    pub const TOKENS: [(&'static str, Self); 16] = [
        ("5xx", Self::SERVER_ERROR),
        ("gateway-error", Self::GATEWAY_ERROR),
        ("reset", Self::RESET),
        ("reset-before-request", Self::RESET_BEFORE_REQUEST),
        ("connect-failure", Self::CONNECT_FAILURE),
        ("envoy-ratelimited", Self::ENVOY_RATELIMITED),
        ("retriable-4xx", Self::RETRIABLE_4XX),
        ("refused-stream", Self::REFUSED_STREAM),
        ("retriable-status-codes", Self::RETRIABLE_STATUS_CODES),
        ("retriable-headers", Self::RETRIABLE_HEADERS),
        (
            "http3-post-connect-failure",
            Self::HTTP3_POST_CONNECT_FAILURE,
        ),
        ("cancelled", Self::GRPC_CANCELLED),
        ("deadline-exceeded", Self::GRPC_DEADLINE_EXCEEDED),
        ("internal", Self::GRPC_INTERNAL),
        ("resource-exhausted", Self::GRPC_RESOURCE_EXHAUSTED),
        ("unavailable", Self::GRPC_UNAVAILABLE),
    ];

    /// The condition of a token of `retryOn`; `None` for a word that is none.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let found = Self::TOKENS.iter().find(|(name, _)| *name == token);
        found.map(|(_, condition)| *condition)
    }

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any condition of `other` is in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
