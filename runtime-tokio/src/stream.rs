//! A connected socket of either family: tokio says when it may be read and written, and the system is called here.
//!
//! The calls are rustix's, which are those of the system and nothing else. Those of libc may be cancelled by other threads, and
//! each looks for that twice, with an atomic of its own.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime as runtime;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// Pieces gathered in one write. More only helps bodies of many small kept pieces, which the outbox joins anyway.
const PIECES: usize = 16;

/// Room for a read where there is none, in bytes.
const LEAST_SPACE: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl runtime::Stream for Stream {
    /// Costs no system call.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(s) => s.poll_read_ready(cx),
            Self::Unix(s) => s.poll_read_ready(cx),
        }
    }

    /// A read that leaves room is known to have taken everything, so the next one waits for an event
    /// instead of asking the system in vain.
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(s) => poll_read(s, cx, space),
            Self::Unix(s) => poll_read(s, cx, space),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let wrote = ready!(match self {
            Self::Tcp(s) => poll_write(s, cx, outbox),
            Self::Unix(s) => poll_write(s, cx, outbox),
        })?;
        Poll::Ready(if wrote == 0 {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(wrote)
        })
    }

    fn shutdown_write(&mut self) {
        let _ = match self {
            Self::Tcp(s) => SockRef::from(&*s).shutdown(Shutdown::Write),
            Self::Unix(s) => SockRef::from(&*s).shutdown(Shutdown::Write),
        };
    }

    fn reset(self) {
        if let Self::Tcp(s) = &self {
            let _ = SockRef::from(s).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    fn keep_alive(&self, how: Keepalive) -> io::Result<()> {
        match self {
            Self::Tcp(s) => runtime::keep_alive(s, how),
            Self::Unix(_) => Ok(()),
        }
    }

    fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(s) => SockRef::from(s).peek(&mut byte),
            Self::Unix(s) => SockRef::from(s).peek(&mut byte),
        };
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(s) => s.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(s) => runtime::original_destination(s),
            Self::Unix(_) => None,
        }
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(s) => s.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// What tokio knows of a socket of either family.
trait Watched: AsFd {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Calls the system; one that would have waited is waited for from now on.
    fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R>;

    /// The next call would have to wait, so it is not made before an event.
    fn exhaust(&self, interest: Interest) {
        let _ = self.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

macro_rules! watched {
    ($stream:ty) => {
        impl Watched for $stream {
            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_io<R>(
                &self,
                interest: Interest,
                call: impl FnOnce() -> io::Result<R>,
            ) -> io::Result<R> {
                self.try_io(interest, call)
            }
        }
    };
}

watched!(TcpStream);
watched!(UnixStream);

#[expect(
    unsafe_code,
    reason = "what was read into room without contents has contents now"
)]
fn poll_read(
    stream: &impl Watched,
    cx: &mut Context<'_>,
    space: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    // To read into no room looks like the end.
    if space.len() == space.capacity() {
        space.reserve(LEAST_SPACE);
    }
    let len = space.len();
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let room = space.spare_capacity_mut();
        let most = room.len();
        let read = stream.try_io(Interest::READABLE, || {
            let ((read, _), _) = recv(stream, room, RecvFlags::empty())?;
            Ok(read.len())
        });
        match read {
            Ok(read) => {
                // SAFETY: the system has written `read` bytes at the beginning of the room, which is behind `len`.
                unsafe { space.set_len(len + read) };
                if (1..most).contains(&read) {
                    stream.exhaust(Interest::READABLE);
                }
                return Poll::Ready(Ok(read));
            }
            Err(error) if waits(&error) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

fn poll_write(
    stream: &impl Watched,
    cx: &mut Context<'_>,
    outbox: &Outbox,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let written = stream.try_io(Interest::WRITABLE, || call_write(stream, outbox));
        match written {
            Ok((written, most)) => {
                if (1..most).contains(&written) {
                    stream.exhaust(Interest::WRITABLE);
                }
                return Poll::Ready(Ok(written));
            }
            Err(error) if waits(&error) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// How much the system has taken, of how much.
fn call_write(stream: &impl Watched, outbox: &Outbox) -> io::Result<(usize, usize)> {
    if outbox.is_single() {
        let front = outbox.front();
        return Ok((send(stream, front, SendFlags::NOSIGNAL)?, front.len()));
    }
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let count = outbox.chunks(&mut pieces);
    let pieces = &pieces[..count];
    let most = pieces.iter().map(|piece| piece.len()).sum();
    let written = sendmsg(
        stream,
        pieces,
        &mut SendAncillaryBuffer::default(),
        SendFlags::NOSIGNAL,
    )?;
    Ok((written, most))
}

/// Whether a call is to be made again, at once or after the next event.
fn waits(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock)
}
