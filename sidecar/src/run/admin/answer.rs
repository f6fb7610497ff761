//! What an answer looks like: its kind, and the fields that keep a browser from making more of it than it is.

use std::convert::Infallible;
use std::iter::Peekable;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

/// What the endpoints answer with.
pub(super) type Answer = Response<Told>;

/// What an answer says.
pub(super) enum Told {
    Whole(Full<Bytes>),
    /// A long page, of which the next piece is made when there is room to send it.
    Pieces {
        first: Option<String>,
        rest: Peekable<Box<dyn Iterator<Item = String>>>,
    },
}

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(text) => Pin::new(text).poll_frame(context),
            Self::Pieces { first, rest } => {
                let piece = first.take().or_else(|| rest.next());
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_end_stream(),
            Self::Pieces { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => text.size_hint(),
            Self::Pieces { .. } => SizeHint::default(),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// Nothing may be loaded, run, or shown in a frame.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// What it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Json,
}

impl Kind {
    pub(super) const fn new(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Text }
    }
}

/// Text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, TEXT, NOTHING, text.into())
}

/// A document of JSON.
pub(super) fn json(text: impl Into<Bytes>) -> Answer {
    answer(StatusCode::OK, JSON, NOTHING, text.into())
}

/// A page of this content type. One that is a single piece has its length said.
pub(super) fn page(kind: &'static str, page: impl Iterator<Item = String> + 'static) -> Answer {
    let page: Box<dyn Iterator<Item = String>> = Box::new(page);
    let mut rest = page.peekable();
    let first = rest.next();
    match rest.peek() {
        None => answer(
            StatusCode::OK,
            kind,
            NOTHING,
            first.unwrap_or_default().into(),
        ),
        Some(_) => {
            let told = Told::Pieces { first, rest };
            answer_told(StatusCode::OK, kind, NOTHING, told)
        }
    }
}

/// A page that may do what `policy` says, which has no characters that a field may not have.
pub(super) fn html(text: String, policy: &str) -> Answer {
    let mut answer = answer(StatusCode::OK, HTML, NOTHING, text.into());
    if let Ok(policy) = HeaderValue::from_str(policy) {
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

/// A request that nobody can answer, and why.
pub(super) fn bad_request(why: &str) -> Answer {
    text(StatusCode::BAD_REQUEST, format!("{why}\n"))
}

/// The method is another one's.
pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let text = format!("use {allowed}\n");
    let mut answer = self::text(StatusCode::METHOD_NOT_ALLOWED, text);
    let headers = answer.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The connection ends with this answer.
pub(super) fn and_close(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn answer(status: StatusCode, kind: &'static str, policy: &'static str, text: Bytes) -> Answer {
    answer_told(status, kind, policy, Told::Whole(Full::new(text)))
}

fn answer_told(status: StatusCode, kind: &'static str, policy: &'static str, told: Told) -> Answer {
    let mut answer = Response::new(told);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, policy),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
