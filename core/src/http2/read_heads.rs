//! Reads header blocks: requests, responses, trailers.
//!
//! Every block is decoded, whatever becomes of it, because those that follow refer to it (RFC 7541 §2.2).

use super::closed::How;
use super::code::{Broken, Code, Fatal, broken_rule, flood};
use super::endings::fail;
use super::heads::{self, Asked};
use super::hpack::CompressionError;
use super::late::{Late, late};
use super::parts::{Block, Leaving, Parts};
use super::refusals::{ENDLESS_TRAILERS, LENGTH};
use super::role::Role;
use super::stream::{By, Receiving, Sending, State};
use super::stream_id::StreamId;
use super::unread::Received;
use super::window::{ReceiveWindow, SendWindow};
use super::write::may_switch;
use crate::decision::Refused;
use crate::stream::{Answer, BodyLength, Reset};
use crate::time::Instant;

/// A part of a header block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) ends_block: bool,
}

/// A whole header block, and what it is for.
#[derive(Clone, Copy, Debug)]
struct Whole<'a> {
    id: StreamId,
    ends_stream: bool,
    bytes: &'a [u8],
}

const BLOCK_BYTES: Fatal = flood(
    "http2.headers.too.large",
    "a header block is longer than the limit",
);
const CONTINUATIONS: Fatal = flood(
    "http2.inbound_continuation_frames_flood",
    "a header block has too many CONTINUATION frames",
);
const NOT_OF_CLIENT: Fatal = broken_rule(
    Code::ProtocolError,
    "a stream was opened whose number is even, or by a server",
);
const GOES_BACK: Fatal = broken_rule(
    Code::ProtocolError,
    "a stream was opened whose number is below that of one before",
);
const CLOSED: Fatal = broken_rule(
    Code::StreamClosed,
    "a head came for a stream that was closed",
);

/// Header compression is out of step (§4.3).
const fn out_of_step(error: CompressionError) -> Fatal {
    broken_rule(Code::CompressionError, error.as_str())
}

/// HEADERS came.
pub(super) fn begin_block<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    ends_stream: bool,
    fragment: Fragment<'_>,
    now: Instant,
) -> Result<(), Fatal> {
    if fragment.ends_block {
        let whole = Whole {
            id,
            ends_stream,
            bytes: fragment.bytes,
        };
        return read_block(parts, whole, now);
    }
    parts.block = Some(Box::new(Block {
        stream: id,
        ends_stream,
        bytes: fragment.bytes.to_vec(),
        frames: 0,
        since: now,
    }));
    Ok(())
}

/// CONTINUATION came, for the block that is open.
pub(super) fn continue_block<T: Copy>(
    parts: &mut Parts<T>,
    fragment: Fragment<'_>,
    now: Instant,
) -> Result<(), Fatal> {
    let Some(mut block) = parts.block.take() else {
        return Ok(());
    };
    block.frames += 1;
    if block.frames > parts.limits.continuation_frames {
        parts.guard.counts.continuation_frames += 1;
        return Err(CONTINUATIONS);
    }
    if block.bytes.len() + fragment.bytes.len() > parts.limits.block_bytes {
        parts.guard.counts.block_bytes += 1;
        return Err(BLOCK_BYTES);
    }
    block.bytes.extend_from_slice(fragment.bytes);
    if !fragment.ends_block {
        parts.block = Some(block);
        return Ok(());
    }
    let whole = Whole {
        id: block.stream,
        ends_stream: block.ends_stream,
        bytes: &block.bytes,
    };
    read_block(parts, whole, now)
}

