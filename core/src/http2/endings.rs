//! How streams end before their messages do, and how a connection does.

use super::closed::How;
use super::code::{Broken, Code, Fatal, Fault, broken_rule};
use super::controls::Control;
use super::parts::{Leaving, Parts, Stage};
use super::role::Role;
use super::stream::{By, Owner, Receiving, Sending, State, Stream};
use super::stream_id::StreamId;
use crate::stream::Reset;
use crate::time::Instant;

/// The peer made us reset a stream. It may be one that is closed.
pub(super) fn fail<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    code: Code,
    broken: Broken,
    now: Instant,
) -> Result<(), Fatal> {
    parts.answer(Control::Reset(id, code))?;
    parts.guard.on_made_reset(&parts.limits, now)?;
    let Some(stream) = parts.streams.get_mut(id) else {
        remember(parts, id, How::ResetByUs);
        return Ok(());
    };
    if let State::Reset(_, by) = &mut stream.state {
        // Its owner knows. What comes from now on was on its way before the peer could know.
        *by = By::Us;
        return Ok(());
    }
    match (stream.owner, broken) {
        // Who was not told of a request is told of one that was refused.
        (Owner::Untold, Broken::Reset(_)) | (Owner::Done, _) => forget(parts, id, How::ResetByUs),
        (Owner::Untold, Broken::Refused(_)) | (Owner::Told | Owner::Is(_), _) => {
            parts.streams.break_off(id, broken, By::Us);
        }
    }
    Ok(())
}

/// A frame of a stream was wrong by itself.
pub(super) fn fault<T: Copy>(
    parts: &mut Parts<T>,
    fault: Fault,
    now: Instant,
) -> Result<(), Fatal> {
    let (id, code) = match fault {
        Fault::Connection(fatal) => return Err(fatal),
        Fault::Stream(id, code) => (id, code),
    };
    // A stream that was never opened cannot be reset (§6.4).
    if parts.is_idle(id) {
        let explain = "a malformed frame came for a stream that is idle";
        return Err(broken_rule(code, explain));
    }
    if parts.streams.get(id).is_none_or(Stream::is_closed) {
        // §5.1: nothing is sent on a stream that is closed, not even that.
        parts.guard.counts.late_frames += 1;
        return Ok(());
    }
    fail(parts, id, code, Broken::Reset(Reset::Protocol), now)
}

/// The peer reset a stream that is here.
pub(super) fn on_reset<T: Copy>(
    parts: &mut Parts<T>,
    id: StreamId,
    code: Code,
    now: Instant,
) -> Result<(), Fatal> {
    let Some(stream) = parts.streams.get(id) else {
        return Ok(());
    };
    let State::Live { receiving, sending } = stream.state else {
        parts.guard.counts.late_frames += 1;
        return Ok(());
    };
    let owner = stream.owner;
    match (parts.role, receiving, sending) {
        (_, Receiving::Ended, Sending::Ended) => return Ok(()),
        // §8.1: a complete response is not thrown away because the rest of the request is not wanted.
        (Role::Client, Receiving::Ended, _) => {
            parts.streams.stop_sending(id);
            if let Some(stream) = parts.streams.get_mut(id) {
                stream.set_sending(Sending::Ended);
            }
            if owner.is_done() {
                forget(parts, id, How::ResetByPeer);
            }
            parts.streams.tell(id);
            return Ok(());
        }
        // The response is complete, so nothing was in vain.
        (_, _, Sending::Ended) => {}
        (Role::Server | Role::Client, _, _) => parts.guard.on_reset(&parts.limits, now)?,
    }
    match owner {
        // Nobody has begun anything for it: nobody is called.
        Owner::Untold | Owner::Done => forget(parts, id, How::ResetByPeer),
        Owner::Told | Owner::Is(_) => {
            let broken = Broken::Reset(code.meaning());
            parts.streams.break_off(id, broken, By::Peer);
        }
    }
    Ok(())
}

/// Its owner resets a stream, or is done with one that has not ended.
pub(super) fn reset<T: Copy>(parts: &mut Parts<T>, id: StreamId, code: Code) {
    let Some(stream) = parts.streams.get(id) else {
        return;
    };
    let how = match stream.state {
        State::Reset(_, By::Us) => How::ResetByUs,
        State::Reset(_, By::Peer) => How::ResetByPeer,
        State::Live {
            receiving: Receiving::Ended,
            sending: Sending::Ended,
        } => How::Ended,
        State::Live { .. } => {
            parts.controls.say(Control::Reset(id, code));
            How::ResetByUs
        }
    };
    forget(parts, id, how);
}

