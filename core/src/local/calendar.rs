//! The date of responses as a number of seconds, so that a recording that holds the one holds the other.

/// Seconds since 1970 of a date in IMF-fixdate (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`; 0 for a text that is
/// none.
pub(super) const fn seconds(date: &[u8; 29]) -> u64 {
    match parse(date) {
        Some(seconds) => seconds,
        None => 0,
    }
}

const fn parse(date: &[u8; 29]) -> Option<u64> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (Some(day), Some(year)) = (number(date, 5, 2), number(date, 12, 4)) else {
        return None;
    };
    let (Some(hour), Some(minute), Some(second)) = (
        number(date, 17, 2),
        number(date, 20, 2),
        number(date, 23, 2),
    ) else {
        return None;
    };
    let mut month = 0;
    while month < 12 {
        let at = month * 3;
        if MONTHS[at] == date[8] && MONTHS[at + 1] == date[9] && MONTHS[at + 2] == date[10] {
            break;
        }
        month += 1;
    }
    if month == 12 || year < 1970 || day == 0 {
        return None;
    }
    // Days since the first of March of the year 0, so that a leap day is the last of its year.
    let (month, year) = if month < 2 {
        (month as u64 + 10, year - 1)
    } else {
        (month as u64 - 2, year)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

const fn number(date: &[u8; 29], at: usize, digits: usize) -> Option<u64> {
    let (mut value, mut next) = (0, at);
    while next < at + digits {
        if !date[next].is_ascii_digit() {
            return None;
        }
        value = value * 10 + (date[next] - b'0') as u64;
        next += 1;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        for (date, want) in [
            (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            (b"Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            (b"Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            (b"Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            (b"Thu, 31 Dec 2099 23:59:59 GMT", 4_102_444_799),
            (b"Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            (b"Sun, 06 Nov 19x4 08:49:37 GMT", 0),
            (b"Sun, 06 Foo 1994 08:49:37 GMT", 0),
            (b"Sun, 06 Nov 1804 08:49:37 GMT", 0),
        ] {
            assert_eq!(seconds(date), want, "{}", String::from_utf8_lossy(date));
        }
    }
}
