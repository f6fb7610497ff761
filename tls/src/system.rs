//! A system around a system: its sockets are plain until they are protected.

use std::future::{pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use outrigger_core::peer::{TlsFacts, TlsFault};
use outrigger_core::worker::{Handshake, Hearing};
use outrigger_runtime::{Accepted, Launch, Listener, Stream, System, Timer};

use crate::contexts::Contexts;
use crate::handshake;
use crate::identities::Identities;
use crate::scratch::Scratch;
use crate::stream::{Kind, Secured};

/// Makes systems whose connections can be protected of those that another one makes.
#[derive(Clone)]
pub struct Protected<L> {
    inner: L,
    contexts: Arc<Contexts>,
}

/// The systems of `inner`, whose connections can be protected by what these identities prove. A ClientHello of more bytes than
/// `longest_hello` ends its connection ([`LONGEST_HELLO`](crate::LONGEST_HELLO) by default).
#[must_use]
pub fn protect<L: Launch>(
    inner: L,
    identities: Arc<Identities>,
    longest_hello: usize,
) -> Protected<L> {
    let contexts = Arc::new(Contexts::new(identities, longest_hello));
    Protected { inner, contexts }
}

impl<L: Launch> Launch for Protected<L> {
    type System = Around<L::System>;

    fn zero(&self) -> Instant {
        self.inner.zero()
    }

    fn run<F: Future<Output = usize>>(
        self,
        worker: usize,
        body: impl FnOnce(Self::System) -> F,
    ) -> io::Result<usize> {
        let contexts = self.contexts;
        self.inner.run(worker, |inner| {
            body(Around {
                inner,
                contexts,
                scratch: Rc::default(),
            })
        })
    }
}

/// One thread's.
#[derive(Clone)]
pub struct Around<S> {
    inner: S,
    contexts: Arc<Contexts>,
    scratch: Rc<Scratch>,
}

impl<S: System> System for Around<S> {
    type Stream = Secured<S::Stream>;
    type Listener = Accepts<S::Listener>;
    type Timer = S::Timer;

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.inner.spawn(task);
    }

    fn spawn_fair(&self, task: impl Future<Output = ()> + 'static) {
        self.inner.spawn_fair(task);
    }

    fn timer(&self, at: Instant) -> Self::Timer {
        self.inner.timer(at)
    }

    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener> {
        self.inner.listen(listener).map(Accepts)
    }

    fn listen_unix(&self, listener: UnixListener) -> io::Result<Self::Listener> {
        self.inner.listen_unix(listener).map(Accepts)
    }

    async fn connect(&self, addr: SocketAddr, from: Option<IpAddr>) -> io::Result<Self::Stream> {
        self.inner.connect(addr, from).await.map(plain)
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Self::Stream> {
        self.inner.connect_unix(path).await.map(plain)
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.inner.resolve(name, port).await
    }

    fn secure_as_client(
        &self,
        stream: Self::Stream,
        wanted: &Handshake,
    ) -> impl Future<Output = Result<(Self::Stream, TlsFacts), TlsFault>> + use<S> {
        let (contexts, scratch) = (Arc::clone(&self.contexts), Rc::clone(&self.scratch));
        let wanted = wanted.clone();
        async move {
            match stream.0 {
                Kind::Plain(stream, _) => {
                    handshake::as_client(stream, contexts, wanted, scratch).await
                }
                Kind::Protected(_) => Err(twice()),
            }
        }
    }

    fn secure_as_server(
        &self,
        stream: Self::Stream,
        hearing: Hearing,
        came: &[u8],
    ) -> impl Future<Output = Result<(Self::Stream, Option<TlsFacts>), TlsFault>> + use<S> {
        let (contexts, scratch) = (Arc::clone(&self.contexts), Rc::clone(&self.scratch));
        let came = BytesMut::from(came);
        let timer = hearing
            .silence
            .map(|time| self.inner.timer(self.inner.now() + time));
        let silence = async move {
            match timer {
                Some(mut timer) => poll_fn(|cx| timer.poll(cx)).await,
                None => pending().await,
            }
        };
        async move {
            match stream.0 {
                Kind::Plain(stream, _) => {
                    handshake::as_server(stream, came, contexts, hearing, scratch, silence).await
                }
                Kind::Protected(_) => Err(twice()),
            }
        }
    }

    fn looked(&self) -> impl Future<Output = ()> + use<S> + 'static {
        self.inner.looked()
    }

    async fn told<F: Future>(&self, future: F) -> F::Output {
        self.inner.told(future).await
    }
}

fn plain<T: Stream>(stream: T) -> Secured<T> {
    Secured(Kind::Plain(stream, None))
}

/// Nobody asks for that.
fn twice() -> TlsFault {
    TlsFault::NothingInCommon("it is protected already".into())
}

/// A listening socket.
pub struct Accepts<L>(L);

impl<L: Listener> Listener for Accepts<L> {
    type Stream = Secured<L::Stream>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Self::Stream>> {
        let accepted = self.0.poll_accept(cx);
        accepted.map_ok(|(stream, remote)| (plain(stream), remote))
    }

    fn rest(&self) {
        self.0.rest();
    }

    fn turn_away(&self) {
        self.0.turn_away();
    }

    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<Option<(Self::Stream, SocketAddr)>> {
        let taken = self.0.poll_rest(cx);
        taken.map(|taken| taken.map(|(stream, remote)| (plain(stream), remote)))
    }

    fn take_waiting(&self) -> Option<(Self::Stream, SocketAddr)> {
        let taken = self.0.take_waiting();
        taken.map(|(stream, remote)| (plain(stream), remote))
    }
}
