//! A runtime's system under a case's clock and among its addresses.
//!
//! What the system does is done by the system: sockets are the kernel's, tasks the executor's. But the time and the
//! timers are the world's, every task and every byte is counted, and a connection to an address of the case goes to where
//! the service really is. So core sees the addresses that the case speaks of.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime::{Accepted, Launch, Listener, Stream, System, Timer};

use super::memory::Memory;
use super::world::line::{End, Line, Listening};
use super::world::task::{Ring, Waits};
use super::world::{HOP, Side, Whom, World};

/// Where an address of a case leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// To this one.
    At(SocketAddr),
    /// Nowhere: nothing ever comes back.
    Ignores,
}

/// Where the connections of each listener were to go, in the order of the listeners, if the kernel is to have brought them there.
pub(super) type Captured = Arc<[Option<SocketAddr>]>;

/// The addresses of a case.
pub(super) type Sites = BTreeMap<String, Site>;

/// Where nothing is: what a name that nobody has resolves to.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Makes staged systems.
#[derive(Clone, Debug)]
pub(super) struct Staged<L> {
    pub(super) inner: L,
    pub(super) world: Arc<World>,
    pub(super) sites: Arc<Sites>,
    pub(super) captured: Captured,
    /// Where the worker writes down what it decided.
    pub(super) decided: Memory,
}

thread_local! {
    /// That of this thread's worker.
    static DECIDED: RefCell<Memory> = RefCell::default();
}

/// Writes down what this thread's worker decided.
pub(super) fn write_down(line: &str) {
    DECIDED.with_borrow(|decided| decided.bytes().extend_from_slice(line.as_bytes()));
}

impl<L: Launch> Launch for Staged<L> {
    type System = Player<L::System>;

    fn zero(&self) -> Instant {
        self.world.zero()
    }

    fn run<F: Future<Output = usize>>(
        self,
        worker: usize,
        body: impl FnOnce(Self::System) -> F,
    ) -> io::Result<usize> {
        let Self {
            inner,
            world,
            sites,
            captured,
            decided,
        } = self;
        inner.run(worker, |system| {
            DECIDED.set(decided);
            let player = Player {
                inner: system,
                world: Arc::clone(&world),
                sites,
                captured: Rc::new(RefCell::new(captured.iter().copied().collect())),
                wakers: Rc::default(),
            };
            world.task(Side::Worker, async move {
                player.spawn(take_mail(player.clone()));
                body(player).await
            })
        })
    }
}

