//! Reading from a socket, without asking the system in vain.

use std::task::{Context, Poll};

use outrigger_core::peer::ConnId;
use outrigger_core::worker::Input;
use outrigger_recording::Joint;

use crate::sockets::{Incoming, Registration};
use crate::system::Stream;

/// Reads once, unless it is known that there is nothing.
#[inline]
pub(crate) fn poll<T: Stream>(
    entry: &mut Registration<T>,
    joint: &Joint,
    id: ConnId,
) -> Option<Input> {
    if entry.incoming == Incoming::Watched {
        return None;
    }
    let is_likely = entry.incoming == Incoming::Likely;
    let read = entry.poll(|stream, cx| match is_likely {
        true => read_into(stream, cx, joint, id),
        false => poll_read(stream, cx, joint, id),
    });
    let (incoming, input) = match read {
        Some(Poll::Pending) => (Incoming::Watched, None),
        Some(Poll::Ready(input)) => (Incoming::Unknown, Some(input)),
        None => (Incoming::Unknown, None),
    };
    entry.incoming = incoming;
    input
}

/// An idle connection costs no buffer: room to read into is taken only when there is something to read.
#[inline]
fn poll_read(
    stream: &mut impl Stream,
    cx: &mut Context<'_>,
    joint: &Joint,
    id: ConnId,
) -> Poll<Input> {
    match stream.poll_readable(cx) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(_)) => Poll::Ready(Input::Broken),
        Poll::Ready(Ok(())) => read_into(stream, cx, joint, id),
    }
}

#[inline]
fn read_into(
    stream: &mut impl Stream,
    cx: &mut Context<'_>,
    joint: &Joint,
    id: ConnId,
) -> Poll<Input> {
    match joint.with_space(id, |space| stream.poll_read(cx, space)) {
        Some(Poll::Ready(Ok(0))) => Poll::Ready(Input::Eof),
        Some(Poll::Ready(Ok(count))) => Poll::Ready(Input::Read(count)),
        Some(Poll::Ready(Err(_))) => Poll::Ready(Input::Broken),
        Some(Poll::Pending) => {
            // What was said of it was about something else; and a fresh socket is called readable until it is asked, and most
            // clients connect some time before they speak.
            joint.leave_space(id);
            Poll::Pending
        }
        None => Poll::Pending,
    }
}
