//! `grpc-timeout`: how long a gRPC client waits (gRPC over HTTP/2, `Timeout`), read and written as Envoy does.

use crate::time::Duration;

/// The largest number that eight digits hold.
const MOST: u64 = 99_999_999;

/// One to eight digits and a unit. Microseconds and nanoseconds are rounded up to whole milliseconds. `None` when it is
/// malformed, which is as if it were absent.
#[must_use]
pub fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |n, digit| 10 * n + u64::from(digit - b'0'));
    Some(Duration::from_millis(match unit {
        b'H' => number * 3_600_000,
        b'M' => number * 60_000,
        b'S' => number * 1000,
        b'm' => number,
        b'u' => number.div_ceil(1000),
        b'n' => number.div_ceil(1_000_000),
        _ => return None,
    }))
}

/// The number and the unit for so many milliseconds: the finest unit whose number has no more than eight digits, rounded
/// down.
#[must_use]
pub const fn of_millis(millis: u64) -> (u64, u8) {
    if millis <= MOST {
        return (millis, b'm');
    }
    let seconds = millis / 1000;
    if seconds <= MOST {
        return (seconds, b'S');
    }
    let minutes = seconds / 60;
    if minutes <= MOST {
        return (minutes, b'M');
    }
    let hours = minutes / 60;
    (if hours < MOST { hours } else { MOST }, b'H')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_to_eight_digits_and_a_unit() {
        for (value, millis) in [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3000)),
            ("40m", Some(40)),
            ("1u", Some(1)),
            ("1000u", Some(1)),
            ("1001u", Some(2)),
            ("1n", Some(1)),
            ("1000001n", Some(2)),
            ("0S", Some(0)),
            ("0n", Some(0)),
            ("007S", Some(7000)),
            ("99999999H", Some(359_999_996_400_000)),
            ("100000000S", None),
            ("S", None),
            ("1", None),
            ("", None),
            ("1s", None),
            ("1 S", None),
            (" 1S", None),
            ("+1S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1SS", None),
        ] {
            let want = millis.map(Duration::from_millis);
            assert_eq!(parse(value.as_bytes()), want, "{value:?}");
        }
    }

    #[test]
    fn the_finest_unit_that_fits() {
        for (millis, want) in [
            (1, (1, b'm')),
            (99_999_999, (99_999_999, b'm')),
            (100_000_000, (100_000, b'S')),
            (100_000_999, (100_000, b'S')),
            (99_999_999_999, (99_999_999, b'S')),
            (100_000_000_000, (1_666_666, b'M')),
            (5_999_999_999_999, (99_999_999, b'M')),
            (6_000_000_000_000, (1_666_666, b'H')),
            (u64::MAX, (99_999_999, b'H')),
        ] {
            assert_eq!(of_millis(millis), want, "{millis}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// What is written can be read, is never longer than what was meant, and by less than one of its unit shorter.
        #[test]
        fn what_is_written_is_read(millis in 0_u64..=359_999_996_400_000) {
            let (number, unit) = of_millis(millis);
            let text = format!("{number}{}", char::from(unit));
            prop_assert!(text.len() <= 9);
            let read = parse(text.as_bytes()).map(|d| d.as_millis());
            let size = parse(&[b'1', unit]).map(|d| d.as_millis());
            let short = read.and_then(|read| u128::from(millis).checked_sub(read));
            prop_assert!(short.is_some() && short < size, "{millis} as {text}");
        }
    }
}
