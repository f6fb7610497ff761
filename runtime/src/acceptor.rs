//! One listener of a worker: who connects there is taken in, until it stops.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use outrigger_core::overload::Action;
use outrigger_core::peer::{ListenerKind, Peer};

use crate::closing::Opened;
use crate::listen::{Arrival, Bound, Listening, Owner};
use crate::notice::Notice;
use crate::shared::{Counted, Shared};
use crate::system::{Accepted, Listener, Stream, System};

/// Pauses after a failure to accept; descriptors come back when connections end, not when we ask more often.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a client that has begun to connect may take to be through: several round trips within a cluster. Who closes a
/// listener before that resets clients that believe to be connected.
const HANDSHAKE: Duration = Duration::from_millis(50);

/// Failures to accept are told at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(10);

/// One listener of one worker, and what its accept task needs.
pub(crate) struct Acceptor<S: System> {
    shared: Rc<Shared<S>>,
    /// The place of its address among all.
    at: usize,
    /// How often the address has been listened on, this time included.
    opened: u32,
    arrival: Arrival,
    /// At least one, of one direction.
    owners: Vec<Owner>,
    /// `None` when it accepts no more.
    listener: RefCell<Option<S::Listener>>,
    /// It will be stopped.
    turns_away: Cell<bool>,
    /// Of the accept task.
    waker: RefCell<Option<Waker>>,
    addr: SocketAddr,
    failures: Cell<u64>,
    told: Cell<Option<Instant>>,
}

/// Accepts until the listener is stopped.
pub(crate) async fn accept_forever<S: System>(acceptor: Rc<Acceptor<S>>) {
    let mut pause = PAUSE_MIN;
    while let Some(accepted) = poll_fn(|cx| acceptor.poll_accept(cx)).await {
        match accepted {
            Ok((stream, remote)) => {
                pause = PAUSE_MIN;
                acceptor.take(stream, remote);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                acceptor.on_failure(&error, pause);
                acceptor.shared.sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Stops a listener that turns clients away when those who had begun to connect are through.
pub(crate) async fn stop_soon<S: System>(acceptor: Rc<Acceptor<S>>) {
    acceptor.shared.sleep(HANDSHAKE).await;
    acceptor.stop();
}

impl<S: System> Acceptor<S> {
    /// Takes over what was bound.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn new(shared: Rc<Shared<S>>, opened: Opened) -> io::Result<Self> {
        let Opened {
            at,
            opened,
            listening,
            ..
        } = opened;
        let Listening {
            socket,
            arrival,
            owners,
        } = listening;
        let (listener, addr) = match socket {
            Bound::Tcp(socket) => {
                let listener = shared.system.listen(socket)?;
                let addr = listener.local_addr()?;
                (listener, addr)
            }
            Bound::Unix(socket, addr) => (shared.system.listen_unix(socket)?, addr),
        };
        Ok(Self {
            shared,
            at,
            opened,
            arrival,
            owners,
            listener: RefCell::new(Some(listener)),
            turns_away: Cell::new(false),
            waker: RefCell::default(),
            addr,
            failures: Cell::new(0),
            told: Cell::new(None),
        })
    }

    /// The next client; `None` when no more are accepted.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Option<Accepted<S::Stream>>> {
        match &*self.listener.borrow() {
            Some(listener) => {
                self.waker
                    .borrow_mut()
                    .get_or_insert_with(|| cx.waker().clone());
                if self.waits_for_room() {
                    listener.rest();
                    return Poll::Pending;
                }
                listener.poll_accept(cx).map(Some)
            }
            None => Poll::Ready(None),
        }
    }

    /// Whether whoever connects is to wait, because the machine is full, and not so full that it is better told at once.
    fn waits_for_room(&self) -> bool {
        let shared = &self.shared;
        shared.does(Action::StopAcceptingConnections) && !shared.does(Action::RejectConnections)
    }

    /// Has the accept task look again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether a connection may be taken in. One that may is counted.
    fn lets_in(&self) -> bool {
        let shared = &self.shared;
        let is_full = shared.does(Action::RejectConnections);
        if !is_full && shared.gate.enter() {
            return true;
        }
        shared.at_listener(self.at, |counted| match is_full {
            true => counted.overload_rejects.add(1),
            false => counted.global_overflows.add(1),
        });
        false
    }

    pub(crate) fn is_open(&self) -> bool {
        self.listener.borrow().is_some()
    }

    /// Whether its place was closed since it was opened.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed(self.at, self.opened)
    }

    /// Lets nobody connect any more who has not begun to. False where that has been done.
    pub(crate) fn turn_away(&self) -> bool {
        if self.turns_away.replace(true) {
            return false;
        }
        if let Some(listener) = &*self.listener.borrow() {
            listener.turn_away();
        }
        true
    }

    /// Takes what has already connected to us, which closing would reset, and closes the listener.
    fn stop(&self) {
        let listener = self.listener.take();
        while let Some((stream, remote)) = listener.as_ref().and_then(Listener::take_waiting) {
            self.take(stream, remote);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.shared.all_ended.notify_one();
    }

    /// Whether nobody is to accept for now.
    pub(crate) fn rests(&self) -> bool {
        self.shared.rests(self.at)
    }

    /// Leaves the socket to whoever accepts on it next, as it is: takes only whom the system has accepted already.
    pub(crate) async fn rest(&self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        while let Some((stream, remote)) = poll_fn(|cx| listener.poll_rest(cx)).await {
            self.take(stream, remote);
        }
    }

    fn take(&self, stream: S::Stream, remote: SocketAddr) {
        let local = if self.addr.ip().is_unspecified() {
            stream.local_addr().unwrap_or(self.addr)
        } else {
            self.addr
        };
        // A connection that was meant for us was to go nowhere else.
        let is_elsewhere = |to: &SocketAddr| to.port() != self.addr.port();
        let original = match self.arrival {
            Arrival::Direct => None,
            Arrival::Own => Some(local),
            Arrival::Redirected => stream.original_dst(),
            // What a pod says to itself by way of us comes rewritten in this mode, too.
            Arrival::Transparent => {
                let as_sent = stream.local_addr().filter(is_elsewhere);
                as_sent.or_else(|| stream.original_dst())
            }
        };
        let original = original.filter(|to| self.arrival == Arrival::Own || is_elsewhere(to));
        let Some(owner) = Listening::owner(&self.owners, original) else {
            let count = |counted: &Counted| counted.no_filter_chain_match.add(1);
            return self.shared.at_listener(self.at, count);
        };
        let peer = Peer {
            remote,
            local,
            original,
            listener: owner.kind,
        };
        if !self.lets_in() {
            return;
        }
        self.shared.accept((self.at, self.opened), peer, stream);
    }

    /// All that share an address are of one direction, and there is one: an address is listened on for somebody.
    pub(crate) fn kind(&self) -> ListenerKind {
        self.owners[0].kind
    }

    fn on_failure(&self, error: &io::Error, pause: Duration) {
        let count = |counted: &Counted| counted.accept_errors.add(1);
        self.shared.at_listener(self.at, count);
        self.failures.set(self.failures.get() + 1);
        let now = Instant::now();
        if self.told.get().is_some_and(|at| now - at < NOTICE_EVERY) {
            return;
        }
        self.told.set(Some(now));
        (self.shared.notices)(Notice::AcceptFailed {
            listener: self.addr,
            error: error.to_string(),
            count: self.failures.replace(0),
            pause,
        });
    }
}

/// Errors that speak of the connection that was to be accepted, not of us (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}
