//! Single values of the types that protobuf knows, out of nodes; what does not fit is told at the report's path.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::code::Code;
use super::node::{Entry, Node, Scalar, Value};
use super::report::Report;
use super::spelling::{kinship, suggestion};
use super::value::{DurationError, Plain, parse_duration, quoted, quoted_integer, resolve};
use crate::time::Duration;

/// Tells that a node is not what its field wants.
pub fn wrong_type(report: &mut Report, node: &Node, expected: &str) {
    let help = match (&node.value, expected) {
        (Value::Scalar(scalar), "a list") => format!("write it as a list: `[{}]`", scalar.text),
        (Value::Map(_), "a list") => "begin each of its entries with `- `".to_owned(),
        (Value::Scalar(scalar), "a number") if scalar.text.ends_with('%') => {
            "write the number alone".to_owned()
        }
        (Value::Null | Value::Seq(_) | Value::Map(_) | Value::Scalar(_), _) => String::new(),
    };
    report.raise(
        Code::WrongType,
        format!("{} is not {expected}", describe(node)),
        help,
    );
}

/// Tells that a scalar stands where its field wants a mapping that could hold it, written as `form` with `…` for it.
pub fn bare(report: &mut Report, scalar: &Scalar, form: &str) {
    let message = format!("{} is not a mapping", quoted(&scalar.text));
    let help = format!("write {}", form.replace('…', &scalar.text));
    report.raise(Code::WrongType, message, help);
}

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Seq(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(scalar) => {
            let kind = match meaning(scalar) {
                Plain::Bool(_) => "the boolean ",
                Plain::Int(_) | Plain::Float(_) => "the number ",
                Plain::Null | Plain::Text => "",
            };
            format!("{kind}{}", quoted(&scalar.text))
        }
    }
}

fn meaning(scalar: &Scalar) -> Plain {
    if scalar.plain {
        resolve(&scalar.text)
    } else {
        Plain::Text
    }
}

/// Tells when a key of the user's is not text to YAML, and so may reach others as something else.
pub(super) fn check_key(report: &mut Report, entry: &Entry) {
    if !matches!(meaning(&entry.key), Plain::Bool(_) | Plain::Float(_)) {
        return;
    }
    let key = quoted(&entry.key.text);
    report.raise_at(
        entry.at,
        Code::YamlKeyNotText,
        format!("key {key} is not text in YAML; Kubernetes reads it differently"),
        "quote the key",
    );
}

/// A string. Bare numbers and booleans are not strings.
pub fn string(report: &mut Report, node: &Node) -> Option<String> {
    let Value::Scalar(scalar) = &node.value else {
        let message = format!("{} is not a string", describe(node));
        report.raise(Code::WrongType, message, of_colon(node));
        return None;
    };
    if meaning(scalar) == Plain::Text {
        return Some(scalar.text.to_string());
    }
    report.raise(
        Code::WrongType,
        format!("{} is not a string", describe(node)),
        format!("write it in quotes: `\"{}\"`", scalar.text),
    );
    None
}

/// What to do about text that its last colon made a mapping of, such as `- fd00::`.
fn of_colon(node: &Node) -> String {
    match node.entries() {
        [entry] if entry.value.is_null() && entry.at == node.at => {
            format!(
                "its last colon makes it one; write it in quotes: `\"{}:\"`",
                entry.key.text
            )
        }
        _ => String::new(),
    }
}

/// A boolean. Text is not a boolean, whatever it says.
pub fn boolean(report: &mut Report, node: &Node) -> Option<bool> {
    if let Value::Scalar(scalar) = &node.value
        && let Plain::Bool(value) = meaning(scalar)
    {
        return Some(value);
    }
    wrong_type(report, node, "a boolean");
    None
}

/// An integer type of protobuf.
pub trait Integer: TryFrom<i128> {
    /// Its range in words.
    const RANGE: &'static str;
}

impl Integer for i32 {
    const RANGE: &'static str = "-2147483648 to 2147483647";
}

impl Integer for u32 {
    const RANGE: &'static str = "0 to 4294967295";
}

impl Integer for u64 {
    const RANGE: &'static str = "0 to 18446744073709551615";
}

/// An integer, bare or as decimal digits in quotes. A bare `8e3` or `80.0` is one too: Kubernetes hands on `8000`, and
/// templates print large numbers so.
pub fn integer<T: Integer>(report: &mut Report, node: &Node) -> Option<T> {
    let Value::Scalar(scalar) = &node.value else {
        wrong_type(report, node, "an integer");
        return None;
    };
    let value = if scalar.plain {
        match resolve(&scalar.text) {
            Plain::Int(value) => value,
            Plain::Float(value) if value.fract() == 0.0 => whole(value),
            Plain::Null | Plain::Bool(_) | Plain::Float(_) | Plain::Text => {
                return not_an_integer(report, node);
            }
        }
    } else if scalar.text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        let Some(value) = quoted_integer(&scalar.text) else {
            return not_an_integer(report, node);
        };
        Some(value)
    } else {
        return not_an_integer(report, node);
    };
    let fits = value.and_then(|value| T::try_from(value).ok());
    if fits.is_none() {
        report.raise(
            Code::InvalidNumber,
            format!("{} is outside {}", quoted(&scalar.text), T::RANGE),
            "",
        );
    }
    fits
}

