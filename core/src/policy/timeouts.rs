//! How long a request and each of its attempts may take, and what the endpoint is told of that (Envoy's router).
//!
//! Pure arithmetic on durations; whose clock runs from when is the exchange's to know.

use crate::decision::Timeouts;
use crate::time::Duration;

/// The times of a request. `route` and `per_try` are the rule's. `grpc`: the request is gRPC, and this is its own timeout
/// if it has one; the rule's is then the most it may ask for. `hedges`: an attempt goes on beyond its own time. An attempt's time that is no shorter than the whole
/// request's does not count.
#[must_use]
pub fn of_request(
    route: Option<Duration>,
    per_try: Option<Duration>,
    hedges: bool,
    grpc: Option<Option<Duration>>,
) -> Timeouts {
    let whole = match grpc {
        None => route,
        Some(asked) => {
            // Zero is no timeout, not none at all.
            let asked = asked.filter(|time| !time.is_zero());
            asked.into_iter().chain(route).min()
        }
    };
    Timeouts {
        whole,
        per_try: per_try.filter(|time| whole.is_none_or(|whole| *time < whole)),
        hedges,
    }
}

/// The milliseconds that an attempt has, as the endpoint is told; `None` when nothing is limited. `elapsed`: since the
/// request was complete.
#[must_use]
pub fn expected_millis(timeouts: Timeouts, elapsed: Duration) -> Option<u64> {
    let Timeouts {
        whole,
        per_try,
        hedges,
    } = timeouts;
    let left = whole.map(|whole| whole.saturating_sub(elapsed));
    let expected = match per_try.filter(|_| !hedges) {
        Some(per_try) => left.map_or(per_try, |left| left.min(per_try)),
        None => left?,
    };
    let millis = u64::try_from(expected.as_millis()).unwrap_or(u64::MAX);
    // Out of time, but zero would be taken for no limit.
    Some(millis.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_shorter_of_two_and_an_attempt_within_it() {
        let (route, none) = (Some(ms(100)), None);
        for (route, per_try, grpc, whole, each) in [
            (none, None, None, None, None),
            (route, None, None, Some(100), None),
            (none, Some(50), None, None, Some(50)),
            (route, Some(99), None, Some(100), Some(99)),
            (route, Some(100), None, Some(100), None),
            (none, None, Some(Some(70)), Some(70), None),
            (route, None, Some(Some(70)), Some(70), None),
            (route, None, Some(Some(170)), Some(100), None),
            (route, None, Some(None), Some(100), None),
            (none, None, Some(None), None, None),
            (route, None, Some(Some(0)), Some(100), None),
            (none, None, Some(Some(0)), None, None),
            (route, Some(80), Some(Some(70)), Some(70), None),
        ] {
            let grpc = grpc.map(|asked| asked.map(ms));
            let got = of_request(route, per_try.map(ms), false, grpc);
            let want = Timeouts {
                whole: whole.map(ms),
                per_try: each.map(ms),
                hedges: false,
            };
            assert_eq!(got, want, "{route:?} {per_try:?} {grpc:?}");
        }
    }

    #[test]
    fn what_is_left_and_never_zero() {
        for (whole, per_try, hedges, elapsed, want) in [
            (None, None, false, 0, None),
            (Some(100), None, false, 0, Some(100)),
            (Some(100), None, false, 30, Some(70)),
            (Some(100), None, false, 100, Some(1)),
            (Some(100), None, false, 200, Some(1)),
            (Some(100), Some(40), false, 0, Some(40)),
            (Some(100), Some(40), false, 80, Some(20)),
            (Some(100), Some(40), true, 10, Some(90)),
            (None, Some(40), false, 1000, Some(40)),
            (None, Some(40), true, 0, None),
        ] {
            let timeouts = Timeouts {
                whole: whole.map(ms),
                per_try: per_try.map(ms),
                hedges,
            };
            let got = expected_millis(timeouts, ms(elapsed));
            assert_eq!(got, want, "{whole:?} {per_try:?} {hedges} {elapsed}");
        }
    }

    /// The same in whole milliseconds where zero is "no limit", step by step as the reference writes it (§5.2, §5.3).
    fn model(
        route: u64,
        tried: u64,
        grpc: Option<u64>,
        hedges: bool,
        elapsed: u64,
    ) -> (u64, u64, u64) {
        let mut global = route;
        if let Some(asked) = grpc {
            global = asked;
            if route != 0 && (global == 0 || global > route) {
                global = route;
            }
        }
        let mut per_try = tried;
        if global != 0 && per_try >= global {
            per_try = 0;
        }
        let mut expected = if per_try != 0 && !hedges {
            per_try
        } else {
            global
        };
        if expected != 0 && global != 0 {
            expected = if elapsed >= global {
                1
            } else {
                expected.min(global - elapsed)
            };
        }
        (global, per_try, expected)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_arithmetic_is_the_models(
            route in 0_u64..20,
            tried in 0_u64..20,
            grpc in prop::option::of(0_u64..30),
            is_grpc in any::<bool>(),
            hedges in any::<bool>(),
            elapsed in 0_u64..25,
        ) {
            let given = |millis: u64| (millis > 0).then(|| ms(millis));
            let asked = is_grpc.then(|| grpc.map(ms));
            let timeouts = of_request(given(route), given(tried), hedges, asked);
            let expected = expected_millis(timeouts, ms(elapsed));
            let want = model(route, tried, is_grpc.then(|| grpc.unwrap_or(0)), hedges, elapsed);
            let millis = |time: Option<Duration>| time.map_or(0, |time| time.as_millis() as u64);
            prop_assert_eq!((millis(timeouts.whole), millis(timeouts.per_try), expected.unwrap_or(0)), want);
        }
    }
}
