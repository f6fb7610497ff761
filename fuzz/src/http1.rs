//! What must hold for the HTTP/1 codec whatever bytes it is fed: it says what a slow [`model`] says, it says the same
//! however the bytes arrive, and what it writes again means the same. Fuzz targets call [`requests`] and [`responses`];
//! core's tests replay the corpus through them and build their tables and properties on [`Event`].

#[path = "http1/model.rs"]
pub mod model;

use bytes::BytesMut;
use http::Method;
use outrigger_core::decision::Refused;
use outrigger_core::http1::{
    Asked, Framing, Limits, Reader, Reply, RequestFacts, ResponseFacts, Writer,
};
use outrigger_core::message::{Headers, Known, RequestHead, ResponseHead, Version};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{BodyLength, Part};

use model::{End, Message, Question};

/// Fewer elements of lists than a head's `connection` may have, all its lines together.
const OPTIONS: usize = 60;

/// What a reader told, in order. Pieces of one body are joined, since how it is cut depends on how it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request's head.
    Request(Box<RequestHead>, RequestFacts),
    /// A response's head.
    Response(Box<ResponseHead>, ResponseFacts),
    /// A body or tunnel, or as much of it as came.
    Data(Vec<u8>),
    /// Trailers.
    Trailers(Headers),
    /// The end of a message.
    End,
    /// A refusal; the last event.
    Refused(Refused),
    /// The end of the connection between two messages; the last event.
    Eof,
    /// The end of the connection, and of the body or tunnel that it delimits; the last event.
    Closed,
}

/// Everything a reader of requests tells about a connection that ends after these pieces.
pub fn read_requests<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut head = RequestHead::default();
    read(Reader::requests(&Limits::REQUEST), pieces, |reader, buf| {
        let facts = reader.request_head(buf, &mut head)?;
        Ok(facts.map(|facts| Event::Request(Box::new(head.clone()), facts)))
    })
}

/// Everything a reader of responses tells, when each response answers such a request.
pub fn read_responses<'a>(
    asked: Asked<'_>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Event> {
    let mut head = ResponseHead::default();
    read(
        Reader::responses(&Limits::RESPONSE),
        pieces,
        |reader, buf| {
            let facts = reader.response_head(buf, asked, &mut head)?;
            Ok(facts.map(|facts| Event::Response(Box::new(head.clone()), facts)))
        },
    )
}

fn read<'a>(
    mut reader: Reader,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mut next_head: impl FnMut(&mut Reader, &mut BytesMut) -> Result<Option<Event>, Refused>,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut buf = BytesMut::new();
    let mut in_body = false;
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            let step = if in_body {
                body_step(&mut reader, &mut buf, &mut events)
            } else {
                next_head(&mut reader, &mut buf).map(|head| {
                    in_body = head.is_some();
                    events.extend(head);
                    in_body
                })
            };
            match step {
                Ok(true) => in_body &= events.last() != Some(&Event::End),
                Ok(false) => break,
                Err(refused) => {
                    assert_stays_refused(&mut reader, &mut buf, refused);
                    events.push(Event::Refused(refused));
                    return events;
                }
            }
        }
    }
    events.push(match reader.eof(&buf) {
        Ok(()) if in_body => Event::Closed,
        Ok(()) => Event::Eof,
        Err(refused) => Event::Refused(refused),
    });
    events
}

/// One part of a body; whether there was one.
fn body_step(
    reader: &mut Reader,
    buf: &mut BytesMut,
    events: &mut Vec<Event>,
) -> Result<bool, Refused> {
    let before = buf.len();
    match reader.body(buf)? {
        Part::NeedMore => return Ok(false),
        Part::Data(data) => {
            assert!(!data.is_empty() && data.len() <= before);
            if let Some(Event::Data(all)) = events.last_mut() {
                all.extend_from_slice(&data);
            } else {
                events.push(Event::Data(data.to_vec()));
            }
        }
        Part::Trailers(trailers) => {
            assert!(!trailers.is_empty());
            events.push(Event::Trailers(trailers));
        }
        Part::End => events.push(Event::End),
    }
    Ok(true)
}

