//! Reads what a peer sends, frame by frame.
//!
//! Owns what may come when. Header blocks are read in `read_heads`, and how streams end is in `endings`.

use bytes::{Buf, BytesMut};

use super::code::{Code, Fatal, Fault, broken_rule};
use super::controls::{ALIVE_PING, Control, DRAIN_PING};
use super::endings::{die, fault, leave_unprocessed, on_reset};
use super::frame::{Frame, FrameHead, HEAD, Kind, LEAST_MAX_FRAME, PREFACE, flag};
use super::parts::{Asking, OurSettings, Parts, Stage};
use super::read_data::read_data;
use super::read_heads::{Fragment, begin_block, continue_block};
use super::refusals::IDLE;
use super::role::Role;
use super::settings::PeerSettings;
use super::stream::Place;
use super::stream_id::StreamId;
use crate::stream::Reset;
use crate::time::Instant;

const PREFACE_EXPECTED: Fatal = broken_rule(
    Code::ProtocolError,
    "the connection does not begin with the preface of HTTP/2",
);
const SETTINGS_EXPECTED: Fatal =
    broken_rule(Code::ProtocolError, "the first frame is not SETTINGS");
const TOO_LONG: Fatal = broken_rule(
    Code::FrameSizeError,
    "a frame is longer than SETTINGS_MAX_FRAME_SIZE",
);
const CONTINUATION_EXPECTED: Fatal =
    broken_rule(Code::ProtocolError, "a header block was not continued");
const CONTINUATION: Fatal = broken_rule(
    Code::ProtocolError,
    "CONTINUATION came without a header block",
);
const PUSH: Fatal = broken_rule(Code::ProtocolError, "pushes are not allowed");
const GOAWAY_GREW: Fatal = broken_rule(
    Code::ProtocolError,
    "GOAWAY names a larger stream than the one before",
);
const OVERFLOW: Fatal = broken_rule(Code::FlowControlError, "a window grew beyond 2^31 - 1");

/// Understands all complete frames at the front of `inbox`.
pub(super) fn read<T: Copy>(
    parts: &mut Parts<T>,
    inbox: &mut BytesMut,
    now: Instant,
) -> Result<(), Fatal> {
    parts.streams.settle();
    let read = read_frames(parts, inbox, now);
    if let Err(fatal) = read
        && !matches!(parts.stage, Stage::Dead(_))
    {
        die(parts, fatal, Reset::Protocol);
    }
    read
}

fn read_frames<T: Copy>(
    parts: &mut Parts<T>,
    inbox: &mut BytesMut,
    now: Instant,
) -> Result<(), Fatal> {
    match parts.stage {
        Stage::Dead(fatal) => return Err(fatal),
        Stage::Preface => {
            let here = inbox.len().min(PREFACE.len());
            if inbox[..here] != PREFACE[..here] {
                return Err(PREFACE_EXPECTED);
            }
            if here < PREFACE.len() {
                return Ok(());
            }
            inbox.advance(here);
            parts.stage = Stage::FirstSettings;
        }
        Stage::FirstSettings | Stage::Frames => {}
    }
    while let Some(head) = FrameHead::read(inbox) {
        check(parts, head)?;
        let length = HEAD + head.length;
        if inbox.len() < length {
            break;
        }
        if head.kind == Kind::Data {
            let mut payload = inbox.split_to(length);
            payload.advance(HEAD);
            read_data(parts, head, payload, now)?;
        } else {
            read_frame(parts, head, &inbox[HEAD..length], now)?;
            inbox.advance(length);
        }
    }
    Ok(())
}

/// Whether such a frame may come now, told before all of it is here.
fn check<T>(parts: &Parts<T>, head: FrameHead) -> Result<(), Fatal> {
    if head.length > LEAST_MAX_FRAME {
        return Err(TOO_LONG);
    }
    if parts.stage == Stage::FirstSettings && (head.kind != Kind::Settings || head.has(flag::ACK)) {
        return Err(SETTINGS_EXPECTED);
    }
    let continues = parts.block.as_ref().map(|block| block.stream);
    match (continues, head.kind) {
        (None, Kind::Continuation) => Err(CONTINUATION),
        (Some(stream), Kind::Continuation) if head.stream == Some(stream) => Ok(()),
        (Some(_), _) => Err(CONTINUATION_EXPECTED),
        (None, _) => Ok(()),
    }
}

