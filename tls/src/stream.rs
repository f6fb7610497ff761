//! A stream that is plain or protected, as a connection sees it.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime::Stream;

use crate::session::Session;

/// A stream that is plain or protected.
pub struct Secured<T: Stream>(pub(crate) Kind<T>);

pub(crate) enum Kind<T: Stream> {
    /// And what was read to find that out, if anything was and is still here: nearly all that are plain have none.
    Plain(T, Option<Box<BytesMut>>),
    Protected(Box<Session<T>>),
}

/// What is plain costs a look at which it is, so its way is short enough to become part of the caller's.
impl<T: Stream> Stream for Secured<T> {
    #[inline]
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Plain(stream, None) => stream.poll_readable(cx),
            Kind::Plain(_, Some(_)) => Poll::Ready(Ok(())),
            Kind::Protected(session) => session.poll_readable(cx),
        }
    }

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream, None) => stream.poll_read(cx, space),
            Kind::Plain(_, sniffed) => Poll::Ready(Ok(hand_over(sniffed, space))),
            Kind::Protected(session) => session.poll_read(cx, space),
        }
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream, _) => stream.poll_write(cx, outbox),
            Kind::Protected(session) => session.poll_write(cx, outbox),
        }
    }

    fn shutdown_write(&mut self) {
        match &mut self.0 {
            Kind::Plain(stream, _) => stream.shutdown_write(),
            Kind::Protected(session) => session.shutdown_write(),
        }
    }

    fn reset(self) {
        match self.0 {
            Kind::Plain(stream, _) => stream.reset(),
            Kind::Protected(session) => session.reset(),
        }
    }

    fn keep_alive(&self, how: Keepalive) -> io::Result<()> {
        self.beneath()
            .map_or(Ok(()), |stream| stream.keep_alive(how))
    }

    fn has_unread(&self) -> bool {
        match &self.0 {
            Kind::Plain(stream, sniffed) => sniffed.is_some() || stream.has_unread(),
            Kind::Protected(session) => session.has_unread(),
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.beneath()?.local_addr()
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        self.beneath()?.original_dst()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.beneath()?.peer_addr()
    }
}

/// Moves what was read to find out what is spoken into the spare room of `space`.
#[cold]
fn hand_over(sniffed: &mut Option<Box<BytesMut>>, space: &mut BytesMut) -> usize {
    let Some(bytes) = sniffed else { return 0 };
    let count = bytes.len().min(space.capacity() - space.len());
    space.extend_from_slice(&bytes[..count]);
    bytes.advance(count);
    if bytes.is_empty() {
        *sniffed = None;
    }
    count
}

impl<T: Stream> Secured<T> {
    /// One that is plain, of which this was read already.
    pub(crate) fn plain(stream: T, sniffed: BytesMut) -> Self {
        let sniffed = Some(sniffed).filter(|sniffed| !sniffed.is_empty());
        Self(Kind::Plain(stream, sniffed.map(Box::new)))
    }

    fn beneath(&self) -> Option<&T> {
        match &self.0 {
            Kind::Plain(stream, _) => Some(stream),
            Kind::Protected(session) => session.stream(),
        }
    }
}