fn read_block<T: Copy>(parts: &mut Parts<T>, whole: Whole<'_>, now: Instant) -> Result<(), Fatal> {
    if !whole.id.is_of_client() {
        return Err(NOT_OF_CLIENT);
    }
    let known = parts.streams.get(whole.id);
    let Some(stream) = known.filter(|stream| !stream.is_complete()) else {
        return match parts.role {
            Role::Server if parts.is_idle(whole.id) => read_request(parts, whole, now),
            Role::Client if parts.is_idle(whole.id) => Err(NOT_OF_CLIENT),
            Role::Server | Role::Client => read_late(parts, whole, now),
        };
    };
    let owner = stream.owner;
    match stream.state {
        State::Live { receiving, .. } => match receiving {
            Receiving::Head => read_response(parts, whole, now),
            Receiving::Length(left) => read_trailers(parts, whole, left, owner.is_done(), now),
            Receiving::Unknown => read_trailers(parts, whole, 0, owner.is_done(), now),
            Receiving::Ended => skip_closed(parts, whole, now),
        },
        State::Reset(_, By::Us) => {
            parts.guard.counts.late_frames += 1;
            skip(parts, whole)
        }
        State::Reset(_, By::Peer) => skip_closed(parts, whole, now),
    }
}

/// Decodes a block for its effect on those that follow.
fn skip<T>(parts: &mut Parts<T>, whole: Whole<'_>) -> Result<(), Fatal> {
    let decoded = parts.decoder.decode(whole.bytes, |_, _| {});
    decoded.map_err(out_of_step)
}

/// The stream was closed by the peer itself.
fn skip_closed<T: Copy>(parts: &mut Parts<T>, whole: Whole<'_>, now: Instant) -> Result<(), Fatal> {
    skip(parts, whole)?;
    let broken = Broken::Reset(Reset::Protocol);
    fail(parts, whole.id, Code::StreamClosed, broken, now)
}

/// The stream is gone, or will be as soon as its owner hears that it is complete.
fn read_late<T: Copy>(parts: &mut Parts<T>, whole: Whole<'_>, now: Instant) -> Result<(), Fatal> {
    let is_here = parts.streams.get(whole.id).is_some();
    match (late(parts, whole.id), parts.closed.how(whole.id)) {
        (Late::Ignored, _) => skip(parts, whole),
        (Late::OfStream, _) => skip_closed(parts, whole, now),
        (Late::OfConnection, Some(How::Ended)) => Err(CLOSED),
        (Late::OfConnection, _) if is_here => Err(CLOSED),
        // §5.1.1: it was passed over, and closed by that, or has been closed for long.
        (Late::OfConnection, _) => Err(GOES_BACK),
    }
}

fn read_request<T: Copy>(
    parts: &mut Parts<T>,
    whole: Whole<'_>,
    now: Instant,
) -> Result<(), Fatal> {
    let Whole {
        id, ends_stream, ..
    } = whole;
    parts.last = Some(id);
    if matches!(parts.life.leaving, Leaving::After(_)) {
        // §6.8: what comes above the last stream is not looked at.
        parts.guard.counts.late_frames += 1;
        return skip(parts, whole);
    }
    parts.guard.opened();
    if parts.places(parts.limits.concurrent_streams) == 0 {
        skip(parts, whole)?;
        parts.guard.counts.refused_streams += 1;
        let broken = Broken::Reset(Reset::Unprocessed);
        return fail(parts, id, Code::RefusedStream, broken, now);
    }
    let mut head = parts.streams.spare().request();
    let limits = &parts.limits.heads;
    let read = heads::read_request(
        &mut parts.decoder,
        whole.bytes,
        ends_stream,
        limits,
        &mut head,
    );
    let read = read.map_err(out_of_step)?;
    let stream = parts.streams.table_mut().begin(id);
    stream.credit = ReceiveWindow::new(parts.life.known_window);
    stream.window = SendWindow::new(parts.peer.initial_window);
    let begins = match read {
        Ok(begins) => begins,
        Err(refused) => {
            parts.streams.spare().keep_request(head);
            return refuse(parts, id, refused, now);
        }
    };
    stream.asked = Asked::of(&head, &begins);
    let receiving = match begins.body {
        _ if ends_stream => Receiving::Ended,
        _ if may_switch(&stream.asked) => Receiving::Unknown,
        BodyLength::None => Receiving::Length(0),
        BodyLength::Known(length) => Receiving::Length(length),
        BodyLength::Unknown => Receiving::Unknown,
    };
    stream.state = State::Live {
        receiving,
        sending: Sending::Head,
    };
    stream.unread.push(Received::Request(head, begins));
    parts.streams.tell(id);
    Ok(())
}

