//! Where is listened, by places that come and go while the program runs, and what is counted at each.
//!
//! Owns which are open, which sockets the workers have yet to take, and until when the connections of a closed one may last. A
//! worker looks here when it is told that something has changed; what it does then is in `worker`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use outrigger_core::peer::ListenerKind;

use crate::counter::Counter;
use crate::listen::{Arrival, Beside, Listen, Listening, Owner, bind_for, listen};
use crate::stats::ListenerStats;

/// Places that a process listens at in its life, at most: what is counted at each is kept. An address that comes again is the
/// same place.
pub(crate) const MAX_PLACES: usize = 4096;

/// All places, shared by the workers and whoever steers them.
#[derive(Debug)]
pub(crate) struct Places {
    all: Mutex<Vec<Place>>,
    workers: usize,
}

/// One address, for as long as the program runs.
#[derive(Debug)]
struct Place {
    addr: SocketAddr,
    arrival: Arrival,
    owners: Vec<Owner>,
    /// Of each worker.
    counters: Box<[Arc<ListenerStats<Counter>>]>,
    /// How often it was opened.
    opened: u32,
    is_open: bool,
    /// Until when connections may last that came before it was closed last.
    until: Option<Instant>,
    /// What each worker has yet to take.
    sockets: Vec<Option<Listening>>,
}

/// What a worker needs to know of a place.
pub(crate) struct News {
    pub(crate) counters: Arc<ListenerStats<Counter>>,
    /// To be listened on from now on.
    pub(crate) listening: Option<Listening>,
    pub(crate) addr: SocketAddr,
    /// How often it was opened.
    pub(crate) opened: u32,
    /// Of how many of these it was closed again.
    pub(crate) closed: u32,
    /// Until when connections may last that came before it was closed last.
    pub(crate) until: Option<Instant>,
    /// It is open, and connections of ours to it would go round.
    pub(crate) is_ours: bool,
}

/// A place that cannot be listened at.
#[derive(Debug)]
pub(crate) struct NotBound {
    pub(crate) place: String,
    /// The system's reason.
    pub(crate) error: io::Error,
}

/// A listener, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// What comes in there; of several that share an address the first.
    pub kind: ListenerKind,
    /// With its real port.
    pub addr: SocketAddr,
}

impl Place {
    fn new(wanted: &Listen, addr: SocketAddr, workers: usize) -> Self {
        let (kind, whom) = (wanted.kind, wanted.whom);
        let counters = (0..workers).map(|_| Arc::default());
        Self {
            addr,
            arrival: wanted.arrival,
            owners: vec![Owner { kind, whom }],
            counters: counters.collect(),
            opened: 0,
            is_open: false,
            until: None,
            sockets: (0..workers).map(|_| None).collect(),
        }
    }

    /// From now on the workers have these sockets to take.
    fn open(&mut self, sockets: Vec<Listening>) {
        self.opened += 1;
        self.is_open = true;
        self.sockets = sockets.into_iter().map(Some).collect();
    }

    /// Whether one of both is for all addresses of the port, and the other for one of them.
    fn stands_beside(&self, addr: SocketAddr) -> bool {
        let is_all = |addr: SocketAddr| addr.ip().is_unspecified();
        self.addr.port() == addr.port() && is_all(self.addr) != is_all(addr)
    }

    fn active(&self) -> u64 {
        let counters = self.counters.iter();
        counters.map(|counters| counters.active.value()).sum()
    }

    /// What comes in at a place of its own may have been to go there, too.
    fn is_ours(&self) -> bool {
        let mut owners = self.owners.iter();
        self.arrival == Arrival::Own || owners.any(|owner| owner.kind == ListenerKind::Outbound)
    }

    /// At least one shares a place: it is listened on for somebody.
    fn kind(&self) -> ListenerKind {
        self.owners[0].kind
    }

    fn stats(&self, at: usize) -> ListenerStats {
        let mut sum = ListenerStats {
            at,
            addr: self.addr,
            kind: self.kind(),
            is_open: self.is_open,
            ..ListenerStats::default()
        };
        for counters in &self.counters {
            counters.add_to(&mut sum);
        }
        sum
    }
}

