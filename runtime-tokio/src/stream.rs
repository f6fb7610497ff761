//! A connected socket of either family, as tokio reads and writes it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime as runtime;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::poll_read_buf;

/// Pieces gathered in one write. More only helps bodies of many small kept pieces, which the outbox joins anyway.
const PIECES: usize = 16;

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
            Self::Tcp(s) => poll_read_buf(Pin::new(s), cx, space),
            Self::Unix(s) => poll_read_buf(Pin::new(s), cx, space),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let wrote = ready!(match self {
            Self::Tcp(s) => poll_write(Pin::new(s), cx, outbox),
            Self::Unix(s) => poll_write(Pin::new(s), cx, outbox),
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

fn poll_write(
    stream: Pin<&mut impl AsyncWrite>,
    cx: &mut Context<'_>,
    outbox: &Outbox,
) -> Poll<io::Result<usize>> {
    if outbox.is_single() {
        return stream.poll_write(cx, outbox.front());
    }
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let count = outbox.chunks(&mut pieces);
    stream.poll_write_vectored(cx, &pieces[..count])
}
