//! What conditions on a request are worth.
//!
//! Owns CEL's rule for what has no value: it decides nothing, so `a || b` is true when one of them is, and a condition
//! that comes to nothing does not hold.

use std::borrow::Cow;

use core::cmp::Ordering;

use super::value::Value;
use super::{Logged, arithmetic, values};
use crate::snapshot::telemetry::{Attribute, Comparison, Expression, Literal};

/// Whether a condition holds.
pub(super) fn holds(condition: &Expression, logged: &Logged<'_>) -> bool {
    is_true(condition, logged) == Some(true)
}

/// What an expression comes to, as text; `None` where it has no value.
pub(super) fn printed(expression: &Expression, logged: &Logged<'_>) -> Option<String> {
    Some(match value(expression, logged)? {
        Value::Boolean(is_true) => is_true.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Real(real) => real.to_string(),
        Value::Text(text) => String::from_utf8_lossy(&text).into_owned(),
        // As a protobuf writes it.
        Value::Duration(nanos) => format!("{}s", nanos as f64 / 1e9),
    })
}

fn is_true(expression: &Expression, logged: &Logged<'_>) -> Option<bool> {
    match value(expression, logged)? {
        Value::Boolean(is_true) => Some(is_true),
        Value::Number(_) | Value::Real(_) | Value::Text(_) | Value::Duration(_) => None,
    }
}

fn value<'a>(expression: &'a Expression, logged: &Logged<'a>) -> Option<Value<'a>> {
    let both = |sides: &'a [Expression; 2]| {
        let [left, right] = sides;
        Some((text(left, logged)?, text(right, logged)?))
    };
    Some(Value::Boolean(match expression {
        Expression::Literal(literal) => return Some(of_literal(literal)),
        Expression::Attribute(attribute) => return of_attribute(attribute, logged),
        Expression::Has(attribute) => of_attribute(attribute, logged).is_some(),
        Expression::Not(of) => !is_true(of, logged)?,
        Expression::And(all) => decided(all, false, logged)?,
        Expression::Or(any) => decided(any, true, logged)?,
        Expression::Choice(of) => {
            let [condition, then, otherwise] = &**of;
            let is_true = is_true(condition, logged)?;
            return value(if is_true { then } else { otherwise }, logged);
        }
        Expression::Compare(comparison, sides) => {
            let [left, right] = &**sides;
            compare(*comparison, &value(left, logged)?, &value(right, logged)?)?
        }
        Expression::Compute(how, sides) => {
            let [left, right] = &**sides;
            return arithmetic::compute(*how, value(left, logged)?, value(right, logged)?);
        }
        Expression::Convert(to, of) => return arithmetic::convert(*to, value(of, logged)?),
        Expression::In(of, list) => {
            let of = value(of, logged)?;
            list.iter()
                .any(|item| value(item, logged).as_ref() == Some(&of))
        }
        Expression::StartsWith(sides) => {
            let (text, other) = both(sides)?;
            text.starts_with(&other)
        }
        Expression::EndsWith(sides) => {
            let (text, other) = both(sides)?;
            text.ends_with(&other)
        }
        Expression::Contains(sides) => {
            let (text, other) = both(sides)?;
            memchr::memmem::find(&text, &other).is_some()
        }
        Expression::Matches(of, regex) => regex.program.is_match(&text(of, logged)?),
        Expression::Size(of) => return Some(count(text(of, logged)?.len() as u64)),
    }))
}

fn text<'a>(expression: &'a Expression, logged: &Logged<'a>) -> Option<Cow<'a, [u8]>> {
    match value(expression, logged)? {
        Value::Text(text) => Some(text),
        Value::Boolean(_) | Value::Number(_) | Value::Real(_) | Value::Duration(_) => None,
    }
}

