//! Heads and trailers to header blocks, in a way that no value can break out of its place.
//!
//! Heads reach a writer after header operations and rewrites from configuration, so nothing is taken on trust: a field that
//! HTTP/2 or a later hop would refuse is left out, a byte that may not stand in a path or an authority is percent-encoded.

use bytes::BytesMut;
use http::{Method, StatusCode};

use crate::http1::{decimal, is_hop_by_hop, may_be_trailer, put_escaped, trim};
use crate::http2::hpack::Encoder;
use crate::message::{Field, Headers, Known, RequestHead, ResponseHead, digits};
use crate::stream::{Begins, BodyLength};

/// The protocol that a request asks for instead. Only GET can: extended CONNECT has no place for another method.
pub(super) fn switches_to<'a>(head: &RequestHead, begins: &'a Begins) -> Option<&'a str> {
    let protocol = begins.upgrade.as_deref()?;
    let is_writable = !protocol.is_empty() && protocol.bytes().all(|byte| byte.is_ascii_graphic());
    (head.method == Method::GET && is_writable).then_some(protocol)
}

/// Appends the block of a request's head. What asks for another protocol becomes an extended CONNECT (RFC 8441 §4); with a
/// method other than GET it is a usual request.
pub fn write_request(
    encoder: &mut Encoder,
    head: &RequestHead,
    begins: &Begins,
    out: &mut BytesMut,
) {
    encoder.begin(out);
    let protocol = switches_to(head, begins);
    let method = match protocol {
        Some(_) => Method::CONNECT.as_str(),
        None => head.method.as_str(),
    };
    encoder.field(b":method", method.as_bytes(), out);
    if let Some(protocol) = protocol {
        encoder.field(b":protocol", protocol.as_bytes(), out);
    }
    // RFC 9113 §8.5: a CONNECT has neither scheme nor path.
    if protocol.is_some() || head.method != Method::CONNECT {
        encoder.field(b":scheme", scheme(&head.headers), out);
        put_path(encoder, &head.path, out);
    }
    // An HTTP/1.0 client may have sent none, and an empty one must not be made up (RFC 9113 §8.3.1).
    if !head.authority.is_empty() {
        put_text(encoder, b":authority", &head.authority, out);
    }
    put_fields(
        encoder,
        &head.headers,
        &[Known::Host, Known::ContentLength],
        out,
    );
    match begins.body {
        BodyLength::Known(length) if protocol.is_none() => put_length(encoder, length, out),
        BodyLength::Known(_) | BodyLength::None | BodyLength::Unknown => {}
    }
}

/// Appends the block of a response's head, final or interim. A 101 becomes the 200 that HTTP/2 has in its place (RFC 8441
/// §5). Without a body the length that the head tells stays: that of an answer to HEAD, or of a 304.
pub fn write_response(
    encoder: &mut Encoder,
    head: &ResponseHead,
    body: BodyLength,
    out: &mut BytesMut,
) {
    encoder.begin(out);
    let is_switch = head.status == StatusCode::SWITCHING_PROTOCOLS;
    let status = if is_switch {
        StatusCode::OK
    } else {
        head.status
    };
    encoder.field(b":status", status.as_str().as_bytes(), out);
    put_fields(encoder, &head.headers, &[Known::ContentLength], out);
    // RFC 9110 §8.6: none in these.
    if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
        return;
    }
    let told = || head.headers.get(Known::ContentLength).and_then(decimal);
    let length = match body {
        BodyLength::Known(length) => Some(length),
        BodyLength::None => told(),
        BodyLength::Unknown => None,
    };
    if let Some(length) = length {
        put_length(encoder, length, out);
    }
}

/// Appends the block of trailers.
pub fn write_trailers(encoder: &mut Encoder, trailers: &Headers, out: &mut BytesMut) {
    encoder.begin(out);
    for field in trailers.iter().filter(|field| may_be_trailer(*field)) {
        put_field(encoder, field, out);
    }
}

/// The scheme by which the client came, as the policy has noted it (Envoy does the same). The peer gets no TLS from us.
fn scheme(headers: &Headers) -> &'static [u8] {
    match headers.get(Known::XForwardedProto) {
        Some(b"https") => b"https",
        Some(_) | None => b"http",
    }
}

fn put_path(encoder: &mut Encoder, path: &[u8], out: &mut BytesMut) {
    // A rewrite may have left anything; origin form begins with a slash (RFC 9113 §8.3.1).
    if path.first() == Some(&b'/') || path == b"*" {
        put_text(encoder, b":path", path, out);
    } else {
        put_text(encoder, b":path", &[b"/", path].concat(), out);
    }
}

/// Appends text of which every byte is printable ASCII and no fragment begins.
fn put_text(encoder: &mut Encoder, name: &[u8], text: &[u8], out: &mut BytesMut) {
    if text
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    {
        encoder.field(name, text, out);
    } else {
        let mut escaped = BytesMut::new();
        put_escaped(text, &mut escaped);
        encoder.field(name, &escaped, out);
    }
}

fn put_fields(encoder: &mut Encoder, headers: &Headers, written: &[Known], out: &mut BytesMut) {
    for field in headers.iter() {
        let is_legal = match field.known {
            // RFC 9113 §8.2.2.
            Known::Te => field.value.eq_ignore_ascii_case(b"trailers"),
            known => !written.contains(&known) && !is_hop_by_hop(field),
        };
        if is_legal {
            put_field(encoder, field, out);
        }
    }
}

fn put_field(encoder: &mut Encoder, field: Field<'_>, out: &mut BytesMut) {
    if !field.is_writable() {
        return;
    }
    // RFC 9113 §8.2.1: no white space at either end, which configuration may have put there.
    let value = trim(field.value);
    if field.never_indexed {
        encoder.never_indexed(field.name, value, out);
    } else {
        encoder.field(field.name, value, out);
    }
}

fn put_length(encoder: &mut Encoder, length: u64, out: &mut BytesMut) {
    encoder.field(b"content-length", digits::<10>(length, &mut [0; 20]), out);
}

#[cfg(test)]
mod tests;
