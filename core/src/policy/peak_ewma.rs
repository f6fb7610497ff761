//! PeakEWMA balancing: of two endpoints the one that is likely to answer sooner (Finagle, linkerd, tower; Envoy reference
//! §10.2). Off unless `outrigger.dev/load-balancer: PEAK_EWMA` is set.
//!
//! The cost of an endpoint is its average response time times the requests it would have, so it sees a slow endpoint even
//! while nothing queues there. What counts as a response time stands in [`sample`]; the average is `cluster`'s.

use crate::cluster::HostState;
use crate::decision::PickedBy;
use crate::snapshot::Endpoint;
use crate::time::{Duration, Instant};

/// What a failure counts as, unless the endpoint asks for more (linkerd's load biaser).
///
/// Whoever fails fast would otherwise look like the best endpoint and draw all requests.
pub const PENALTY: Duration = Duration::from_secs(5);

/// The most that `retry-after` can make of a failure (linkerd).
pub const MAX_PENALTY: Duration = Duration::from_secs(300);

/// How an attempt ended, as far as balancing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a response that took so long to begin.
    Good(Duration),
    /// With a 5xx or 429, or with none. `retry_after` is what the endpoint asked for.
    Bad {
        /// `retry-after` in seconds.
        retry_after: Option<Duration>,
    },
}

/// What an answer counts as. A failure counts as much as the average at least, so that it never looks like an improvement.
#[must_use]
pub fn sample(answer: Answer, host: &HostState, now: Instant) -> Duration {
    match answer {
        Answer::Good(took) => took,
        Answer::Bad { retry_after } => {
            let asked = retry_after.unwrap_or_default().min(MAX_PENALTY);
            let average = host.response_time().average(now);
            let average = Duration::try_from_secs_f64(average).unwrap_or(MAX_PENALTY);
            asked.max(PENALTY).max(average)
        }
    }
}

/// Two positions below `count` that differ, from two random numbers; `count` is at least 2.
#[must_use]
pub const fn two_of(count: usize, first: u64, second: u64) -> (usize, usize) {
    let first = (first % count as u64) as usize;
    let second = (second % (count as u64 - 1)) as usize;
    // The second is drawn among the others.
    (first, if second < first { second } else { second + 1 })
}

/// The cheaper of two endpoints of a cluster; the first if they cost the same.
#[must_use]
pub fn cheaper(
    endpoints: &[Endpoint],
    first: usize,
    second: usize,
    now: Instant,
) -> (usize, PickedBy) {
    let (mut cost, mut other_cost) = (
        cost(&endpoints[first].state, now),
        cost(&endpoints[second].state, now),
    );
    let (mut picked, mut other) = (first, second);
    if other_cost < cost {
        (cost, other_cost) = (other_cost, cost);
        (picked, other) = (other, picked);
    }
    let other = u32::try_from(other).unwrap_or(u32::MAX);
    (
        picked,
        PickedBy::PeakEwma {
            cost,
            other,
            other_cost,
        },
    )
}

/// The average response time for each request it would have.
fn cost(host: &HostState, now: Instant) -> Duration {
    let seconds = host.response_time().average(now) * (f64::from(host.active()) + 1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::{HostKey, Registry};
    use crate::snapshot::Address;

    fn endpoints(count: u8) -> Vec<Endpoint> {
        let mut registry = Registry::default();
        let mut make = |at: u8| {
            let address = Address::Socket(([10, 0, 0, at], 80).into());
            let key = HostKey {
                cluster: "c".into(),
                address: address.to_string().into(),
            };
            Endpoint::new(address, registry.host(key))
        };
        (0..count).map(&mut make).collect()
    }

    const NOW: Instant = Instant::from_millis(1000);

    fn observe(endpoint: &Endpoint, millis: u64) {
        let sample = Duration::from_millis(millis);
        endpoint.state.response_time().observe(sample, NOW);
    }

    #[test]
    fn the_cheaper_one_is_picked_and_both_costs_are_told() {
        let endpoints = endpoints(2);
        observe(&endpoints[0], 100);
        observe(&endpoints[1], 40);
        let millis = Duration::from_millis;
        let why = |cost, other, other_cost| PickedBy::PeakEwma {
            cost: millis(cost),
            other,
            other_cost: millis(other_cost),
        };
        assert_eq!(cheaper(&endpoints, 0, 1, NOW), (1, why(40, 0, 100)));
        assert_eq!(cheaper(&endpoints, 1, 0, NOW), (1, why(40, 0, 100)));
        // Two in flight: 40 ms * 3 is more than 100 ms.
        let host = &endpoints[1].state;
        let busy = [
            Arc::clone(host).begin_request(),
            Arc::clone(host).begin_request(),
        ];
        assert_eq!(cheaper(&endpoints, 0, 1, NOW), (0, why(100, 1, 120)));
        drop(busy);
    }

    #[test]
    fn equal_costs_leave_the_first() {
        let endpoints = endpoints(2);
        assert_eq!(cheaper(&endpoints, 0, 1, NOW).0, 0);
        assert_eq!(cheaper(&endpoints, 1, 0, NOW).0, 1);
    }

    #[test]
    fn two_that_differ_each_as_likely() {
        for count in 2..6 {
            let mut seen = vec![0; count * count];
            // A stretch of numbers in which both draws come round.
            let stretch = (count * (count - 1)) as u64;
            for first in 0..stretch {
                for second in 0..stretch {
                    let (a, b) = two_of(count, first, second);
                    assert!(a != b && a < count && b < count);
                    seen[a * count + b] += 1;
                }
            }
            let often = seen.iter().filter(|n| **n == count * (count - 1)).count();
            assert_eq!(often, count * (count - 1), "every ordered pair as often");
        }
    }

    #[test]
    fn failures_are_no_short_responses() {
        let host = &endpoints(1)[0];
        let sample = |answer| sample(answer, &host.state, NOW);
        let seconds = Duration::from_secs;
        let bad = |retry_after| Answer::Bad { retry_after };
        assert_eq!(sample(Answer::Good(seconds(9))), seconds(9));
        assert_eq!(sample(bad(None)), PENALTY);
        assert_eq!(sample(bad(Some(seconds(1)))), PENALTY);
        assert_eq!(sample(bad(Some(seconds(60)))), seconds(60));
        assert_eq!(sample(bad(Some(seconds(1000)))), MAX_PENALTY);
        host.state.response_time().observe(seconds(20), NOW);
        assert_eq!(sample(bad(None)), seconds(20), "not below the average");
    }
}