fn assert_stays_refused(reader: &mut Reader, buf: &mut BytesMut, refused: Refused) {
    let mut fresh = BytesMut::from(&b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"[..]);
    assert_eq!(reader.body(buf), Err(refused));
    assert_eq!(
        reader.request_head(&mut fresh, &mut RequestHead::default()),
        Err(refused)
    );
    assert_eq!(reader.eof(buf), Err(refused));
}

/// Cuts bytes at places that `seed` picks.
pub fn pieces(bytes: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut cut = Vec::new();
    while !rest.is_empty() {
        seed = outrigger_core::entropy::mix(seed);
        let (piece, after) = rest.split_at(rest.len().min(1 + (seed % 7) as usize));
        cut.push(piece);
        rest = after;
    }
    cut
}

/// The bytes of all outgoing pieces.
pub fn drain(out: &mut Outbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !out.is_empty() {
        let piece = out.front().to_vec();
        out.advance(piece.len());
        bytes.extend(piece);
    }
    bytes
}

/// What a proxy would send on: every whole message among the events, and the start of a last one that was cut.
pub fn write(events: &[Event], method: &Method, version: Version) -> Vec<u8> {
    let mut out = Outbox::default();
    let mut writer = Writer::default();
    let mut trailers = None;
    for event in events {
        match event {
            Event::Request(head, facts) => {
                let body = BodyLength::from(facts.framing);
                writer.request_head(head, body, facts.upgrade.as_deref(), &mut out);
            }
            Event::Response(head, facts) => {
                let reply = Reply {
                    method,
                    version,
                    body: facts.framing.into(),
                    keep_alive: true,
                    upgrade: facts.upgrade.as_deref(),
                };
                let _ = writer.response_head(head, &reply, &mut out);
            }
            Event::Data(data) => writer.data(data.clone().into(), &mut out),
            Event::Trailers(fields) => trailers = Some(fields),
            Event::End | Event::Closed => {
                assert!(writer.end(trailers.take(), &mut out));
            }
            Event::Refused(_) | Event::Eof => {}
        }
    }
    drain(&mut out)
}

/// The events without what a proxy changes: versions, lengths that the framing repeats, facts of one connection.
pub fn meaning(events: &[Event]) -> Vec<Event> {
    let framed = |framing: Framing| match framing {
        Framing::Length(0) => Framing::None,
        Framing::UntilClose => Framing::Chunked,
        Framing::None | Framing::Length(_) | Framing::Chunked | Framing::Tunnel => framing,
    };
    let bare = |headers: &Headers| {
        let mut headers = headers.clone();
        headers.remove(Known::ContentLength);
        headers
    };
    events
        .iter()
        .map(|event| match event {
            Event::Request(head, facts) => Event::Request(
                Box::new(RequestHead {
                    version: Version::Http11,
                    headers: bare(&head.headers),
                    ..(**head).clone()
                }),
                RequestFacts {
                    framing: framed(facts.framing),
                    upgrade: facts.upgrade.clone(),
                    accepts_trailers: facts.accepts_trailers,
                    ..RequestFacts::default()
                },
            ),
            Event::Response(head, facts) => Event::Response(
                Box::new(ResponseHead {
                    version: Version::Http11,
                    headers: bare(&head.headers),
                    ..(**head).clone()
                }),
                ResponseFacts {
                    framing: framed(facts.framing),
                    interim: facts.interim,
                    switched: facts.switched,
                    upgrade: facts.upgrade.clone(),
                    ..ResponseFacts::default()
                },
            ),
            // A body that the connection's end delimits is sent on in chunks.
            Event::Closed => Event::End,
            Event::Data(_) | Event::Trailers(_) | Event::End | Event::Refused(_) | Event::Eof => {
                event.clone()
            }
        })
        .collect()
}

/// The events up to the end of the last whole message.
pub fn whole(events: &[Event]) -> &[Event] {
    let end = events
        .iter()
        .rposition(|event| matches!(event, Event::End | Event::Closed));
    &events[..end.map_or(0, |at| at + 1)]
}

/// The messages among the events that the model should find too, and whether all that came was read.
fn messages(events: &[Event]) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    let mut current = None;
    for event in events {
        match event {
            Event::Request(head, facts) => {
                let method = head.method.as_str().into();
                let start = [method, head.authority.clone(), head.path.clone()];
                current = Some(Message {
                    upgrade: facts.upgrade.as_deref().map(str::to_ascii_lowercase),
                    ..message(start, &head.headers, facts.keep_alive)
                });
            }
            Event::Response(head, facts) => {
                let start = [head.status.as_str().into(), Vec::new(), Vec::new()];
                current = Some(message(start, &head.headers, facts.keep_alive));
            }
            Event::Data(data) => current.as_mut().expect("a head came").body.clone_from(data),
            Event::Trailers(fields) => {
                let names = model::TRAILERS.iter().chain(&model::FORBIDDEN);
                let known = |name: &[u8]| names.clone().any(|known| known.as_bytes() == name);
                let count = fields.iter().filter(|field| known(field.name)).count();
                current.as_mut().expect("a head came").trailers = count;
            }
            Event::End | Event::Closed => messages.extend(current.take()),
            Event::Refused(_) => return (messages, false),
            Event::Eof => {}
        }
    }
    (messages, true)
}

