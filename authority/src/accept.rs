//! Connections of the control plane: TLS with a certificate of its own authority, and who is at their other end, if that one
//! shows a certificate of the mesh.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use outrigger_core::peer::SpiffeId;
use outrigger_identity::Certificate;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use crate::caller::{Caller, Proof};
use crate::counts::Counts;
use crate::limits::Limits;
use crate::serving::Serving;

/// Connections that are ready and were not taken yet; more wait in their handshakes.
const READY: usize = 64;

/// How long nobody is accepted when there are no descriptors.
const NO_DESCRIPTORS: Duration = Duration::from_millis(50);

/// What is allowed at a listener.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// What is spoken there, best first: `h2` for gRPC.
    pub alpn: &'static [&'static str],
    /// Connections at a time, those that shake hands among them; more are closed at once.
    pub max_connections: usize,
    /// A connection on which no [`Gate`](crate::Gate) has let anybody through within this time is closed. `None`: there is no
    /// gate.
    pub proof_timeout: Option<Duration>,
}

impl Door {
    /// That of services of gRPC behind gates.
    #[must_use]
    pub const fn of_services(limits: &Limits) -> Self {
        Self {
            alpn: &["h2"],
            max_connections: limits.max_connections,
            proof_timeout: Some(limits.proof_timeout),
        }
    }
}

/// Who is at the other end of a connection: in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub addr: SocketAddr,
    /// Who it is, if it has shown a certificate of the mesh, and until when that one is good: a connection may live longer.
    pub caller: Option<Caller>,
    is_proved: Arc<AtomicBool>,
}

impl Peer {
    pub(crate) fn new(addr: SocketAddr, caller: Option<Caller>) -> Self {
        Self {
            addr,
            caller,
            is_proved: Arc::default(),
        }
    }

    /// Somebody there has proved who he is.
    pub(crate) fn prove(&self) {
        self.is_proved.store(true, Ordering::Relaxed);
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Stream {
    inner: TlsStream<TcpStream>,
    peer: Peer,
    /// Until when it is waited for a proof.
    unproved: Option<Pin<Box<Sleep>>>,
    counts: Arc<Counts>,
    /// As long as it is there.
    _room: OwnedSemaphorePermit,
}

impl Stream {
    /// Who is at its other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether nobody has proved who he is for too long.
    fn poll_unproved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = &mut self.unproved else {
            return Poll::Pending;
        };
        if self.peer.is_proved.load(Ordering::Relaxed) {
            self.unproved = None;
            return Poll::Pending;
        }
        until.as_mut().poll(cx)
    }
}

impl Connected for Stream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever serves it always reads.
        if self.poll_unproved(cx).is_ready() {
            self.unproved = None;
            let counts = &self.counts;
            counts.connections_unproved.fetch_add(1, Ordering::Relaxed);
            debug!(target: "authority", "{} has not proved who it is in time", self.peer.addr);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Connections of a listener, for tonic's `serve_with_incoming` or for hyper. Each shakes hands in a task of its own, so that who
/// is slow keeps nobody waiting but those beyond [`max_handshakes`](crate::Limits::max_handshakes).
#[must_use]
pub fn incoming(
    listener: TcpListener,
    serving: Arc<Serving>,
    door: Door,
) -> ReceiverStream<io::Result<Stream>> {
    let (ready, streams) = mpsc::channel(READY);
    tokio::spawn(accept(listener, serving, door, ready));
    ReceiverStream::new(streams)
}

async fn accept(
    listener: TcpListener,
    serving: Arc<Serving>,
    door: Door,
    ready: mpsc::Sender<io::Result<Stream>>,
) {
    let places = Arc::new(Semaphore::new(serving.limits().max_handshakes));
    let rooms = Arc::new(Semaphore::new(door.max_connections));
    // Said once each time that it gets full.
    let mut was_full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let (socket, addr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(target: "authority", "cannot accept a connection: {error}");
                sleep(NO_DESCRIPTORS).await;
                continue;
            }
        };
        let Ok(room) = Arc::clone(&rooms).try_acquire_owned() else {
            let counts = serving.counts();
            counts.connections_too_many.fetch_add(1, Ordering::Relaxed);
            if !was_full {
                let most = door.max_connections;
                warn!(target: "authority", "{most} connections are as many as there may be: {addr} and others are sent away");
            }
            was_full = true;
            continue;
        };
        was_full = false;
        let (serving, ready) = (Arc::clone(&serving), ready.clone());
        let places = Arc::clone(&places);
        tokio::spawn(async move {
            if !says_something(&socket, addr, &serving).await {
                return;
            }
            // It is never closed.
            let Ok(place) = places.acquire_owned().await else {
                return;
            };
            let shaken = shake(socket, addr, &serving, door, room).await;
            // Others may shake hands while this one waits to be taken.
            drop(place);
            if let Some(stream) = shaken {
                // Nobody takes any more when the server ends.
                let _ = ready.send(Ok(stream)).await;
            }
        });
    }
}

/// Whoever says nothing has its room, and no place where hands are shaken: it keeps nobody waiting.
async fn says_something(socket: &TcpStream, addr: SocketAddr, serving: &Serving) -> bool {
    let limit = serving.limits().handshake_timeout;
    match tokio::time::timeout(limit, socket.peek(&mut [0])).await {
        Ok(heard) => heard.is_ok_and(|bytes| bytes > 0),
        Err(_) => {
            let counts = serving.counts();
            counts.handshakes_late.fetch_add(1, Ordering::Relaxed);
            debug!(target: "authority", "{addr} has said nothing");
            false
        }
    }
}

async fn shake(
    socket: TcpStream,
    addr: SocketAddr,
    serving: &Serving,
    door: Door,
    room: OwnedSemaphorePermit,
) -> Option<Stream> {
    let counts = serving.counts();
    // It is slower without, and works.
    let _ = socket.set_nodelay(true);
    let handshake = serving.acceptor(door.alpn).accept(socket);
    let limit = serving.limits().handshake_timeout;
    let Ok(shaken) = tokio::time::timeout(limit, handshake).await else {
        counts.handshakes_late.fetch_add(1, Ordering::Relaxed);
        debug!(target: "authority", "{addr} has taken too long for its handshake");
        return None;
    };
    let inner = match shaken {
        Ok(inner) => inner,
        Err(error) => {
            counts.handshakes_failed.fetch_add(1, Ordering::Relaxed);
            debug!(target: "authority", "the handshake of {addr} failed: {error}");
            return None;
        }
    };
    let leaf = inner.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = leaf.and_then(|leaf| caller(leaf, &serving.trust_domain()));
    Some(Stream {
        inner,
        peer: Peer::new(addr, caller),
        unproved: door.proof_timeout.map(|time| Box::pin(sleep(time))),
        counts: Arc::clone(counts),
        _room: room,
    })
}

/// Whose a certificate is whose chain was verified: exactly one URI name, of a workload of the trust domain (SPIFFE X.509-SVID
/// §2).
fn caller(leaf: &CertificateDer<'_>, trust_domain: &str) -> Option<Caller> {
    let read = Certificate::read(leaf).ok()?;
    let [uri] = &*read.uri_names else {
        return None;
    };
    let id = SpiffeId::parse(uri).filter(|id| id.trust_domain == trust_domain)?;
    let caller = Caller::new(id.namespace, id.service_account, Proof::Certificate).ok()?;
    Some(caller.until(read.not_after))
}