/// Binds a place for all workers. Nobody gets through yet.
fn bind(
    wanted: &Listen,
    workers: usize,
    beside: Option<Beside>,
) -> Result<(SocketAddr, Vec<Listening>), NotBound> {
    let (addr, sockets) =
        bind_for(wanted, workers, beside).map_err(|error| cannot(wanted, error))?;
    let owner = Owner {
        kind: wanted.kind,
        whom: wanted.whom,
    };
    let sockets = sockets.into_iter().map(|socket| Listening {
        socket,
        arrival: wanted.arrival,
        owners: vec![owner],
    });
    Ok((addr, sockets.collect()))
}

fn cannot(wanted: &Listen, error: io::Error) -> NotBound {
    NotBound {
        place: wanted.place(),
        error,
    }
}

impl Places {
    /// Listens at all of these, for so many workers, or at none.
    ///
    /// # Errors
    /// One cannot be bound.
    pub(crate) fn open_all(wanted: &[Listen], workers: usize) -> Result<Self, NotBound> {
        let mut places: Vec<(Place, &Listen, Vec<Listening>)> = Vec::new();
        for one in wanted {
            let mut earlier = places.iter_mut();
            if let Some((place, _, sockets)) =
                earlier.find(|(_, other, _)| other.shares_socket(one))
            {
                let owner = Owner {
                    kind: one.kind,
                    whom: one.whom,
                };
                place.owners.push(owner);
                (sockets.iter_mut()).for_each(|socket| socket.owners.push(owner));
                continue;
            }
            let (addr, sockets) = bind(one, workers, None)?;
            places.push((Place::new(one, addr, workers), one, sockets));
        }
        // The last first: who gets through to the first finds all of them open.
        for (_, wanted, sockets) in places.iter().rev() {
            for socket in sockets {
                listen(&socket.socket).map_err(|error| cannot(wanted, error))?;
            }
        }
        let places = places.into_iter().map(|(mut place, _, sockets)| {
            place.open(sockets);
            place
        });
        Ok(Self {
            all: Mutex::new(places.collect()),
            workers,
        })
    }

    /// Listens at one more. Tried once: an address in use is not waited for.
    ///
    /// # Errors
    /// It cannot be bound, or a place too many was listened at.
    pub(crate) fn open(&self, wanted: &Listen) -> Result<SocketAddr, NotBound> {
        let mut all = self.lock();
        let known = |addr: SocketAddr| all.iter().position(|place| place.addr == addr);
        if known(wanted.addr).is_none() && all.len() >= MAX_PLACES {
            let told = format!("{MAX_PLACES} places were listened at, and more need a new start");
            return Err(cannot(wanted, io::Error::other(told)));
        }
        let mut open = all.iter().filter(|place| place.is_open);
        let beside = match open.any(|place| place.stands_beside(wanted.addr)) {
            true => Beside::Ours,
            false => Beside::Nobody,
        };
        let (addr, sockets) = bind(wanted, self.workers, Some(beside))?;
        for socket in &sockets {
            listen(&socket.socket).map_err(|error| cannot(wanted, error))?;
        }
        let at = known(addr).unwrap_or(all.len());
        if at == all.len() {
            all.push(Place::new(wanted, addr, self.workers));
        }
        let place = &mut all[at];
        place.arrival = wanted.arrival;
        place.owners.clone_from(&sockets[0].owners);
        place.open(sockets);
        Ok(addr)
    }

    /// Lets nobody in there any more, and connections last until then. False where nobody gets in.
    pub(crate) fn close(&self, addr: SocketAddr, until: Instant) -> bool {
        let mut all = self.lock();
        let mut open = all.iter_mut().filter(|place| place.is_open);
        let Some(place) = open.find(|place| place.addr == addr) else {
            return false;
        };
        place.is_open = false;
        place.until = Some(until);
        place.sockets.fill_with(|| None);
        true
    }

    /// What a worker has to know of each, with the sockets that it has not taken.
    pub(crate) fn look(&self, worker: usize) -> Vec<News> {
        let mut all = self.lock();
        let news = all.iter_mut().map(|place| News {
            counters: Arc::clone(&place.counters[worker]),
            listening: place.sockets[worker].take(),
            addr: place.addr,
            opened: place.opened,
            closed: place.opened - u32::from(place.is_open),
            until: place.until,
            is_ours: place.is_open && place.is_ours(),
        });
        news.collect()
    }

