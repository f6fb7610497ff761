//! The head of a response: from bytes to a version-neutral head and the facts of this connection.
//!
//! A little more forgiving than for requests: an upstream's LF line ends, folded lines and white space before a colon are
//! put right (RFC 9112 §2.2, §5.2, §5.1), because an application behind its own sidecar is not an attacker, and putting them right is unambiguous.

use http::StatusCode;

use super::field_lines::{self, Plain};
use super::framing::{self, Asked, Framing};
use super::hop_by_hop::Connection;
use super::limits::{Limits, MAX_FIELDS};
use super::refusals::{START_LINE, STATUS};
use crate::decision::Refused;
use crate::message::{Known, ResponseHead, Version};

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
    take(&parsed, None, asked, into)
}

/// As [`super::request_head::parse_at_once`].
pub(super) fn parse_at_once(
    bytes: &[u8],
    limits: &Limits,
    asked: Asked<'_>,
    into: &mut ResponseHead,
) -> Option<(ResponseFacts, usize)> {
    let mut room = field_lines::room();
    let room = &mut room[..limits.fields.min(MAX_FIELDS)];
    let mut parsed = httparse::Response::new(&mut []);
    // Without what is put right: that takes the other way.
    let plainly = httparse::ParserConfig::default();
    let read = plainly.parse_response_with_uninit_headers(&mut parsed, bytes, room);
    let Ok(httparse::Status::Complete(end)) = read else {
        return None;
    };
    let plain = Plain::of(&bytes[..end], parsed.headers)?;
    let facts = take(&parsed, Some(plain), asked, into).ok()?;
    Some((facts, end))
}

fn take(
    parsed: &httparse::Response<'_, '_>,
    plain: Option<Plain<'_>>,
    asked: Asked<'_>,
    into: &mut ResponseHead,
) -> Result<ResponseFacts, Refused> {
    let (Some(minor), Some(code)) = (parsed.version, parsed.code) else {
        return Err(START_LINE);
    };
    into.clear();
    into.status = StatusCode::from_u16(code).map_err(|_| STATUS)?;
    into.version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    match plain {
        Some(plain) => plain.copy(parsed.headers, &mut into.headers),
        None => field_lines::copy(parsed.headers, &mut into.headers),
    }?;
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
