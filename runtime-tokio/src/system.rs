//! Tasks, timers, connecting and accepting, as tokio does them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use outrigger_runtime::{Accepted, Launch, Listener, System, Timer};
use tokio::net::{TcpListener, TcpSocket, UnixStream, lookup_host};
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

    fn timer(&self, at: Instant) -> Self::Timer {
        Wheel(Box::pin(tokio::time::sleep_until(at.into())))
    }

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<Accepts> {
        TcpListener::from_std(listener).map(Accepts)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<Stream> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_nodelay(true)?;
        socket.connect(addr).await.map(Stream::Tcp)
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Stream> {
        UnixStream::connect(path).await.map(Stream::Unix)
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((name, port)).await?.collect())
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
pub(crate) struct Accepts(TcpListener);

impl Listener for Accepts {
    type Stream = Stream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Stream>> {
        self.0.poll_accept(cx).map_ok(|(stream, remote)| {
            #[cfg(not(target_os = "linux"))] // Linux hands the listener's setting down.
            let _ = stream.set_nodelay(true);
            (Stream::Tcp(stream), remote)
        })
    }

    fn take_waiting(&self) -> Option<(Stream, SocketAddr)> {
        match self.poll_accept(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(accepted)) => Some(accepted),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        }
    }
}
