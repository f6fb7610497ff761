//! Tasks, timers, connecting and accepting, as tokio does them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use outrigger_runtime::{Accepted, Launch, Listener, System, Timer, UNIX_CLIENT};
use socket2::{SockAddr, SockRef, Socket};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::Sleep;

use crate::stream::Stream;

/// The tokio runtime of the thread it is used on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokio;

impl Launch for Tokio {
    type System = Self;

    fn run<F: Future<Output = usize>>(
        self,
        _worker: usize,
        body: impl FnOnce(Self) -> F,
    ) -> io::Result<usize> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // Else a task that always has something to do would let nobody hear of sockets for 61 of its turns. Where a turn
            // leaves nothing to do, this costs no call.
            .event_interval(4)
            .thread_name("resolver")
            .build_local(LocalOptions::default())?;
        let outcome = runtime.block_on(body(self));
        // A name that is still being resolved is not worth waiting for.
        runtime.shutdown_background();
        Ok(outcome)
    }
}

impl System for Tokio {
    type Stream = Stream;
    type Listener = Accepts;
    type Timer = Wheel;

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    /// Otherwise tokio would have its sockets found not ready after so and so many of them.
    fn spawn_fair(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(tokio::task::unconstrained(task));
    }

    fn timer(&self, at: Instant) -> Self::Timer {
        Wheel(Box::pin(tokio::time::sleep_until(at.into())))
    }

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<Accepts> {
        TcpListener::from_std(listener).map(Accepts::Tcp)
    }

    fn listen_unix(&self, listener: std::os::unix::net::UnixListener) -> io::Result<Accepts> {
        UnixListener::from_std(listener).map(Accepts::Unix)
    }

    async fn connect(&self, addr: SocketAddr, from: Option<IpAddr>) -> io::Result<Stream> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_nodelay(true)?;
        if let Some(from) = from {
            outrigger_runtime::connect_from(&socket, from)?;
        }
        socket.connect(addr).await.map(Stream::Tcp)
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Stream> {
        UnixStream::connect(path).await.map(Stream::Unix)
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((name, port)).await?.collect())
    }

    /// Who yields has his next turn after the system was asked.
    fn looked(&self) -> impl Future<Output = ()> + use<> + 'static {
        tokio::task::yield_now()
    }

    /// Wakers of tokio may be used on any thread.
    async fn told<F: Future>(&self, future: F) -> F::Output {
        future.await
    }
}

/// A timer of tokio's wheel.
#[derive(Debug)]
pub(crate) struct Wheel(Pin<Box<Sleep>>);

impl Timer for Wheel {
    fn set(&mut self, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Accepts {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener for Accepts {
    type Stream = Stream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Unix(_) => Ok(UNIX_CLIENT),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Stream>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, remote)| {
                #[cfg(not(target_os = "linux"))] // Linux hands the listener's setting down.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream), remote)
            }),
            Self::Unix(listener) => {
                let accepted = listener.poll_accept(cx);
                accepted.map_ok(|(stream, _)| (Stream::Unix(stream), UNIX_CLIENT))
            }
        }
    }

    /// Nobody is taken who is not asked for.
    fn rest(&self) {}

    fn turn_away(&self) {
        match self {
            Self::Tcp(listener) => outrigger_runtime::turn_away(listener),
            // Nobody there is between two states: who has connected is waiting to be taken.
            Self::Unix(_) => {}
        }
    }

    /// Nobody is accepted here but by who asks.
    fn poll_rest(&self, _: &mut Context<'_>) -> Poll<Option<(Stream, SocketAddr)>> {
        Poll::Ready(None)
    }

    fn take_waiting(&self) -> Option<(Stream, SocketAddr)> {
        // The system is asked, because who connected just now may not have been told of.
        loop {
            let accepted = match self {
                Self::Tcp(listener) => SockRef::from(listener).accept(),
                Self::Unix(listener) => SockRef::from(listener).accept(),
            };
            match accepted {
                Ok((socket, remote)) => {
                    if let Some(taken) = self.take(socket, &remote) {
                        return Some(taken);
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => return None,
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

impl Accepts {
    /// Hands an accepted socket to tokio; `None` when its client has gone, or tokio refuses it.
    fn take(&self, socket: Socket, remote: &SockAddr) -> Option<(Stream, SocketAddr)> {
        socket.set_nonblocking(true).ok()?;
        match self {
            Self::Tcp(_) => {
                socket.set_tcp_nodelay(true).ok()?;
                let stream = TcpStream::from_std(socket.into()).ok()?;
                Some((Stream::Tcp(stream), remote.as_socket()?))
            }
            Self::Unix(_) => {
                let stream = UnixStream::from_std(socket.into()).ok()?;
                Some((Stream::Unix(stream), UNIX_CLIENT))
            }
        }
    }
}
