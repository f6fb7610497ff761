//! Who sends next, and how much: frames that answer first, then credit, then data of one stream after the other.

use super::controls::put_window_update;
use super::endings::finish;
use super::frame::{FrameHead, Kind, LEAST_MAX_FRAME, flag};
use super::heads;
use super::parts::{Asking, OurSettings, Parts, Stage};
use super::stream::{Ending, Place, Receiving, Sending};
use super::stream_id::StreamId;
use super::write::{greet, put_block, put_controls};
use crate::outbox::Outbox;
use crate::time::Instant;

/// Writes what may leave now, until `out` is above its mark.
pub(super) fn flush<T: Copy>(parts: &mut Parts<T>, out: &mut Outbox, mark: usize, now: Instant) {
    greet(parts, out);
    if parts.life.settings == OurSettings::Put {
        parts.life.settings = OurSettings::Sent(now);
        if let Some(keepalive) = parts.limits.keepalive {
            parts.life.asking = Asking::At(now + keepalive.interval);
        }
    }
    put_controls(parts, out, mark);
    if matches!(parts.stage, Stage::Dead(_)) {
        return;
    }
    if !out.is_above(mark) && is_credit_due(parts) {
        let increment = parts.credit.give();
        out.put_with(|block| put_window_update(None, increment, block));
    }
    while !out.is_above(mark)
        && let Some(stream) = parts.streams.next_credit()
    {
        let more_comes = !matches!(stream.receiving(), None | Some(Receiving::Ended));
        let increment = if more_comes { stream.credit.give() } else { 0 };
        if increment > 0 {
            let id = Some(stream.id);
            out.put_with(|block| put_window_update(id, increment, block));
        }
    }
    while !out.is_above(mark)
        && let Some(id) = parts.streams.next_ready()
    {
        send(parts, id, out, now);
    }
    // What a response ends may be the stream.
    put_controls(parts, out, mark);
}

/// Whether a flush would write something.
pub(super) fn has_to_send<T: Copy>(parts: &Parts<T>) -> bool {
    if parts.life.settings == OurSettings::Unsent || !parts.controls.is_empty() {
        return true;
    }
    let is_alive = !matches!(parts.stage, Stage::Dead(_));
    is_alive && (is_credit_due(parts) || parts.streams.owes_credit() || parts.streams.is_ready())
}

const fn is_credit_due<T>(parts: &Parts<T>) -> bool {
    parts.credit.is_due(parts.limits.connection_window)
}

/// One frame of one stream, which stands nowhere.
fn send<T: Copy>(parts: &mut Parts<T>, id: StreamId, out: &mut Outbox, now: Instant) {
    let Some(stream) = parts.streams.get_mut(id) else {
        return;
    };
    let ending = match stream.sending() {
        Some(Sending::Ending(ending)) => Some(ending),
        Some(Sending::Head | Sending::Length(_) | Sending::Unknown | Sending::Ended) | None => None,
    };
    let ends = match (stream.unsent.bytes, ending) {
        (0, None) => return,
        (0, Some(Ending::Trailers)) => {
            let trailers = &stream.unsent.trailers;
            put_block(id, true, out, |block| {
                heads::write_trailers(&mut parts.encoder, trailers, block);
            });
            true
        }
        (_, Some(Ending::Data)) | (1.., Some(Ending::Trailers) | None) => {
            match send_data(parts, id, ending == Some(Ending::Data), out) {
                Sent::Nothing(place) => return stall(parts, id, place, now),
                Sent::Some => false,
                Sent::End => true,
            }
        }
    };
    if ends {
        if let Some(stream) = parts.streams.get_mut(id) {
            stream.set_sending(Sending::Ended);
            stream.unsent.trailers.clear();
        }
        parts.streams.tell(id);
        finish(parts, id);
    } else if parts
        .streams
        .get(id)
        .is_some_and(|stream| stream.has_unsent())
    {
        parts.streams.stand(id, Place::Ready);
    }
}

/// What became of a stream's turn.
enum Sent {
    /// There is no credit; it waits there.
    Nothing(Place),
    Some,
    End,
}

/// One DATA frame. `ends`: it is the last if it takes all that waits.
fn send_data<T: Copy>(parts: &mut Parts<T>, id: StreamId, ends: bool, out: &mut Outbox) -> Sent {
    let Some(stream) = parts.streams.get_mut(id) else {
        return Sent::End;
    };
    let waits = stream.unsent.bytes;
    // Every peer takes frames of this length; a longer one would only make others wait.
    let length = waits
        .min(LEAST_MAX_FRAME)
        .min(stream.window.open())
        .min(parts.window.open());
    if length == 0 && waits > 0 {
        return Sent::Nothing(match stream.window.open() {
            0 => Place::AwaitsCredit,
            _ => Place::AwaitsConnection,
        });
    }
    let ends = ends && length == waits;
    let head = FrameHead {
        length,
        kind: Kind::Data,
        flags: if ends { flag::END_STREAM } else { 0 },
        stream: Some(id),
    };
    out.put(&head.to_bytes());
    stream.window.take(length);
    parts.window.take(length);
    let mut left = length;
    while left > 0
        && let Some(piece) = stream.unsent.take(left)
    {
        left -= piece.len();
        out.put_bytes(piece);
    }
    stream.stalled = None;
    parts.guard.sent_data();
    let left = stream.unsent.bytes;
    parts.streams.let_go(waits - left);
    let mark = parts.limits.unsent_mark;
    if waits >= mark && left < mark {
        parts.streams.tell(id);
    }
    if ends { Sent::End } else { Sent::Some }
}

/// A stream has to wait for credit. From now on, if it did not before.
fn stall<T: Copy>(parts: &mut Parts<T>, id: StreamId, place: Place, now: Instant) {
    parts.streams.stand(id, place);
    if let Some(stream) = parts.streams.get_mut(id) {
        let since = *stream.stalled.get_or_insert(now);
        let until = since + parts.limits.stalled;
        let check = parts
            .life
            .stall_check
            .map_or(until, |check| check.min(until));
        parts.life.stall_check = Some(check);
    }
}
