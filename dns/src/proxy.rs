//! Answers applications: names of services as core says, all other questions as name servers say.
//!
//! Owns the sockets, what waits and for how long, and what is counted. A thread of its own does it, so that neither requests
//! nor a configuration that is compiled keep a name waiting. Questions for others are passed on byte for byte, over what
//! they came over, with a number and a port that nobody can guess; an answer is passed back if it answers that question.

mod counts;
mod forward;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use outrigger_core::policy::dns::{self, Told};
use outrigger_core::snapshot::Snapshot;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::select;
use tokio::sync::{oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use tracing::error;

use crate::ask::{read_framed, write_framed};
use crate::query::{Query, Unread};
use crate::random;
use crate::system::System;
pub use counts::Counts;
use forward::{Over, Troubles, forward};

/// No question is longer; there is room for extensions in it.
const LONGEST_QUESTION: usize = 4096;

/// So long a connection may be without a question, and an answer take to be written.
const IDLE: Duration = Duration::from_secs(10);

/// What the machine says of name servers is read again after this.
const SYSTEM_TTL: Duration = Duration::from_secs(1);

/// After the system had no datagram or connection for us, such as for want of descriptors.
const REST: Duration = Duration::from_millis(10);

/// Where applications ask, over UDP and TCP.
#[derive(Debug)]
pub struct Sockets {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    addr: SocketAddr,
}

/// What the proxy is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Asked in the place of the machine's name servers, if there are any.
    pub servers: Vec<SocketAddr>,
    /// Questions that wait for others, and connections, at most; who comes then is told that it failed.
    pub most_pending: usize,
}

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    counts: Arc<Counts>,
    /// Dropped, it ends the thread.
    end: Option<oneshot::Sender<()>>,
    /// Told, nothing more is taken.
    rest: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Begins to answer wherever applications ask. `snapshot` is the one in force.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(
        sockets: Vec<Sockets>,
        settings: Settings,
        snapshot: impl Fn() -> Arc<Snapshot> + Send + 'static,
    ) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let (end, ended) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let of_thread = Arc::clone(&counts);
        let rest = watch::Sender::new(false);
        let rests = rest.clone();
        let body = move || {
            let serving = async move {
                let shared = Rc::new(Shared {
                    ours: sockets.iter().map(Sockets::addr).collect(),
                    settings,
                    snapshot: Box::new(snapshot),
                    counts: of_thread,
                    system: RefCell::default(),
                    troubles: Troubles::default(),
                    pending: Cell::new(0),
                    rests,
                });
                for Sockets { udp, tcp, .. } in sockets {
                    let (of_udp, of_tcp) = (Rc::clone(&shared), Rc::clone(&shared));
                    spawn_local(keep(move || datagrams(Rc::clone(&of_udp), &udp)));
                    spawn_local(keep(move || connections(Rc::clone(&of_tcp), &tcp)));
                }
                // When whoever holds the other end lets it go, all of them are given up.
                let _ = ended.await;
            };
            LocalSet::new().block_on(&runtime, serving);
        };
        Ok(Self {
            counts,
            end: Some(end),
            rest,
            thread: Some(thread::Builder::new().name("dns".into()).spawn(body)?),
        })
    }

    /// Leaves questions that come from now on to whoever has the same sockets, and goes on with those that wait.
    pub fn rest(&self) {
        self.rest.send_replace(true);
    }

    /// What it counts.
    #[must_use]
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has been told if it panicked.
            let _ = thread.join();
        }
    }
}

impl Sockets {
    /// Those of an address; where its port is 0, of one that is free for both.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        /// Where any port will do, one that is free for both is found soon.
        const TRIES: usize = 16;
        let mut tries = if listen.port() == 0 { TRIES } else { 1 };
        loop {
            let udp = std::net::UdpSocket::bind(listen)?;
            let addr = udp.local_addr()?;
            tries -= 1;
            match std::net::TcpListener::bind(addr) {
                Ok(tcp) => {
                    udp.set_nonblocking(true)?;
                    tcp.set_nonblocking(true)?;
                    return Ok(Self { udp, tcp, addr });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Those that another process has bound there.
    #[must_use]
    pub const fn of(
        udp: std::net::UdpSocket,
        tcp: std::net::TcpListener,
        addr: SocketAddr,
    ) -> Self {
        Self { udp, tcp, addr }
    }

    /// As descriptors: that for datagrams, and that for connections.
    #[must_use]
    pub fn both(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.udp.as_fd(), self.tcp.as_fd())
    }

    /// Where they are.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Does it again where it panicked: one message must not cost all others their answers.
async fn keep<F: Future<Output = io::Result<()>> + 'static>(begin: impl Fn() -> F + 'static) {
    loop {
        match spawn_local(begin()).await {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => {
                error!(target: "dns", "names are not answered any more: {failure}");
                return std::future::pending().await;
            }
            Err(_) => {
                error!(target: "dns", "a question was dropped because of a fault of this program");
            }
        }
    }
}

/// What the tasks share.
struct Shared {
    /// Where we are asked ourselves.
    ours: Box<[SocketAddr]>,
    settings: Settings,
    snapshot: Box<dyn Fn() -> Arc<Snapshot>>,
    counts: Arc<Counts>,
    system: RefCell<Option<(Instant, Rc<System>)>>,
    troubles: Troubles,
    pending: Cell<usize>,
    /// Whether nothing more is taken.
    rests: watch::Sender<bool>,
}

/// One of those that may wait.
struct Pending(Rc<Shared>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.set_pending(self.0.pending.get() - 1);
    }
}

/// What is to be done about a message.
enum Step {
    Nothing,
    Answer(Vec<u8>),
    Forward(Query),
}

impl Shared {
    /// `None` when as many wait as may.
    fn admit(self: &Rc<Self>) -> Option<Pending> {
        if self.pending.get() >= self.settings.most_pending {
            self.counts.overflow.fetch_add(1, Relaxed);
            return None;
        }
        self.set_pending(self.pending.get() + 1);
        Some(Pending(Rc::clone(self)))
    }

