//! What a request waits for at most, whatever its attempts do: when each of these times is up.
//!
//! Two of them hold for a request as a whole (Envoy's connection manager): nothing may move for too long, and a gRPC call to
//! the application ends when its client gives up. What happens when the time is up is in `state` and, for an attempt, in
//! `attempts`; what a connection between requests waits for is its own.

use crate::time::{Duration, Instant};

/// What a deadline is for. Of two at the same moment the one that stands first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A connection is being made.
    Connect,
    /// The whole request (VirtualService `timeout`).
    Route,
    /// One attempt (VirtualService `retries.perTryTimeout`).
    PerTry,
    /// A retry waits its back-off.
    Backoff,
    /// An injected delay.
    Fault,
    /// A gRPC call to the application (`grpc-timeout`).
    Duration,
    /// Nothing of a request or its response has moved (stream idle timeout).
    StreamIdle,
}

/// A time that is noticed to be up so late says that this process stood still (it was stopped, or had no CPU), and nothing of whoever was
/// waited for: he may not even have been asked.
const OVERSLEPT: Duration = Duration::from_secs(1);

/// Whether nobody looked for so long that it tells of us alone that a time was up at `due`.
pub(super) fn has_overslept(due: Instant, now: Instant) -> bool {
    now.since(due) >= OVERSLEPT
}

/// The first of two.
fn earlier(
    one: Option<(Instant, Timer)>,
    other: Option<(Instant, Timer)>,
) -> Option<(Instant, Timer)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The times of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    /// When the whole request must be over.
    pub(super) route: Option<Instant>,
    /// When a gRPC call to the application must be over.
    pub(super) duration: Option<Instant>,
    /// For how long nothing may move.
    pub(super) idle: Option<Duration>,
    /// The same while it is the client who is to move something.
    pub(super) client: Option<Duration>,
    /// It owes some of the request.
    pub(super) is_owed: bool,
    /// It is to take some of the response before more is passed on.
    pub(super) is_unread: bool,
    /// When something of the request or its response last came or went.
    pub(super) moved_at: Instant,
}

impl Clocks {
    /// The first of these and of what is waited for besides.
    pub(super) fn first(&self, own: Option<(Instant, Timer)>) -> Option<(Instant, Timer)> {
        let route = self.route.map(|at| (at, Timer::Route));
        let duration = self.duration.map(|at| (at, Timer::Duration));
        let still = self.still(self.is_owed || self.is_unread);
        earlier(earlier(own, route), earlier(duration, still))
    }

    /// The first of those that hold while nothing is left but to be taken by the client.
    pub(super) fn flush(&self) -> Option<(Instant, Timer)> {
        self.still(true)
    }

    /// The first of those that hold for a tunnel.
    pub(super) fn last(&self) -> Option<(Instant, Timer)> {
        let duration = self.duration.map(|at| (at, Timer::Duration));
        earlier(duration, self.still(false))
    }

    /// When nothing has moved for too long. `is_client`: it is the client who is to move it.
    fn still(&self, is_client: bool) -> Option<(Instant, Timer)> {
        let client = self.client.filter(|_| is_client);
        let most = self.idle.into_iter().chain(client).min();
        most.map(|most| (self.moved_at + most, Timer::StreamIdle))
    }
}
