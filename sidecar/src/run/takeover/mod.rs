//! Zero-loss restarts (`--takeover SOCKET`): a new process is handed the listening sockets of the one that runs.
//!
//! Owns the socket where processes meet, and what of ours is handed on beside the workers' sockets. Connections that nobody has
//! accepted wait in the queues of listening sockets, which are lost only when the last process that has a socket closes it; so
//! sockets are passed on and never closed in between. Nobody accepts for the moment between the two: the old process stops first, and
//! goes on if the new one does not begin, so that whatever becomes of the new one costs nothing.
//!
//! ```text
//! new: Hello ─────────────►  old: who is it, and does it speak this protocol?
//!      ◄──── Offer, sockets       (goes on as before)
//! new: reads its configuration, binds what is missing, starts its workers
//! new: Ready(places) ──────►  old: workers leave these sockets alone
//!      ◄────────────── Rested
//! new: accepts; Begun ─────►  old: nobody asks it for names, or through the admin endpoints, any more
//!      ◄───────── hangs up         drains as after SIGTERM, and ends
//! ```
//!
//! `words` is what is said, `ask` the new process's part, `offer` the old one's.

mod ask;
mod offer;
mod words;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use outrigger_dns::Sockets;
use outrigger_runtime::{Handed, Handle, Handover};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::Failure;
use super::admin::Listener;
use super::command::Command;
use super::socket_file::SocketFile;
use super::successors::Counts;
use crate::admin_args::AdminAddr;
use crate::cli::RunArgs;
use ask::Before;
use offer::{Offering, offer};
use words::{Place, What};

/// How long one process waits for the other where that has nothing to do but answer.
const STEP: Duration = Duration::from_secs(10);

/// After nobody could be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Where processes meet.
struct Door {
    listener: UnixListener,
    file: SocketFile,
}

/// The process before this one until this one serves, and then what the one after it will get.
#[derive(Default)]
pub(super) struct Takeover {
    door: Option<Door>,
    before: Option<Before>,
    kept: Vec<(Place, OwnedFd)>,
    /// How long a new process may take to be ready.
    patience: Duration,
    counts: Arc<Counts>,
}

impl Takeover {
    /// Asks whoever serves already, if processes are to hand over to each other.
    ///
    /// # Errors
    /// It does not hand over, or nobody can be asked.
    pub(super) fn start(args: &RunArgs) -> Result<Self, Failure> {
        let Some(path) = &args.takeover else {
            return Ok(Self::default());
        };
        let (door, before) = ask::ask(path)?;
        let generation = before.as_ref().map_or(0, Before::next_generation);
        let counts = Arc::new(Counts::new(generation));
        Ok(Self {
            door: Some(door),
            before,
            kept: Vec::new(),
            patience: args.takeover_time,
            counts,
        })
    }

    /// Whether another process serves until this one does.
    pub(super) const fn is_from_another(&self) -> bool {
        self.before.is_some()
    }

    /// What becomes of takeovers.
    pub(super) const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The workers' sockets.
    pub(super) fn handover(&mut self) -> Handover {
        Handover {
            from: self.before.as_mut().map(Before::take_listeners),
            keeps: self.door.is_some(),
        }
    }

    fn take(&mut self, what: What, at: &str) -> Option<OwnedFd> {
        self.before.as_mut()?.take(what, at)
    }

    /// Where the old process answers what the admin endpoints are asked.
    pub(super) fn take_admin(&mut self, addr: &AdminAddr) -> Option<Listener> {
        let socket = self.take(What::Admin, &addr.to_string())?;
        Some(Listener::of_before(addr, socket))
    }

    /// Where the old process answers some of that to others.
    pub(super) fn take_others(&mut self, addr: SocketAddr) -> Option<Listener> {
        let socket = self.take(What::Health, &addr.to_string())?;
        Some(Listener::of_before(&AdminAddr::Tcp(addr), socket))
    }

