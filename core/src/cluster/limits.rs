//! Counting against the circuit limits of a cluster: exact, whatever the number of workers.
//!
//! To admit is one atomic step (read, compare, add), so a limit is never passed, not even for a moment. What was
//! admitted is a guard, so no way out of an exchange can leave a count too high.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::atomic::{AtomicU32, Ordering};
use super::state::ClusterState;

/// What a circuit limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// Connections to endpoints, being made, in use or idle (`maxConnections`).
    Connections,
    /// Requests without a connection: those for which one is being made, and those that wait (`http1MaxPendingRequests`).
    Pending,
    /// Requests with a connection (`http2MaxRequests`; HTTP/1 too).
    Requests,
    /// Retries, from the decision to the outcome (`maxRetries`).
    Retries,
    /// Requests that wait for somebody else's connection. Not limited by itself: it tells whoever has an idle
    /// connection to give it up.
    Waiting,
    /// Attempts under way, from the decision to the last byte of the response, where a limit follows response times.
    Concurrency,
}

impl Counted {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Connections,
        Self::Pending,
        Self::Requests,
        Self::Retries,
        Self::Waiting,
        Self::Concurrency,
    ];
}

impl Counted {
    /// What is counted, in the plural.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Pending => "pending requests",
            Self::Requests => "requests",
            Self::Retries => "retries",
            Self::Waiting => "waiting requests",
            Self::Concurrency => "requests under way",
        }
    }
}

/// The counts of one cluster.
#[derive(Debug, Default)]
pub struct Gauges {
    connections: AtomicU32,
    pending: AtomicU32,
    requests: AtomicU32,
    retries: AtomicU32,
    waiting: AtomicU32,
    concurrency: AtomicU32,
}

impl Gauges {
    const fn gauge(&self, counted: Counted) -> &AtomicU32 {
        match counted {
            Counted::Connections => &self.connections,
            Counted::Pending => &self.pending,
            Counted::Requests => &self.requests,
            Counted::Retries => &self.retries,
            Counted::Waiting => &self.waiting,
            Counted::Concurrency => &self.concurrency,
        }
    }

    /// How many there are now.
    #[must_use]
    pub fn current(&self, counted: Counted) -> u32 {
        // Sequentially consistent: who waits says so and then looks for a free connection, who frees one does so and
        // then looks for somebody who waits. One of the two must see the other.
        self.gauge(counted).load(Ordering::SeqCst)
    }
}

impl ClusterState {
    /// One more, if that makes no more than `max`.
    #[must_use]
    pub fn admit(self: &Arc<Self>, counted: Counted, max: u32) -> Option<Permit> {
        let gauge = self.gauges().gauge(counted);
        gauge
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                (now < max).then(|| now + 1)
            })
            .ok()?;
        Some(Permit {
            cluster: Arc::clone(self),
            counted,
        })
    }
}

/// One that was admitted; it counts until it is dropped.
#[derive(Debug)]
pub struct Permit {
    cluster: Arc<ClusterState>,
    counted: Counted,
}

impl Permit {
    /// Whose limits it counts against.
    #[must_use]
    pub const fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let gauge = self.cluster.gauges().gauge(self.counted);
        gauge.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn each_count_stands_alone_and_ends_at_its_limit() {
        let cluster = Arc::new(ClusterState::default());
        for counted in Counted::ALL {
            assert!(cluster.admit(counted, 0).is_none());
            let first = cluster.admit(counted, 2).unwrap();
            let second = cluster.admit(counted, 2);
            assert!(second.is_some() && cluster.admit(counted, 2).is_none());
            assert!(
                cluster.admit(counted, 1).is_none(),
                "a limit that was lowered meanwhile admits nothing"
            );
            drop(first);
            assert_eq!(cluster.gauges().current(counted), 1);
            assert!(cluster.admit(counted, 2).is_some());
        }
        for counted in Counted::ALL {
            assert_eq!(cluster.gauges().current(counted), 0);
        }
    }

    #[test]
    fn threads_together_never_pass_the_limit_and_leave_nothing_behind() {
        const LIMIT: u32 = 3;
        let cluster = Arc::new(ClusterState::default());
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        if let Some(permit) = cluster.admit(Counted::Connections, LIMIT) {
                            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                            assert!(now <= LIMIT, "{now} of {LIMIT}");
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert_eq!(cluster.gauges().current(Counted::Connections), 0);
    }
}
