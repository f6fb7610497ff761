//! Stories as they are told.

use super::*;
use crate::cluster::Reason;
use crate::decision::HashedBy;
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
GET \n  fault        held for 40.0 ms
  attempt 1    original destination at 40.0 ms: fewest requests of two drawn (1 against 3), kept connection
               ended with 503; retried after 12.0 ms
  attempt 2    original destination at 40.0 ms: fewest requests of two drawn (1 against 3)
               ended without a response: connection timeout; not retried: all 1 retries were made
               its endpoint was ejected: consecutive_5xx: 5 in a row
  client       saw 503 after 1.25 s: upstream_reset_before_response_started{connection_timeout}, flags UF,DI,URX
";
    assert_eq!(record.story().to_string(), want);
}

#[test]
fn tells_only_what_is_not_ordinary_about_a_pick() {
    let turn = Picked::simply(PickedBy::Turn);
    for (picked, want) in [
        (turn, "its turn"),
        (
            Picked { load: 84, ..turn },
            "priority 0 with 84 % of the traffic, its turn",
        ),
        (
            Picked {
                priority: 1,
                is_panic: true,
                ..turn
            },
            "priority 1 with 100 % of the traffic, in panic, its turn",
        ),
        (
            Picked {
                locality: LocalityChoice::Weighted,
                ..turn
            },
            "locality by weight, its turn",
        ),
        (
            Picked::simply(PickedBy::Weighted { warmth: 1000 }),
            "its turn by weight",
        ),
        (
            Picked::simply(PickedBy::Weighted { warmth: 455 }),
            "its turn by weight, warmed up to 45.5 %",
        ),
        (
            Picked::simply(PickedBy::Hashed {
                hash: 0x2a,
                by: HashedBy::Cookie,
                entry: 7,
                bound: None,
            }),
            "hash 000000000000002a of a cookie, entry 7",
        ),
        (
            Picked::simply(PickedBy::PeakEwma {
                cost: Duration::from_millis(4),
                other: 1,
                other_cost: Duration::from_millis(90),
            }),
            "cheaper of two drawn (4.0 ms against 90.0 ms)",
        ),
    ] {
        assert_eq!(picked.to_string(), want);
    }
}
