//! One request as a line of an access log.
//!
//! Owns what a line is made from and which requests a log takes. What the operators of a format are worth is in `values`,
//! how dates are written in `times`, JSON in `json`, conditions in `condition`. Where lines go, and when, is the program's
//! business.

mod arithmetic;
mod condition;
mod json;
mod times;
mod value;
mod values;

use std::collections::BTreeMap;

use core::net::SocketAddr;

use super::record::Record;
use crate::entropy::Draw;
use crate::message::ResponseHead;
use crate::peer::TlsFacts;
use crate::snapshot::Snapshot;
use crate::snapshot::telemetry::{AccessLog, Expression, LogFormat, LogPart, LogText, OnlySome};
use crate::time::Duration;

/// What a line shows and no record holds: the calendar, and the addresses of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// When the request began, since 1970-01-01 UTC.
    pub began: Duration,
    /// The client.
    pub downstream_remote: SocketAddr,
    /// Our address towards the client.
    pub downstream_local: SocketAddr,
    /// Our address on the last attempt's connection.
    pub upstream_local: Option<SocketAddr>,
}

/// Where the proxy runs, as it was when it began (`%HOSTNAME%`, `%ENVIRONMENT%`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The name of the machine, or of the pod.
    pub hostname: String,
    /// The variables of its environment.
    pub environment: BTreeMap<String, String>,
}

/// Everything that a line may show.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// The story.
    pub record: &'a Record,
    /// What decided it.
    pub snapshot: &'a Snapshot,
    /// The head of the response that the client saw, or of the last one of an endpoint.
    pub response: &'a ResponseHead,
    /// The calendar, and the addresses of sockets.
    pub around: Surroundings,
    /// What TLS has proved of the client; `None` for clear text.
    pub tls: Option<&'a TlsFacts>,
    /// Where the proxy runs.
    pub place: &'a Place,
}

/// What an expression comes to of a request, as text; `None` where it has no value.
#[must_use]
pub fn printed(expression: &Expression, logged: &Logged<'_>) -> Option<String> {
    condition::printed(expression, logged)
}

/// Appends a line, with its line end.
pub fn write(format: &LogFormat, logged: &Logged<'_>, out: &mut Vec<u8>) {
    match format {
        LogFormat::Text(text) => push_text(text, logged, out),
        LogFormat::Json {
            object,
            omits_empty,
        } => {
            json::push(object, *omits_empty, logged, out);
            out.push(b'\n');
        }
    }
}

/// What a format string without a line end comes to.
#[must_use]
pub fn filled(text: &LogText, logged: &Logged<'_>) -> String {
    let mut out = Vec::new();
    push_text(text, logged, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn push_text(text: &LogText, logged: &Logged<'_>, out: &mut Vec<u8>) {
    for part in &text.parts {
        match part {
            LogPart::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            LogPart::Operator(operator, length) => {
                let start = out.len();
                if values::push(operator, logged, out) {
                    cut(*length, start, out);
                } else if !text.omits_empty {
                    out.push(b'-');
                }
            }
        }
    }
}

/// Takes no more than so many bytes of what was appended from `start` on.
fn cut(length: Option<usize>, start: usize, out: &mut Vec<u8>) {
    if let Some(length) = length {
        out.truncate(start.saturating_add(length));
    }
}

/// Whether a log is of requests that ended so: what can be told before anybody asks the calendar. Its filter may be against it.
#[must_use]
pub fn may_take(log: &AccessLog, record: &Record) -> bool {
    log.only.is_none_or(|only| is_one_of(only, record))
}

/// Whether a log takes a request.
#[must_use]
pub fn takes(log: &AccessLog, logged: &Logged<'_>) -> bool {
    let filter = log.filter.as_deref();
    may_take(log, logged.record) && filter.is_none_or(|filter| condition::holds(filter, logged))
}

fn is_one_of(only: OnlySome, record: &Record) -> bool {
    let is_error = || record.status == 0 || record.status >= 400 || !record.flags().is_empty();
    let is_slow = |most| record.ended.since(record.began) >= most;
    let drawn = || record.entropy.draw(Draw::AccessLog, 0);
    only.errors && is_error()
        || only.slow.is_some_and(is_slow)
        || only.sample.is_some_and(|share| share.takes(drawn()))
}

/// A time since 1970-01-01 UTC as the access log writes it: RFC 3339 with milliseconds.
pub const fn rfc3339(since_epoch: Duration) -> impl core::fmt::Display {
    times::Rfc3339(since_epoch)
}

#[cfg(test)]
mod tests;