    /// Those that are open, in the order in which they were opened first.
    pub(crate) fn open_ones(&self) -> Vec<Located> {
        let all = self.lock();
        let open = all.iter().filter(|place| place.is_open);
        open.map(|place| Located {
            kind: place.kind(),
            addr: place.addr,
        })
        .collect()
    }

    /// Where a listener is that is open.
    pub(crate) fn find(&self, kind: ListenerKind) -> Option<SocketAddr> {
        let all = self.lock();
        let mut open = all.iter().filter(|place| place.is_open);
        let found = open.find(|place| place.owners.iter().any(|owner| owner.kind == kind));
        found.map(|place| place.addr)
    }

    /// What is counted at those that are open, or have connections.
    pub(crate) fn stats(&self) -> Vec<ListenerStats> {
        let all = self.lock();
        let mut stats = Vec::new();
        for (at, place) in all.iter().enumerate() {
            if place.is_open || place.active() > 0 {
                stats.push(place.stats(at));
            }
        }
        stats
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Place>> {
        // A place is put in whole, and each change of one is a step.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn any(kind: ListenerKind) -> Listen {
        Listen::direct(kind, "127.0.0.1:0".parse().unwrap())
    }

    /// Which workers find a socket to take, and which of the places are open.
    fn seen(places: &Places, worker: usize) -> Vec<(bool, bool)> {
        let news = places.look(worker).into_iter();
        news.map(|news| (news.listening.is_some(), news.closed < news.opened))
            .collect()
    }

    #[test]
    fn a_place_is_opened_closed_and_opened_again() {
        let places = Places::open_all(&[any(ListenerKind::Outbound)], 2).unwrap();
        let wanted = any(ListenerKind::Gateway(80));
        let addr = places.open(&wanted).unwrap();
        assert_eq!(seen(&places, 0), [(true, true), (true, true)]);
        // Each worker takes its own, once.
        assert_eq!(seen(&places, 0), [(false, true), (false, true)]);
        assert_eq!(places.find(ListenerKind::Gateway(80)), Some(addr));
        assert_eq!(places.open_ones().len(), 2);
        // What a worker has not taken is closed with it.
        let until = Instant::now() + Duration::from_secs(1);
        assert!(places.close(addr, until));
        assert!(!places.close(addr, until));
        assert_eq!(seen(&places, 1), [(true, true), (false, false)]);
        assert!(TcpStream::connect(addr).is_err());
        assert_eq!(places.find(ListenerKind::Gateway(80)), None);
        assert_eq!(places.stats().len(), 1);
        // The same address is the same place, with what was counted there.
        places.lock()[1].counters[0].connections.add(7);
        let again = Listen { addr, ..wanted };
        assert_eq!(places.open(&again).unwrap(), addr);
        let news = places.look(1).remove(1);
        assert_eq!((news.opened, news.closed), (2, 1));
        let stats = places.stats().remove(1);
        assert_eq!((stats.at, stats.addr, stats.connections), (1, addr, 7));
    }

    #[test]
    fn an_address_in_use_is_told_and_changes_nothing() {
        let places = Places::open_all(&[any(ListenerKind::Outbound)], 1).unwrap();
        let addr = places.open_ones()[0].addr;
        let error = places.open(&Listen::direct(ListenerKind::Gateway(80), addr));
        let NotBound { place, error } = error.unwrap_err();
        assert_eq!(
            (place, error.kind()),
            (addr.to_string(), io::ErrorKind::AddrInUse)
        );
        assert_eq!(places.open_ones().len(), 1);
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let places = Places::open_all(&[], 1).unwrap();
        for port in 0..MAX_PLACES {
            let addr = ([127, 0, 0, 2], u16::try_from(port).unwrap()).into();
            let place = Place::new(&any(ListenerKind::Outbound), addr, 1);
            places.lock().push(place);
        }
        let told = places.open(&any(ListenerKind::Outbound)).unwrap_err();
        let told = told.error.to_string();
        assert!(told.contains("4096 places"), "{told}");
    }
}
