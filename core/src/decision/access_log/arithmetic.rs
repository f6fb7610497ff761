//! What is computed of the values of an expression.
//!
//! Owns CEL's rule for results that there are none of: one that is too large for 64 bits, a division by zero, or a text that
//! is no number has no value.

use std::borrow::Cow;

use super::value::Value;
use crate::snapshot::telemetry::{Arithmetic, To};

/// Of two values; of other types than the parser lets through there is none.
pub(super) fn compute<'a>(how: Arithmetic, left: Value<'a>, right: Value<'a>) -> Option<Value<'a>> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => whole(how, left, right).map(Value::Number),
        (Value::Duration(left), Value::Duration(right)) => {
            whole(how, left, right).map(Value::Duration)
        }
        (Value::Real(left), Value::Real(right)) => Some(Value::Real(match how {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => left % right,
        })),
        (Value::Text(left), Value::Text(right)) => {
            let mut both = left.into_owned();
            both.extend_from_slice(&right);
            Some(Value::Text(Cow::Owned(both)))
        }
        (
            Value::Boolean(_)
            | Value::Number(_)
            | Value::Duration(_)
            | Value::Real(_)
            | Value::Text(_),
            _,
        ) => None,
    }
}

const fn whole(how: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match how {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    }
}

/// A value as another type.
pub(super) fn convert(to: To, value: Value<'_>) -> Option<Value<'_>> {
    let text = |text: String| Value::Text(Cow::Owned(text.into_bytes()));
    Some(match (to, value) {
        (To::Number, Value::Number(number)) => Value::Number(number),
        (To::Number, Value::Real(real)) => Value::Number(towards_zero(real)?),
        (To::Number, Value::Text(of)) => Value::Number(parsed(&of)?),
        (To::Real, Value::Number(number)) => Value::Real(number as f64),
        (To::Real, Value::Real(real)) => Value::Real(real),
        (To::Real, Value::Text(of)) => Value::Real(parsed(&of)?),
        (To::Text, Value::Number(number)) => text(number.to_string()),
        (To::Text, Value::Real(real)) => text(real.to_string()),
        (To::Text, Value::Text(of)) => Value::Text(of),
        (_, Value::Boolean(_) | Value::Duration(_)) => return None,
    })
}

fn parsed<T: core::str::FromStr>(text: &[u8]) -> Option<T> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn towards_zero(real: f64) -> Option<i64> {
    // 2^63 is the first that does not fit.
    let fits = real.abs() < 9_223_372_036_854_775_808.0;
    fits.then_some(real as i64)
}
