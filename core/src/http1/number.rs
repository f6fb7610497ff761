//! Numbers on the wire: Content-Length and chunk sizes, read without mercy and written without allocation.

use bytes::BytesMut;

use crate::message::digits;

/// A decimal number of at most 2^63 - 1, digits only (RFC 9110 §8.6). The bound keeps it inside what every peer can hold.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    i64::try_from(value).is_ok().then_some(value)
}

/// A hexadecimal number of 1 to 16 digits and at most 2^63 - 1 (RFC 9112 §7.1), and how many digits it has.
pub(super) fn hexadecimal_prefix(line: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    let mut count = 0;
    while let Some(digit) = line.get(count).and_then(|b| char::from(*b).to_digit(16)) {
        value = value.checked_mul(16)?.checked_add(u64::from(digit))?;
        count += 1;
        if count > 16 {
            return None;
        }
    }
    (count > 0 && i64::try_from(value).is_ok()).then_some((value, count))
}

/// Appends `value` in base 10 or 16.
pub(super) fn put<const BASE: u64>(value: u64, block: &mut BytesMut) {
    block.extend_from_slice(digits::<BASE>(value, &mut [0; 20]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("5", Some(5)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("-5", None),
            ("+5", None),
            ("0x5", None),
            ("5 ", None),
            ("5,5", None),
            ("1e1", None),
            ("\"5\"", None),
            ("٥", None),
        ];
        for (text, want) in cases {
            assert_eq!(decimal(text.as_bytes()), *want, "{text:?}");
        }
    }

    #[test]
    fn hexadecimals() {
        let cases: &[(&str, Option<(u64, usize)>)] = &[
            ("0", Some((0, 1))),
            ("aF;x", Some((0xaf, 2))),
            ("000005", Some((5, 6))),
            ("0x5", Some((0, 1))),
            ("7fffffffffffffff", Some((i64::MAX as u64, 16))),
            ("8000000000000000", None),
            ("10000000000000005", None),
            ("00000000000000005", None),
            ("", None),
            ("-5", None),
            (" 5", None),
        ];
        for (text, want) in cases {
            assert_eq!(hexadecimal_prefix(text.as_bytes()), *want, "{text:?}");
        }
    }
}
