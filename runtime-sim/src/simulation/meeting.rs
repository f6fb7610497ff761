//! How connections come about: who arrives, dials, is met, and comes back.

use outrigger_core::snapshot::Address;
use outrigger_core::worker::{ConnectFault, Handshake};

use super::{Simulation, Target};
use crate::beneath::{self, Beneath};
use crate::event::{Dialler, Happening, PeerId};
use crate::fabric::Owner;
use crate::network::{End, Wire};
use crate::peer::{Accept, Event, Peer};
use crate::seat::Seat;
use crate::translated::TranslatedClient;

impl Simulation {
    pub(super) fn seat_and_dial(&mut self, address: Address, client: Box<dyn Peer>) {
        let complaints = (!self.translated.is_empty())
            .then(|| self.translated.get(&address.to_string()))
            .flatten();
        let client: Box<dyn Peer> = match complaints {
            Some(complaints) => Box::new(TranslatedClient::new(client, complaints)),
            None => client,
        };
        let id = self.seat(Seat::new(client, Some(address.clone())));
        self.fabric.dial(Dialler::Peer(id), address);
    }

    fn seat(&mut self, seat: Seat) -> PeerId {
        let id = self.seats.take(seat);
        let bell = self.errands.bell(id);
        if let Some(seat) = self.seats.get(id) {
            seat.peer.seated(bell);
        }
        id
    }

    pub(super) fn come_back(&mut self, id: PeerId) {
        if let Some(address) = self.seats.get(id).and_then(Seat::come_back) {
            self.fabric.dial(Dialler::Peer(id), address);
        }
    }

    pub(super) fn plan_arrival(&mut self, number: usize) {
        if let Some(wait) = self.arrivals[number].next_arrival(self.fabric.now) {
            let at = self.fabric.now + wait;
            self.fabric.queue.push(at, Happening::Arrive(number));
        }
    }

    /// A dial reaches its target, and the answer goes back.
    pub(super) fn meet(&mut self, dialler: Dialler, address: &Address) -> Result<(), String> {
        let text = address.to_string();
        let beside = match dialler {
            Dialler::Sidecar(sidecar, _) if !self.beside.is_empty() => {
                self.beside.get_mut(&(sidecar, text.clone()))
            }
            Dialler::Sidecar(..) | Dialler::Peer(_) => None,
        };
        let accept = match beside.or_else(|| self.targets.get_mut(&text)) {
            None => Err(ConnectFault::Refused),
            Some(Target::Service(service)) => match service.accept(self.fabric.now) {
                Accept::Peer(peer) => Ok(Some(peer)),
                Accept::Refuse => Err(ConnectFault::Refused),
                Accept::Ignore => return Ok(()),
            },
            Some(Target::Sidecar(id, _)) if self.sidecars[id.0].draining => {
                Err(ConnectFault::Refused)
            }
            Some(Target::Sidecar(..)) => Ok(None),
        };
        let at = self.fabric.hop_from_now();
        let result = match accept {
            Err(fault) => Err(fault),
            Ok(peer) => self.make(dialler, peer, address)?,
        };
        self.fabric
            .queue
            .push(at, Happening::Dialled(dialler, result));
        Ok(())
    }

