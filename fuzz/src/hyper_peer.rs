//! Requests as `hyper` reads them from the same bytes. One of the two may refuse what the other takes; but a message that both
//! find whole is the same message, and ends at the same octet: else somebody could hide a request between two servers.
//!
//! The fuzz target calls [`same_requests`]; core's tests replay its corpus and that of `http1_request`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use outrigger_core::message::{Headers, RequestHead};

use crate::http1::{Event, read_requests};

/// Bytes that were sent, and nobody who hears the answers.
struct Sent<'a>(&'a [u8]);

impl Read for Sent<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(room.remaining()));
        room.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Sent<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        answer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(answer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A whole request as hyper tells of it.
struct Theirs {
    parts: Parts,
    body: Vec<u8>,
}

/// All of a body, if its end came.
async fn whole(mut body: Incoming) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Some(all)
}

fn theirs(bytes: &[u8]) -> Vec<Theirs> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            if let Some(body) = whole(body).await {
                seen.borrow_mut().push(Theirs { parts, body });
            }
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    {
        let connection = pin!(http1::Builder::new().serve_connection(Sent(bytes), service));
        // Everything is here, so nothing is waited for.
        let _ = connection.poll(&mut Context::from_waker(Waker::noop()));
    }
    seen.take()
}

/// A whole request as we tell of it.
struct Ours {
    head: Box<RequestHead>,
    body: Vec<u8>,
    /// What follows may be no request any more.
    switches: bool,
}

fn ours(bytes: &[u8]) -> Vec<Ours> {
    let (mut all, mut current) = (Vec::new(), None);
    for event in read_requests([bytes]) {
        match event {
            Event::Request(head, facts) => {
                current = Some(Ours {
                    switches: facts.upgrade.is_some() || head.method == Method::CONNECT,
                    head,
                    body: Vec::new(),
                });
            }
            Event::Data(data) => {
                if let Some(current) = &mut current {
                    current.body = data;
                }
            }
            Event::End => all.extend(current.take()),
            Event::Response(..)
            | Event::Trailers(_)
            | Event::Refused(_)
            | Event::Eof
            | Event::Closed => {}
        }
    }
    all
}

/// A client sends these bytes. How many messages both find.
///
/// # Panics
/// When both find a whole message in the same place, and not the same one.
pub fn same_requests(bytes: &[u8]) -> usize {
    let mut both = 0;
    for (ours, theirs) in ours(bytes).iter().zip(&theirs(bytes)) {
        if ours.switches {
            break;
        }
        let shown = bytes.escape_ascii();
        assert_eq!(ours.head.method, theirs.parts.method, "{shown}");
        assert_eq!(ours.body, theirs.body, "{shown}");
        same_target(&ours.head, &theirs.parts);
        same_fields(&ours.head.headers, &theirs.parts.headers);
        both += 1;
    }
    both
}

/// Of a target that is a path: what others are made of is decided by whoever reads them.
fn same_target(ours: &RequestHead, theirs: &Parts) {
    let uri = &theirs.uri;
    if uri.scheme().is_some() || uri.authority().is_some() {
        return;
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    assert_eq!(ours.path, path.as_bytes());
    let hosts: Vec<_> = theirs.headers.get_all(HOST).iter().collect();
    assert!(hosts.len() <= 1, "two names of one request");
    let host = hosts.first().map_or(&b""[..], |host| host.as_bytes());
    assert!(
        ours.authority.eq_ignore_ascii_case(host),
        "{:?} is not {hosts:?}",
        ours.authority.escape_ascii().to_string()
    );
}

/// What we pass on is what they have, field by field; what concerns the connection we keep back.
fn same_fields(ours: &Headers, theirs: &HeaderMap) {
    for field in ours.iter() {
        let name = String::from_utf8_lossy(field.name);
        let values: Vec<_> = theirs.get_all(&*name).iter().collect();
        assert!(
            values.iter().any(|value| value.as_bytes() == field.value),
            "{name}: {:?} is not among {values:?}",
            field.value.escape_ascii().to_string()
        );
    }
}
