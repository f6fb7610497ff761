//! The sequence of waits against a slow model.

use proptest::prelude::*;

use super::*;
use crate::decision::{Attempt, AttemptEnd, Picked, PickedBy};
use crate::entropy::{Draw, Entropy};
use crate::snapshot::RetryOn;

fn policy(backoff: Duration) -> RetryPolicy {
    RetryPolicy {
        retries: 100,
        per_try_timeout: None,
        on: RetryOn::SERVER_ERROR,
        status_codes: Box::default(),
        backoff,
        ignore_previous_hosts: true,
        remote_localities: false,
        retry_after: Some(Duration::from_secs(300)),
        hedge_on_per_try_timeout: false,
    }
}

fn attempt() -> Attempt {
    Attempt {
        cluster: None,
        endpoint: 0,
        picked: Picked::simply(PickedBy::OriginalDestination),
        reused: false,
        began: Instant::ZERO,
        end: AttemptEnd::Response(503),
        ended: Instant::ZERO,
        followed: Followed::Nothing,
        ejected: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Each wait is what a plain account of Envoy's two sequences gives, to the nanosecond.
    #[test]
    fn waits_are_those_of_the_model(
        seed in any::<u64>(),
        base in 1_u64..500,
        asked in prop::collection::vec(prop::option::weighted(0.4, 1_u64..=300), 1..12),
    ) {
        let policy = policy(Duration::from_millis(base));
        let mut record = Record { entropy: Entropy(seed), ..Record::default() };
        let (mut window, mut backed_off) = (base, 0);
        for asked in asked {
            record.attempts.push(attempt());
            record.retries += 1;
            let why = asked.map_or(Why::Failed, |s| Why::FailedAndAsked(Duration::from_secs(s)));
            let followed = wait(&policy, why, &record);
            let want = match asked {
                // Up to half as long again; each retry rolls anew.
                Some(seconds) => {
                    let roll = record.entropy.draw(Draw::RetryAfter, u64::from(record.retries));
                    let more = Duration::from_nanos(roll % (seconds * 500_000_000));
                    Followed::RetryAfter { wait: Duration::from_secs(seconds) + more }
                }
                // Each back-off rolls anew; what was asked for does not count.
                None => {
                    backed_off += 1;
                    let roll = record.entropy.draw(Draw::Backoff, backed_off);
                    let wait = Duration::from_nanos(roll % (window * 1_000_000));
                    window = (2 * window).min(10 * base);
                    Followed::Retry { wait }
                }
            };
            prop_assert_eq!(followed, want);
            record.follow(followed);
        }
    }
}
