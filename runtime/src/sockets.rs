//! The sockets of one worker, by the names that core has for its connections.
//!
//! Owns what is known of each: the stream, or the connecting of it, what core waits for on it, and its waker. What happens
//! on them is in `traffic`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use outrigger_core::peer::{ClientId, ConnId, ListenerKind, TlsFault, UpstreamId};
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Interest};
use slotmap::SecondaryMap;

use crate::connect::{Connecting, Made};
use crate::ready::{Bell, Ready};
use crate::system::Stream;

/// A stream, or what will be one.
pub(crate) enum Socket<T> {
    Open(T),
    Connecting(Connecting<T>),
    /// A client's, of which it is not known what is spoken on it, or which agrees on TLS.
    Securing(Securing<T>),
    /// What it was is gone: what comes of it failed.
    Gone,
}

/// A client's connection on which TLS is agreed on. Dropping it gives up.
pub(crate) type Securing<T> = Pin<Box<dyn Future<Output = Result<Made<T>, TlsFault>>>>;

/// What a client's connection has besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// The place of the listener that it came in on, among all.
    pub(crate) listener: usize,
    /// How often that was opened by then.
    pub(crate) opened: u32,
    pub(crate) kind: ListenerKind,
    pub(crate) remote: SocketAddr,
    pub(crate) told_to_drain: bool,
}

/// What is known of what there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// The system is to be asked.
    Unknown,
    /// The system has just said that something happened.
    Likely,
    /// There was nothing, and the waker is told when there is: to ask before that is in vain.
    Watched,
}

/// One socket.
pub(crate) struct Registration<T> {
    pub(crate) socket: Socket<T>,
    pub(crate) interest: Interest,
    pub(crate) incoming: Incoming,
    waker: Waker,
}

impl<T: Stream> Registration<T> {
    pub(crate) fn new(socket: Socket<T>, bell: Arc<Bell>) -> Self {
        Self {
            socket,
            interest: Interest::default(),
            incoming: Incoming::Unknown,
            waker: Waker::from(bell),
        }
    }

    /// Polls something of the stream with the socket's own waker. `None` while there is no stream.
    pub(crate) fn poll<R>(
        &mut self,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let Self { socket, waker, .. } = self;
        match socket {
            Socket::Open(stream) => Some(poll(stream, &mut Context::from_waker(waker))),
            Socket::Connecting(_) | Socket::Securing(_) | Socket::Gone => None,
        }
    }

    /// How connecting went, once; `None` for a stream.
    pub(crate) fn poll_connect(&mut self) -> Option<Poll<Result<Made<T>, ConnectFault>>> {
        let Self { socket, waker, .. } = self;
        match socket {
            Socket::Open(_) | Socket::Securing(_) | Socket::Gone => None,
            Socket::Connecting(connecting) => {
                Some(connecting.as_mut().poll(&mut Context::from_waker(waker)))
            }
        }
    }

    /// What came of finding out what a client speaks, once; `None` where that is not under way.
    pub(crate) fn poll_secure(&mut self) -> Option<Poll<Result<Made<T>, TlsFault>>> {
        let Self { socket, waker, .. } = self;
        match socket {
            Socket::Open(_) | Socket::Connecting(_) | Socket::Gone => None,
            Socket::Securing(securing) => {
                Some(securing.as_mut().poll(&mut Context::from_waker(waker)))
            }
        }
    }

    /// A stream that is there becomes something else.
    pub(crate) fn replace(&mut self, by: impl FnOnce(T) -> Socket<T>) {
        self.incoming = Incoming::Unknown;
        self.socket = match std::mem::replace(&mut self.socket, Socket::Gone) {
            Socket::Open(stream) => by(stream),
            other @ (Socket::Connecting(_) | Socket::Securing(_) | Socket::Gone) => other,
        };
    }

    pub(crate) fn stream(&self) -> Option<&T> {
        match &self.socket {
            Socket::Open(stream) => Some(stream),
            Socket::Connecting(_) | Socket::Securing(_) | Socket::Gone => None,
        }
    }

    pub(crate) fn stream_mut(&mut self) -> Option<&mut T> {
        match &mut self.socket {
            Socket::Open(stream) => Some(stream),
            Socket::Connecting(_) | Socket::Securing(_) | Socket::Gone => None,
        }
    }

    /// It is to be looked at.
    pub(crate) fn wake(&self) {
        self.waker.wake_by_ref();
    }
}

/// All of one worker.
pub(crate) struct Sockets<T> {
    pub(crate) clients: SecondaryMap<ClientId, (Client, Registration<T>)>,
    pub(crate) upstreams: SecondaryMap<UpstreamId, Registration<T>>,
    /// Those that are to be looked at in this turn.
    pub(crate) pending: VecDeque<ConnId>,
}

/// What a worker's tasks share of its sockets.
pub(crate) struct Traffic<T> {
    pub(crate) sockets: RefCell<Sockets<T>>,
    pub(crate) ready: Arc<Ready>,
    /// When core is told the time next, unless something happens before.
    pub(crate) planned: Cell<Option<Instant>>,
}

impl<T> Default for Traffic<T> {
    fn default() -> Self {
        Self {
            sockets: RefCell::new(Sockets {
                clients: SecondaryMap::new(),
                upstreams: SecondaryMap::new(),
                pending: VecDeque::new(),
            }),
            ready: Arc::default(),
            planned: Cell::new(None),
        }
    }
}

impl<T: Stream> Sockets<T> {
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Registration<T>> {
        match id {
            ConnId::Client(id) => self.clients.get_mut(id).map(|(_, entry)| entry),
            ConnId::Upstream(id) => self.upstreams.get_mut(id),
        }
    }
}
