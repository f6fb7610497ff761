//! The head of a request (RFC 9113 §8.3.1, §8.5, RFC 8441 §4).

use http::Method;

use super::fields;
use super::limits::HeadLimits;
use super::refusals::{
    AUTHORITY, FRAGMENT, LENGTH_NOT_ALLOWED, LENGTH_NOT_SENT, MANY_HOSTS, METHOD, NO_AUTHORITY,
    OTHER_HOST, PATH, PROTOCOL, PSEUDO_MISSING, PSEUDO_NOT_ALLOWED, PSEUDO_REPEATED,
    PSEUDO_UNKNOWN, SCHEME,
};
use crate::decision::Refused;
use crate::http1::{is_authority, is_authority_with_port};
use crate::http2::hpack::{CompressionError, Decoder};
use crate::message::{Headers, Known, RequestHead, Version, is_token_byte};
use crate::stream::{Begins, BodyLength};

/// Reads the head of a request into `into`. `ends_stream`: nothing follows it.
///
/// A request for another protocol (RFC 8441 §4) becomes `GET` with [`Begins::upgrade`]. Its bytes, and those of a CONNECT,
/// wait for the answer: they are no body.
///
/// # Errors
/// The block cannot be read, and with it the connection. The inner error is for this request alone: it is malformed or too
/// large. `into` then holds what had been read.
pub fn read_request(
    decoder: &mut Decoder,
    block: &[u8],
    ends_stream: bool,
    limits: &HeadLimits,
    into: &mut RequestHead,
) -> Result<Result<Begins, Refused>, CompressionError> {
    into.clear();
    into.version = Version::Http2;
    let mut seen = Pseudo::default();
    let (authority, path) = (&mut into.authority, &mut into.path);
    let read = fields::read(decoder, block, limits, &mut into.headers, |name, value| {
        seen.take(name, value, authority, path)
    })?;
    Ok(read.and_then(|()| judge(seen, ends_stream, into)))
}

/// Which pseudo-header fields were seen.
#[derive(Debug, Default)]
struct Pseudo {
    method: Option<Method>,
    scheme: bool,
    path: bool,
    authority: bool,
    protocol: Option<Box<str>>,
}

impl Pseudo {
    fn take(
        &mut self,
        name: &[u8],
        value: &[u8],
        authority: &mut Vec<u8>,
        path: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let is_again = match name {
            b":method" => {
                let method = Method::from_bytes(value).map_err(|_| METHOD)?;
                self.method.replace(method).is_some()
            }
            b":scheme" => {
                if !is_scheme(value) {
                    return Err(SCHEME);
                }
                core::mem::replace(&mut self.scheme, true)
            }
            b":path" => {
                path.extend_from_slice(value);
                core::mem::replace(&mut self.path, true)
            }
            b":authority" => {
                authority.extend_from_slice(value);
                core::mem::replace(&mut self.authority, true)
            }
            b":protocol" => {
                let protocol = protocol(value).ok_or(PROTOCOL)?;
                self.protocol.replace(protocol.into()).is_some()
            }
            [..] => return Err(PSEUDO_UNKNOWN),
        };
        if is_again {
            Err(PSEUDO_REPEATED)
        } else {
            Ok(())
        }
    }
}

/// RFC 3986 §3.1.
fn is_scheme(value: &[u8]) -> bool {
    let is_more = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    value.first().is_some_and(u8::is_ascii_alphabetic) && value.iter().all(is_more)
}

/// A name of RFC 9110 §7.8, as HTTP/1 takes it. `h2c` is never offered or taken.
fn protocol(value: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(value).ok()?;
    let is_legal = |byte: u8| is_token_byte(byte) || byte == b'/';
    let is_taken = !text.is_empty() && text.bytes().all(is_legal);
    (is_taken && !text.eq_ignore_ascii_case("h2c")).then_some(text)
}

/// Whether all is there that must be, and what it means.
fn judge(seen: Pseudo, ends_stream: bool, head: &mut RequestHead) -> Result<Begins, Refused> {
    let method = seen.method.ok_or(PSEUDO_MISSING)?;
    let is_connect = method == Method::CONNECT;
    let length = fields::length(&head.headers)?;
    if is_connect && seen.protocol.is_none() {
        // RFC 9113 §8.5.
        if seen.scheme || seen.path {
            return Err(PSEUDO_NOT_ALLOWED);
        }
        if !seen.authority {
            return Err(PSEUDO_MISSING);
        }
        if !is_authority_with_port(&head.authority) {
            return Err(AUTHORITY);
        }
    } else {
        // RFC 8441 §4: with `:protocol` it is CONNECT, and has all that a usual request has.
        if seen.protocol.is_some() && !is_connect {
            return Err(PSEUDO_NOT_ALLOWED);
        }
        if !seen.scheme || !seen.path || seen.protocol.is_some() && !seen.authority {
            return Err(PSEUDO_MISSING);
        }
        check_path(&method, &head.path)?;
    }
    take_host(seen.authority, &mut head.authority, &mut head.headers)?;
    if is_connect {
        // RFC 9113 §8.5: DATA is what goes through the tunnel.
        if length.is_some_and(|length| length > 0) {
            return Err(LENGTH_NOT_ALLOWED);
        }
        head.headers.remove(Known::ContentLength);
    }
    let body = match (is_connect, ends_stream, length) {
        (true, _, _) | (false, true, None) => BodyLength::None,
        // RFC 9113 §8.1.1.
        (false, true, Some(1..)) => return Err(LENGTH_NOT_SENT),
        (false, _, Some(length)) => BodyLength::Known(length),
        (false, false, None) => BodyLength::Unknown,
    };
    head.method = match seen.protocol {
        Some(_) => Method::GET,
        None => method,
    };
    Ok(Begins {
        body,
        upgrade: seen.protocol,
    })
}

/// RFC 9113 §8.3.1: origin form, or `*` for OPTIONS.
fn check_path(method: &Method, path: &[u8]) -> Result<(), Refused> {
    if memchr::memchr(b'#', path).is_some() {
        // As by HTTP/1: parsers disagree about what follows.
        return Err(FRAGMENT);
    }
    let is_star = path == b"*" && method == Method::OPTIONS;
    let is_origin = path.first() == Some(&b'/') && path.iter().all(u8::is_ascii_graphic);
    (is_star || is_origin).then_some(()).ok_or(PATH)
}

/// Host says what `:authority` says, or stands for it (RFC 9113 §8.3.1). It is removed, as by HTTP/1.
fn take_host(
    has_authority: bool,
    authority: &mut Vec<u8>,
    headers: &mut Headers,
) -> Result<(), Refused> {
    let mut hosts = headers.get_all(Known::Host);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(MANY_HOSTS);
    }
    match host {
        Some(host) if has_authority && !host.eq_ignore_ascii_case(authority) => {
            return Err(OTHER_HOST);
        }
        Some(host) if !has_authority => authority.extend_from_slice(host),
        Some(_) | None => {}
    }
    drop(hosts);
    if host.is_some() {
        headers.remove(Known::Host);
    }
    if authority.is_empty() {
        return Err(NO_AUTHORITY);
    }
    is_authority(authority).then_some(()).ok_or(AUTHORITY)
}

#[cfg(test)]
mod tests;