/// Wakes those of this thread that other threads have woken.
async fn take_mail<S: System>(player: Player<S>) {
    loop {
        player.told(player.world.has_mail()).await;
        for number in player.world.take_mail() {
            let waker = player.wakers.borrow_mut().remove(&number);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// A staged system.
#[derive(Clone, Debug)]
pub(super) struct Player<S> {
    inner: S,
    world: Arc<World>,
    sites: Arc<Sites>,
    /// Those of the listeners that are still to be opened.
    captured: Rc<RefCell<VecDeque<Option<SocketAddr>>>>,
    /// Those who wait for the clock, or for room, by number.
    wakers: Rc<RefCell<BTreeMap<u64, Waker>>>,
}

impl<S: System> Player<S> {
    fn watch(&self, stream: S::Stream, line: Line) -> Watched<S::Stream> {
        Watched {
            stream,
            line,
            number: self.world.number(),
            wakers: Rc::clone(&self.wakers),
            original: None,
        }
    }

    async fn reach(&self, site: Option<Site>) -> io::Result<Watched<S::Stream>> {
        self.hop().await;
        let connected = match site {
            Some(Site::At(real)) => self.dial(real).await,
            Some(Site::Ignores) => pending().await,
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        };
        self.hop().await;
        connected
    }

    async fn dial(&self, real: SocketAddr) -> io::Result<Watched<S::Stream>> {
        let _dialling = self.world.dial();
        let stream = self.inner.connect(real, None).await?;
        // One that has lost its address has been reset by now.
        let local = stream
            .local_addr()
            .ok_or(io::ErrorKind::ConnectionRefused)?;
        let line = self.world.line(local, real, End::Dialled);
        Ok(self.watch(stream, line))
    }

    /// Until what is sent now would have arrived.
    async fn hop(&self) {
        let mut timer = self.timer(self.world.now() + HOP);
        poll_fn(|cx| timer.poll(cx)).await;
    }
}

impl<S: System> System for Player<S> {
    type Stream = Watched<S::Stream>;
    type Listener = Accepts<S>;
    type Timer = Deadline;

    fn now(&self) -> Instant {
        self.world.now()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.inner.spawn(self.world.task(Side::Worker, task));
    }

    fn timer(&self, at: Instant) -> Deadline {
        Deadline {
            at,
            number: self.world.number(),
            world: Arc::clone(&self.world),
            wakers: Rc::clone(&self.wakers),
        }
    }

    fn listen(&self, listener: TcpListener) -> io::Result<Accepts<S>> {
        let addr = listener.local_addr()?;
        let listening = self.world.listen(addr);
        Ok(Accepts {
            inner: self.inner.listen(listener)?,
            player: self.clone(),
            addr,
            original: self.captured.borrow_mut().pop_front().flatten(),
            told: (Ipv4Addr::LOCALHOST, listening.port()).into(),
            _listening: listening,
        })
    }

    /// Who connects to a Unix socket of a case is brought from the address that stands for it.
    fn listen_unix(&self, _: UnixListener) -> io::Result<Accepts<S>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nobody brings connections round here, whoever they come from.
    async fn connect(&self, addr: SocketAddr, _: Option<IpAddr>) -> io::Result<Self::Stream> {
        let by_name = self.sites.values().find(|site| **site == Site::At(addr));
        let site = self.sites.get(&addr.to_string()).or(by_name);
        self.reach(site.copied()).await
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Self::Stream> {
        let site = self.sites.get(&*path.to_string_lossy());
        self.reach(site.copied()).await
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self.sites.get(&format!("{name}:{port}")) {
            Some(Site::At(real)) => Ok(vec![*real]),
            Some(Site::Ignores) => pending().await,
            None => Ok(vec![NOBODY]),
        }
    }

    fn looked(&self) -> impl Future<Output = ()> + use<S> + 'static {
        self.inner.looked()
    }

    async fn told<F: Future>(&self, future: F) -> F::Output {
        self.inner.told(self.world.task(Side::Worker, future)).await
    }
}

/// A timer of the world's clock.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Instant,
    number: u64,
    world: Arc<World>,
    wakers: Rc<RefCell<BTreeMap<u64, Waker>>>,
}

impl Timer for Deadline {
    fn set(&mut self, at: Instant) {
        self.world.forget(self.at, self.number);
        self.at = at;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let whom = Whom::Worker(self.number);
        if self.world.is_due(self.at, self.number, whom) {
            return Poll::Ready(());
        }
        let mut wakers = self.wakers.borrow_mut();
        wakers.insert(self.number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.world.forget(self.at, self.number);
        let waker = self.wakers.borrow_mut().remove(&self.number);
        drop(waker);
    }
}

/// A listener whose clients are counted. Core is told the addresses that the simulation gives listeners and clients,
/// because some decisions depend on them.
pub(super) struct Accepts<S: System> {
    inner: S::Listener,
    player: Player<S>,
    addr: SocketAddr,
    /// Where its clients wanted to go, who were brought here.
    original: Option<SocketAddr>,
    /// Where it listens, as far as core is told.
    told: SocketAddr,
    _listening: Listening,
}

impl<S: System> Accepts<S> {
    fn watch(&self, (stream, remote): (S::Stream, SocketAddr)) -> (Watched<S::Stream>, SocketAddr) {
        let world = &self.player.world;
        let line = world.line(remote, self.addr, End::Accepted);
        let told = (Ipv4Addr::LOCALHOST, world.client_port()).into();
        let mut watched = self.player.watch(stream, line);
        watched.original = self.original;
        (watched, told)
    }
}

impl<S: System> Listener for Accepts<S> {
    type Stream = Watched<S::Stream>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.told)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Self::Stream>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|accepted| self.watch(accepted))
    }

    fn rest(&self) {
        self.inner.rest();
    }

    fn turn_away(&self) {
        self.inner.turn_away();
    }

    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<Option<(Self::Stream, SocketAddr)>> {
        let taken = self.inner.poll_rest(cx);
        taken.map(|taken| taken.map(|taken| self.watch(taken)))
    }

    fn take_waiting(&self) -> Option<(Self::Stream, SocketAddr)> {
        self.inner.take_waiting().map(|taken| self.watch(taken))
    }
}