/// A number without a fraction; `None` where it fits no integer of protobuf.
fn whole(value: f64) -> Option<i128> {
    // Twice the largest that a field may have, so that the conversion is exact.
    const BEYOND: f64 = (1u128 << 65) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is within the range"
    )]
    (value.abs() < BEYOND).then_some(value as i128)
}

fn not_an_integer<T>(report: &mut Report, node: &Node) -> Option<T> {
    let message = format!("{} is not an integer", describe(node));
    report.raise(
        Code::InvalidNumber,
        message,
        "write decimal digits, without fraction or unit",
    );
    None
}

/// A finite number, bare or in quotes.
pub fn number(report: &mut Report, node: &Node) -> Option<f64> {
    let Value::Scalar(scalar) = &node.value else {
        wrong_type(report, node, "a number");
        return None;
    };
    let value = match resolve(&scalar.text) {
        // At most 2^64, for which the nearest double is meant.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a double is what the field holds"
        )]
        Plain::Int(Some(value)) => Some(value as f64),
        Plain::Float(value) => Some(value),
        Plain::Int(None) | Plain::Null | Plain::Bool(_) | Plain::Text => None,
    };
    match value {
        Some(value) if value.is_finite() => Some(value),
        Some(_) => {
            let message = format!("{} is not a finite number", quoted(&scalar.text));
            report.raise(Code::InvalidNumber, message, "");
            None
        }
        None => {
            wrong_type(report, node, "a number");
            None
        }
    }
}

/// A duration, zero or longer.
pub fn duration(report: &mut Report, node: &Node) -> Option<Duration> {
    const HELP: &str = "write a number with a unit: `500ms`, `2s`, `1h30m`";
    let text = match &node.value {
        Value::Scalar(scalar) => &scalar.text,
        Value::Null | Value::Seq(_) | Value::Map(_) => {
            wrong_type(report, node, "a duration");
            return None;
        }
    };
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    if meaning(scalar) != Plain::Text {
        let message = format!("{} is not a duration", describe(node));
        report.raise(Code::InvalidDuration, message, HELP);
        return None;
    }
    let reason = match parse_duration(text) {
        Ok(duration) => return Some(duration),
        Err(DurationError::Malformed) => "is not a duration",
        Err(DurationError::NoUnit) => "is a duration without a unit",
        Err(DurationError::UnknownUnit) => "is a duration with an unknown unit",
        Err(DurationError::TooLong) => "is longer than a duration may be",
        Err(DurationError::Negative) => "is a negative duration",
    };
    report.raise(
        Code::InvalidDuration,
        format!("{} {reason}", quoted(text)),
        HELP,
    );
    None
}

/// Bytes in base64 with padding (RFC 4648 §4).
pub fn bytes(report: &mut Report, node: &Node) -> Option<Vec<u8>> {
    let text = string(report, node)?;
    // Line breaks are skipped, as Go's decoder does.
    let text = text.replace(['\r', '\n'], "");
    let decoded = STANDARD.decode(text);
    if decoded.is_err() {
        report.raise(
            Code::InvalidBytes,
            "the value is not base64",
            "encode the bytes in base64 with padding, or use the field for plain text",
        );
    }
    decoded.ok()
}

/// A symbol by its exact name or its number.
pub fn symbol<T: Copy>(
    report: &mut Report,
    node: &Node,
    symbols: &[(&'static str, i32, T)],
) -> Option<T> {
    let Value::Scalar(scalar) = &node.value else {
        wrong_type(report, node, "one of the values of this field");
        return None;
    };
    let numbered = |number: i128| symbols.iter().find(|row| i128::from(row.1) == number);
    let named = symbols.iter().find(|row| row.0 == &*scalar.text);
    let found = match meaning(scalar) {
        Plain::Int(Some(number)) => numbered(number),
        Plain::Float(value) if value.fract() == 0.0 => whole(value).and_then(numbered),
        Plain::Text => named,
        Plain::Int(None) | Plain::Null | Plain::Bool(_) | Plain::Float(_) => None,
    };
    if found.is_none() {
        let is_number = matches!(resolve(&scalar.text), Plain::Int(_) | Plain::Float(_));
        let names: Vec<_> = symbols.iter().map(|row| row.0).collect();
        let meant = match (named, quoted_integer(&scalar.text).and_then(numbered)) {
            (Some((name, ..)), _) => format!("write it in quotes: `\"{name}\"`;"),
            (None, Some((name, ..))) => format!("did you mean `{name}`?"),
            (None, None) => Some(suggestion(&scalar.text, &names))
                .filter(|meant| !meant.is_empty())
                .unwrap_or_else(|| kinship(&scalar.text, &names)),
        };
        let known = symbols.iter().map(|(name, number, _)| {
            let number = is_number.then(|| format!(" ({number})"));
            format!("`{name}`{}", number.unwrap_or_default())
        });
        let known = known.collect::<Vec<_>>().join(", ");
        let advice = format!("{meant} use one of {known}");
        report.raise(
            Code::InvalidEnum,
            format!("{} is not a value of this field", quoted(&scalar.text)),
            advice.trim_start(),
        );
    }
    found.map(|row| row.2)
}
