//! What lies beneath a worker: the sockets, timers and tasks of one thread. Each runtime package brings its own.
//!
//! Not a runtime in the large: nothing here knows of requests. The words are those of an event loop (ready, pending),
//! because that is what a connection needs; a system that works by completions keeps what has arrived until it is asked.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::{TlsFacts, TlsFault};
use outrigger_core::snapshot::Keepalive;
use outrigger_core::worker::{Handshake, Hearing};

/// Makes the system of a worker on the worker's own thread, and runs the worker's body on it.
pub trait Launch: Clone + Send + 'static {
    /// What it makes.
    type System: System;

    /// Where the run's time begins, on the clock of its systems.
    fn zero(&self) -> Instant {
        Instant::now()
    }

    /// Runs `body` to its end and returns what it returned. Other tasks that have not ended by then are given up.
    ///
    /// # Errors
    /// The system cannot be made; then `body` was not run.
    fn run<F: Future<Output = usize>>(
        self,
        worker: usize,
        body: impl FnOnce(Self::System) -> F,
    ) -> io::Result<usize>;
}

/// The sockets, timers and tasks of one thread. Copies mean the same one.
pub trait System: Clone + 'static {
    /// A connected socket.
    type Stream: Stream;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A timer.
    type Timer: Timer;

    /// The time on the clock that timers go by.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Runs a task on this thread. When it panics, only it ends.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Runs a task on this thread that gives others their turn by itself, however much it has to do.
    fn spawn_fair(&self, task: impl Future<Output = ()> + 'static) {
        self.spawn(task);
    }

    /// A timer that is set.
    fn timer(&self, at: Instant) -> Self::Timer;

    /// Takes over a socket that listens and does not block.
    ///
    /// # Errors
    /// The system refuses it.
    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// Takes over a Unix socket that listens and does not block, and that other threads may have, too.
    ///
    /// # Errors
    /// The system refuses it.
    fn listen_unix(&self, listener: UnixListener) -> io::Result<Self::Listener>;

    /// Connects over TCP, without delay for small writes (`TCP_NODELAY`), from an address if one is given
    /// ([`connect_from`](crate::connect_from)). Dropping the future gives up.
    fn connect(
        &self,
        addr: SocketAddr,
        from: Option<IpAddr>,
    ) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Connects to a Unix socket. Dropping the future gives up.
    fn connect_unix(&self, path: &Path) -> impl Future<Output = io::Result<Self::Stream>>;

    /// The addresses of a name, in the resolver's order, without blocking the thread.
    fn resolve(&self, name: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;

    /// Protects a stream that was just connected, as the client of a TLS handshake. Dropping the future gives up, and closes
    /// the stream.
    ///
    /// # Errors
    /// TLS cannot be agreed on; a system that knows no TLS protects nothing.
    fn secure_as_client(
        &self,
        stream: Self::Stream,
        handshake: &Handshake,
    ) -> impl Future<Output = Result<(Self::Stream, TlsFacts), TlsFault>> + use<Self> {
        let _ = (stream, handshake);
        async { Err(no_tls()) }
    }

    /// Finds out what a client speaks on a stream that was just accepted, and agrees on TLS. What TLS has proved comes with
    /// the stream, or nothing where the client speaks clear text and may; then everything it has said can still be read. `came` is
    /// what was read of it already.
    /// Dropping the future gives up, and closes the stream.
    ///
    /// # Errors
    /// TLS cannot be agreed on; a system that knows no TLS protects nothing.
    fn secure_as_server(
        &self,
        stream: Self::Stream,
        hearing: Hearing,
        came: &[u8],
    ) -> impl Future<Output = Result<(Self::Stream, Option<TlsFacts>), TlsFault>> + use<Self> {
        let _ = (stream, hearing, came);
        async { Err(no_tls()) }
    }

    /// Until the system has been asked what has happened on sockets, and whoever waits for it was woken.
    fn looked(&self) -> impl Future<Output = ()> + use<Self> + 'static;

    /// Waits for something that other threads do. Whoever is woken by another thread waits through this.
    fn told<F: Future>(&self, future: F) -> impl Future<Output = F::Output>;
}

fn no_tls() -> TlsFault {
    TlsFault::NoIdentity("this program has no TLS beneath its connections".into())
}

/// A connected socket of either family, with exactly the operations that a connection needs.
pub trait Stream: Unpin + 'static {
    /// Ready when a read would not wait.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads once into the spare room of `space`; 0 bytes are the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Takes bytes from the front of `outbox`, which is not empty, and says how many. Taking none is an error.
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>>;

    /// Writes these few as the last that is written, as far as that takes no waiting, also when nobody owns the stream any more.
    fn say_last(&mut self, words: &mut Outbox) {
        while !words.is_empty()
            && let Poll::Ready(Ok(count)) =
                self.poll_write(&mut Context::from_waker(Waker::noop()), words)
        {
            words.advance(count);
        }
    }

    /// Says that nothing more will be written. An error means that the peer is gone, which the next read will tell.
    fn shutdown_write(&mut self);

    /// Closes with a reset. Where the system refuses, an ordinary close is all that is left.
    fn reset(self);

    /// Has the system ask from time to time whether the other side is still there, where it is TCP.
    ///
    /// # Errors
    /// The system refuses.
    fn keep_alive(&self, how: Keepalive) -> io::Result<()>;

    /// Whether bytes, or the end, have come that nobody has read. Asks the system itself: that no event came is no sign.
    fn has_unread(&self) -> bool;

    /// Our own address, for TCP.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// Where the client wanted to go, for TCP that the kernel rewrote ([`original_destination`](crate::original_destination)).
    fn original_dst(&self) -> Option<SocketAddr>;

    /// The other side's address, for TCP.
    fn peer_addr(&self) -> Option<SocketAddr>;
}

/// A client that has connected, and its address; or why none could be taken.
pub type Accepted<T> = io::Result<(T, SocketAddr)>;

/// A listening socket. Dropping it closes it.
pub trait Listener: 'static {
    /// What it accepts.
    type Stream: Stream;

    /// Where it listens; a Unix socket does so at [`UNIX_CLIENT`](crate::UNIX_CLIENT).
    ///
    /// # Errors
    /// The system does not say.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next client, and its address.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Self::Stream>>;

    /// Takes nobody until it is polled again: whoever connects waits where the system keeps them.
    fn rest(&self);

    /// Lets nobody begin to connect any more, while who has begun still gets through
    /// ([`turn_away`](crate::turn_away)).
    fn turn_away(&self);

    /// Accepts nobody more from now on, and leaves the socket as it is: another process may have it, too. The clients that the
    /// system had accepted by itself come one after the other, then `None`, before which the listener must not be dropped.
    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<Option<(Self::Stream, SocketAddr)>>;

    /// A client that has already connected to us, which closing would reset. The last call before the listener is
    /// dropped returns `None`.
    fn take_waiting(&self) -> Option<(Self::Stream, SocketAddr)>;
}

/// A timer that can be moved.
pub trait Timer: Unpin + 'static {
    /// Moves it. It may have fired before.
    fn set(&mut self, at: Instant);

    /// Ready when its time has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
