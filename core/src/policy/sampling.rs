//! Whether the spans of a request are told, and what `x-request-id` has to do with it.
//!
//! The caller's trace headers go first, then what a proxy before this one has marked in `x-request-id`, then the client's
//! `x-client-trace-id`, then the configured share. Where the id is a UUID the share is taken by its first eight digits, as
//! Envoy does, so that all proxies that a request passes choose alike.

use crate::decision::{RequestIdMark, Sampled};
use crate::entropy::{Draw, Entropy};
use crate::message::{Headers, Known};
use crate::snapshot::TracePolicy;

/// How long a UUID is (RFC 9562 §4).
pub const UUID_LENGTH: usize = 36;

/// Where a UUID has its version, and Envoy its mark.
const MARK_AT: usize = 14;

/// The denominator of shares.
const WHOLE: u64 = 10_000;

/// Decides. `by_caller` is what trace headers say.
#[must_use]
pub fn decide(
    policy: &TracePolicy,
    by_caller: Option<bool>,
    headers: &Headers,
    entropy: Entropy,
) -> Sampled {
    if let Some(sampled) = by_caller {
        return Sampled::ByCaller(sampled);
    }
    let id = headers.get(Known::XRequestId).and_then(as_uuid);
    let id = id.filter(|_| policy.by_request_id);
    if let Some(mark) = id.and_then(mark_of) {
        return Sampled::ByRequestId(mark);
    }
    if headers.get(Known::XClientTraceId).is_some() {
        return Sampled::ByClient;
    }
    let number = id.and_then(first_digits);
    let number = number.unwrap_or_else(|| entropy.draw(Draw::Sampling, 0));
    Sampled::ByChance(number % WHOLE < policy.sampled_of_10000.into())
}

/// Marks the request's id with what was decided. An id that is no UUID has no place for it, and one that says nothing of
/// traces stays as it is when nothing is told.
pub fn mark(headers: &mut Headers, sampled: Sampled) {
    let id = headers.get(Known::XRequestId).and_then(as_uuid);
    let Some(mut id) = id.copied() else {
        return;
    };
    let digit = match sampled.mark() {
        Some(RequestIdMark::Sampled) => b'9',
        Some(RequestIdMark::Forced) => b'a',
        Some(RequestIdMark::Client) => b'b',
        None if mark_of(&id).is_some() => b'4',
        None => return,
    };
    if id[MARK_AT] != digit {
        id[MARK_AT] = digit;
        headers.set(Known::XRequestId, &id);
    }
}

fn as_uuid(id: &[u8]) -> Option<&[u8; UUID_LENGTH]> {
    let id: &[u8; UUID_LENGTH] = id.try_into().ok()?;
    let is_uuid = id.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    is_uuid.then_some(id)
}

const fn mark_of(id: &[u8; UUID_LENGTH]) -> Option<RequestIdMark> {
    match id[MARK_AT] {
        b'9' => Some(RequestIdMark::Sampled),
        b'a' => Some(RequestIdMark::Forced),
        b'b' => Some(RequestIdMark::Client),
        _ => None,
    }
}

fn first_digits(id: &[u8; UUID_LENGTH]) -> Option<u64> {
    let digits = std::str::from_utf8(&id[..8]).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
