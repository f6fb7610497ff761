//! gRPC-Web to gRPC and back (gRPC over HTTP, `PROTOCOL-WEB.md`), as Envoy's filter of that name does it.
//!
//! Owns what becomes of heads, and which way bodies go: browsers see no trailers, so those of a response become the last
//! frame of its body; and both bodies may be base64 (`grpc-web-text`). Whether a request is translated at all is its port's
//! business ([`VirtualHost::grpc_web`](crate::snapshot::VirtualHost)). Bytes are translated as they come and nothing waits
//! for the end of a message, but for answers that are no gRPC: their text goes into the head.

mod answer_text;
mod text;
mod trailers;

pub use answer_text::{ANSWER_TEXT, AnswerText};
pub use text::{BadBase64, TextDecoder, TextEncoder};
pub use trailers::frame as trailers_frame;

use bytes::BytesMut;
use http::StatusCode;

use super::grpc_status;
pub use crate::decision::GrpcWeb;
use crate::message::{Headers, Known, RequestHead, ResponseHead};

const BINARY: [&[u8]; 2] = [b"application/grpc-web", b"application/grpc-web+proto"];
const TEXT: [&[u8]; 2] = [
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// The body of a translated request.
#[derive(Clone, Debug)]
pub enum RequestBody {
    /// It goes on as it comes.
    Binary,
    /// It is decoded.
    Text(TextDecoder),
}

/// The body of a translated response.
#[derive(Clone, Debug)]
pub enum ResponseBody {
    /// It goes on as it comes.
    Binary,
    /// It is encoded.
    Text(TextEncoder),
    /// The service, or this proxy, answered something else than gRPC: the head waits for the body and takes its text.
    Answer(AnswerText),
}

impl GrpcWeb {
    /// Makes the head of a gRPC-Web request one of gRPC. `None` for every other request, which stays as it is.
    pub fn of_request(head: &mut RequestHead) -> Option<Self> {
        let is_one = |known: &[&[u8]], value: &[u8]| known.contains(&value);
        let kind = head.headers.get(Known::ContentType)?;
        let text_request = is_one(&TEXT, kind);
        if !text_request && !is_one(&BINARY, kind) {
            return None;
        }
        let text_response = first(&head.headers, b"accept").is_some_and(|kind| is_one(&TEXT, kind));
        let headers = &mut head.headers;
        // Of the body as the client sends it; HTTP/2 needs none, and HTTP/1.1 goes by chunks.
        headers.remove(Known::ContentLength);
        headers.set(Known::ContentType, grpc_status::CONTENT_TYPE);
        headers.set(Known::Te, b"trailers");
        let encodings: &[u8] = b"grpc-accept-encoding";
        if first(headers, encodings).is_none() {
            // A name of this length always has room, and a head without room for it was refused before.
            let _ = headers.append(encodings, b"identity");
        }
        Some(Self {
            text_request,
            text_response,
        })
    }

    /// How the body of the request is translated.
    #[must_use]
    pub fn request_body(self) -> RequestBody {
        if self.text_request {
            RequestBody::Text(TextDecoder::default())
        } else {
            RequestBody::Binary
        }
    }

    /// Makes the head of a response one of gRPC-Web, whoever answered, and says what becomes of the body. `ends`: the
    /// response has no body and no trailers.
    pub fn response(self, head: &mut ResponseHead, ends: bool) -> ResponseBody {
        let is_understood = ends || is_grpc(head) || is_grpc_web(head);
        let headers = &mut head.headers;
        headers.remove(Known::ContentLength);
        let [_, kind] = if self.text_response { TEXT } else { BINARY };
        headers.set(Known::ContentType, kind);
        if !is_understood {
            ResponseBody::Answer(AnswerText::default())
        } else if self.text_response {
            ResponseBody::Text(TextEncoder::default())
        } else {
            ResponseBody::Binary
        }
    }
}

impl RequestBody {
    /// Translates the next bytes of the body, however it was cut, and appends what goes to the service.
    ///
    /// # Errors
    /// The body is not base64: the request is answered 400 ([`BadBase64::MESSAGE`]).
    pub fn push(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), BadBase64> {
        match self {
            Self::Binary => {
                out.extend_from_slice(data);
                Ok(())
            }
            Self::Text(decoder) => decoder.push(data, out),
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// It ended within four characters of base64.
    pub const fn end(&self) -> Result<(), BadBase64> {
        match self {
            Self::Binary => Ok(()),
            Self::Text(decoder) => decoder.end(),
        }
    }
}

impl ResponseBody {
    /// Translates the next bytes of the body, however it was cut, and appends what goes to the client now.
    pub fn push(&mut self, data: &[u8], out: &mut BytesMut) {
        match self {
            Self::Binary => out.extend_from_slice(data),
            Self::Text(encoder) => encoder.push(data, out),
            Self::Answer(text) => text.push(data),
        }
    }

    /// The response has ended, with these trailers: appends the last bytes of the body, after which there are no trailers.
    /// An answer that is no gRPC puts its text into `head`, which goes out only now, alone.
    pub fn end(self, trailers: Option<&Headers>, head: &mut ResponseHead, out: &mut BytesMut) {
        match self {
            Self::Binary => {
                if let Some(trailers) = trailers {
                    trailers_frame(trailers, out);
                }
            }
            Self::Text(encoder) => encoder.end(trailers, out),
            Self::Answer(text) => text.end(head),
        }
    }
}

/// The first value of a field.
fn first<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    let mut fields = headers.iter();
    fields
        .find(|field| field.name == name)
        .map(|field| field.value)
}

/// Whether a response with a body is gRPC.
fn is_grpc(head: &ResponseHead) -> bool {
    let kind = head.headers.get(Known::ContentType);
    head.status == StatusCode::OK && kind.is_some_and(grpc_status::is_type)
}

/// Whether the service speaks binary gRPC-Web itself. Parameters of the type say nothing about that.
fn is_grpc_web(head: &ResponseHead) -> bool {
    let kind = head.headers.get(Known::ContentType).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii_end();
    let is_one = BINARY.iter().any(|one| one.eq_ignore_ascii_case(kind));
    head.status == StatusCode::OK && is_one
}

#[cfg(test)]
mod tests;
