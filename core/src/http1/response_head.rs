//! The head of a response: from bytes to a version-neutral head and the facts of this connection.
//!
//! A little more forgiving than for requests: an upstream's LF line ends, folded lines and white space before a colon are
//! put right (RFC 9112 §2.2, §5.2, §5.1), because an application behind its own sidecar is not an attacker, and putting them right is unambiguous.

use http::StatusCode;

use super::field_lines;
use super::framing::{self, Asked, Framing};
use super::hop_by_hop::Connection;
use super::limits::{Limits, MAX_FIELDS};
use super::plain::{Lengths, Plain};
use super::refusals::{HEAD_TOO_LARGE, START_LINE, STATUS};
use crate::decision::Refused;
use crate::message::{Headers, Known, ResponseHead, Version};

/// What a response says about its own transport, which its [`ResponseHead`] does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseFacts {
    /// How its body is framed.
    pub framing: Framing,
    /// The connection may carry another request once the body has ended.
    pub keep_alive: bool,
    /// 1xx but not 101: another head follows.
    pub interim: bool,
    /// 101, or 2xx to CONNECT: the connection is a tunnel now.
    pub switched: bool,
    /// The protocol of a 101.
    pub upgrade: Option<Box<str>>,
}

/// Reads a complete head; `bytes` ends with its empty line.
pub(super) fn parse(
    bytes: &[u8],
    limits: &Limits,
    asked: Asked<'_>,
    into: &mut ResponseHead,
) -> Result<ResponseFacts, Refused> {
    let mut room = field_lines::room();
    let room = &mut room[..limits.fields.min(MAX_FIELDS)];
    let mut parsed = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    // RFC 9112 §5.1: a proxy removes white space between name and colon from a response.
    config.allow_spaces_after_header_name_in_responses(true);
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, room) {
        Ok(httparse::Status::Complete(end)) if end == bytes.len() => {}
        Ok(_) => return Err(START_LINE),
        Err(error) => return Err(field_lines::refusal(error)),
    }
    let (Some(minor), Some(code)) = (parsed.version, parsed.code) else {
        return Err(START_LINE);
    };
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let status = StatusCode::from_u16(code).map_err(|_| STATUS)?;
    take((version, status), asked, into, |headers| {
        field_lines::copy(parsed.headers, headers)
    })
}

/// As [`super::request_head::parse_at_once`].
pub(super) fn parse_at_once(
    bytes: &[u8],
    limits: &Limits,
    asked: Asked<'_>,
    into: &mut ResponseHead,
) -> Option<(ResponseFacts, usize)> {
    let mut lengths = Lengths::new();
    let plain = Plain::read(bytes, limits, &mut lengths)?;
    let line = status_line(plain.first_line)?;
    let facts = take(line, asked, into, |headers| {
        plain.copy(&lengths, headers).map_err(|_| HEAD_TOO_LARGE)
    });
    Some((facts.ok()?, plain.len))
}

/// Takes a status line apart (RFC 9112 §4) that is as it would be written. `None` says nothing about it.
fn status_line(line: &[u8]) -> Option<(Version, StatusCode)> {
    let (version, rest) = line.split_first_chunk::<{ b"HTTP/1.1 ".len() }>()?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let (code, reason) = rest.split_first_chunk::<3>()?;
    let status = StatusCode::from_bytes(code).ok()?;
    matches!(reason, [] | [b' ', ..]).then_some((version, status))
}

fn take(
    (version, status): (Version, StatusCode),
    asked: Asked<'_>,
    into: &mut ResponseHead,
    copy_fields: impl FnOnce(&mut Headers) -> Result<(), Refused>,
) -> Result<ResponseFacts, Refused> {
    into.clear();
    (into.version, into.status) = (version, status);
    copy_fields(&mut into.headers)?;
    facts(asked, into)
}

/// Reads what concerns the connection and removes it from the head.
fn facts(asked: Asked<'_>, head: &mut ResponseHead) -> Result<ResponseFacts, Refused> {
    let (version, status) = (head.version, head.status);
    let headers = &mut head.headers;
    let framing = framing::of_response(version, status, asked, headers)?;
    let connection = Connection::read(headers)?;
    let switched = framing == Framing::Tunnel;
    let facts = ResponseFacts {
        framing,
        keep_alive: connection.persists(version)
            && !matches!(framing, Framing::UntilClose | Framing::Tunnel),
        interim: status.is_informational() && !switched,
        switched,
        upgrade: (status == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| connection.upgrade_token(version, headers))
            .flatten(),
    };
    let bodiless = status.is_informational() || status == StatusCode::NO_CONTENT || switched;
    let also: &[Known] = if bodiless {
        &[Known::ContentLength]
    } else {
        &[]
    };
    connection.strip(headers, also);
    Ok(facts)
}