/// `deciding` if one part is that; the opposite if all are; nothing if some are nothing.
fn decided(parts: &[Expression], deciding: bool, logged: &Logged<'_>) -> Option<bool> {
    let mut result = Some(!deciding);
    for part in parts {
        match is_true(part, logged) {
            Some(is_true) if is_true == deciding => return Some(deciding),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

fn compare(comparison: Comparison, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
    let order = match (left, right) {
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right))
        | (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right)?,
        (Value::Number(left), Value::Real(right)) => (*left as f64).partial_cmp(right)?,
        (Value::Real(left), Value::Number(right)) => left.partial_cmp(&(*right as f64))?,
        (
            Value::Boolean(_)
            | Value::Number(_)
            | Value::Real(_)
            | Value::Text(_)
            | Value::Duration(_),
            _,
        ) => return None,
    };
    Some(match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    })
}

fn of_literal(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Boolean(is_true) => Value::Boolean(*is_true),
        Literal::Number(number) => Value::Number(*number),
        Literal::Real(real) => Value::Real(real.value()),
        Literal::Text(text) => Value::Text(Cow::Borrowed(text.as_bytes())),
        Literal::Duration(nanos) => Value::Duration(*nanos),
    }
}

fn count(number: u64) -> Value<'static> {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

fn of_attribute<'a>(attribute: &'a Attribute, logged: &Logged<'a>) -> Option<Value<'a>> {
    let Logged {
        record, snapshot, ..
    } = *logged;
    let request = &record.request;
    let around = &logged.around;
    let borrowed = |bytes: &'a [u8]| Value::Text(Cow::Borrowed(bytes));
    let whole = |bytes: &'a [u8]| Some(bytes).filter(|bytes| !bytes.is_empty());
    let printed = |text: String| Value::Text(Cow::Owned(text.into_bytes()));
    let port = |port: u16| Value::Number(port.into());
    Some(match attribute {
        Attribute::RequestPath => borrowed(whole(&request.path)?),
        Attribute::RequestUrlPath => borrowed(whole(request.path_only())?),
        Attribute::RequestQuery => borrowed(request.query().unwrap_or_default()),
        Attribute::RequestHost => borrowed(whole(&request.authority)?),
        Attribute::RequestScheme => borrowed(b"http"),
        Attribute::RequestMethod => {
            record.revision?;
            borrowed(request.method.as_str().as_bytes())
        }
        Attribute::RequestHeader(name) => borrowed(values::request_header(name, logged)?),
        Attribute::RequestProtocol => borrowed(request.version.as_str().as_bytes()),
        Attribute::RequestDuration => {
            let nanos = values::duration(record).as_nanos();
            Value::Duration(i64::try_from(nanos).unwrap_or(i64::MAX))
        }
        Attribute::RequestSize => count(record.bytes_received),
        Attribute::ResponseCode => count(record.status.into()),
        Attribute::ResponseCodeDetails => printed(record.details.to_string()),
        Attribute::ResponseFlags => count(record.flags().bits()),
        Attribute::ResponseGrpcStatus => count(values::grpc_status(logged)?),
        Attribute::ResponseHeader(name) => borrowed(values::response_header(name, logged)?),
        Attribute::ResponseSize => count(record.bytes_sent),
        Attribute::SourceAddress => printed(around.downstream_remote.to_string()),
        Attribute::SourcePort => port(around.downstream_remote.port()),
        Attribute::DestinationAddress => printed(around.downstream_local.to_string()),
        Attribute::DestinationPort => port(around.downstream_local.port()),
        Attribute::ConnectionMtls => {
            Value::Boolean(logged.tls.is_some_and(|tls| tls.peer.is_some()))
        }
        Attribute::UpstreamAddress => borrowed(values::upstream_host(record, snapshot)?),
        Attribute::UpstreamPort => port(values::upstream_address(logged)?.port()),
        Attribute::UpstreamLocalAddress => printed(around.upstream_local?.to_string()),
        Attribute::ClusterName => borrowed(values::upstream_cluster(record, snapshot)?.as_bytes()),
        Attribute::RouteName => borrowed(record.route_name(snapshot)?.as_bytes()),
        Attribute::VirtualHostName => borrowed(values::virtual_host(record, snapshot)?.as_bytes()),
    })
}
