//! What everything in a simulation stands on: the time, chance, the queue of happenings, the wires and who owns them.

use std::net::{Ipv4Addr, SocketAddr};

use outrigger_core::peer::{ConnId, ListenerKind};
use outrigger_core::snapshot::Address;
use outrigger_core::time::Instant;
use outrigger_core::worker::Spare;

use crate::buffers::Buffers;
use crate::dice::Dice;
use crate::digest::Digest;
use crate::event::{Dialler, Happening, PeerId};
use crate::network::{End, Network, Physics, Weather, Wire};
use crate::queue::Queue;

/// Who sits at an end of a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Peer(PeerId),
    Thread(usize, ConnId),
}

pub(crate) struct Fabric {
    pub(crate) now: Instant,
    pub(crate) dice: Dice,
    pub(crate) queue: Queue<Happening>,
    pub(crate) network: Network,
    pub(crate) weather: Weather,
    pub(crate) digest: Digest,
    /// What all threads of a mesh lend each other: only one is at work at a time.
    pub(crate) spare: Spare,
    /// By wire; who dialled it, and who accepted it.
    owners: Vec<[Option<Owner>; 2]>,
    clients: u16,
}

impl Fabric {
    pub(crate) fn new(seed: u64, weather: Weather, buffers: Buffers) -> Self {
        Self {
            now: Instant::ZERO,
            dice: Dice::new(seed),
            queue: Queue::default(),
            network: Network::new(buffers),
            weather,
            digest: Digest::default(),
            spare: Spare::default(),
            owners: Vec::new(),
            clients: 0,
        }
    }

    /// A fresh client address; ports stand in the range of ephemeral ones.
    pub(crate) fn client_address(&mut self) -> SocketAddr {
        self.clients = self.clients.wrapping_add(1);
        (Ipv4Addr::LOCALHOST, 32_768 | self.clients).into()
    }

    /// Where a listener listens: 15001, 15006 and on for inbound ones, and those of Gateways where they say.
    pub(crate) fn listener_address(&self, listener: ListenerKind) -> SocketAddr {
        let port = match listener {
            ListenerKind::Outbound => 15_001,
            ListenerKind::Inbound(index) => 15_006_u16.saturating_add(index as u16),
            ListenerKind::Gateway(port) => port,
        };
        (Ipv4Addr::LOCALHOST, port).into()
    }

    pub(crate) fn owner(&self, wire: Wire, end: End) -> Option<Owner> {
        self.owners.get(wire.0)?[end.index()]
    }

    pub(crate) fn own(&mut self, wire: Wire, end: End, owner: Owner) {
        if self.owners.len() <= wire.0 {
            self.owners.resize(wire.0 + 1, [None; 2]);
        }
        self.owners[wire.0][end.index()] = Some(owner);
    }

    pub(crate) fn disown(&mut self, wire: Wire, end: End) {
        if let Some(owners) = self.owners.get_mut(wire.0) {
            owners[end.index()] = None;
        }
    }

    pub(crate) fn dial(&mut self, dialler: Dialler, address: Address) {
        let at = self.now + self.physics().1.hop();
        self.queue.push(at, Happening::Dial(dialler, address));
    }

    fn physics(&mut self) -> (&mut Network, Physics<'_, Happening>) {
        let physics = Physics {
            now: self.now,
            dice: &mut self.dice,
            queue: &mut self.queue,
            weather: self.weather,
        };
        (&mut self.network, physics)
    }

    pub(crate) fn hop_from_now(&mut self) -> Instant {
        self.now + self.physics().1.hop()
    }

    pub(crate) fn room(&self, wire: Wire, end: End) -> usize {
        self.network.room(wire, end, self.weather)
    }

    pub(crate) fn send(&mut self, wire: Wire, end: End, bytes: &[u8]) {
        let (network, mut physics) = self.physics();
        network.send(wire, end, bytes, &mut physics);
    }

    pub(crate) fn hand_over(&mut self, wire: Wire, end: End, bytes: Vec<u8>) {
        let (network, mut physics) = self.physics();
        network.hand_over(wire, end, bytes, &mut physics);
    }

    pub(crate) fn read(
        &mut self,
        wire: Wire,
        end: End,
        most: usize,
        put: impl FnOnce(&[u8]),
    ) -> usize {
        let (network, mut physics) = self.physics();
        network.read(wire, end, most, put, &mut physics)
    }

    pub(crate) fn take(&mut self, wire: Wire, end: End, most: usize) -> Vec<u8> {
        let (network, mut physics) = self.physics();
        network.take(wire, end, most, &mut physics)
    }

    pub(crate) fn shut(&mut self, wire: Wire, end: End) {
        let (network, mut physics) = self.physics();
        network.shut(wire, end, &mut physics);
    }

    pub(crate) fn close(&mut self, wire: Wire, end: End) {
        let (network, mut physics) = self.physics();
        network.close(wire, end, &mut physics);
    }

    pub(crate) fn reset(&mut self, wire: Wire, end: End) {
        let (network, mut physics) = self.physics();
        network.reset(wire, end, &mut physics);
    }

    /// Lets a segment arrive; says whether anybody is to be told.
    pub(crate) fn arrive(
        &mut self,
        wire: Wire,
        end: End,
        segment: crate::network::Segment,
    ) -> bool {
        let (network, mut physics) = self.physics();
        network.arrive(wire, end, segment, &mut physics)
    }
}