    fn set_pending(&self, pending: usize) {
        self.pending.set(pending);
        self.counts.pending.store(pending as u64, Relaxed);
    }

    /// Until nothing more is to be taken.
    async fn rested(&self) {
        let mut rests = self.rests.subscribe();
        // Whoever tells it is `self`.
        let _ = rests.wait_for(|rests| *rests).await;
    }

    /// What the machine says, as it was a moment ago at most.
    fn system(&self) -> Rc<System> {
        let mut kept = self.system.borrow_mut();
        if let Some((read, system)) = &*kept
            && read.elapsed() < SYSTEM_TTL
        {
            return Rc::clone(system);
        }
        let system = Rc::new(System::read(&self.settings.servers));
        *kept = Some((Instant::now(), Rc::clone(&system)));
        system
    }

    /// Looks at a message.
    fn look(&self, message: &[u8], over: Over) -> Step {
        self.counts.requests.fetch_add(1, Relaxed);
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(unread) => {
                self.counts.refused.fetch_add(1, Relaxed);
                return match unread {
                    Unread::Dropped => Step::Nothing,
                    Unread::Refused(answer) => Step::Answer(answer),
                };
            }
        };
        let system = self.system();
        let search = system.first_search();
        let snapshot = (self.snapshot)();
        let kind = query.kind();
        match dns::tell(&snapshot.names, query.name(), kind, search.as_deref()) {
            Told::Elsewhere => Step::Forward(query),
            Told::Here { alias, addresses } => {
                self.counts.answered.fetch_add(1, Relaxed);
                let mut of_kind: Vec<_> = addresses
                    .iter()
                    .filter(|ip| kind.has(**ip))
                    .copied()
                    .collect();
                // Who takes the first one shares the load of a service that has several.
                if !of_kind.is_empty() {
                    let first = (random() % of_kind.len() as u64) as usize;
                    of_kind.rotate_left(first);
                }
                let most = match over {
                    Over::Udp => query.payload(),
                    Over::Tcp => usize::from(u16::MAX),
                };
                Step::Answer(query.answer(alias, of_kind.into_iter(), most))
            }
        }
    }
}

async fn answer_datagrams(shared: Rc<Shared>, socket: Rc<UdpSocket>) -> io::Result<()> {
    let mut room = vec![0; LONGEST_QUESTION];
    loop {
        let came = select! {
            biased;
            () = shared.rested() => return Ok(()),
            came = socket.recv_from(&mut room) => came,
        };
        let Ok((length, from)) = came else {
            sleep(REST).await;
            continue;
        };
        let message = &room[..length];
        let answer = match shared.look(message, Over::Udp) {
            Step::Nothing => continue,
            Step::Answer(answer) => answer,
            Step::Forward(query) => match shared.admit() {
                None => query.fail(),
                Some(pending) => {
                    let (message, socket) = (message.to_vec(), Rc::clone(&socket));
                    spawn_local(async move {
                        let answer = forward(&pending.0, &message, &query, Over::Udp).await;
                        // Who is gone needs no answer.
                        let _ = socket.send_to(&answer, from).await;
                    });
                    continue;
                }
            },
        };
        let _ = socket.send_to(&answer, from).await;
    }
}

/// Answers what comes in datagrams.
fn datagrams(
    shared: Rc<Shared>,
    socket: &std::net::UdpSocket,
) -> impl Future<Output = io::Result<()>> + use<> {
    let socket = socket.try_clone().and_then(UdpSocket::from_std);
    async move { answer_datagrams(shared, Rc::new(socket?)).await }
}

/// Answers what comes on connections.
fn connections(
    shared: Rc<Shared>,
    listener: &std::net::TcpListener,
) -> impl Future<Output = io::Result<()>> + use<> {
    let listener = listener.try_clone().and_then(TcpListener::from_std);
    async move {
        let listener = listener?;
        loop {
            let came = select! {
                biased;
                () = shared.rested() => return Ok(()),
                came = listener.accept() => came,
            };
            let Ok((stream, _)) = came else {
                sleep(REST).await;
                continue;
            };
            // Dropped, it is closed.
            if let Some(pending) = shared.admit() {
                spawn_local(async move {
                    // It ends as its client likes.
                    let _ = connection(&pending.0, stream).await;
                });
            }
        }
    }
}

async fn connection(shared: &Rc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let message = timeout(IDLE, read_framed(&mut stream)).await??;
        let answer = match shared.look(&message, Over::Tcp) {
            Step::Nothing => return Ok(()),
            Step::Answer(answer) => answer,
            Step::Forward(query) => forward(shared, &message, &query, Over::Tcp).await,
        };
        timeout(IDLE, write_framed(&mut stream, &answer)).await??;
    }
}
