//! Where a message ends: the one question on which request smuggling hangs, answered in one function per role.
//!
//! Every branch cites its rule. What could be read in two ways is refused, never repaired.

use http::{Method, StatusCode};

use super::number::decimal;
use super::refusals::{
    CODING, CODING_NOT_ALLOWED, LENGTH, LENGTH_AND_CHUNKED, LENGTH_NOT_ALLOWED, SWITCHED_UNASKED,
};
use crate::decision::Refused;
use crate::message::{Headers, Known, Version};
use crate::stream::BodyLength;

/// How the end of a message's body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// This many bytes (RFC 9112 §6.2).
    Length(u64),
    /// Chunks, then perhaps trailers (RFC 9112 §7.1).
    Chunked,
    /// Everything until the connection ends; responses only (RFC 9112 §6.3 rule 8).
    UntilClose,
    /// No longer HTTP: bytes pass both ways until the connection ends.
    Tunnel,
}

impl From<Framing> for BodyLength {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Tunnel => Self::None,
            Framing::Length(length) => Self::Known(length),
            Framing::Chunked | Framing::UntilClose => Self::Unknown,
        }
    }
}

/// The request that a response answers, as far as framing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// It asked to switch protocols, so 101 is a fair answer.
    pub upgrade: bool,
}

/// The framing of a request (RFC 9112 §6.3).
pub(super) fn of_request(
    version: Version,
    method: &Method,
    headers: &Headers,
) -> Result<Framing, Refused> {
    let coded = is_coded(headers);
    let length = length(headers);
    if *method == Method::CONNECT {
        // RFC 9110 §9.3.6: a CONNECT request has no content; what follows the head is not ours to frame.
        return match (coded, length?) {
            (true, _) => Err(Refused {
                status: 501,
                ..CODING_NOT_ALLOWED
            }),
            (false, Some(1..)) => Err(LENGTH_NOT_ALLOWED),
            (false, Some(0) | None) => Ok(Framing::None),
        };
    }
    if coded {
        // RFC 9112 §6.1: a server that does not understand the coding answers 501.
        only_chunked(headers)?;
        // RFC 9112 §6.1: with HTTP/1.0 the framing is to be treated as faulty.
        if version == Version::Http10 {
            return Err(CODING_NOT_ALLOWED);
        }
        // RFC 9112 §6.3 rule 3: both are an attempt to smuggle, or as good as one.
        if headers.get(Known::ContentLength).is_some() {
            return Err(LENGTH_AND_CHUNKED);
        }
        return Ok(Framing::Chunked);
    }
    // RFC 9112 §6.3 rules 5 (an invalid length is refused), 6 (a valid one frames) and 7 (none: no body).
    Ok(length?.map_or(Framing::None, Framing::Length))
}

/// The framing of a response (RFC 9112 §6.3).
pub(super) fn of_response(
    version: Version,
    status: StatusCode,
    asked: Asked<'_>,
    headers: &Headers,
) -> Result<Framing, Refused> {
    let coded = is_coded(headers);
    // RFC 9112 §6.3 rule 2: a 2xx to CONNECT makes a tunnel, whatever its fields say.
    if *asked.method == Method::CONNECT && status.is_success() {
        return Ok(Framing::Tunnel);
    }
    let length = length(headers)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        // RFC 9112 §6.1 and RFC 9110 §8.6: neither field may stand here. A zero harms nobody.
        if coded {
            return Err(CODING_NOT_ALLOWED);
        }
        if length.is_some_and(|n| n > 0) {
            return Err(LENGTH_NOT_ALLOWED);
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9112 §6.3 rule 1.
            return Ok(Framing::None);
        }
        // RFC 9110 §15.2.2: only after a request to switch.
        return if asked.upgrade {
            Ok(Framing::Tunnel)
        } else {
            Err(SWITCHED_UNASKED)
        };
    }
    if coded {
        // As for requests; a coding of a bodiless response is only talk, but it must be talk that we understand.
        only_chunked(headers)?;
        if version == Version::Http10 {
            return Err(CODING_NOT_ALLOWED);
        }
        if length.is_some() {
            return Err(LENGTH_AND_CHUNKED);
        }
    }
    if *asked.method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        // RFC 9112 §6.3 rule 1: the fields tell what a GET would have got.
        return Ok(Framing::None);
    }
    Ok(match (coded, length) {
        // RFC 9112 §6.3 rule 4.
        (true, _) => Framing::Chunked,
        // Rule 6.
        (false, Some(length)) => Framing::Length(length),
        // Rule 8.
        (false, None) => Framing::UntilClose,
    })
}

fn is_coded(headers: &Headers) -> bool {
    headers.get(Known::TransferEncoding).is_some()
}

/// Exactly one `Transfer-Encoding: chunked`. No other coding is implemented, and a second line or a list has been read in
/// different ways by different servers.
fn only_chunked(headers: &Headers) -> Result<(), Refused> {
    let mut codings = headers.get_all(Known::TransferEncoding);
    match (codings.next(), codings.next()) {
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        (..) => Err(CODING),
    }
}

/// The one valid Content-Length. RFC 9112 §6.3 rule 5 would let us take a repeated equal one; Envoy refuses it, and so do we.
fn length(headers: &Headers) -> Result<Option<u64>, Refused> {
    let mut lengths = headers.get_all(Known::ContentLength);
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(digits), None) => decimal(digits).map(Some).ok_or(LENGTH),
        (Some(_), Some(_)) => Err(LENGTH),
    }
}
