//! Stories as they are told.

use super::*;
use crate::cluster::Reason;
use crate::decision::{Attempt, AttemptEnd, Followed, Picked, PickedBy, ResetReason};
use crate::time::Instant;

#[test]
fn tells_attempts_and_what_followed() {
    let mut record = Record {
        status: 503,
        details: Details::ResetBeforeResponse(ResetReason::ConnectionTimeout),
        began: Instant::from_millis(1000),
        ended: Instant::from_millis(2250),
        delayed: Some(Duration::from_millis(40)),
        ..Record::default()
    };
    let attempt = Attempt {
        cluster: None,
        endpoint: 0,
        picked: Picked::simply(PickedBy::LeastRequest {
            active: 1,
            other: 0,
            other_active: 3,
        }),
        reused: true,
        began: Instant::from_millis(1040),
        end: AttemptEnd::Response(503),
        ended: Instant::ZERO,
        followed: Followed::Retry {
            wait: Duration::from_millis(12),
        },
        ejected: None,
    };
    record.attempts.push(attempt.clone());
    record.attempts.push(Attempt {
        reused: false,
        end: AttemptEnd::Reset(ResetReason::ConnectionTimeout),
        followed: Followed::NoRetriesLeft { allowed: 1 },
        ejected: Some(Reason::Consecutive5xx(5)),
        ..attempt
    });
    let want = "\
- -\n  fault        held for 40.0 ms
  attempt 1    original destination at 40.0 ms: fewest requests of two drawn (1 against 3), kept connection
               ended with 503; retried after 12.0 ms
  attempt 2    original destination at 40.0 ms: fewest requests of two drawn (1 against 3)
               ended without a response: connection timeout; not retried: all 1 retries were made
               its endpoint was ejected: consecutive_5xx: 5 in a row
  client       saw 503 after 1.25 s: upstream_reset_before_response_started{connection_timeout}, flags UF,DI,URX
";
    assert_eq!(record.story(&Snapshot::default()).to_string(), want);
}
