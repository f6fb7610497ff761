//! What a gRPC call and its answer look like in HTTP/2: length-prefixed messages, and a status in the trailers.
//!
//! Messages are text, where programs would have a codec generated for them.

use std::convert::Infallible;
use std::future::{Ready, ready};

use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, response};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Bytes;

use super::short::in_short;

/// What the answer to a call is of.
const TYPE: HeaderValue = HeaderValue::from_static("application/grpc+text");

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a message is compressed (never), and its length.
const PREFIX: usize = 5;

/// A body that ends with trailers, or is one of HTTP/1.1 and has none.
pub(super) type Body = Either<Full<Bytes>, WithTrailers<Full<Bytes>, Ready<Trailers>>>;

type Trailers = Option<Result<HeaderMap, Infallible>>;

/// The whole answer to a call.
pub(super) struct Answer {
    /// Status and header fields.
    pub(super) head: response::Parts,
    /// The body.
    pub(super) message: Bytes,
    /// The fields after it; none when all was said in the head.
    pub(super) trailers: Option<HeaderMap>,
}

/// A call of a method (its path) of a service, with an empty message.
pub(super) fn call(host: &str, path: &str) -> Request<Full<Bytes>> {
    let mut call = Request::post(format!("http://{host}{path}"))
        .body(Full::from(framed(b"")))
        .unwrap_or_default();
    let trailers = HeaderValue::from_static("trailers");
    call.headers_mut()
        .extend([(CONTENT_TYPE, TYPE), (TE, trailers)]);
    call
}

/// Whether a request is a call.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE) == Some(&TYPE)
}

/// A message, and after it that all went well.
pub(super) fn served(text: &str) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from(0))]);
    let message = Full::from(framed(text.as_bytes()));
    let body = message.with_trailers(ready(Some(Ok(trailers))));
    let mut answer = Response::new(Either::Right(body));
    answer.headers_mut().insert(CONTENT_TYPE, TYPE);
    answer
}

/// Nothing but a status and why: `UNAVAILABLE`, which is 14.
pub(super) fn unavailable(why: &str) -> Response<Body> {
    let mut answer = Response::new(Either::Left(Full::default()));
    let fields = answer.headers_mut();
    fields.extend([(CONTENT_TYPE, TYPE), (STATUS, HeaderValue::from(14))]);
    if let Ok(why) = HeaderValue::from_str(why) {
        fields.insert(MESSAGE, why);
    }
    answer
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

impl Answer {
    /// The version that served the call, or its status and what is behind it.
    pub(super) fn in_short(&self) -> String {
        let field = |name| {
            let in_trailers = self.trailers.as_ref().and_then(|fields| fields.get(name));
            let value = in_trailers.or_else(|| self.head.headers.get(name))?;
            value.to_str().ok()
        };
        match field(&STATUS) {
            Some("0") => {
                let message = self.message.get(PREFIX..).unwrap_or_default();
                in_short(200, &String::from_utf8_lossy(message))
            }
            Some(status) => {
                let why = field(&MESSAGE).unwrap_or_default();
                format!("grpc-status {status} {why}").trim_end().to_owned()
            }
            None => format!("{} without a grpc-status", self.head.status.as_u16()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &[(&str, &str)], message: &str, status: Option<u8>) -> Answer {
        let mut builder = Response::builder();
        for (name, value) in head {
            builder = builder.header(*name, *value);
        }
        let status = status.map(|status| [(STATUS, HeaderValue::from(u16::from(status)))]);
        Answer {
            head: builder.body(()).unwrap().into_parts().0,
            message: framed(message.as_bytes()).into(),
            trailers: status.map(HeaderMap::from_iter),
        }
    }

    #[test]
    fn calls_are_known_by_their_status_wherever_it_stands() {
        const V1: &str = "recommendation v1 from 'x': 3\n";
        for (head, message, trailers, want) in [
            (&[][..], V1, Some(0), "v1"),
            (&[][..], V1, Some(13), "grpc-status 13"),
            (&[("grpc-status", "0")][..], V1, Some(13), "grpc-status 13"),
            (&[("grpc-status", "14")][..], "", None, "grpc-status 14"),
            (
                &[("grpc-status", "14"), ("grpc-message", "out of order")][..],
                "",
                None,
                "grpc-status 14 out of order",
            ),
            (&[][..], V1, None, "200 without a grpc-status"),
        ] {
            let got = answer(head, message, trailers).in_short();
            assert_eq!(got, want, "{head:?} {trailers:?}");
        }
    }

    #[test]
    fn what_is_sent_is_a_call() {
        let call = call("shop:9090", "/demo.Shop/Get");
        assert!(is_call(call.headers()));
        assert_eq!(call.uri().to_string(), "http://shop:9090/demo.Shop/Get");
        assert!(!is_call(&HeaderMap::new()));
        assert_eq!(framed(b"abc"), b"\0\0\0\0\x03abc");
    }
}
