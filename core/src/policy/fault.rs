//! Fault injection (VirtualService `fault`, Envoy's fault filter): delay, then abort, each by its own roll.
//!
//! Faults come before the router, so an aborted request is never retried and a delay counts against no timeout.

use crate::entropy::{Draw, Entropy};
use crate::snapshot::{FaultAnswer, FaultPolicy, PerMillion};
use crate::time::Duration;

/// How long the request waits first, if it does.
#[must_use]
pub fn delay(policy: &FaultPolicy, entropy: Entropy) -> Option<Duration> {
    let delay = policy.delay.as_ref()?;
    fires(delay.share, entropy, Draw::FaultDelay).then_some(delay.duration)
}

/// What the request is answered with instead of being forwarded, if it is.
#[must_use]
pub fn abort(policy: &FaultPolicy, entropy: Entropy) -> Option<FaultAnswer> {
    let abort = policy.abort.as_ref()?;
    fires(abort.share, entropy, Draw::FaultAbort).then_some(abort.answer)
}

fn fires(share: PerMillion, entropy: Entropy, purpose: Draw) -> bool {
    share.takes(entropy.draw(purpose, 0))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::snapshot::{FaultAbort, FaultDelay};

    fn policy(delay: f64, abort: f64) -> FaultPolicy {
        FaultPolicy {
            delay: Some(FaultDelay {
                duration: Duration::from_secs(1),
                share: PerMillion::from_percent(delay),
            }),
            abort: Some(FaultAbort {
                answer: FaultAnswer::Http(StatusCode::IM_A_TEAPOT),
                share: PerMillion::from_percent(abort),
            }),
        }
    }

    #[test]
    fn shares_hold_and_rolls_are_independent() {
        for (delayed, aborted) in [(0.0, 100.0), (100.0, 0.0), (50.0, 50.0), (30.0, 0.0001)] {
            let policy = policy(delayed, aborted);
            let all: Vec<_> = (0..20_000)
                .map(|n| {
                    let e = Entropy(n);
                    (delay(&policy, e).is_some(), abort(&policy, e).is_some())
                })
                .collect();
            let share = |test: fn(&(bool, bool)) -> bool| {
                all.iter().filter(|both| test(both)).count() as f64 / all.len() as f64
            };
            let close = |got: f64, want: f64| (got - want).abs() < 0.02;
            assert!(close(share(|b| b.0), delayed / 100.0), "{delayed}");
            assert!(close(share(|b| b.1), aborted / 100.0), "{aborted}");
            let both = delayed * aborted / 10_000.0;
            assert!(close(share(|b| b.0 && b.1), both), "{delayed} {aborted}");
        }
        assert_eq!(abort(&policy(0.0, 0.0), Entropy(1)), None);
        assert_eq!(abort(&FaultPolicy::default(), Entropy(1)), None);
    }

    #[test]
    fn percentages_keep_four_decimals() {
        for (percent, millionths) in [
            (0.0001, 1),
            (12.3456, 123_456),
            (100.0, 1_000_000),
            (150.0, 1_000_000),
        ] {
            assert_eq!(PerMillion::from_percent(percent).get(), millionths);
        }
    }
}
