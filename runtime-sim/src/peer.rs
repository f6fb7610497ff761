//! What sits at the far ends of a sidecar: clients and services, as machines without IO.
//!
//! A peer is told what happened on its one connection and says what it does. The simulation drives peers in virtual
//! time; a harness with real sockets can drive the same peers, because a peer never touches either.

use outrigger_core::time::{Duration, Instant};

use crate::beneath::{Beneath, Met};
use crate::errands::{Bell, Errands};

/// What happens to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its connection is made.
    Opened,
    /// TLS beneath it is agreed on; [`Event::Opened`] follows at once.
    Secured(&'a Met),
    /// TLS beneath it is not agreed on, for this reason: an alert by its name in RFC 8446 §6, or what came instead. Nothing
    /// else follows but signals; it may have seemed to be agreed on before (the server of TLS 1.3 decides last).
    NotSecured(&'a str),
    /// Its connection could not be made. Nothing else follows.
    Refused,
    /// These bytes arrived.
    Bytes(&'a [u8]),
    /// The other end will send nothing more.
    Eof,
    /// The connection is broken. Nothing else follows but signals.
    Broken,
    /// The time of its last [`Action::Sleep`] is over, or somebody rang its [`Bell`].
    Woken,
    /// Somebody, maybe itself, gave this signal.
    Signal(&'a str),
}

/// What a peer does, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends nothing more (half-close).
    Shutdown,
    /// Closes its connection.
    Close,
    /// Closes its connection by a reset.
    Reset,
    /// Wants [`Event::Woken`] after this long; replaces an earlier sleep.
    Sleep(Duration),
    /// Tells all peers, and whoever drives the simulation.
    Signal(String),
}

/// One end of one connection.
pub trait Peer {
    /// Takes an event and appends what follows from it.
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>);

    /// Told once, before anything else, when a simulation gives it a place: how others have it woken.
    fn seated(&mut self, _bell: Bell) {}

    /// Whether nothing will ever be wanted of it or told to it again, signals included, once its connection is over. Only
    /// a simulation asks, to forget it.
    fn is_finished(&self) -> bool {
        false
    }

    /// Whether it reads; a peer that does not read lets its window fill. Asked after each event.
    fn is_reading(&self) -> bool {
        true
    }

    /// What it speaks beneath HTTP. Asked when a connection is made.
    fn beneath(&self) -> Beneath {
        Beneath::ClearText
    }

    /// After how long it connects again to where it connected before. Asked when its connection is over or was refused;
    /// `None` is the end of it. Only a simulation asks, and only those that connected.
    fn returns_after(&mut self) -> Option<Duration> {
        None
    }
}

/// How a service meets a connection.
pub enum Accept {
    /// With this peer.
    Peer(Box<dyn Peer>),
    /// By refusing it.
    Refuse,
    /// Not at all: the connection is never made.
    Ignore,
}

impl core::fmt::Debug for Accept {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Peer(_) => "Peer",
            Self::Refuse => "Refuse",
            Self::Ignore => "Ignore",
        })
    }
}

/// Something that listens.
pub trait Serve {
    /// Meets a connection. `now` is the simulation's time; with real sockets it stands still.
    fn accept(&mut self, now: Instant) -> Accept;
}

/// Clients that come by themselves, one after the other, whether or not those before were served.
pub trait Arrivals {
    /// How long after `now`, when the one before came, the next one comes; `None` when nobody else comes.
    fn next_arrival(&mut self, now: Instant) -> Option<Duration>;

    /// The next one is here.
    fn arrive(&mut self, now: Instant, errands: &Errands);
}
