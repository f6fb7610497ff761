//! Writes messages: heads at once, since header compression must see them in the order in which they leave; what follows
//! waits in its stream for its turn (`send`).

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;

use super::code::Code;
use super::endings::reset;
use super::frame::{FrameHead, HEAD, Kind, LEAST_MAX_FRAME, PREFACE, flag};
use super::heads::{self, Asked};
use super::parts::{OurSettings, Parts, Stage};
use super::role::Role;
use super::settings::put_ours;
use super::stream::{Ending, Owner, Place, Receiving, Sending, State};
use super::stream_id::StreamId;
use super::window::{ReceiveWindow, SendWindow};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::outbox::Outbox;
use crate::stream::{Begins, BodyLength};

/// Streams that a server takes at least before it has said how many: §6.5.2 recommends no fewer.
const ASSUMED_STREAMS: u32 = 100;

/// What a connection begins with, before anything else is written.
pub(super) fn greet<T>(parts: &mut Parts<T>, out: &mut Outbox) {
    if parts.life.settings != OurSettings::Unsent {
        return;
    }
    parts.life.settings = OurSettings::Put;
    out.put_with(|block| {
        if parts.role == Role::Client {
            block.put_slice(PREFACE);
        }
        put_ours(parts.role, &parts.limits, block);
    });
}

/// Writes frames that answer or end something, until `out` is above its mark.
pub(super) fn put_controls<T>(parts: &mut Parts<T>, out: &mut Outbox, mark: usize) {
    while !out.is_above(mark)
        && let Some(control) = parts.controls.pop()
    {
        out.put_with(|block| control.write(block));
    }
}

/// How many more streams the server takes now.
pub(super) fn room<T: Copy>(parts: &Parts<T>) -> u32 {
    parts.places(capacity(parts))
}

/// How many streams the server takes at a time, 0 if it takes no more.
pub(super) fn capacity<T>(parts: &Parts<T>) -> u32 {
    let is_open = match (parts.role, parts.stage) {
        (Role::Client, Stage::FirstSettings | Stage::Frames) => true,
        (Role::Server, _) | (Role::Client, Stage::Preface | Stage::Dead(_)) => false,
    };
    if !is_open || parts.life.peer_leaves.is_some() || next_id(parts).is_none() {
        return 0;
    }
    let theirs = match (parts.stage, parts.peer.max_concurrent_streams) {
        (Stage::FirstSettings, _) => ASSUMED_STREAMS,
        (_, most) => most.unwrap_or(u32::MAX),
    };
    theirs.min(parts.limits.concurrent_streams)
}

fn next_id<T>(parts: &Parts<T>) -> Option<StreamId> {
    match parts.last {
        None => Some(StreamId::FIRST),
        Some(last) => last.after(),
    }
}

/// Begins a request. `None` when there is no room, or the server does not understand what is asked for.
pub(super) fn ask<T: Copy>(
    parts: &mut Parts<T>,
    head: &RequestHead,
    begins: &Begins,
    owner: T,
    out: &mut Outbox,
) -> Option<StreamId> {
    let asked = Asked::of(head, begins);
    let is_understood = match asked {
        Asked::Upgrade(_) => parts.peer.connect_protocol,
        Asked::Usual | Asked::Head | Asked::Connect => true,
    };
    if room(parts) == 0 || !is_understood {
        return None;
    }
    let id = next_id(parts)?;
    parts.last = Some(id);
    parts.guard.opened();
    greet(parts, out);
    // Streams that were reset have to be closed for the server before it counts this one.
    put_controls(parts, out, usize::MAX);
    let sending = match begins.body {
        _ if may_switch(&asked) => Sending::Unknown,
        BodyLength::None => Sending::Ended,
        BodyLength::Known(length) => Sending::Length(length),
        BodyLength::Unknown => Sending::Unknown,
    };
    let stream = parts.streams.table_mut().begin(id);
    stream.owner = Owner::Is(owner);
    stream.credit = ReceiveWindow::new(parts.life.known_window);
    stream.window = SendWindow::new(parts.peer.initial_window);
    stream.state = State::Live {
        receiving: Receiving::Head,
        sending,
    };
    stream.asked = asked;
    let ends_stream = sending == Sending::Ended;
    put_block(id, ends_stream, out, |block| {
        heads::write_request(&mut parts.encoder, head, begins, block);
    });
    Some(id)
}

/// Begins the response to a request.
pub(super) fn respond<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    head: &ResponseHead,
    body: BodyLength,
    out: &mut Outbox,
) {
    let Some(asked) = unanswered(parts, id) else {
        return;
    };
    let switches = head.status.is_success() || head.status == StatusCode::SWITCHING_PROTOCOLS;
    let has_no_body = *asked == Asked::Head
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let sending = match body {
        _ if may_switch(asked) && switches => Sending::Unknown,
        _ if has_no_body => Sending::Ended,
        BodyLength::None => Sending::Ended,
        BodyLength::Known(length) => Sending::Length(length),
        BodyLength::Unknown => Sending::Unknown,
    };
    greet(parts, out);
    put_block(id, sending == Sending::Ended, out, |block| {
        heads::write_response(&mut parts.encoder, head, body, block);
    });
    if let Some(stream) = parts.streams.get_mut(id) {
        stream.set_sending(sending);
    }
}