fn read_response<T: Copy>(
    parts: &mut Parts<T>,
    whole: Whole<'_>,
    now: Instant,
) -> Result<(), Fatal> {
    let Whole {
        id, ends_stream, ..
    } = whole;
    let mut head = parts.streams.spare().response();
    let Some(stream) = parts.streams.get(id) else {
        return Ok(());
    };
    let asked = &stream.asked;
    let limits = &parts.limits.heads;
    let decoder = &mut parts.decoder;
    let read = heads::read_response(decoder, whole.bytes, ends_stream, asked, limits, &mut head);
    let answer = match read.map_err(out_of_step)? {
        Ok(answer) => answer,
        Err(refused) => {
            parts.streams.spare().keep_response(head);
            return refuse(parts, id, refused, now);
        }
    };
    let most = parts.limits.interim_heads;
    let Some(stream) = parts.streams.get_mut(id) else {
        return Ok(());
    };
    let receiving = match answer {
        Answer::Interim if stream.unread.heads() >= most => {
            parts.guard.counts.interim_heads += 1;
            let broken = Broken::Reset(Reset::Protocol);
            return fail(parts, id, Code::EnhanceYourCalm, broken, now);
        }
        Answer::Interim => Receiving::Head,
        Answer::Final(_) | Answer::Switched(_) if ends_stream => Receiving::Ended,
        Answer::Final(BodyLength::None) => Receiving::Length(0),
        Answer::Final(BodyLength::Known(length)) => Receiving::Length(length),
        Answer::Final(BodyLength::Unknown) | Answer::Switched(_) => Receiving::Unknown,
    };
    stream.set_receiving(receiving);
    if !stream.owner.is_done() {
        stream.unread.push(Received::Response(head, answer));
    }
    parts.streams.tell(id);
    Ok(())
}

/// `owed`: bytes of the body that are missing. `is_done`: nobody wants the trailers.
fn read_trailers<T: Copy>(
    parts: &mut Parts<T>,
    whole: Whole<'_>,
    owed: u64,
    is_done: bool,
    now: Instant,
) -> Result<(), Fatal> {
    let mut trailers = Default::default();
    let limits = &parts.limits.trailers;
    let read = heads::read_trailers(&mut parts.decoder, whole.bytes, limits, &mut trailers);
    let wrong = match read.map_err(out_of_step)? {
        Err(refused) => Some(refused),
        // §8.1: a second head that does not end the stream.
        Ok(()) if !whole.ends_stream => Some(ENDLESS_TRAILERS),
        Ok(()) if owed > 0 => Some(LENGTH),
        Ok(()) => None,
    };
    if let Some(refused) = wrong {
        return refuse(parts, whole.id, refused, now);
    }
    if let Some(stream) = parts.streams.get_mut(whole.id) {
        stream.set_receiving(Receiving::Ended);
        if !trailers.is_empty() && !is_done {
            stream.unread.push(Received::Trailers(trailers));
        }
    }
    parts.streams.tell(whole.id);
    Ok(())
}

/// A message is malformed or too large: that costs its stream (§8.1.1).
fn refuse<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    refused: Refused,
    now: Instant,
) -> Result<(), Fatal> {
    parts.guard.counts.refused_heads += 1;
    // Too large is no fault of the protocol. As Envoy does.
    let code = match refused.status {
        431 => Code::InternalError,
        _ => Code::ProtocolError,
    };
    fail(parts, id, code, Broken::Refused(refused), now)
}
