//! Reads DATA: whether a stream may get it, what it takes of both windows, and how long it makes a body.

use bytes::{Buf, Bytes, BytesMut};

use super::code::{Broken, Code, Fatal, broken_rule};
use super::endings::{fail, fault};
use super::frame::{Frame, FrameHead};
use super::late::{Late, late};
use super::parts::Parts;
use super::refusals::IDLE;
use super::refusals::LENGTH;
use super::stream::{By, Receiving, State};
use super::stream_id::StreamId;
use crate::stream::Reset;
use crate::time::Instant;

const CLOSED: Fatal = broken_rule(Code::StreamClosed, "data came for a stream that was closed");
const CONNECTION_WINDOW: Fatal = broken_rule(
    Code::FlowControlError,
    "more came than the window of the connection allows",
);

/// DATA came, without its head.
pub(super) fn read_data<T: Copy>(
    parts: &mut Parts<T>,
    head: FrameHead,
    mut payload: BytesMut,
    now: Instant,
) -> Result<(), Fatal> {
    let (id, ends_stream, range) = match head.understand(&payload) {
        Ok(Frame::Data {
            stream,
            ends_stream,
            data,
        }) => (stream, ends_stream, data),
        Ok(_) => return Ok(()),
        Err(wrong) => return fault(parts, wrong, now),
    };
    payload.truncate(range.end);
    payload.advance(range.start);
    // It is given back at once: what a stream holds is bounded by its own window, and its owner may take its time.
    if parts.credit.receive(head.length).is_err() {
        parts.guard.counts.windows += 1;
        return Err(CONNECTION_WINDOW);
    }
    parts.credit.give_back(head.length);
    let is_empty = payload.is_empty() && !ends_stream;
    let limits = &parts.limits;
    // Many streams may send one each in a row, when many messages are empty.
    match parts.streams.get_mut(id) {
        Some(stream) if !stream.is_closed() => {
            let run = parts
                .guard
                .on_payload(stream.empty_frames, is_empty, limits);
            stream.empty_frames = run?;
        }
        Some(_) | None => parts.guard.on_other_payload(is_empty, limits)?,
    }
    match accept(parts, id, payload.freeze(), ends_stream, head.length)? {
        None => Ok(()),
        Some((code, broken)) => fail(parts, id, code, broken, now),
    }
}

/// Takes data in; or what is wrong with it for its stream alone.
fn accept<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    data: Bytes,
    ends_stream: bool,
    length: usize,
) -> Result<Option<(Code, Broken)>, Fatal> {
    let of_stream = |code| Ok(Some((code, Broken::Reset(Reset::Protocol))));
    if parts.is_idle(id) {
        return Err(IDLE);
    }
    let known = parts.streams.get_mut(id);
    let Some(stream) = known.filter(|stream| !stream.is_complete()) else {
        return match late(parts, id) {
            Late::Ignored => Ok(None),
            Late::OfStream => of_stream(Code::StreamClosed),
            Late::OfConnection => Err(CLOSED),
        };
    };
    let receiving = match stream.state {
        State::Live { receiving, .. } => receiving,
        State::Reset(_, By::Us) => {
            parts.guard.counts.late_frames += 1;
            return Ok(None);
        }
        State::Reset(_, By::Peer) => return of_stream(Code::StreamClosed),
    };
    let refused = || Ok(Some((Code::ProtocolError, Broken::Refused(LENGTH))));
    let count = data.len() as u64;
    let after = match receiving {
        Receiving::Ended => return of_stream(Code::StreamClosed),
        Receiving::Head => return of_stream(Code::ProtocolError),
        // §8.1.1: a message whose length is unlike its data is malformed.
        Receiving::Length(left) if count > left || ends_stream && count < left => return refused(),
        Receiving::Length(left) => Receiving::Length(left - count),
        Receiving::Unknown => Receiving::Unknown,
    };
    if stream.credit.receive(length).is_err() {
        parts.guard.counts.windows += 1;
        return of_stream(Code::FlowControlError);
    }
    stream.set_receiving(if ends_stream { Receiving::Ended } else { after });
    let is_wanted = !stream.owner.is_done();
    let has_data = !data.is_empty();
    let padding = length - data.len();
    if is_wanted && has_data {
        stream.unread.push_data(data);
        parts.streams.hold(length - padding);
    }
    if padding > 0 {
        give_credit(parts, id, padding);
    }
    if is_wanted && has_data {
        parts.streams.loosen(id);
    }
    if has_data || ends_stream {
        parts.streams.tell(id);
    }
    Ok(None)
}

/// So much of what came on a stream is no longer in memory.
pub(super) fn give_credit<T: Copy>(parts: &mut Parts<T>, id: StreamId, count: usize) {
    let size = parts.limits.stream_window;
    let Some(stream) = parts.streams.get_mut(id) else {
        return;
    };
    stream.credit.give_back(count);
    let more_comes = !matches!(stream.receiving(), None | Some(Receiving::Ended));
    if more_comes && stream.credit.is_due(size) {
        parts.streams.owe_credit(id);
    }
}
