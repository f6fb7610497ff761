//! The clocks of this machine, as core's instants and as calendar time.

use std::time::{Duration, Instant as Monotonic, SystemTime, UNIX_EPOCH};

use outrigger_core::time::Instant;

/// The monotonic clock, counted from when the runtime started. Copies agree with each other across threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Monotonic,
}

impl Clock {
    /// A clock that starts at this time.
    pub(crate) const fn start(zero: Monotonic) -> Self {
        Self { zero }
    }

    /// The time on this machine.
    pub(crate) fn now(self) -> Instant {
        self.at(Monotonic::now())
    }

    /// A time of the system's timers as an instant.
    pub(crate) fn at(self, time: Monotonic) -> Instant {
        let nanos = time.saturating_duration_since(self.zero).as_nanos();
        // 64 bits of nanoseconds last 584 years.
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// An instant as the system's timers know it. One beyond what the system can express becomes a year from now.
    pub(crate) fn timer(self, at: Instant) -> Monotonic {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let since_zero = Duration::from_nanos(at.as_nanos());
        let at = self.zero.checked_add(since_zero);
        at.unwrap_or_else(|| Monotonic::now() + YEAR)
    }
}

/// Time since 1970-01-01 UTC.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The calendar time as an HTTP `date` field writes it (RFC 9110 §5.6.7).
pub(crate) fn http_date() -> [u8; 29] {
    date_of(SystemTime::now())
}

/// A clock that is set wrong is no reason to lose a connection: `httpdate` panics before 1970 and after 9999.
fn date_of(time: SystemTime) -> [u8; 29] {
    /// 9999-12-31 23:59:59 UTC, in seconds since 1970.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = httpdate::fmt_http_date(UNIX_EPOCH + since.min(LAST));
    if now.len() == text.len() {
        text.copy_from_slice(now.as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_timers_agree() {
        let clock = Clock::start(Monotonic::now());
        let now = clock.now();
        let later = now + Duration::from_millis(250);
        assert_eq!(
            clock.timer(later) - clock.timer(now),
            Duration::from_millis(250)
        );
        let never = clock.timer(Instant::from_nanos(u64::MAX));
        assert!(never > clock.timer(now));
    }

    #[test]
    fn date_has_the_fixed_form() {
        let date = http_date();
        assert!(httpdate::parse_http_date(std::str::from_utf8(&date).unwrap()).is_ok());
    }

    #[test]
    fn clocks_that_are_set_wrong_have_a_date() {
        let day = Duration::from_secs(24 * 3600);
        for (time, want) in [
            (UNIX_EPOCH - day, b"Thu, 01 Jan 1970 00:00:00 GMT"),
            (UNIX_EPOCH + day, b"Fri, 02 Jan 1970 00:00:00 GMT"),
            (
                UNIX_EPOCH + 4_000_000 * day,
                b"Fri, 31 Dec 9999 23:59:59 GMT",
            ),
        ] {
            assert_eq!(date_of(time), *want);
        }
    }
}