/// A socket whose bytes are counted.
#[derive(Debug)]
pub(super) struct Watched<T> {
    // Closed before the world hears of it.
    stream: T,
    line: Line,
    number: u64,
    wakers: Rc<RefCell<BTreeMap<u64, Waker>>>,
    /// Where the client wanted to go, as far as the case has it brought here.
    original: Option<SocketAddr>,
}

impl<T: Stream> Stream for Watched<T> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ring = Ring::around(cx.waker());
        let waker = Waker::from(Arc::clone(&ring));
        let poll = self.stream.poll_readable(&mut Context::from_waker(&waker));
        let reader = poll.is_pending().then_some(Waits::Waker(ring));
        self.line.set_reader(reader);
        poll
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        let ring = Ring::around(cx.waker());
        let waker = Waker::from(Arc::clone(&ring));
        let poll = (self.stream).poll_read(&mut Context::from_waker(&waker), space);
        let reader = poll.is_pending().then_some(Waits::Waker(ring));
        self.line.set_reader(reader);
        match &poll {
            Poll::Pending => {}
            Poll::Ready(Ok(0) | Err(_)) => self.line.has_ended(),
            Poll::Ready(Ok(count)) => self.line.has_read(*count),
        }
        poll
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let room = self.line.room(|| {
            let mut wakers = self.wakers.borrow_mut();
            wakers.insert(self.number, cx.waker().clone());
            Whom::Worker(self.number)
        });
        if room == 0 {
            return Poll::Pending;
        }
        // Who says last words looks once and waits for nothing, so nobody would hear that there is room now.
        let waits = !cx.waker().will_wake(Waker::noop());
        let ring = Ring::around(cx.waker());
        let waker = Waker::from(Arc::clone(&ring));
        let cx = &mut Context::from_waker(&waker);
        let poll = if outbox.len() <= room {
            self.stream.poll_write(cx, outbox)
        } else {
            self.stream.poll_write(cx, &beginning(outbox, room))
        };
        let writer = (poll.is_pending() && waits).then_some(Waits::Waker(ring));
        self.line.set_writer(writer);
        match &poll {
            Poll::Pending => {}
            Poll::Ready(Ok(count)) => self.line.has_written(*count),
            Poll::Ready(Err(_)) => {}
        }
        poll
    }

    fn shutdown_write(&mut self) {
        self.stream.shutdown_write();
        self.line.is_shut();
    }

    fn reset(self) {
        let Self { stream, line, .. } = self;
        stream.reset();
        drop(line);
    }

    fn keep_alive(&self, how: Keepalive) -> io::Result<()> {
        self.stream.keep_alive(how)
    }

    fn has_unread(&self) -> bool {
        self.stream.has_unread()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr()
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        self.original
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// The first bytes of what is to be written.
fn beginning(outbox: &Outbox, mut room: usize) -> Outbox {
    let mut first = Outbox::default();
    for piece in outbox.pieces() {
        let count = piece.len().min(room);
        first.put(&piece[..count]);
        room -= count;
    }
    first
}