    /// Where the old process answers applications that ask for names.
    pub(super) fn take_names(&mut self, addr: SocketAddr) -> Option<Sockets> {
        let at = addr.to_string();
        let (udp, tcp) = (self.take(What::DnsUdp, &at)?, self.take(What::DnsTcp, &at)?);
        Some(Sockets::of(udp.into(), tcp.into(), addr))
    }

    /// These are handed on, too.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn keep_admin(&mut self, listener: &Listener, addr: &AdminAddr) -> io::Result<()> {
        self.keep(What::Admin, addr.to_string(), listener)
    }

    /// As [`keep_admin`](Self::keep_admin).
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn keep_others(&mut self, listener: &Listener, addr: SocketAddr) -> io::Result<()> {
        self.keep(What::Health, addr.to_string(), listener)
    }

    /// As [`keep_admin`](Self::keep_admin).
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(super) fn keep_names(&mut self, sockets: &Sockets) -> io::Result<()> {
        let (udp, tcp) = sockets.both();
        self.keep(What::DnsUdp, sockets.addr().to_string(), &udp)?;
        self.keep(What::DnsTcp, sockets.addr().to_string(), &tcp)
    }

    fn keep(&mut self, what: What, at: String, socket: &impl AsFd) -> io::Result<()> {
        if self.door.is_some() {
            let place = Place {
                what,
                at,
                is_transparent: false,
                sockets: 1,
            };
            let socket = socket.as_fd().try_clone_to_owned()?;
            self.kept.push((place, socket));
        }
        Ok(())
    }

    /// Everything works: the old process, if there is one, ends accepting, and this one begins.
    ///
    /// # Errors
    /// The old process does not hand over. It goes on.
    pub(super) fn begin(&mut self, handle: &Handle) -> Result<(), Failure> {
        let Some((before, door)) = self.before.take().zip(self.door.as_mut()) else {
            return Ok(());
        };
        before.begin(handle, door)
    }

    /// From now on others may take over from us. Whoever comes is told of by `commands`.
    ///
    /// # Errors
    /// There is no reactor.
    pub(super) fn serve(
        self,
        handle: &Handle,
        commands: UnboundedSender<Command>,
    ) -> io::Result<Serving> {
        let Some(Door { listener, file }) = self.door else {
            return Ok(Serving::default());
        };
        let offering = Offering {
            handle: handle.clone(),
            door: listener.try_clone()?,
            kept: self.kept,
            patience: self.patience,
            counts: self.counts,
            commands,
            is_busy: AtomicBool::new(false),
        };
        Ok(Serving(Some(Open {
            door: tokio::net::UnixListener::from_std(listener)?,
            offering: Arc::new(offering),
            _file: file,
        })))
    }
}

/// Whoever comes to take over finds somebody, until this is dropped; nobody, where processes do not hand over.
#[derive(Default)]
pub(super) struct Serving(Option<Open>);

struct Open {
    door: tokio::net::UnixListener,
    offering: Arc<Offering>,
    _file: SocketFile,
}

impl Serving {
    /// The next who comes.
    pub(super) async fn comes(&self) -> UnixStream {
        let Some(open) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            let accepted = open.door.accept().await;
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => return stream,
                // For want of descriptors, which come back when connections end.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Talks to one, on a thread of its own.
    pub(super) fn talk(&self, stream: UnixStream) {
        if let Some(open) = &self.0 {
            offer(Arc::clone(&open.offering), stream);
        }
    }
}

/// The workers' sockets as they are offered.
fn listeners(handed: Vec<Handed>) -> impl Iterator<Item = (Place, Vec<OwnedFd>)> {
    handed.into_iter().map(|handed| {
        let place = Place {
            what: What::Listener,
            at: handed.place,
            is_transparent: handed.is_transparent,
            sockets: handed.sockets.len(),
        };
        (place, handed.sockets)
    })
}
