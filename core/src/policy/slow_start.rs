//! How much of its weight an endpoint has while it warms up (DestinationRule `warmup`, Envoy's slow start).
//!
//! The window opens when the cluster first has the endpoint, for those it began with too: they warm up side by side, so
//! none is favoured. Coming back from an ejection does not open it again (Envoy restarts it only for active health
//! checks). When an endpoint came is live state; here is only the curve.

use crate::snapshot::WarmUp;
use crate::time::{Duration, Instant};

/// A factor below this is taken for it, so that a weight stays above zero.
const LEAST: f64 = 1e-6;

/// So much of the window has passed at once, as in Envoy.
const FIRST: Duration = Duration::from_millis(1);

/// The share of its weight that an endpoint has which came at an instant: above 0, and 1 from the end of the window on.
///
/// The first millisecond has passed already, as in Envoy; it counts whole ones.
#[must_use]
pub fn factor(warm_up: &WarmUp, joined: Instant, now: Instant) -> f64 {
    let elapsed = now.since(joined);
    if elapsed >= warm_up.duration {
        return 1.0;
    }
    let passed = elapsed.max(FIRST).as_secs_f64() / warm_up.duration.as_secs_f64();
    // A window of one millisecond has passed at once.
    let risen = passed.min(1.0).powf(1.0 / warm_up.aggression);
    risen.max(warm_up.minimum).max(LEAST)
}

/// Whether an endpoint that came at an instant still warms up.
#[must_use]
pub fn is_warming(warm_up: &WarmUp, joined: Instant, now: Instant) -> bool {
    now.since(joined) < warm_up.duration
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JOINED: Instant = Instant::from_millis(5_000);

    fn at(millis: u64) -> Instant {
        JOINED + Duration::from_millis(millis)
    }

    #[test]
    fn follows_the_curve() {
        for (seconds, minimum, aggression, millis, want) in [
            (100, 0.1, 1.0, 0, 0.1),
            (100, 0.1, 1.0, 9_999, 0.1),
            (100, 0.1, 1.0, 10_000, 0.1),
            (100, 0.1, 1.0, 25_000, 0.25),
            (100, 0.1, 1.0, 99_999, 0.99999),
            (100, 0.1, 1.0, 100_000, 1.0),
            (100, 0.1, 1.0, 1_000_000, 1.0),
            (100, 0.1, 2.0, 25_000, 0.5),  // the square root
            (100, 0.1, 0.5, 50_000, 0.25), // the square
            (100, 0.5, 1.0, 25_000, 0.5),
            (100, 1.0, 1.0, 0, 1.0),
            (100, 0.0, 1.0, 0, 0.00001), // the first millisecond
            (100, 0.0, 0.1, 0, 1e-6),
        ] {
            let warm_up = WarmUp {
                duration: Duration::from_secs(seconds),
                minimum,
                aggression,
            };
            let got = factor(&warm_up, JOINED, at(millis));
            assert!((got - want).abs() < 1e-9, "{warm_up:?} {millis}: {got}");
        }
    }

    #[test]
    fn a_short_window_is_whole_at_once() {
        let warm_up = WarmUp {
            duration: Duration::from_millis(1),
            minimum: 0.1,
            aggression: 1.0,
        };
        assert_eq!(factor(&warm_up, JOINED, at(0)), 1.0);
        assert!(is_warming(&warm_up, JOINED, at(0)));
        assert!(!is_warming(&warm_up, JOINED, at(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The formula as the reference has it, in seconds and with logarithms in place of the power.
        #[test]
        fn is_the_formula(
            window in 1u64..1_000_000,
            elapsed in 0u64..2_000_000,
            minimum in 0.0f64..=1.0,
            aggression in 0.1f64..10.0,
        ) {
            let warm_up = WarmUp { duration: Duration::from_millis(window), minimum, aggression };
            let got = factor(&warm_up, JOINED, at(elapsed));
            let want = if elapsed >= window {
                1.0
            } else {
                let seconds = (elapsed as f64 / 1000.0).max(0.001);
                let share = (seconds.ln() - (window as f64 / 1000.0).ln()) / aggression;
                share.exp().max(minimum).max(1e-6)
            };
            prop_assert!((got - want).abs() < 1e-6, "{} {}", got, want);
            prop_assert!(got > 0.0 && got <= 1.0 + 1e-9);
            prop_assert_eq!(is_warming(&warm_up, JOINED, at(elapsed)), elapsed < window);
            prop_assert!(factor(&warm_up, JOINED, at(elapsed + 1)) >= got);
        }
    }
}
