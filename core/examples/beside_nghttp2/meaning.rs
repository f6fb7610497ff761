//! What a head of theirs means in our words: our codec hands out what goes on to a peer of any version, where nghttp2 hands
//! out the fields as they came.

use bytes::BytesMut;
use outrigger_core::http2::HeadLimits;
use outrigger_core::http2::heads::read_trailers;
use outrigger_core::http2::hpack::{Decoder, Encoder};
use outrigger_core::message::Headers;

use crate::story::{Field, escaped};

/// The head, as ours would be told; `None` when that is nothing.
pub(crate) fn translated(fields: &[Field], is_tunnel: bool) -> Option<Vec<Field>> {
    let value = |name: &str| {
        let mut found = fields.iter().filter(|field| field.0 == name);
        found.next().map(|field| field.1.clone())
    };
    if !fields.iter().any(|field| field.0.starts_with(':')) {
        return trailers(fields);
    }
    let mut told: Vec<Field> = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        told.extend(value.map(|value| (name.to_owned(), value)));
    };
    let (method, status) = (value(":method"), value(":status"));
    if method.is_some() {
        // RFC 9113 §8.3.1: Host stands for an authority that is not there.
        let authority = value(":authority").or_else(|| value("host"));
        say(":method", method.clone());
        say(":authority", Some(authority.unwrap_or_default()));
        say(":path", value(":path").filter(|path| !path.is_empty()));
        say(":protocol", value(":protocol"));
    }
    say(":status", status.clone());
    let has_no_body = status
        .as_ref()
        .is_some_and(|status| status == "204" || status.starts_with('1'));
    let is_tunnel = is_tunnel
        && status
            .as_ref()
            .is_some_and(|status| status.starts_with('2'));
    let has_no_length =
        has_no_body || method.is_some_and(|method| method == "CONNECT") || is_tunnel;
    let is_request = status.is_none();
    let mut said_te = false;
    let mut cookie = None;
    for (name, value) in fields.iter().filter(|field| !field.0.starts_with(':')) {
        match name.as_str() {
            "http2-settings" => {}
            "host" if is_request => {}
            "content-length" if has_no_length => {}
            "te" if said_te => {}
            "te" => {
                said_te = true;
                told.push((name.clone(), value.to_ascii_lowercase()));
            }
            "cookie" => match cookie {
                // RFC 9113 §8.2.3.
                Some(at) => {
                    let joined: &mut Field = &mut told[at];
                    joined.1 += &(escaped(b"; ") + value);
                }
                None => {
                    cookie = Some(told.len());
                    told.push((name.clone(), value.clone()));
                }
            },
            _ => told.push((name.clone(), value.clone())),
        }
    }
    Some(told)
}

/// Which fields may stand in trailers is known to core alone.
fn trailers(fields: &[Field]) -> Option<Vec<Field>> {
    let mut block = BytesMut::new();
    let mut encoder = Encoder::new();
    for (name, value) in fields {
        encoder.field(&plain(name), &plain(value), &mut block);
    }
    let mut into = Headers::default();
    let read = read_trailers(
        &mut Decoder::new(4096),
        &block,
        &HeadLimits::TRAILERS,
        &mut into,
    );
    if !matches!(read, Ok(Ok(()))) {
        return Some(fields.to_vec());
    }
    let told = into
        .iter()
        .map(|field| (escaped(field.name), escaped(field.value)));
    Some(told.collect()).filter(|told: &Vec<_>| !told.is_empty())
}

/// The bytes that were escaped.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (octet, rest) = part.split_at(part.len().min(2));
        bytes.extend(u8::from_str_radix(octet, 16));
        bytes.extend(rest.as_bytes());
    }
    bytes
}
