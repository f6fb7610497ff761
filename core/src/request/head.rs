//! What the proxy itself takes out of heads and puts into them (reference: header sanitising and additions).

use smallvec::SmallVec;

use super::{Context, grpc};
use crate::decision::Record;
use crate::entropy::{Draw, Entropy};
use crate::message::{Field, HEX_PAIRS, Known, ResponseHead, digits};
use crate::policy::{grpc_timeout, timeouts};
use crate::time::Duration;

/// Fields a client may not set on us: they steer timeouts and retries, and a sidecar's client is external to Envoy.
const INTERNAL_ONLY: [&[u8]; 13] = [
    b"x-envoy-expected-rq-timeout-ms",
    b"x-envoy-force-trace",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-internal",
    b"x-envoy-ip-tags",
    b"x-envoy-max-retries",
    b"x-envoy-original-url",
    b"x-envoy-retriable-header-names",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-retry-on",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-rq-timeout-alt-response",
];

/// Two more, which share a prefix.
const TIMEOUTS: &[u8] = b"x-envoy-upstream-rq-";

/// Makes a request's head fit to be routed and forwarded. `is_over_tls`: its client's connection is protected.
pub(super) fn sanitize(is_over_tls: bool, record: &mut Record) {
    let headers = &mut record.request.headers;
    headers.remove_if_begins(b"x-envoy-", is_internal_only);
    if headers.get(Known::XForwardedProto).is_none() {
        let scheme: &[u8] = match is_over_tls {
            false => b"http",
            true => b"https",
        };
        headers.append_own(Known::XForwardedProto, scheme);
    }
    if headers.get(Known::XRequestId).is_none() {
        headers.append_own(Known::XRequestId, &request_id(record.entropy));
    }
}

fn is_internal_only(field: Field<'_>) -> bool {
    INTERNAL_ONLY.contains(&field.name) || field.name.starts_with(TIMEOUTS)
}

/// A UUID of version 4 (RFC 9562 §5.4) from the request's random number. Its 15th character `4` says "not traced" to
/// Envoys further on.
fn request_id(entropy: Entropy) -> [u8; 36] {
    let high = entropy.draw(Draw::RequestIdHigh, 0) & !0xf000 | 0x4000;
    let low = entropy.draw(Draw::RequestIdLow, 0) & !(0b11 << 62) | 0b10 << 62;
    let octets = ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
    let mut text = [b'-'; 36];
    for (octet, at) in octets.iter().zip(PLACES) {
        text[at..at + 2].copy_from_slice(&HEX_PAIRS[usize::from(*octet)]);
    }
    text
}

/// Where the two digits of each octet of a UUID stand.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Tells the endpoint which attempt it sees, whatever the client said of that, and how long it has for it.
pub(super) fn announce_attempt(context: &Context<'_>, record: &mut Record) {
    let mut text = [0u8; 20];
    let count = digits::<10>(u64::from(record.retries) + 1, &mut text);
    record
        .request
        .headers
        .set_own(Known::XEnvoyAttemptCount, count);
    let elapsed = context.complete_since.map(|at| context.now.since(at));
    let elapsed = elapsed.unwrap_or_default();
    let Some(millis) = timeouts::expected_millis(record.timeouts, elapsed) else {
        return;
    };
    let headers = &mut record.request.headers;
    let expected = digits::<10>(millis, &mut text);
    headers.set_own(Known::XEnvoyExpectedRqTimeoutMs, expected);
    if !context.peer.listener.is_inbound() && grpc::is_request(&record.request) {
        let (number, unit) = grpc_timeout::of_millis(millis);
        let mut value = SmallVec::<[u8; 9]>::from_slice(digits::<10>(number, &mut text));
        value.push(unit);
        let headers = &mut record.request.headers;
        headers.set_own(Known::GrpcTimeout, &value);
    }
}

/// Makes an endpoint's response head fit for the client.
pub(super) fn decorate_response(
    service_time: Option<Duration>,
    record: &mut Record,
    response: &mut ResponseHead,
    date: &[u8; 29],
) {
    if let Some(time) = service_time {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        record.upstream_service_ms = Some(millis);
        let mut text = [0u8; 20];
        let value = digits::<10>(millis, &mut text);
        response
            .headers
            .set_own(Known::XEnvoyUpstreamServiceTime, value);
    }
    finish(response, date);
}

/// Tells the client what those say to it who were asked about its request.
pub(super) fn tell_checked(record: &Record, response: &mut ResponseHead) {
    let Some(told) = &record.told_fields else {
        return;
    };
    for field in told.set.iter() {
        response.headers.remove_if(|of| of.name == field.name);
    }
    for field in told.set.iter().chain(told.added.iter()) {
        let _ = response.headers.append(field.name, field.value);
    }
}

/// What every final response carries; the server's name replaces the upstream's (Envoy's OVERWRITE).
pub(super) fn finish(response: &mut ResponseHead, date: &[u8; 29]) {
    if response.headers.get(Known::Date).is_none() {
        response.headers.append_own(Known::Date, date);
    }
    response.headers.set_own(Known::Server, b"outrigger");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_version_4_uuids() {
        for seed in 0..1000 {
            let id = request_id(Entropy(seed));
            let text = std::str::from_utf8(&id).unwrap();
            assert_eq!(text.len(), 36);
            assert_eq!(&text[14..15], "4");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
            assert!([8, 13, 18, 23].iter().all(|at| &text[*at..=*at] == "-"));
        }
        assert_ne!(request_id(Entropy(1)), request_id(Entropy(2)));
    }

    #[test]
    fn it_says_how_the_client_came_unless_somebody_before_did() {
        for (said, is_over_tls, want) in [
            (None, false, "http"),
            (None, true, "https"),
            (Some("http"), true, "http"),
            (Some("https"), false, "https"),
        ] {
            let mut record = Record::default();
            let headers = &mut record.request.headers;
            if let Some(said) = said {
                headers.append_known(Known::XForwardedProto, said.as_bytes());
            }
            sanitize(is_over_tls, &mut record);
            let proto = record.request.headers.get(Known::XForwardedProto);
            assert_eq!(proto, Some(want.as_bytes()), "{said:?} {is_over_tls}");
        }
    }

    #[test]
    fn clients_cannot_steer_the_proxy() {
        let mut record = Record::default();
        for name in [
            "x-envoy-retry-on",
            "x-envoy-upstream-rq-timeout-ms",
            "x-envoy-decorator-operation",
            "x-mine",
        ] {
            record
                .request
                .headers
                .append(name.as_bytes(), b"1")
                .unwrap();
        }
        sanitize(false, &mut record);
        let left: Vec<_> = record
            .request
            .headers
            .iter()
            .map(|f| String::from_utf8_lossy(f.name).into_owned())
            .collect();
        assert_eq!(
            left,
            [
                "x-envoy-decorator-operation",
                "x-mine",
                "x-forwarded-proto",
                "x-request-id"
            ]
        );
    }
}
