//! The fields that tell a client what a service says is left of its limits (`x-ratelimit-…`, the third draft of the IETF's
//! RateLimit fields), as Envoy writes them.

use std::fmt::Write as _;

use super::messages::{CurrentLimit, DescriptorStatus, RateLimitUnit};
use crate::message::{Headers, Known};

/// Adds the fields for what a service says of the descriptors of a request: of the one that has least left, with all windows.
pub(super) fn add(statuses: &[DescriptorStatus], fields: &mut Headers) {
    let limited = statuses.iter();
    let limited = limited.filter_map(|status| Some((status, status.current_limit.as_ref()?)));
    let mut windows = String::new();
    let mut least: Option<(&DescriptorStatus, &CurrentLimit)> = None;
    for (status, limit) in limited {
        if least.is_none_or(|(least, _)| status.limit_remaining < least.limit_remaining) {
            least = Some((status, limit));
        }
        if let Some(seconds) = seconds(limit) {
            // Writing to memory does not fail.
            let _ = write!(windows, ", {};w={seconds}", limit.requests_per_unit);
            if let Some(name) = quoted(&limit.name) {
                let _ = write!(windows, ";name={name}");
            }
        }
    }
    let Some((status, limit)) = least else { return };
    let reset = status.duration_until_reset.unwrap_or_default().seconds;
    for (name, value) in [
        (
            Known::XRatelimitLimit,
            format!("{}{windows}", limit.requests_per_unit),
        ),
        (
            Known::XRatelimitRemaining,
            status.limit_remaining.to_string(),
        ),
        (Known::XRatelimitReset, reset.to_string()),
    ] {
        fields.append_known(name, value.as_bytes());
    }
}

/// How long the window of a limit is.
fn seconds(limit: &CurrentLimit) -> Option<u32> {
    const DAY: u32 = 24 * 60 * 60;
    match limit.unit() {
        RateLimitUnit::Unknown => None,
        RateLimitUnit::Second => Some(1),
        RateLimitUnit::Minute => Some(60),
        RateLimitUnit::Hour => Some(60 * 60),
        RateLimitUnit::Day => Some(DAY),
        RateLimitUnit::Month => Some(30 * DAY),
        RateLimitUnit::Year => Some(365 * DAY),
        RateLimitUnit::Week => Some(7 * DAY),
    }
}

/// A name that can stand in a quoted string as it is.
fn quoted(name: &str) -> Option<String> {
    let is_good = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ';
    (!name.is_empty() && name.chars().all(is_good)).then(|| format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::external::messages::ProtoDuration;

    fn status(left: u32, of: u32, unit: RateLimitUnit, name: &str) -> DescriptorStatus {
        DescriptorStatus {
            current_limit: Some(CurrentLimit {
                requests_per_unit: of,
                unit: unit as i32,
                name: name.into(),
            }),
            limit_remaining: left,
            duration_until_reset: Some(ProtoDuration {
                seconds: i64::from(left) + 5,
            }),
        }
    }

    #[test]
    fn the_tightest_limit_is_told_with_all_windows() {
        use RateLimitUnit::{Day, Hour, Minute, Month, Second, Unknown, Week, Year};
        for (statuses, want) in [
            (vec![], [None, None, None]),
            (vec![DescriptorStatus::default()], [None, None, None]),
            (
                vec![status(3, 10, Minute, "")],
                [Some("10, 10;w=60"), Some("3"), Some("8")],
            ),
            (
                vec![
                    status(3, 10, Hour, "a \"b\""),
                    status(1, 2, Second, "per-ip"),
                ],
                [
                    Some("2, 10;w=3600, 2;w=1;name=\"per-ip\""),
                    Some("1"),
                    Some("6"),
                ],
            ),
            (
                vec![status(0, 1, Unknown, "x"), DescriptorStatus::default()],
                [Some("1"), Some("0"), Some("5")],
            ),
            (
                [Day, Week, Month, Year]
                    .map(|unit| status(1, 9, unit, ""))
                    .into(),
                [
                    Some("9, 9;w=86400, 9;w=604800, 9;w=2592000, 9;w=31536000"),
                    Some("1"),
                    Some("6"),
                ],
            ),
        ] {
            let mut fields = Headers::default();
            add(&statuses, &mut fields);
            let told = [
                Known::XRatelimitLimit,
                Known::XRatelimitRemaining,
                Known::XRatelimitReset,
            ]
            .map(|name| fields.get(name));
            assert_eq!(told, want.map(|value| value.map(str::as_bytes)));
        }
    }
}
