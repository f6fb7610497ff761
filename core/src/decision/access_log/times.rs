//! Dates of lines, in UTC.

use core::fmt;
use std::io::Write as _;

use crate::snapshot::telemetry::TimePart;
use crate::time::Duration;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// From the day of 1970-01-01 on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Appends a date.
pub(super) fn push(parts: &[TimePart], since_epoch: Duration, out: &mut Vec<u8>) {
    let date = Date::of(since_epoch);
    for part in parts {
        // Writing to a vector cannot fail.
        let _ = match part {
            TimePart::Literal(literal) => out.write_all(literal.as_bytes()),
            TimePart::Year => write!(out, "{:04}", date.year),
            TimePart::YearOfCentury => write!(out, "{:02}", date.year % 100),
            TimePart::Month => write!(out, "{:02}", date.month),
            TimePart::MonthName => {
                let name = MONTHS.get(date.month as usize - 1).copied();
                out.write_all(name.unwrap_or_default().as_bytes())
            }
            TimePart::Day => write!(out, "{:02}", date.day),
            TimePart::DayWithBlank => write!(out, "{:2}", date.day),
            TimePart::DayOfYear => write!(out, "{:03}", date.day_of_year()),
            TimePart::Weekday => {
                let name = WEEKDAYS[(date.seconds / 86_400 % 7) as usize];
                out.write_all(name.as_bytes())
            }
            TimePart::Hour => write!(out, "{:02}", date.seconds % 86_400 / 3600),
            TimePart::Minute => write!(out, "{:02}", date.seconds / 60 % 60),
            TimePart::Second => write!(out, "{:02}", date.seconds % 60),
            TimePart::Fraction(digits) => {
                let width = usize::from(*digits).clamp(1, 9);
                let fraction = date.nanos / 10_u32.pow(9 - width as u32);
                write!(out, "{fraction:0width$}")
            }
            TimePart::Epoch => write!(out, "{}", date.seconds),
        };
    }
}

/// RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Rfc3339(pub(super) Duration);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Date::of(self.0);
        let of_day = date.seconds % 86_400;
        let (year, month, day) = (date.year, date.month, date.day);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let millis = date.nanos / 1_000_000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// A moment in the Gregorian calendar.
#[derive(Clone, Copy)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Since 1970-01-01.
    seconds: u64,
    nanos: u32,
}

impl Date {
    const fn of(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs();
        let (year, month, day) = civil_date(seconds / 86_400);
        Self {
            year,
            month,
            day,
            seconds,
            nanos: since_epoch.subsec_nanos(),
        }
    }

    const fn day_of_year(self) -> u64 {
        const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let year = self.year;
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let leap_day = (is_leap && self.month > 2) as u64;
        BEFORE[self.month as usize - 1] + leap_day + self.day
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts from 0000-03-01, so that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date
/// algorithms").
const fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        // Seconds since 1970 and the date, as `date -u -d @N '+%F %j %a'` prints it.
        for (seconds, want) in [
            (0, "1970-01-01 001 Thu"),
            (68_169_599, "1972-02-28 059 Mon"),
            (68_169_600, "1972-02-29 060 Tue"),
            (68_256_000, "1972-03-01 061 Wed"),
            (946_684_799, "1999-12-31 365 Fri"),
            (951_782_400, "2000-02-29 060 Tue"),
            (4_107_542_400, "2100-03-01 060 Mon"),
            (253_402_300_799, "9999-12-31 365 Fri"),
        ] {
            let since_epoch = Duration::from_secs(seconds);
            let text = Rfc3339(since_epoch).to_string();
            assert_eq!(text.get(..10), want.get(..10), "{seconds}");
            let parts = [
                TimePart::DayOfYear,
                TimePart::Literal(" ".into()),
                TimePart::Weekday,
            ];
            let mut out = Vec::new();
            push(&parts, since_epoch, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want[11..], "{seconds}");
        }
    }
}
