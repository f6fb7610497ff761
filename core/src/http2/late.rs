//! What a frame means that comes for a stream which is closed and gone.

use super::closed::How;
use super::parts::{Leaving, Parts};
use super::role::Role;
use super::stream_id::StreamId;

/// What it means.
pub(super) enum Late {
    /// It was on its way when we reset the stream.
    Ignored,
    OfStream,
    OfConnection,
}

/// Judges, and counts, one frame.
pub(super) fn late<T>(parts: &mut Parts<T>, id: StreamId) -> Late {
    parts.guard.counts.late_frames += 1;
    if matches!(parts.life.leaving, Leaving::After(last) if Some(id) > last) {
        return Late::Ignored;
    }
    match (parts.role, parts.closed.how(id)) {
        (Role::Client, _) | (Role::Server, Some(How::ResetByUs)) => Late::Ignored,
        (Role::Server, Some(How::ResetByPeer)) => Late::OfStream,
        (Role::Server, Some(How::Ended) | None) => Late::OfConnection,
    }
}