    /// Makes a connection, if both agree on what is spoken beneath HTTP.
    fn make(
        &mut self,
        dialler: Dialler,
        peer: Option<Box<dyn Peer>>,
        address: &Address,
    ) -> Result<Result<(Wire, End), ConnectFault>, String> {
        let wanted = match dialler {
            Dialler::Sidecar(sidecar, id) => self.sidecars[sidecar].handshake(id).cloned(),
            Dialler::Peer(_) => None,
        };
        let of_peer = peer.as_ref().map(|peer| peer.beneath());
        let wire = self.fabric.network.wire();
        let speaks = self.speaks(dialler, wanted.as_ref());
        self.accepted(wire, peer, (speaks.clone(), wanted.clone()), address)?;
        let end = End::Dialled;
        let is_service = of_peer.is_some();
        let endpoint = match of_peer {
            Some(beneath) => beneath,
            None => self.of_sidecar(address),
        };
        let of_both = (&speaks, &endpoint);
        let agreed = match (dialler, wanted) {
            (Dialler::Sidecar(sidecar, id), Some(wanted)) => {
                let learnt = beneath::as_client(&wanted, &endpoint);
                let learnt = learnt.map(|facts| self.sidecars[sidecar].learn(id, facts));
                learnt.map_err(ConnectFault::Tls)
            }
            // Who speaks TLS to who does not, or the other way round, is not understood. A sidecar has said so by itself.
            (Dialler::Peer(_), None)
                if matches!(of_both, (Beneath::Tls(_), Beneath::ClearText)) =>
            {
                Err(ConnectFault::Refused)
            }
            (Dialler::Sidecar(..), None) if is_service && endpoint != Beneath::ClearText => {
                Err(ConnectFault::Refused)
            }
            (Dialler::Sidecar(..) | Dialler::Peer(_), _) => Ok(()),
        };
        Ok(match agreed {
            Ok(()) => Ok((wire, end)),
            Err(fault) => {
                self.fabric.close(wire, end);
                Err(fault)
            }
        })
    }

    /// What a dialler speaks beneath HTTP.
    fn speaks(&mut self, dialler: Dialler, wanted: Option<&Handshake>) -> Beneath {
        match dialler {
            Dialler::Peer(id) => {
                let seat = self.seats.get(id);
                seat.map_or_else(Beneath::default, |seat| seat.peer.beneath())
            }
            Dialler::Sidecar(sidecar, _) => match wanted {
                None => Beneath::ClearText,
                Some(_) => {
                    let identity = self.sidecars[sidecar].identity.clone();
                    Beneath::Tls(identity.unwrap_or_default())
                }
            },
        }
    }

    /// What a sidecar has turned out to speak on the connection that it has just accepted.
    fn of_sidecar(&self, address: &Address) -> Beneath {
        let Some(Target::Sidecar(id, _)) = self.targets.get(&address.to_string()) else {
            return Beneath::ClearText;
        };
        let sidecar = &self.sidecars[id.0];
        match &sidecar.met {
            None => Beneath::ClearText,
            Some(_) => Beneath::Tls(sidecar.identity.clone().unwrap_or_default()),
        }
    }

    fn accepted(
        &mut self,
        wire: Wire,
        peer: Option<Box<dyn Peer>>,
        comes: (Beneath, Option<Handshake>),
        address: &Address,
    ) -> Result<(), String> {
        let end = End::Accepted;
        if let Some(peer) = peer {
            let mut seat = Seat::new(peer, None);
            seat.sit(wire, end);
            let id = self.seat(seat);
            self.fabric.own(wire, end, Owner::Peer(id));
            return self.tell(id, Event::Opened);
        }
        let Some(Target::Sidecar(id, listener)) = self.targets.get(&address.to_string()) else {
            return Ok(());
        };
        let (number, listener) = (id.0, *listener);
        let sidecar = &mut self.sidecars[number];
        sidecar.accept((wire, end), listener, comes, &mut self.fabric)
    }

    pub(super) fn dialled(
        &mut self,
        dialler: Dialler,
        result: Result<(Wire, End), ConnectFault>,
    ) -> Result<(), String> {
        match dialler {
            Dialler::Peer(id) => {
                let Some(seat) = self.seats.get(id) else {
                    return Ok(());
                };
                let Ok((wire, end)) = result else {
                    seat.refused();
                    return self.tell(id, Event::Refused);
                };
                seat.sit(wire, end);
                self.fabric.own(wire, end, Owner::Peer(id));
                self.tell(id, Event::Opened)?;
                self.notice(wire, end)
            }
            Dialler::Sidecar(sidecar, id) => {
                self.sidecars[sidecar].dialled(id, result, &mut self.fabric)
            }
        }
    }
}