/// The owner of a stream is done with it. What waits to be sent, up to an end, still is.
pub(super) fn close<T: Copy>(parts: &mut Parts<T>, id: StreamId) {
    let Some(stream) = parts.streams.get(id) else {
        return;
    };
    if let Some(Sending::Ending(_)) = stream.sending() {
        return parts.streams.abandon(id);
    }
    let code = match (parts.role, stream.sending()) {
        // §8.1: the response is complete, and the rest of the request is not needed.
        (Role::Server, Some(Sending::Ended)) => Code::NoError,
        (Role::Server | Role::Client, _) => Code::Cancel,
    };
    reset(parts, id, code);
}

/// What was left to be sent on a stream has been, and nobody owns it any more.
pub(super) fn finish<T: Copy>(parts: &mut Parts<T>, id: StreamId) {
    if parts.streams.get(id).is_some_and(|s| s.owner.is_done()) {
        close(parts, id);
    }
}

/// The connection ends by an error of the peer: GOAWAY is the last that is said. `reset` is what its streams come to: the peer broke the
/// rules, or is as good as gone.
pub(super) fn die<T: Copy>(parts: &mut Parts<T>, fatal: Fatal, reset: Reset) {
    let last = match (parts.role, parts.life.leaving) {
        (Role::Client, _) => None,
        // It must not grow (§6.8).
        (Role::Server, Leaving::After(last)) => last,
        (Role::Server, Leaving::Not | Leaving::Warned) => parts.last,
    };
    parts.stage = Stage::Dead(fatal);
    parts.block = None;
    parts.controls.say_last(Control::GoAway {
        last,
        code: fatal.code,
        explain: fatal.explain,
    });
    cut(parts, reset);
}

/// Nothing comes or goes any more: streams that have not ended come to this. A response that is here is still handed out.
pub(super) fn cut<T: Copy>(parts: &mut Parts<T>, reset: Reset) {
    let mut at = None;
    while let Some(id) = parts.streams.table().after(at) {
        cut_stream(parts, id, reset);
        at = Some(id);
    }
}

fn cut_stream<T: Copy>(parts: &mut Parts<T>, id: StreamId, reset: Reset) {
    let Some(stream) = parts.streams.get(id) else {
        return;
    };
    let State::Live { receiving, sending } = stream.state else {
        return;
    };
    match (stream.owner, parts.role, receiving, sending) {
        (Owner::Untold | Owner::Done, ..) => parts.streams.remove(id),
        (_, _, Receiving::Ended, Sending::Ended) => {}
        (_, Role::Client, Receiving::Ended, _) => {
            parts.streams.stop_sending(id);
            if let Some(stream) = parts.streams.get_mut(id) {
                stream.set_sending(Sending::Ended);
            }
            parts.streams.tell(id);
        }
        (Owner::Told | Owner::Is(_), Role::Server | Role::Client, ..) => {
            let broken = Broken::Reset(reset);
            parts.streams.break_off(id, broken, By::Peer);
        }
    }
}

/// The peer leaves: what it will not look at may be asked elsewhere (§6.8).
pub(super) fn leave_unprocessed<T: Copy>(parts: &mut Parts<T>, last: Option<StreamId>) {
    let mut at = last;
    while let Some(id) = parts.streams.table().after(at) {
        let stream = parts.streams.get(id);
        match stream.map(|stream| (stream.receiving(), stream.owner)) {
            None | Some((None | Some(Receiving::Ended), _)) => {}
            Some((Some(_), Owner::Done)) => parts.streams.remove(id),
            Some((Some(_), _)) => {
                let broken = Broken::Reset(Reset::Unprocessed);
                parts.streams.break_off(id, broken, By::Peer);
            }
        }
        at = Some(id);
    }
}

/// Forgets a stream but for how it was closed.
pub(super) fn forget<T: Copy>(parts: &mut Parts<T>, id: StreamId, how: How) {
    parts.streams.remove(id);
    remember(parts, id, how);
}

/// A client of ours ignores late frames of any stream; a server has to know.
fn remember<T>(parts: &mut Parts<T>, id: StreamId, how: How) {
    if parts.role == Role::Server {
        parts.closed.remember(id, how);
    }
}
