//! The new process: it asks for the old one's sockets, and says when it is ready and when it has begun.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;

use outrigger_runtime::{Handed, Handle};
use tracing::{info, warn};

use super::words::{
    MOST_SOCKETS, PROTOCOL, Place, What, Word, hear, is_end, is_this_user, receive, say, silence,
};
use super::{Door, STEP};
use crate::run::Failure;
use crate::run::socket_file::{SocketFile, bind_unix, own};

/// The process that serves, and what it has offered.
pub(super) struct Before {
    stream: UnixStream,
    pid: u32,
    version: String,
    generation: u64,
    offered: Vec<(Place, Vec<OwnedFd>)>,
}

/// Where processes meet, and who is there.
///
/// # Errors
/// Somebody is and does not hand over, or the place cannot be used.
pub(super) fn ask(path: &Path) -> Result<(Door, Option<Before>), Failure> {
    let cannot = |error: io::Error| {
        let path = path.display();
        Failure::bad(format!("cannot listen on {path} (--takeover): {error}"))
    };
    match UnixStream::connect(path) {
        Ok(stream) => {
            let failed = |why: String| {
                let path = path.display();
                Failure::bad(format!(
                    "cannot take over from the process at {path} (--takeover): {why}; it goes on"
                ))
            };
            let mut before = greet(stream).map_err(failed)?;
            let door = before.take(What::Takeover, "");
            let door = door.ok_or_else(|| failed("it does not pass the socket on".into()))?;
            let door = Door {
                listener: door.into(),
                file: SocketFile::of_another(path),
            };
            Ok((door, Some(before)))
        }
        // What stands there and listens no more is put away.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            let (listener, file) = bind_unix(path).map_err(cannot)?;
            Ok((Door { listener, file }, None))
        }
        Err(error) => Err(cannot(error)),
    }
}

fn greet(mut stream: UnixStream) -> Result<Before, String> {
    let failed = |error: io::Error| silence(&error, STEP);
    if !is_this_user(&stream).map_err(failed)? {
        return Err("it runs as another user".into());
    }
    stream.set_read_timeout(Some(STEP)).map_err(failed)?;
    stream.set_write_timeout(Some(STEP)).map_err(failed)?;
    let hello = Word::Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").into(),
        pid: process::id(),
    };
    say(&mut stream, &hello).map_err(failed)?;
    match hear(&mut stream).map_err(failed)? {
        Word::Offer {
            protocol: PROTOCOL,
            version,
            pid,
            generation,
            places,
        } => {
            let count = places.iter().map(|place| place.sockets).sum();
            if count > MOST_SOCKETS {
                return Err(format!(
                    "it offers {count} sockets, and {MOST_SOCKETS} is the most"
                ));
            }
            let mut sockets = receive(&stream, count).map_err(failed)?.into_iter();
            let offered = places.into_iter().map(|place| {
                let sockets = sockets.by_ref().take(place.sockets).collect();
                (place, sockets)
            });
            Ok(Before {
                offered: offered.collect(),
                stream,
                pid,
                version,
                generation,
            })
        }
        Word::Offer {
            protocol, version, ..
        } => Err(format!(
            "it is outrigger {version} and hands over by protocol {protocol}, and this one takes over by protocol {PROTOCOL}"
        )),
        Word::Refused { why } => Err(why),
        Word::Hello { .. } | Word::Ready { .. } | Word::Rested | Word::Begun => {
            Err("it says what it should not".into())
        }
    }
}

impl Before {
    /// Which one in a row the new process is.
    pub(super) const fn next_generation(&self) -> u64 {
        self.generation + 1
    }

    /// The sockets of its workers.
    pub(super) fn take_listeners(&mut self) -> Vec<Handed> {
        let listeners = self
            .offered
            .extract_if(.., |(place, _)| place.what == What::Listener);
        let handed = listeners.map(|(place, sockets)| Handed {
            place: place.at,
            is_transparent: place.is_transparent,
            sockets,
        });
        handed.collect()
    }

    /// One of its other sockets.
    pub(super) fn take(&mut self, what: What, at: &str) -> Option<OwnedFd> {
        let mut offered = self.offered.iter();
        let at = offered.position(|(place, _)| place.what == what && place.at == at)?;
        self.offered.swap_remove(at).1.pop()
    }

    /// The new process is ready: it begins where the old one ends accepting.
    ///
    /// # Errors
    /// The old one does not end, and goes on.
    pub(super) fn begin(mut self, handle: &Handle, door: &mut Door) -> Result<(), Failure> {
        // What nobody wants here is closed there.
        self.offered.clear();
        let (pid, version) = (self.pid, self.version.clone());
        let failed = |why: String| {
            Failure::bad(format!(
                "cannot take over from process {pid} (--takeover): {why}; it goes on"
            ))
        };
        let places = handle.resting();
        let said = say(&mut self.stream, &Word::Ready { places });
        let is_gone = match said.and_then(|()| hear(&mut self.stream)) {
            Ok(Word::Rested) => false,
            Ok(Word::Refused { why }) => return Err(failed(why)),
            Ok(Word::Hello { .. } | Word::Offer { .. } | Word::Ready { .. } | Word::Begun) => {
                return Err(failed("it says what it should not".into()));
            }
            // As long as it lives it says why not. Its sockets are ours already, with all who wait in them.
            Err(error) if is_end(&error) => true,
            Err(error) => return Err(failed(silence(&error, STEP))),
        };
        if let Err(error) = handle.wake() {
            warn!(target: "takeover", "{error}");
        }
        let Door { listener, file } = door;
        own(listener, file).map_err(|error| failed(error.to_string()))?;
        if is_gone {
            warn!(target: "takeover", pid, "process {pid} of version {version} ended before it was taken over from");
            return Ok(());
        }
        say(&mut self.stream, &Word::Begun).map_err(|error| failed(silence(&error, STEP)))?;
        // It hangs up when nobody else answers here any more.
        if let Err(error) = hear(&mut self.stream)
            && !is_end(&error)
        {
            let why = silence(&error, STEP);
            warn!(target: "takeover", pid, "process {pid} may still answer at --admin, --health, --agent, --prometheus and --dns: {why}");
        }
        info!(target: "takeover", pid, "took over from process {pid} of version {version}");
        Ok(())
    }
}
