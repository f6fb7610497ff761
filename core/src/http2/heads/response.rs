//! The head of a response, final or interim (RFC 9113 §8.1, §8.3.2).

use http::{Method, StatusCode};

use super::fields;
use super::limits::HeadLimits;
use super::refusals::{
    INTERIM_END, LENGTH_NOT_ALLOWED, LENGTH_NOT_SENT, PSEUDO_MISSING, PSEUDO_REPEATED,
    PSEUDO_UNKNOWN, STATUS, SWITCHED, of_upstream,
};
use super::write::switches_to;
use crate::decision::Refused;
use crate::http2::hpack::{CompressionError, Decoder};
use crate::message::{Known, RequestHead, ResponseHead, Version};
use crate::stream::{Answer, Begins, BodyLength};

/// The request that a response answers, as far as the response's meaning depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Its answer is as any other.
    #[default]
    Usual,
    /// HEAD: the answer has no body, whatever it says.
    Head,
    /// CONNECT: after a 2xx the stream is a tunnel.
    Connect,
    /// Another protocol (RFC 8441 §4): so it is after a 2xx.
    Upgrade(Box<str>),
}

impl Asked {
    /// What a request asks as [`write_request`](super::write_request) writes it.
    #[must_use]
    pub fn of(head: &RequestHead, begins: &Begins) -> Self {
        if let Some(protocol) = switches_to(head, begins) {
            Self::Upgrade(protocol.into())
        } else if head.method == Method::CONNECT {
            Self::Connect
        } else if head.method == Method::HEAD {
            Self::Head
        } else {
            Self::Usual
        }
    }
}

/// Reads the head of a response into `into`. `ends_stream`: nothing follows it.
///
/// The answer that opens a stream to another protocol becomes a 101, as it is by HTTP/1. A response without a body is told
/// as [`BodyLength::None`] even where the stream ends later.
///
/// # Errors
/// The block cannot be read, and with it the connection. The inner error is for this response alone: it is malformed or too
/// large; the status of the refusal is 502.
pub fn read_response(
    decoder: &mut Decoder,
    block: &[u8],
    ends_stream: bool,
    asked: &Asked,
    limits: &HeadLimits,
    into: &mut ResponseHead,
) -> Result<Result<Answer, Refused>, CompressionError> {
    into.clear();
    into.version = Version::Http2;
    let mut status = None;
    let read = fields::read(decoder, block, limits, &mut into.headers, |name, value| {
        if name != b":status" {
            return Err(PSEUDO_UNKNOWN);
        }
        let code = StatusCode::from_bytes(value).map_err(|_| STATUS)?;
        status
            .replace(code)
            .map_or(Ok(()), |_| Err(PSEUDO_REPEATED))
    })?;
    let judged = read.and_then(|()| {
        into.status = status.ok_or(PSEUDO_MISSING)?;
        judge(ends_stream, asked, into)
    });
    Ok(judged.map_err(of_upstream))
}

fn judge(ends_stream: bool, asked: &Asked, head: &mut ResponseHead) -> Result<Answer, Refused> {
    let status = head.status;
    // RFC 9113 §8.6.
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(SWITCHED);
    }
    if status.is_success() {
        match asked {
            // RFC 9110 §9.3.6 and RFC 8441 §5: whatever its fields say of a length.
            Asked::Connect => {
                head.headers.remove(Known::ContentLength);
                return Ok(Answer::Switched(None));
            }
            Asked::Upgrade(protocol) => {
                head.headers.remove(Known::ContentLength);
                head.status = StatusCode::SWITCHING_PROTOCOLS;
                return Ok(Answer::Switched(Some(protocol.clone())));
            }
            Asked::Usual | Asked::Head => {}
        }
    }
    let length = fields::length(&head.headers)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6: not in these. A zero harms nobody.
        if length.is_some_and(|length| length > 0) {
            return Err(LENGTH_NOT_ALLOWED);
        }
        head.headers.remove(Known::ContentLength);
        return match (status.is_informational(), ends_stream) {
            // RFC 9113 §8.1.
            (true, true) => Err(INTERIM_END),
            (true, false) => Ok(Answer::Interim),
            (false, _) => Ok(Answer::Final(BodyLength::None)),
        };
    }
    if *asked == Asked::Head || status == StatusCode::NOT_MODIFIED {
        // RFC 9113 §8.1.1: the length is of what a GET would have got.
        return Ok(Answer::Final(BodyLength::None));
    }
    Ok(Answer::Final(match (ends_stream, length) {
        (true, None) => BodyLength::None,
        (true, Some(1..)) => return Err(LENGTH_NOT_SENT),
        (_, Some(length)) => BodyLength::Known(length),
        (false, None) => BodyLength::Unknown,
    }))
}

#[cfg(test)]
mod tests;
