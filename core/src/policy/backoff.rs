//! How long a retry waits: Envoy's back-off with full jitter, or what the failed response asked for.

use core::str;

use crate::entropy::{Draw, Entropy};
use crate::message::{Headers, Known};
use crate::snapshot::RetryPolicy;
use crate::time::Duration;

/// The back-off number `nth`, counted from 1: uniform below a bound that doubles from the base to ten times the base.
#[must_use]
pub fn jittered(policy: &RetryPolicy, nth: u32, entropy: Entropy) -> Duration {
    let base = policy.backoff.as_nanos().max(1_000_000);
    let doubled = base.saturating_mul(1 << (nth.saturating_sub(1)).min(16));
    let bound = u64::try_from(doubled.min(base * 10)).unwrap_or(u64::MAX);
    Duration::from_nanos(entropy.draw(Draw::Backoff, u64::from(nth)) % bound)
}

/// How long a response asks to wait (`retry-after`), if the policy obeys it and it is not too long.
#[must_use]
pub fn asked_for(policy: &RetryPolicy, headers: &Headers) -> Option<Duration> {
    let most = policy.retry_after?;
    retry_after(headers).filter(|wait| *wait <= most)
}

/// `retry-after`. Only a number of seconds above zero is taken: a date needs a calendar, and there is none here.
#[must_use]
pub fn retry_after(headers: &Headers) -> Option<Duration> {
    let text = str::from_utf8(headers.get(Known::RetryAfter)?).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero())
}

/// What was asked for, and up to half as long again, so that all who were asked alike do not come back at once.
#[must_use]
pub fn spread(asked: Duration, retry: u32, entropy: Entropy) -> Duration {
    let half = u64::try_from(asked.as_nanos() / 2)
        .unwrap_or(u64::MAX)
        .max(1);
    let more = entropy.draw(Draw::RetryAfter, u64::from(retry)) % half;
    asked.saturating_add(Duration::from_nanos(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::RetryOn;

    fn policy(retry_after: Option<u64>) -> RetryPolicy {
        RetryPolicy {
            retries: 2,
            per_try_timeout: None,
            on: RetryOn::SERVER_ERROR,
            status_codes: Box::default(),
            backoff: Duration::from_millis(25),
            ignore_previous_hosts: true,
            remote_localities: false,
            retry_after: retry_after.map(Duration::from_secs),
            hedge_on_per_try_timeout: false,
        }
    }

    /// All of a range come, none other does.
    fn covers(waits: impl Iterator<Item = Duration>, from: Duration, below: Duration) {
        let waits: Vec<_> = waits.collect();
        let near = (below - from).mul_f64(0.01);
        assert!(waits.iter().all(|wait| (from..below).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < from + near));
        assert!(waits.iter().any(|wait| *wait > below - near));
    }

    #[test]
    fn doubles_up_to_ten_times_the_base() {
        let policy = policy(None);
        for (nth, bound) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (60, 250)] {
            let waits = (0..2000).map(|n| jittered(&policy, nth, Entropy(n)));
            covers(waits, Duration::ZERO, Duration::from_millis(bound));
        }
    }

    #[test]
    fn a_response_may_ask_for_seconds() {
        for (most, value, want) in [
            (Some(300), Some("1"), Some(1)),
            (Some(300), Some("300"), Some(300)),
            (Some(300), Some("301"), None),
            (Some(300), Some("0"), None),
            (Some(300), Some("007"), Some(7)),
            (Some(300), Some("+5"), None),
            (Some(300), Some("-5"), None),
            (Some(300), Some("1.5"), None),
            (Some(300), Some(""), None),
            (Some(300), Some("Fri, 31 Dec 1999 23:59:59 GMT"), None),
            (Some(300), Some("99999999999999999999"), None),
            (Some(300), None, None),
            (None, Some("1"), None),
        ] {
            let mut headers = Headers::default();
            if let Some(value) = value {
                headers.append(b"retry-after", value.as_bytes()).unwrap();
            }
            let got = asked_for(&policy(most), &headers);
            assert_eq!(got.map(|wait| wait.as_secs()), want, "{most:?} {value:?}");
        }
    }

    #[test]
    fn what_was_asked_for_is_spread_by_half() {
        for seconds in [1, 7] {
            let asked = Duration::from_secs(seconds);
            let waits = (0..2000).map(|n| spread(asked, 1, Entropy(n)));
            covers(waits, asked, asked.mul_f64(1.5));
        }
    }
}
