//! The two bodies of a request of gRPC-Web on their way: what the client sends becomes gRPC before anything is kept of it, so
//! that retries and mirrors send the same; what answers becomes gRPC-Web as the last thing before the client.
//!
//! What becomes of bytes and heads is decided in `policy`; this holds where each of the two bodies is.

use bytes::{Bytes, BytesMut};

use crate::decision::{GrpcWeb, Refused};
use crate::message::{Headers, ResponseHead};
use crate::policy::grpc_web::{RequestBody, ResponseBody};
use crate::request;
use crate::stream::BodyLength;

/// A request of gRPC-Web that goes on as gRPC.
#[derive(Debug)]
pub(super) struct Web {
    of: GrpcWeb,
    request: RequestBody,
    response: Response,
}

/// How far the response is.
#[derive(Debug)]
enum Response {
    /// Its head has not come, or it has ended.
    None,
    /// Its head has gone out.
    Body(ResponseBody),
    /// Its head waits for its body. Whether another request was welcome when it came.
    Waits { body: ResponseBody, wish: bool },
}

/// What follows the last byte of a response.
#[derive(Debug)]
pub(super) struct Last {
    /// The head goes out only now; whether another request is welcome.
    pub(super) head: Option<bool>,
    /// The last bytes of the body; nothing comes after them.
    pub(super) data: Bytes,
}

impl Web {
    pub(super) fn of(of: GrpcWeb) -> Self {
        Self {
            of,
            request: of.request_body(),
            response: Response::None,
        }
    }

    /// How much body the translated request has: what was said is not true any more.
    pub(super) const fn request_length(length: BodyLength) -> BodyLength {
        match length {
            BodyLength::None => BodyLength::None,
            BodyLength::Known(_) | BodyLength::Unknown => BodyLength::Unknown,
        }
    }

    /// What a piece of the request's body becomes, if that is not what it is; it may be nothing.
    ///
    /// # Errors
    /// It is not what it says it is.
    pub(super) fn on_request(&mut self, data: &[u8]) -> Result<Option<Bytes>, Refused> {
        match &mut self.request {
            RequestBody::Binary => Ok(None),
            text @ RequestBody::Text(_) => {
                let mut out = BytesMut::new();
                let pushed = text.push(data, &mut out);
                pushed
                    .map(|()| Some(out.freeze()))
                    .map_err(|_| request::NO_BASE64)
            }
        }
    }

    /// The request's body has ended.
    ///
    /// # Errors
    /// In the middle of something.
    pub(super) fn end_request(&self) -> Result<(), Refused> {
        self.request.end().map_err(|_| request::NO_BASE64)
    }

    /// A response begins. How much body there is behind its head; `None` if the head is to wait.
    pub(super) fn begin_response(
        &mut self,
        head: &mut ResponseHead,
        length: BodyLength,
        wish: bool,
    ) -> Option<BodyLength> {
        let ends = matches!(length, BodyLength::None | BodyLength::Known(0));
        let body = self.of.response(head, ends);
        if matches!(body, ResponseBody::Answer(_)) {
            self.response = Response::Waits { body, wish };
            return None;
        }
        self.response = Response::Body(body);
        Some(if ends { length } else { BodyLength::Unknown })
    }

    /// A piece of the response's body. It may become nothing.
    pub(super) fn on_response(&mut self, data: Bytes) -> Bytes {
        let (Response::Body(body) | Response::Waits { body, .. }) = &mut self.response else {
            return data;
        };
        if matches!(body, ResponseBody::Binary) {
            return data;
        }
        let mut out = BytesMut::new();
        body.push(&data, &mut out);
        out.freeze()
    }

    /// The response has ended.
    pub(super) fn end_response(
        &mut self,
        trailers: Option<&Headers>,
        head: &mut ResponseHead,
    ) -> Last {
        let (body, wish) = match core::mem::replace(&mut self.response, Response::None) {
            Response::None => (ResponseBody::Binary, None),
            Response::Body(body) => (body, None),
            Response::Waits { body, wish } => (body, Some(wish)),
        };
        let mut out = BytesMut::new();
        body.end(trailers, head, &mut out);
        Last {
            head: wish,
            data: out.freeze(),
        }
    }

    /// An answer of our own, all at once. Its body.
    pub(super) fn reply(&mut self, head: &mut ResponseHead, text: Bytes) -> Bytes {
        let mut body = self.of.response(head, text.is_empty());
        let mut out = BytesMut::new();
        body.push(&text, &mut out);
        body.end(None, head, &mut out);
        out.freeze()
    }
}
