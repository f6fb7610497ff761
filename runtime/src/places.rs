//! Where is listened, by places that come and go while the program runs, and what is counted at each.
//!
//! Owns which are open, which sockets the workers have yet to take, and until when the connections of a closed one may last. A
//! worker looks here when it is told that something has changed; what it does then is in `worker`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outrigger_core::peer::ListenerKind;

use crate::claim::Claim;
use crate::counter::Counter;
use crate::drain::Direction;
use crate::handed::{Handed, Handover, divide};
use crate::listen::{
    Arrival, Beside, Bound, Listen, Listening, Owner, bind_for, bind_more, listen,
};
use crate::place::Place;
use crate::stats::ListenerStats;

/// Places that a process listens at in its life, at most: what is counted at each is kept. An address that comes again is the
/// same place.
pub(crate) const MAX_PLACES: usize = 4096;

/// All places, shared by the workers and whoever steers them.
#[derive(Debug)]
pub(crate) struct Places {
    all: Mutex<Vec<Place>>,
    workers: usize,
    /// See [`Handover::keeps`].
    keeps: bool,
    /// Which change of all this each worker has followed.
    followed: Mutex<Vec<u64>>,
    /// Told when one has.
    follows: Condvar,
}

/// What a worker needs to know of a place.
pub(crate) struct News {
    pub(crate) counters: Arc<ListenerStats<Counter>>,
    /// To be listened on from now on.
    pub(crate) listening: Vec<Listening>,
    /// Nobody is to accept any more, without turning anybody away.
    pub(crate) rests: bool,
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

/// Sockets of a place, for each worker; nobody gets through yet.
struct BoundPlace {
    addr: SocketAddr,
    sockets: Vec<Vec<Bound>>,
    claim: Option<Claim>,
    /// The process before this one had it.
    is_taken_over: bool,
}

/// Binds a place for all workers. What was handed over for it goes before.
fn bind(wanted: &Listen, workers: usize, handover: &mut Handover) -> Result<BoundPlace, NotBound> {
    let mut bound = || {
        let Some(mut sockets) = handover.take(wanted)? else {
            let taken = bind_for(wanted, workers, None)?;
            return Ok(BoundPlace {
                addr: taken.addr,
                sockets: divide(taken.sockets, workers)?,
                claim: taken.claim,
                is_taken_over: false,
            });
        };
        if wanted.unix.is_none() {
            let more = workers.saturating_sub(sockets.len());
            sockets.extend(bind_more(wanted, more)?);
        }
        Ok(BoundPlace {
            addr: wanted.addr,
            sockets: divide(sockets, workers)?,
            claim: None,
            is_taken_over: true,
        })
    };
    bound().map_err(|error| cannot(wanted, error))
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
    pub(crate) fn open_all(
        wanted: &[Listen],
        workers: usize,
        mut handover: Handover,
    ) -> Result<Self, NotBound> {
        let mut places: Vec<(Place, &Listen)> = Vec::new();
        let mut claims = Vec::new();
        for one in wanted {
            let mut earlier = places.iter_mut();
            if let Some((place, _)) = earlier.find(|(_, other)| other.shares_socket(one)) {
                place.owners.push(Owner {
                    kind: one.kind,
                    whom: one.whom,
                });
                continue;
            }
            let bound = bind(one, workers, &mut handover)?;
            let mut place = Place::new(one, bound.addr, workers);
            let opened = place.open(bound.sockets, handover.keeps);
            opened.map_err(|error| cannot(one, error))?;
            place.is_taken_over = bound.is_taken_over;
            claims.push(bound.claim);
            place.rests = handover.from.is_some();
            places.push((place, one));
        }
        // The last first: who gets through to the first finds all of them open. Those of the process before are left as they are.
        let mut ours = places
            .iter()
            .rev()
            .filter(|(place, _)| !place.is_taken_over);
        ours.try_for_each(|(place, wanted)| {
            let mut sockets = place.sockets.iter().flatten();
            let listens = sockets.try_for_each(listen);
            listens.map_err(|error| cannot(wanted, error))
        })?;
        // From now on others find that somebody listens.
        drop(claims);
        Ok(Self {
            all: Mutex::new(places.into_iter().map(|(place, _)| place).collect()),
            workers,
            keeps: handover.keeps,
            followed: Mutex::new(vec![0; workers]),
            follows: Condvar::new(),
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
        let bound = || {
            let taken = bind_for(wanted, self.workers, Some(beside))?;
            taken.sockets.iter().try_for_each(listen)?;
            Ok((taken.addr, divide(taken.sockets, self.workers)?))
        };
        let (addr, sockets) = bound().map_err(|error| cannot(wanted, error))?;
        let at = known(addr).unwrap_or(all.len());
        if at == all.len() {
            all.push(Place::new(wanted, addr, self.workers));
        }
        let place = &mut all[at];
        place.unix.clone_from(&wanted.unix);
        place.arrival = wanted.arrival;
        place.owners = vec![Owner {
            kind: wanted.kind,
            whom: wanted.whom,
        }];
        place.rests = false;
        let opened = place.open(sockets, self.keeps);
        opened.map_err(|error| cannot(wanted, error))?;
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
        place.sockets.clear();
        place.kept.clear();
        true
    }

    /// What a worker has to know of each, with the sockets that it has not taken.
    pub(crate) fn look(&self, worker: usize) -> Vec<News> {
        let mut all = self.lock();
        let news = all.iter_mut().map(|place| News {
            counters: Arc::clone(&place.counters[worker]),
            listening: place.take(worker),
            rests: place.rests,
            addr: place.addr,
            opened: place.opened,
            closed: place.opened - u32::from(place.is_open),
            until: place.until,
            is_ours: place.is_open && place.is_ours(),
        });
        news.collect()
    }

    /// Copies of the sockets of all that are open and may be handed on.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(crate) fn hand_on(&self) -> io::Result<Vec<Handed>> {
        let all = self.lock();
        let open = all.iter().filter(|place| !place.kept.is_empty());
        let handed = open.map(|place| {
            let copies = place.kept.iter();
            let copies = copies.map(|socket| socket.as_fd().try_clone_to_owned());
            Ok(Handed {
                place: place.words(),
                is_transparent: place.arrival == Arrival::Transparent,
                sockets: copies.collect::<io::Result<_>>()?,
            })
        });
        handed.collect()
    }

    /// Somebody else accepts at these from now on, once the workers have followed.
    pub(crate) fn rest(&self, names: &[String]) {
        let mut all = self.lock();
        let open = all.iter_mut().filter(|place| !place.kept.is_empty());
        let named = open.filter(|place| names.contains(&place.words()));
        named.for_each(Place::rest);
    }

    /// Nobody else accepts any more where we rest.
    ///
    /// # Errors
    /// The first that cannot be listened at; all others are.
    pub(crate) fn wake(&self) -> Result<(), NotBound> {
        let mut outcome = Ok(());
        for place in self.lock().iter_mut().filter(|place| place.rests) {
            if let Err(error) = place.wake(self.workers) {
                let place = place.words();
                outcome = outcome.and(Err(NotBound { place, error }));
            }
        }
        outcome
    }

    /// Those that rest.
    pub(crate) fn resting(&self) -> Vec<String> {
        let all = self.lock();
        let resting = all.iter().filter(|place| place.rests);
        resting.map(Place::words).collect()
    }

    /// What of this direction is open is not handed on any more: nobody is to get in.
    pub(crate) fn forget(&self, direction: Direction) {
        for place in self.lock().iter_mut() {
            if direction == Direction::All || place.kind().is_for_others() {
                place.kept.clear();
            }
        }
    }

    /// A worker has followed everything up to this change.
    pub(crate) fn on_followed(&self, worker: usize, change: u64) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed[worker] = change;
        self.follows.notify_all();
    }

    /// Waits until all workers have followed up to this change. False where that takes longer.
    pub(crate) fn all_followed(&self, change: u64, timeout: Duration) -> bool {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_behind = |followed: &mut Vec<u64>| followed.iter().any(|at| *at < change);
        let waited = self
            .follows
            .wait_timeout_while(followed, timeout, is_behind);
        waited.is_ok_and(|(_, outcome)| !outcome.timed_out())
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
        news.map(|news| (!news.listening.is_empty(), news.closed < news.opened))
            .collect()
    }

    #[test]
    fn a_place_is_opened_closed_and_opened_again() {
        let places =
            Places::open_all(&[any(ListenerKind::Outbound)], 2, Handover::default()).unwrap();
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
        let places =
            Places::open_all(&[any(ListenerKind::Outbound)], 1, Handover::default()).unwrap();
        let addr = places.open_ones()[0].addr;
        let error = places.open(&Listen::direct(ListenerKind::Gateway(80), addr));
        let NotBound { place, error } = error.unwrap_err();
        assert_eq!(
            (place, error.kind()),
            (addr.to_string(), io::ErrorKind::AddrInUse)
        );
        assert_eq!(places.open_ones().len(), 1);
    }

    /// As two processes do it, with nothing between them but the system.
    #[test]
    fn of_two_who_begin_at_once_one_listens() {
        let mut had = 0;
        for _ in 0..200 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let wanted = Listen::direct(ListenerKind::Outbound, free.local_addr().unwrap());
            drop(free);
            let both = std::sync::Barrier::new(2);
            let begin = || {
                let places = Places::open_all(&[], 1, Handover::default()).unwrap();
                both.wait();
                places.open(&wanted).map(|_| places).ok()
            };
            let (one, other) = std::thread::scope(|scope| {
                let one = scope.spawn(begin);
                (begin(), one.join().unwrap())
            });
            assert!(one.is_none() || other.is_none(), "both listen");
            had += usize::from(one.is_some() || other.is_some());
        }
        assert!(had > 100, "{had}");
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let places = Places::open_all(&[], 1, Handover::default()).unwrap();
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