/// Writes an interim head.
pub(super) fn inform<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    head: &ResponseHead,
    out: &mut Outbox,
) {
    if unanswered(parts, id).is_none() {
        return;
    }
    greet(parts, out);
    put_block(id, false, out, |block| {
        heads::write_response(&mut parts.encoder, head, BodyLength::None, block);
    });
}

/// What is asked for on a stream whose response has not begun.
fn unanswered<T: Copy>(parts: &Parts<T>, id: StreamId) -> Option<&Asked> {
    let stream = parts.streams.get(id)?;
    match stream.sending()? {
        Sending::Head => Some(&stream.asked),
        Sending::Length(_) | Sending::Unknown | Sending::Ending(_) | Sending::Ended => None,
    }
}

/// A piece of a body. Bytes beyond an announced length, or of a message that has no body, are dropped.
pub(super) fn data<T: Copy>(parts: &mut Parts<T>, id: StreamId, mut data: Bytes) {
    let Some(stream) = parts.streams.get_mut(id) else {
        return;
    };
    match stream.sending() {
        Some(Sending::Length(left)) => {
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            stream.set_sending(Sending::Length(left - data.len() as u64));
        }
        Some(Sending::Unknown) => {}
        Some(Sending::Head | Sending::Ending(_) | Sending::Ended) | None => return,
    }
    if data.is_empty() {
        return;
    }
    let count = data.len();
    stream.unsent.bytes += count;
    stream.unsent.pieces.push_back(data);
    parts.streams.hold(count);
    stand_ready(parts, id);
}

/// Ends a message. One that is shorter than was announced is reset instead, for its receiver waits for more.
pub(super) fn end<T: Copy>(parts: &mut Parts<T>, id: StreamId, trailers: Option<&Headers>) {
    let Some(stream) = parts.streams.get_mut(id) else {
        return;
    };
    // What asks for a tunnel has no body: its bytes, and their end, come after the answer.
    if matches!(stream.receiving(), Some(Receiving::Head)) && may_switch(&stream.asked) {
        return;
    }
    match stream.sending() {
        Some(Sending::Length(1..)) => return reset(parts, id, Code::InternalError),
        Some(Sending::Length(0) | Sending::Unknown) => {}
        Some(Sending::Head | Sending::Ending(_) | Sending::Ended) | None => return,
    }
    let ending = match trailers {
        Some(trailers) if !trailers.is_empty() => {
            let kept = &mut stream.unsent.trailers;
            for field in trailers.iter() {
                // They were in one block before, so there is room for them in another.
                let _ = kept.append(field.name, field.value);
            }
            Ending::Trailers
        }
        Some(_) | None => Ending::Data,
    };
    stream.set_sending(Sending::Ending(ending));
    stand_ready(parts, id);
}

fn stand_ready<T: Copy>(parts: &mut Parts<T>, id: StreamId) {
    if parts
        .streams
        .get(id)
        .is_some_and(|s| s.place == Place::None)
    {
        parts.streams.stand(id, Place::Ready);
    }
}

/// Writes a header block, in as many frames as it needs.
pub(super) fn put_block(
    stream: StreamId,
    ends_stream: bool,
    out: &mut Outbox,
    write: impl FnOnce(&mut BytesMut),
) {
    out.put_with(|block| {
        let start = block.len();
        block.put_bytes(0, HEAD);
        write(block);
        let mut head = FrameHead {
            length: block.len() - start - HEAD,
            kind: Kind::Headers,
            flags: if ends_stream { flag::END_STREAM } else { 0 },
            stream: Some(stream),
        };
        // Every peer takes frames of this length; a longer one would only make others wait.
        if head.length <= LEAST_MAX_FRAME {
            head.flags |= flag::END_HEADERS;
            block[start..start + HEAD].copy_from_slice(&head.to_bytes());
            return;
        }
        let rest = block.split_off(start + HEAD + LEAST_MAX_FRAME);
        head.length = LEAST_MAX_FRAME;
        block[start..start + HEAD].copy_from_slice(&head.to_bytes());
        let mut fragments = rest.chunks(LEAST_MAX_FRAME).peekable();
        while let Some(fragment) = fragments.next() {
            let ends = fragments.peek().is_none();
            let head = FrameHead {
                length: fragment.len(),
                kind: Kind::Continuation,
                flags: if ends { flag::END_HEADERS } else { 0 },
                stream: Some(stream),
            };
            head.write(block);
            block.put_slice(fragment);
        }
    });
}

/// Whether a stream is a tunnel once its request was answered with success.
pub(super) const fn may_switch(asked: &Asked) -> bool {
    match asked {
        Asked::Usual | Asked::Head => false,
        Asked::Connect | Asked::Upgrade(_) => true,
    }
}
