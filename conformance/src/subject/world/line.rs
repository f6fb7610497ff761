//! Connections as they are counted: what each end wrote and read, and what it waits for.
//!
//! Both ends of a connection are in this process, so what one has written and the other has not read is under way, by
//! whatever queues it travels. Whoever waits for it is about to be woken.

use std::net::SocketAddr;
use std::sync::Arc;

use super::task::{Turn, Waits};
use super::{Whom, World, WorldState};

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dialled,
    Accepted,
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    ends: [WireEnd; 2],
    /// What the acceptor listened on, until it has accepted.
    unmet: Option<SocketAddr>,
}

/// What is known of an end.
#[derive(Debug, Default)]
struct WireEnd {
    written: u64,
    read: u64,
    /// It writes no more.
    is_shut: bool,
    is_closed: bool,
    /// It has read the end of the other's bytes.
    has_ended: bool,
    /// Waits for bytes, or for the end.
    reader: Option<Waits>,
    /// Waits for the system to take bytes, which it is about to do.
    writer: Option<Waits>,
    /// Waits for room.
    blocked: Option<Whom>,
}

impl Wire {
    /// Somebody waits for what is about to happen.
    pub(super) fn is_moving(&self, still_waits: impl Fn(&Waits) -> bool) -> bool {
        let [dialled, accepted] = &self.ends;
        let moves = |one: &WireEnd, other: &WireEnd| {
            let ends = (other.is_shut || other.is_closed) && !one.has_ended;
            let comes = other.written > one.read && !one.has_ended || ends;
            let waits = |who: &Option<Waits>| who.as_ref().is_some_and(&still_waits);
            !one.is_closed && (comes && waits(&one.reader) || waits(&one.writer))
        };
        let unmet = self.unmet.is_some() && !dialled.is_closed;
        unmet || moves(dialled, accepted) || moves(accepted, dialled)
    }
}

/// A connection being made: its outcome is still to come.
#[derive(Debug)]
pub(crate) struct Dialling(Arc<World>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.change(|state| state.dialling -= 1);
    }
}

/// A listener of the worker.
#[derive(Debug)]
pub(crate) struct Listening {
    world: Arc<World>,
    addr: SocketAddr,
    port: u16,
}

impl Listening {
    /// The port that a simulated listener has: 15001 for outbound requests, which is made first, and 15006 for inbound.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.world.change(|state| {
            state.listeners -= 1;
            state.deaf.insert(self.addr);
            // Whoever was not accepted by now never will be: the system resets it.
            for wire in state.wires.values_mut() {
                if wire.unmet == Some(self.addr) {
                    wire.unmet = None;
                    wire.ends[End::Accepted as usize].is_closed = true;
                }
            }
            state.half.retain(|(_, acceptor), _| *acceptor != self.addr);
        });
    }
}

/// One end of a connection. Dropping it says that the socket is closed.
#[derive(Debug)]
pub(crate) struct Line {
    world: Arc<World>,
    wire: u64,
    end: End,
}

impl World {
    /// Somebody begins to connect.
    pub(crate) fn dial(self: &Arc<Self>) -> Dialling {
        self.change(|state| state.dialling += 1);
        Dialling(Arc::clone(self))
    }

    /// The worker listens.
    pub(crate) fn listen(self: &Arc<Self>, addr: SocketAddr) -> Listening {
        let before = self.change(|state| {
            state.listeners += 1;
            state.listeners - 1
        });
        Listening {
            world: Arc::clone(self),
            addr,
            port: if before == 0 { 15_001 } else { 15_006 },
        }
    }

    /// The port of another client, as a simulated one would have it.
    pub(crate) fn client_port(&self) -> u16 {
        let mut state = self.lock();
        state.clients = state.clients.wrapping_add(1);
        32_768 | state.clients
    }

    /// The worker listens nowhere.
    pub(crate) fn is_deaf(&self) -> bool {
        self.lock().listeners == 0
    }

    /// An end of the connection between these addresses.
    pub(crate) fn line(
        self: &Arc<Self>,
        dialler: SocketAddr,
        acceptor: SocketAddr,
        end: End,
    ) -> Line {
        let key = (dialler, acceptor);
        let wire = self.change(|state| match state.half.remove(&key) {
            Some(wire) => {
                if let Some(wire) = state.wires.get_mut(&wire) {
                    wire.unmet = None;
                }
                wire
            }
            None => {
                let number = state.number();
                let mut wire = Wire::default();
                if state.deaf.contains(&acceptor) {
                    wire.ends[End::Accepted as usize].is_closed = true;
                } else {
                    wire.unmet = (end == End::Dialled).then_some(acceptor);
                    state.half.insert(key, number);
                }
                state.wires.insert(number, wire);
                number
            }
        });
        Line {
            world: Arc::clone(self),
            wire,
            end,
        }
    }
}

impl Line {
    fn change<T>(&self, change: impl FnOnce(&mut WireEnd, &mut WireEnd) -> T) -> Option<T> {
        self.world.change(|state| {
            let [dialled, accepted] = &mut state.wires.get_mut(&self.wire)?.ends;
            Some(match self.end {
                End::Dialled => change(dialled, accepted),
                End::Accepted => change(accepted, dialled),
            })
        })
    }

    /// The task being polled waits for something to read.
    pub(crate) fn waits_to_read(&self) {
        self.change(|own, _| own.reader = Turn::current());
    }

    /// The task being polled waits for the system to take bytes.
    pub(crate) fn waits_to_write(&self) {
        self.change(|own, _| own.writer = Turn::current());
    }

    /// Who waits for something to read, if anybody does.
    pub(crate) fn set_reader(&self, reader: Option<Waits>) {
        self.change(|own, _| own.reader = reader);
    }

    /// Who waits for the system to take bytes, if anybody does.
    pub(crate) fn set_writer(&self, writer: Option<Waits>) {
        self.change(|own, _| own.writer = writer);
    }

    /// How many bytes may be written now; if none, somebody is to be woken when there are.
    pub(crate) fn room(&self, whom: impl FnOnce() -> Whom) -> usize {
        let window = self.world.window;
        let room = self.change(|own, other| {
            if other.is_closed {
                return window;
            }
            let unread = own.written.saturating_sub(other.read);
            let room = window.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX));
            own.blocked = (room == 0).then(whom);
            room
        });
        room.unwrap_or(window)
    }

    pub(crate) fn has_written(&self, count: usize) {
        self.change(|own, _| own.written += count as u64);
    }

    pub(crate) fn has_read(&self, count: usize) {
        let blocked = self.change(|own, other| {
            own.read += count as u64;
            other.blocked.take()
        });
        self.unblock(blocked.flatten());
    }

    /// The other's bytes are at an end, one way or another.
    pub(crate) fn has_ended(&self) {
        self.change(|own, _| own.has_ended = true);
    }

    /// This end writes no more.
    pub(crate) fn is_shut(&self) {
        self.change(|own, _| own.is_shut = true);
    }

    fn unblock(&self, blocked: Option<Whom>) {
        if let Some(whom) = blocked {
            self.world.wake(whom);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let blocked = self.change(|own, other| {
            own.is_closed = true;
            other.blocked.take()
        });
        self.unblock(blocked.flatten());
        self.world.change(|state| state.forget(self.wire));
    }
}

impl WorldState {
    /// A wire that both ends have left is gone.
    fn forget(&mut self, number: u64) {
        let is_left = |wire: &Wire| wire.ends.iter().all(|end| end.is_closed);
        if self.wires.get(&number).is_some_and(is_left) {
            self.wires.remove(&number);
        }
    }
}
