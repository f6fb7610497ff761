//! The value grammar as tables, and durations against a slow model.

use proptest::prelude::*;

use super::*;

#[test]
fn plain_scalars_are_read_as_kubernetes_does() {
    let int = |n: i128| Plain::Int(Some(n));
    let cases = [
        ("", Plain::Null),
        ("~", Plain::Null),
        ("Null", Plain::Null),
        ("nULL", Plain::Text),
        ("true", Plain::Bool(true)),
        ("yes", Plain::Bool(true)),
        ("y", Plain::Bool(true)),
        ("off", Plain::Bool(false)),
        ("oFF", Plain::Text),
        ("5", int(5)),
        ("-5", int(-5)),
        ("+5", int(5)),
        ("1_000", int(1000)),
        ("0x10", int(16)),
        ("0o17", int(15)),
        ("017", int(15)),
        ("0b11", int(3)),
        ("08", Plain::Float(8.0)),
        ("18446744073709551615", int(u64::MAX.into())),
        ("18446744073709551616", Plain::Int(None)),
        ("1.10", Plain::Float(1.1)),
        ("5.0", Plain::Float(5.0)),
        ("5e0", Plain::Float(5.0)),
        (".5", Plain::Float(0.5)),
        ("1.", Plain::Float(1.0)),
        (".", Plain::Text),
        ("-", Plain::Text),
        ("1e", Plain::Text),
        ("1e400", Plain::Text),
        (".inf", Plain::Float(f64::INFINITY)),
        ("v1", Plain::Text),
        ("1.2.3", Plain::Text),
        ("2024-01-01", Plain::Text),
        ("12:30", Plain::Text),
        ("10.0.0.1", Plain::Text),
        ("5s", Plain::Text),
    ];
    for (text, expected) in cases {
        assert_eq!(resolve(text), expected, "{text:?}");
    }
    assert!(matches!(resolve(".nan"), Plain::Float(n) if n.is_nan()));
}

#[test]
fn quoted_integers_are_decimal() {
    let cases = [
        ("5", Some(5)),
        ("-5", Some(-5)),
        ("0", Some(0)),
        ("", None),
        ("-", None),
        ("05", None),
        ("+5", None),
        ("5.0", None),
        (" 5", None),
        ("0x5", None),
    ];
    for (text, expected) in cases {
        assert_eq!(quoted_integer(text), expected, "{text:?}");
    }
}

#[test]
fn durations_are_those_of_go() {
    use DurationError::{Malformed, Negative, NoUnit, TooLong, UnknownUnit};
    let nanos = |n| Ok(Duration::from_nanos(n));
    let cases = [
        ("0", nanos(0)),
        ("0s", nanos(0)),
        ("-0", nanos(0)),
        ("1s", nanos(1_000_000_000)),
        ("+1s", nanos(1_000_000_000)),
        ("1.000s", nanos(1_000_000_000)),
        ("0.25s", nanos(250_000_000)),
        (".5s", nanos(500_000_000)),
        ("1.s", nanos(1_000_000_000)),
        ("500ms", nanos(500_000_000)),
        ("1h30m", nanos(5_400_000_000_000)),
        ("1m1.5s", nanos(61_500_000_000)),
        ("3us", nanos(3000)),
        ("3µs", nanos(3000)),
        ("3μs", nanos(3000)),
        ("0.0000005s", nanos(500)),
        ("", Err(Malformed)),
        ("+", Err(Malformed)),
        (".s", Err(Malformed)),
        ("s", Err(Malformed)),
        ("1s ", Err(UnknownUnit)),
        ("5", Err(NoUnit)),
        ("5 s", Err(UnknownUnit)),
        ("1d", Err(UnknownUnit)),
        ("1S", Err(UnknownUnit)),
        ("-1s", Err(Negative)),
        ("3000000h", Err(TooLong)),
        ("99999999999999999999999999999999999999999s", Err(TooLong)),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_duration(text), expected, "{text:?}");
    }
}

#[test]
fn words_are_quoted_and_cut() {
    assert_eq!(quoted("a"), "`a`");
    assert_eq!(quoted("a\nb"), "`a\\nb`");
    assert_eq!(quoted(&"x".repeat(200)).chars().count(), 83);
}

/// A duration by long division: numbers as strings of digits, one part after the other.
fn slow_duration(parts: &[(u32, String, usize)]) -> Option<u128> {
    const SCALES: [u128; 6] = [
        1,
        1000,
        1_000_000,
        1_000_000_000,
        60_000_000_000,
        3_600_000_000_000,
    ];
    let mut total = 0;
    for (whole, fraction, unit) in parts {
        let mut step = SCALES[*unit];
        total += u128::from(*whole) * step;
        let (mut numerator, mut rest) = (0, 0);
        for digit in fraction.chars() {
            // Each digit is worth a tenth of the one before; what is left over is carried exactly.
            numerator = numerator * 10 + u128::from(digit.to_digit(10)?);
            rest += 1;
        }
        step *= numerator;
        for _ in 0..rest {
            step /= 10;
        }
        total += step;
    }
    (total <= i64::MAX as u128).then_some(total)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn durations_agree_with_a_slow_model(
        parts in prop::collection::vec((any::<u32>(), "[0-9]{0,9}", 0..6usize), 1..4),
    ) {
        const UNITS: [&str; 6] = ["ns", "us", "ms", "s", "m", "h"];
        let text: String = parts
            .iter()
            .map(|(whole, fraction, unit)| format!("{whole}.{fraction}{}", UNITS[*unit]))
            .collect();
        let expected = slow_duration(&parts).ok_or(DurationError::TooLong);
        prop_assert_eq!(parse_duration(&text).map(|duration| duration.as_nanos()), expected, "{}", text);
    }

    #[test]
    fn no_text_panics(text in "[-+0-9.smhnuµ_xe ]{0,20}") {
        let _ = (parse_duration(&text), resolve(&text), quoted_integer(&text), quoted(&text));
    }
}
