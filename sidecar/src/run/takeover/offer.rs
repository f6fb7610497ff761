//! The old process: it offers its sockets to whoever comes and is this user, and ends when that one has begun.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use outrigger_runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use super::words::{PROTOCOL, Place, What, Word, hear, is_this_user, pass, say, silence};
use super::{STEP, listeners};
use crate::run::command::Command;
use crate::run::successors::{Counts, Successor};

/// So long workers are waited for that may have ended accepting by themselves.
const DRAINING: Duration = Duration::from_millis(200);

/// What is handed over, and who hears of it.
pub(super) struct Offering {
    pub(super) handle: Handle,
    /// Where processes meet.
    pub(super) door: UnixListener,
    pub(super) kept: Vec<(Place, OwnedFd)>,
    /// How long a new process may take to be ready.
    pub(super) patience: Duration,
    pub(super) counts: Arc<Counts>,
    pub(super) commands: UnboundedSender<Command>,
    /// Somebody takes over.
    pub(super) is_busy: AtomicBool,
}

/// Talks to somebody who wants to take over, on a thread of its own.
pub(super) fn offer(offering: Arc<Offering>, stream: UnixStream) {
    let talk = move || {
        let mut stream = stream;
        let mut who = String::from("a process");
        // Who hears nothing more takes us for gone.
        let handed = AssertUnwindSafe(|| offering.hand_over(&mut stream, &mut who));
        let fault = |_| {
            // Where nobody rests this does nothing.
            let _ = offering.handle.wake();
            Err("a fault of this program".into())
        };
        match catch_unwind(handed).unwrap_or_else(fault) {
            Ok(pid) => {
                // Where nobody hears it, the run is at its end.
                let successor = Successor::new(pid, stream);
                let _ = offering.commands.send(Command::TakenOver(successor));
            }
            Err(why) => {
                offering.counts.on_failure();
                warn!(target: "takeover", "{who} does not take over: {why}; this one goes on");
                // It may be gone.
                let _ = say(&mut stream, &Word::Refused { why });
            }
        }
    };
    let thread = thread::Builder::new().name("takeover".into());
    if let Err(error) = thread.spawn(talk) {
        warn!(target: "takeover", "a process that comes to take over is not heard: {error}");
    }
}

impl Offering {
    /// Hands everything over, and says to which process. `who` is it, in words, once that is known.
    fn hand_over(&self, stream: &mut UnixStream, who: &mut String) -> Result<u32, String> {
        let failed = |error: io::Error| silence(&error, STEP);
        stream.set_nonblocking(false).map_err(failed)?;
        if !is_this_user(&*stream).map_err(failed)? {
            return Err("it runs as another user".into());
        }
        stream.set_read_timeout(Some(STEP)).map_err(failed)?;
        stream.set_write_timeout(Some(STEP)).map_err(failed)?;
        let (protocol, version, pid) = match hear(stream).map_err(failed)? {
            Word::Hello {
                protocol,
                version,
                pid,
            } => (protocol, version, pid),
            Word::Refused { .. }
            | Word::Offer { .. }
            | Word::Ready { .. }
            | Word::Rested
            | Word::Begun => return Err("it does not greet".into()),
        };
        *who = format!("process {pid} of version {version}");
        if protocol != PROTOCOL {
            let ours = env!("CARGO_PKG_VERSION");
            return Err(format!(
                "outrigger {version} takes over by protocol {protocol}, and outrigger {ours}, which runs, hands over by protocol \
                 {PROTOCOL}: stop it, then start the new one"
            ));
        }
        if self.is_busy.swap(true, Ordering::AcqRel) {
            return Err("another process is taking over".into());
        }
        let handed = self.hand_over_alone(stream, who, pid);
        // Once it is handed over nobody else is served: whoever comes now finds the new process.
        if handed.is_err() {
            self.is_busy.store(false, Ordering::Release);
        }
        handed
    }

    fn hand_over_alone(&self, stream: &mut UnixStream, who: &str, pid: u32) -> Result<u32, String> {
        self.offer(stream).map_err(|error| silence(&error, STEP))?;
        info!(target: "takeover", pid, "{who} is about to take over");
        let patience = Some(self.patience);
        let waits = stream
            .set_read_timeout(patience)
            .and_then(|()| hear(stream));
        let places = match waits.map_err(|error| silence(&error, self.patience))? {
            Word::Ready { places } => places,
            Word::Hello { .. }
            | Word::Refused { .. }
            | Word::Offer { .. }
            | Word::Rested
            | Word::Begun => return Err("it says what it should not".into()),
        };
        let rested = self.rest_until_begun(stream, &places);
        if rested.is_err()
            && let Err(error) = self.handle.wake()
        {
            warn!(target: "takeover", "{error}");
        }
        rested.map(|()| pid)
    }

    fn offer(&self, stream: &mut UnixStream) -> io::Result<()> {
        let door = Place {
            what: What::Takeover,
            at: String::new(),
            is_transparent: false,
            sockets: 1,
        };
        let kept = self.kept.iter();
        let kept = kept.map(|(place, socket)| (place.clone(), socket.as_fd()));
        let all = std::iter::once((door, self.door.as_fd())).chain(kept);
        let (mut places, mut sockets): (Vec<Place>, Vec<BorrowedFd<'_>>) = all.unzip();
        let listeners: Vec<_> = listeners(self.handle.hand_on()?).collect();
        for (place, of_place) in &listeners {
            places.push(place.clone());
            sockets.extend(of_place.iter().map(AsFd::as_fd));
        }
        let offer = Word::Offer {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: process::id(),
            generation: self.counts.generation(),
            places,
        };
        say(stream, &offer)?;
        pass(stream, &sockets)
    }

    /// The new process is ready. Whatever fails from here on, we wake.
    fn rest_until_begun(&self, stream: &mut UnixStream, places: &[String]) -> Result<(), String> {
        let failed = |error: io::Error| silence(&error, STEP);
        // Workers that end already hear nothing more, and accept nobody for long.
        let (drains, patience) = match self.handle.is_draining() {
            true => (true, DRAINING),
            false => (false, STEP),
        };
        if !self.handle.rest(places, patience) && !drains {
            return Err("a worker here does not hear that it is to rest".into());
        }
        say(stream, &Word::Rested).map_err(failed)?;
        stream.set_read_timeout(Some(STEP)).map_err(failed)?;
        match hear(stream).map_err(failed)? {
            Word::Begun => Ok(()),
            Word::Hello { .. }
            | Word::Refused { .. }
            | Word::Offer { .. }
            | Word::Ready { .. }
            | Word::Rested => Err("it says what it should not".into()),
        }
    }
}