fn read_frame<T: Copy>(
    parts: &mut Parts<T>,
    head: FrameHead,
    payload: &[u8],
    now: Instant,
) -> Result<(), Fatal> {
    let frame = match head.understand(payload) {
        Ok(frame) => frame,
        Err(wrong) => return fault(parts, wrong, now),
    };
    match frame {
        Frame::Data { .. } => Ok(()), // has a way of its own: its payload is not copied
        Frame::Headers {
            stream,
            ends_stream,
            ends_block,
            fragment,
        } => {
            let is_empty = fragment.is_empty() && !ends_stream && !ends_block;
            parts.guard.on_other_payload(is_empty, &parts.limits)?;
            let fragment = Fragment {
                bytes: fragment,
                ends_block,
            };
            begin_block(parts, stream, ends_stream, fragment, now)
        }
        Frame::Continuation {
            ends_block,
            fragment,
            ..
        } => {
            let is_empty = fragment.is_empty() && !ends_block;
            parts.guard.on_other_payload(is_empty, &parts.limits)?;
            let fragment = Fragment {
                bytes: fragment,
                ends_block,
            };
            continue_block(parts, fragment, now)
        }
        Frame::ResetStream { stream, .. } if parts.is_idle(stream) => Err(IDLE),
        Frame::ResetStream { stream, code } => on_reset(parts, stream, code, now),
        Frame::Settings(settings) => read_settings(parts, settings),
        Frame::SettingsAck => {
            on_acknowledged(parts);
            Ok(())
        }
        Frame::Ping(opaque) => parts.answer(Control::Pong(opaque)),
        Frame::Pong(opaque) => {
            on_pong(parts, opaque, now);
            Ok(())
        }
        Frame::GoAway { last, .. } => on_goaway(parts, last),
        Frame::WindowUpdate { stream, increment } => on_credit(parts, stream, increment, now),
        Frame::PushPromise => Err(PUSH),
        Frame::Priority => parts.guard.on_priority(&parts.limits),
        Frame::Unknown => Ok(()),
    }
}

fn read_settings<T: Copy>(parts: &mut Parts<T>, payload: &[u8]) -> Result<(), Fatal> {
    let before = parts.peer;
    parts.peer.apply(payload, parts.role)?;
    parts.answer(Control::SettingsAck)?;
    parts.stage = Stage::Frames;
    let PeerSettings {
        header_table_size,
        least_table_size,
        initial_window,
        ..
    } = parts.peer;
    for size in [least_table_size, header_table_size] {
        parts.encoder.set_max_table_size(size);
    }
    if initial_window != before.initial_window {
        // §6.9.2: the windows of all streams move, perhaps below 0; that of the connection does not.
        let streams = parts.streams.table_mut().iter_mut();
        for stream in streams.filter(|stream| !stream.is_closed()) {
            let moved = stream.window.resize(before.initial_window, initial_window);
            moved.map_err(|_| OVERFLOW)?;
        }
        let mut at = None;
        while let Some(id) = parts.streams.table().after(at) {
            on_open(parts, id);
            at = Some(id);
        }
    }
    parts.life.has_settings = true;
    Ok(())
}

/// The peer uses our settings from now on: it has told so before anything that it sent since.
fn on_acknowledged<T: Copy>(parts: &mut Parts<T>) {
    match parts.life.settings {
        OurSettings::Put | OurSettings::Sent(_) => {}
        // One that was not asked for means nothing.
        OurSettings::Unsent | OurSettings::Acknowledged => return,
    }
    parts.life.settings = OurSettings::Acknowledged;
    let (before, ours) = (parts.life.known_window, parts.limits.stream_window);
    parts.life.known_window = ours;
    for stream in parts.streams.table_mut().iter_mut() {
        stream.credit.resize(before, ours);
    }
}

fn on_pong<T>(parts: &mut Parts<T>, opaque: [u8; 8], now: Instant) {
    if opaque == DRAIN_PING {
        parts.life.drain_is_known = true;
    }
    if opaque == ALIVE_PING
        && let (Asking::Until(_), Some(keepalive)) = (parts.life.asking, parts.limits.keepalive)
    {
        parts.life.asking = Asking::At(now + keepalive.interval);
    }
}

fn on_goaway<T: Copy>(parts: &mut Parts<T>, last: Option<StreamId>) -> Result<(), Fatal> {
    if parts.life.peer_leaves.is_some_and(|before| last > before) {
        return Err(GOAWAY_GREW);
    }
    parts.life.peer_leaves = Some(last);
    parts.life.has_goaway = true;
    if parts.role == Role::Client {
        leave_unprocessed(parts, last);
    }
    Ok(())
}

fn on_credit<T: Copy>(
    parts: &mut Parts<T>,
    stream: Option<StreamId>,
    increment: u32,
    now: Instant,
) -> Result<(), Fatal> {
    parts.guard.on_window_update(&parts.limits)?;
    let Some(id) = stream else {
        parts.window.credit(increment).map_err(|_| OVERFLOW)?;
        parts.streams.all_ready();
        return Ok(());
    };
    if parts.is_idle(id) {
        return Err(IDLE);
    }
    let Some(stream) = parts.streams.get_mut(id) else {
        return Ok(());
    };
    if stream.is_closed() {
        return Ok(());
    }
    if stream.window.credit(increment).is_err() {
        let wrong = Fault::Stream(id, Code::FlowControlError);
        return fault(parts, wrong, now);
    }
    on_open(parts, id);
    Ok(())
}

/// The window of a stream may have opened.
fn on_open<T: Copy>(parts: &mut Parts<T>, id: StreamId) {
    let Some(stream) = parts.streams.get(id) else {
        return;
    };
    if stream.place == Place::AwaitsCredit && stream.window.open() > 0 {
        parts.streams.stand(id, Place::Ready);
    }
}
