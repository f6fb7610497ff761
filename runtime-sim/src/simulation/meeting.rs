//! How connections come about: who arrives, dials, is met, and comes back.

use outrigger_core::peer::{TlsFault, UpstreamId};
use outrigger_core::snapshot::{Address, KeyName};
use outrigger_core::worker::{ConnectFault, Handshake};

use super::{Simulation, Target};
use crate::beneath::{self, Beneath, Outcome, Speaks};
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
            Dialler::Thread(thread, _) if !self.beside.is_empty() => {
                let sidecar = self.threads[thread].of();
                self.beside.get_mut(&(sidecar, text.clone()))
            }
            Dialler::Thread(..) | Dialler::Peer(_) => None,
        };
        let accept = match beside.or_else(|| self.targets.get_mut(&text)) {
            None => Err(ConnectFault::Refused),
            Some(Target::Service(service)) => match service.accept(self.fabric.now) {
                Accept::Peer(peer) => Ok(Some(peer)),
                Accept::Refuse => Err(ConnectFault::Refused),
                Accept::Ignore => return Ok(()),
            },
            Some(Target::Sidecar(id, _)) if self.sidecars[id.0].is_draining => {
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

    /// Makes a connection, if the dialler agrees to what is spoken beneath HTTP.
    fn make(
        &mut self,
        dialler: Dialler,
        peer: Option<Box<dyn Peer>>,
        address: &Address,
    ) -> Result<Result<(Wire, End), ConnectFault>, String> {
        let wire = self.fabric.network.wire();
        let agreed = match peer {
            Some(peer) => self.meet_service(dialler, wire, peer)?,
            None => self.meet_sidecar(dialler, wire, address)?,
        };
        let end = End::Dialled;
        Ok(match agreed {
            Ok(()) => Ok((wire, end)),
            Err(fault) => {
                self.fabric.close(wire, end);
                Err(ConnectFault::Tls(fault))
            }
        })
    }

    /// A service takes a connection, and both learn what TLS proves to them.
    fn meet_service(
        &mut self,
        dialler: Dialler,
        wire: Wire,
        peer: Box<dyn Peer>,
    ) -> Result<Result<(), TlsFault>, String> {
        let endpoint = peer.beneath();
        let end = End::Accepted;
        let mut seat = Seat::new(peer, None);
        seat.sit(wire, end);
        let id = self.seat(seat);
        self.fabric.own(wire, end, Owner::Peer(id));
        let (learnt, met) = match self.handshake(dialler) {
            None => (Ok(()), None),
            Some((thread, upstream, wanted)) => {
                let proved = &self.threads[thread].proved;
                let (learnt, met) = beneath::as_client(proved, &wanted, &endpoint);
                let learnt = learnt.map(|facts| self.threads[thread].learn(upstream, facts));
                let is_told = endpoint != Beneath::ClearText;
                (learnt, is_told.then_some(met))
            }
        };
        self.tell_met(id, met.as_ref())?;
        Ok(learnt)
    }

    /// A sidecar takes a connection, and both learn what TLS proves to them; a client is told when it hears of it.
    fn meet_sidecar(
        &mut self,
        dialler: Dialler,
        wire: Wire,
        address: &Address,
    ) -> Result<Result<(), TlsFault>, String> {
        let Some(Target::Sidecar(id, listener)) = self.targets.get(&address.to_string()) else {
            return Ok(Ok(()));
        };
        let (id, listener) = (*id, *listener);
        let handshake = self.handshake(dialler);
        let comes = match (dialler, &handshake) {
            (Dialler::Peer(id), _) => {
                let seat = self.seats.get(id);
                seat.map_or_else(Beneath::default, |seat| seat.peer.beneath())
            }
            (Dialler::Thread(..), None) => Beneath::ClearText,
            (Dialler::Thread(..), Some((dialler, _, wanted))) => {
                let proved = &self.threads[*dialler].proved;
                Beneath::Tls(Box::new(beneath::of_handshake(proved, wanted)))
            }
        };
        let speaks_tls = comes != Beneath::ClearText;
        let end = End::Accepted;
        let original = self.captured.get(&address.to_string()).copied();
        // The kernel spreads connections over the threads that listen.
        let threads = self.sidecars[id.0].threads.clone();
        let at = match threads.len() {
            1 => threads.start,
            many => threads.start + self.fabric.dice.below(many as u64) as usize,
        };
        let thread = &mut self.threads[at];
        thread.accept((wire, end), (listener, original), comes, &mut self.fabric)?;
        let met = thread.met.take();
        if let Dialler::Peer(id) = dialler
            && let Some(seat) = self.seats.get(id)
        {
            seat.meets = met.filter(|_| speaks_tls);
            return Ok(Ok(()));
        }
        let Some((dialler, upstream, wanted)) = handshake else {
            return Ok(Ok(()));
        };
        let shows = self.threads[at].proved.keys.get(&KeyName::Mesh).cloned();
        let endpoint = match met {
            None => Beneath::ClearText,
            Some(_) => Beneath::Tls(Box::new(
                shows.map_or_else(Speaks::default, Speaks::as_mesh),
            )),
        };
        let (learnt, _) = beneath::as_client(&self.threads[dialler].proved, &wanted, &endpoint);
        Ok(learnt.map(|facts| self.threads[dialler].learn(upstream, facts)))
    }

    /// How a sidecar wants the connection protected that it dials.
    fn handshake(&self, dialler: Dialler) -> Option<(usize, UpstreamId, Handshake)> {
        match dialler {
            Dialler::Peer(_) => None,
            Dialler::Thread(thread, id) => {
                let wanted = self.threads[thread].handshake(id)?;
                Some((thread, id, wanted.clone()))
            }
        }
    }

    /// Tells a peer what came of TLS, if it was spoken, and that its connection is made.
    fn tell_met(&mut self, id: PeerId, met: Option<&Outcome>) -> Result<(), String> {
        match met {
            None => {}
            Some(Ok(met)) => self.tell(id, Event::Secured(met))?,
            Some(Err(why)) => return self.tell(id, Event::NotSecured(why)),
        }
        self.tell(id, Event::Opened)
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
                let met = seat.meets.take();
                self.fabric.own(wire, end, Owner::Peer(id));
                self.tell_met(id, met.as_ref())?;
                self.notice(wire, end)
            }
            Dialler::Thread(thread, id) => {
                self.threads[thread].dialled(id, result, &mut self.fabric)
            }
        }
    }
}
