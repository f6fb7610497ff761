//! Istio's value grammar: what the text of a scalar stands for.
//!
//! YAML comes to Istio through Go: plain scalars are resolved as `sigs.k8s.io/yaml` does (YAML 1.1 booleans, integers
//! in several bases), and the result is decoded by the rules of protobuf's JSON form. Pure functions over text; who
//! asks for which type is in `decode`.

use crate::time::Duration;

/// What a plain scalar stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plain {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` and its YAML 1.1 relatives, which Kubernetes accepts.
    Bool(bool),
    /// An integer; `None` when it does not fit 64 bits, signed or unsigned.
    Int(Option<i128>),
    /// A number with a fraction or an exponent, or one of the infinities, or not a number.
    Float(f64),
    /// Text.
    Text,
}

/// What a plain scalar stands for to `sigs.k8s.io/yaml`.
#[must_use]
pub fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Plain::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Plain::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Plain::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Plain::Float(f64::NEG_INFINITY),
        _ => resolve_number(text),
    }
}

fn resolve_number(text: &str) -> Plain {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Plain::Text;
    }
    let digits = text.replace('_', "");
    if let Some(int) = go_integer(&digits) {
        return Plain::Int(int);
    }
    if is_yaml_float(&digits) {
        // The pattern is a subset of what `f64` parses, except for a bare trailing dot, which it parses too.
        // Go refuses what overflows, and so the scalar stays text.
        let number = digits
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        return number.map_or(Plain::Text, Plain::Float);
    }
    Plain::Text
}

/// An integer as Go's `strconv.ParseInt(s, 0, 64)` reads it: `0x`, `0o`, `0b` and a leading zero choose the base.
/// The outer `None` means that it is no integer, the inner that it does not fit.
fn go_integer(text: &str) -> Option<Option<i128>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok();
    let value = magnitude.map(|m| if negative { -m } else { m });
    Some(value.filter(|v| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(v)))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_yaml_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let mantissa_fits = all_digits(whole)
        && fraction.is_none_or(all_digits)
        && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()));
    let exponent_fits = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && all_digits(digits)
    });
    mantissa_fits && exponent_fits
}

/// An integer in quotes: decimal as JSON writes it, so no sign but `-`, no leading zero, no space.
#[must_use]
pub fn quoted_integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let fits = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    fits.then(|| text.parse().ok()).flatten()
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// Not of the form that Go's `time.ParseDuration` takes.
    Malformed,
    /// A number without a unit, such as `5`.
    NoUnit,
    /// A unit Go does not have, such as `d`.
    UnknownUnit,
    /// Longer than 2^63 ns, about 292 years.
    TooLong,
    /// Below zero.
    Negative,
}

/// Nanoseconds in the longest duration of Go.
const MAX_NANOS: u128 = i64::MAX as u128;

/// A duration as Go's `time.ParseDuration` reads it: `1h30m`, `1.5s`, `500ms`, `0`. Negative ones are refused,
/// because no field of Istio takes one.
///
/// # Errors
/// See [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let (negative, mut rest) = match text.as_bytes().first() {
        None => return Err(DurationError::Malformed),
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut nanos = 0u128;
    while !rest.is_empty() {
        let (part, after) = duration_part(rest)?;
        nanos += part;
        if nanos > MAX_NANOS {
            return Err(DurationError::TooLong);
        }
        rest = after;
    }
    if negative && nanos > 0 {
        return Err(DurationError::Negative);
    }
    // At most `MAX_NANOS`, which fits.
    Ok(Duration::from_nanos(
        u64::try_from(nanos).unwrap_or(u64::MAX),
    ))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn duration_part(text: &str) -> Result<(u128, &str), DurationError> {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole_end = digits(text);
    let whole = &text[..whole_end];
    let mut rest = &text[whole_end..];
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let end = digits(after);
        (fraction, rest) = after.split_at(end);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Malformed);
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    let scale: u128 = match unit {
        "" => return Err(DurationError::NoUnit),
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(DurationError::UnknownUnit),
    };
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u128>().map_err(|_| DurationError::TooLong)?
    };
    let nanos = whole.checked_mul(scale).ok_or(DurationError::TooLong)?;
    if nanos > MAX_NANOS {
        return Err(DurationError::TooLong);
    }
    Ok((nanos + fraction_nanos(fraction, scale), after))
}

/// `0.fraction` of a unit of `scale` nanoseconds, rounded down.
fn fraction_nanos(fraction: &str, scale: u128) -> u128 {
    // 18 digits are a billionth of a nanosecond even of an hour; more can not matter.
    let digits = &fraction[..fraction.len().min(18)];
    let value: u128 = digits.parse().unwrap_or(0);
    let power = 10u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    value * scale / power
}

/// The user's words in backticks, cut when they are long, control characters escaped.
#[must_use]
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut out = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests;