fn message(start: [Vec<u8>; 3], headers: &Headers, persists: bool) -> Message {
    let fields = headers.iter().map(|field| {
        let name = String::from_utf8_lossy(field.name).into_owned();
        (name, field.value.to_vec())
    });
    let is_looked_at = |name: &str| !["content-length", "te"].contains(&name);
    let mut fields: Vec<_> = fields.filter(|(name, _)| is_looked_at(name)).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Message {
        start,
        fields,
        persists,
        upgrade: None,
        body: Vec::new(),
        trailers: 0,
    }
}

/// Whether no message in these bytes can be near a limit, of which the model knows none.
fn is_within_limits(bytes: &[u8]) -> bool {
    let count = |byte: u8| bytes.iter().filter(|b| **b == byte).count();
    bytes.len() < Limits::REQUEST.chunk_line
        && count(b'\n') < Limits::REQUEST.fields
        && count(b',') + count(b'\n') < OPTIONS
}

/// The events say what the model reads in the same bytes, or both find a fault.
fn agree(bytes: &[u8], events: &[Event], read: impl Fn(&[u8]) -> (Vec<Message>, End)) {
    if is_within_limits(bytes) {
        let (want, end) = read(bytes);
        let got = messages(events);
        assert_eq!(got, (want, end == End::Clean), "{}", bytes.escape_ascii());
    }
}

/// A client may send anything.
pub fn requests(bytes: &[u8]) {
    let events = read_requests([bytes]);
    agree(bytes, &events, model::requests);
    same(&events, &read_requests(bytes.chunks(1)));
    same(&events, &read_requests(pieces(bytes, bytes.len() as u64)));
    let events = whole(&events);
    if events
        .iter()
        .any(|event| has_no_host(event) || is_full(event))
    {
        return;
    }
    let again = write(events, &Method::GET, Version::Http11);
    same(
        &meaning(events),
        whole(&meaning(&read_requests([&again[..]]))),
    );
}

/// So may an upstream. The first byte says which request is answered.
pub fn responses(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let method = [Method::GET, Method::HEAD, Method::CONNECT][usize::from(first % 3)].clone();
    let asked = Asked {
        method: &method,
        upgrade: first & 4 != 0,
    };
    let events = read_responses(asked, [bytes]);
    let question = Question {
        method: method.as_str(),
        upgrade: asked.upgrade,
    };
    agree(bytes, &events, |bytes| model::responses(question, bytes));
    same(&events, &read_responses(asked, bytes.chunks(1)));
    same(
        &events,
        &read_responses(asked, pieces(bytes, bytes.len() as u64)),
    );
    let events = whole(&events);
    if events.iter().any(is_full) {
        return;
    }
    let again = write(events, &method, Version::Http11);
    let again = read_responses(asked, [&again[..]]);
    same(&meaning(events), whole(&meaning(&again)));
}

/// Only HTTP/1.0 lets a request go without; in HTTP/1.1 it cannot be said again.
fn has_no_host(event: &Event) -> bool {
    matches!(event, Event::Request(head, _) if head.authority.is_empty())
}

/// What is written again frames its body anew, and says whether the connection goes on: in fields that may not have been there, for which a
/// head as long as it may be has no room.
fn is_full(event: &Event) -> bool {
    const ROOM: usize = 4;
    let headers = match event {
        Event::Request(head, _) => &head.headers,
        Event::Response(head, _) => &head.headers,
        Event::Data(_)
        | Event::Trailers(_)
        | Event::End
        | Event::Refused(_)
        | Event::Eof
        | Event::Closed => return false,
    };
    let bytes = headers.iter();
    let bytes = bytes.map(|field| field.name.len() + field.value.len() + 4);
    headers.len() + ROOM > Limits::REQUEST.fields
        || bytes.sum::<usize>() + 64 * ROOM > Limits::REQUEST.head_bytes
}

fn same(a: &[Event], b: &[Event]) {
    assert_eq!(a, b);
}
