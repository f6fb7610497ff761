//! Requests as the `h2` crate reads them from the same frames. One of the two may refuse what the other takes; a stream that both
//! find whole says the same.
//!
//! The fuzz target calls [`same_streams`]; core's tests replay its corpus.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::Connection;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http2::told::{Story, told};
use crate::http2::wire::{PREFACE, block, frame, settings};

/// Bytes that were sent, behind which nothing comes, and nobody who hears the answers.
struct Sent {
    bytes: Bytes,
    /// Something has come, and the next comes later: what is read at once is judged at once, and a fault would hide what was
    /// whole before it.
    rests: bool,
    is_over: Rc<Cell<bool>>,
}

impl AsyncRead for Sent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.rests = !self.rests;
        self.is_over.set(self.bytes.is_empty());
        if self.rests || self.bytes.is_empty() {
            return Poll::Pending;
        }
        let now = self.bytes.len().min(room.remaining()).min(16);
        room.put_slice(&self.bytes.split_to(now));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sent {
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

/// A request as h2 tells of it.
struct Theirs {
    parts: Parts,
    body: RecvStream,
    data: Vec<u8>,
    is_whole: bool,
}

impl Theirs {
    fn take(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(Ok(data))) = self.body.poll_data(cx) {
            let _ = self.body.flow_control().release_capacity(data.len());
            self.data.extend_from_slice(&data);
        }
        self.is_whole |= self.body.is_end_stream();
    }
}

fn theirs(bytes: &[u8]) -> BTreeMap<u32, Theirs> {
    let cx = &mut Context::from_waker(Waker::noop());
    let is_over = Rc::new(Cell::new(false));
    let sent = Sent {
        bytes: [PREFACE, &settings(&[]), bytes].concat().into(),
        rests: false,
        is_over: Rc::clone(&is_over),
    };
    let mut streams = BTreeMap::new();
    let mut greeting = pin!(h2::server::handshake(sent));
    let mut connection: Connection<Sent, Bytes> = loop {
        match greeting.as_mut().poll(cx) {
            Poll::Ready(Ok(connection)) => break connection,
            Poll::Pending if !is_over.get() => {}
            Poll::Ready(Err(_)) | Poll::Pending => return streams,
        }
    };
    // Answers are kept: a request that nobody answers is reset.
    let mut answers = Vec::new();
    loop {
        match connection.poll_accept(cx) {
            Poll::Ready(Some(Ok((request, answer)))) => {
                let (parts, body) = request.into_parts();
                let (data, is_whole) = (Vec::new(), false);
                let stream = Theirs {
                    parts,
                    body,
                    data,
                    is_whole,
                };
                streams.insert(answer.stream_id().as_u32(), stream);
                answers.push(answer);
            }
            Poll::Ready(Some(Err(_)) | None) => return streams,
            Poll::Pending => {
                streams.values_mut().for_each(|stream| stream.take(cx));
                if is_over.get() {
                    return streams;
                }
            }
        }
    }
}

/// What a client may say in a head, and what it may not.
const FIELDS: [(&str, &str); 16] = [
    (":method", "GET"),
    (":method", "POST"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":path", "/"),
    (":path", "/a/../b?c#d"),
    (":path", "*"),
    (":authority", "a.test"),
    (":authority", "a@b:80"),
    ("host", "b.test"),
    ("content-length", "4"),
    ("cookie", "a=b"),
    ("te", "trailers"),
    ("connection", "close"),
    ("Upper", "case"),
    ("x-value", "\u{1}"),
];

/// Bytes as a row of frames, most of them where they may stand.
fn frames(bytes: &[u8]) -> Vec<u8> {
    let (mut all, mut newest, mut is_open) = (Vec::new(), 1_u32, false);
    let mut rest = bytes.iter().copied();
    while let Some(step) = rest.next() {
        let mut next = || rest.next().unwrap_or_default();
        let kind = if is_open { step & 15 } else { step & 7 | 8 };
        let ends = u8::from(step & 16 != 0);
        match kind {
            0..6 => {
                let length = usize::from(next() % 40);
                let data: Vec<u8> = (0..length).map(|_| next()).collect();
                all.extend(frame(0, ends, newest, &data));
                is_open = ends == 0;
            }
            6 | 7 => {
                all.extend(frame(1, 5, newest, &block(&[("x-sum", "1")])));
                is_open = false;
            }
            8..12 => {
                newest += 2;
                is_open = ends == 0;
                all.extend(frame(1, 4 | ends, newest, &head(step, next(), next())));
            }
            12 => all.extend(settings(&[(1, u32::from(next()) << 8)])),
            13 => all.extend(frame(8, 0, newest, &[0, 0, next(), 1])),
            // What no client says is rare, because it ends the connection.
            14 => all.extend(frame(6, 0, 0, &[next(); 8])),
            _ if next() < 240 => {}
            _ => {
                let (kind, flags, stream) = (next() % 11, next(), u32::from(next()));
                let length = usize::from(next() % 40);
                let payload: Vec<u8> = (0..length).map(|_| next()).collect();
                all.extend(frame(kind, flags, stream, &payload));
            }
        }
    }
    all
}

/// One kind of head is made of anything, the others of what is usual and something more.
fn head(step: u8, low: u8, high: u8) -> Vec<u8> {
    let (usual, first): (&[usize], _) = match step >> 5 {
        0 => (&[], 0),
        _ => (&[1, 2, 4, 7], 9),
    };
    // What ends a stream is rarer than what does not.
    let rare = if high & 0x80 == 0 { 0x1fff } else { 0xffff };
    let wanted = u16::from_le_bytes([low, high]) & rare;
    let more = (first..FIELDS.len()).filter(|at| wanted >> at & 1 != 0);
    let fields: Vec<_> = usual
        .iter()
        .copied()
        .chain(more)
        .map(|at| FIELDS[at])
        .collect();
    block(&fields)
}

/// A client sends what these bytes make behind its greeting. How many streams both find whole.
///
/// # Panics
/// When both find a stream whole, and it does not say the same.
pub fn same_streams(bytes: &[u8]) -> usize {
    let bytes = &frames(bytes);
    let (ours, fault) = told(false, [&bytes[..]]);
    if fault.is_some() {
        return 0;
    }
    let theirs = theirs(bytes);
    let mut both = 0;
    for (id, ours) in ours.iter().filter(|(_, story)| story.is_whole) {
        if let Some(theirs) = theirs.get(id).filter(|stream| stream.is_whole) {
            same(ours, theirs);
            both += 1;
        }
    }
    both
}

fn same(ours: &Story, theirs: &Theirs) {
    let head = ours.head.as_ref().expect("a whole stream has a head");
    let Parts { method, uri, .. } = &theirs.parts;
    assert_eq!(head.method, *method);
    assert_eq!(ours.data, theirs.data, "{method} {uri}");
    if let Some(path) = uri.path_and_query() {
        assert_eq!(head.path.escape_ascii().to_string(), path.as_str());
    }
    if let Some(authority) = uri.authority() {
        assert!(
            head.authority
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
        );
    }
}
