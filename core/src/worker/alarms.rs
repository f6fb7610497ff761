//! When a worker has to look at which of its clients and requests.
//!
//! Nearly every request sets deadlines, they move with every byte, and almost none is reached. So what is planned is a look
//! and not a deadline: a place of a table has one look planned at a time, which is moved only to an earlier moment. When it
//! comes, whoever has the place by then is asked when its time is up. A busy place then plans a look about once in a
//! timeout's length, whoever has it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use slotmap::{Key, KeyData};

use crate::peer::{ClientId, ExchangeId, UpstreamId};
use crate::time::Instant;

/// Looks that were moved and may stay behind, besides as many as there are places.
const MOVED: usize = 64;

/// Whose time may be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Client(ClientId),
    Upstream(UpstreamId),
    Exchange(ExchangeId),
}

/// Whose places a look is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Clients,
    Upstreams,
    Exchanges,
}

/// One kind of places: who has each, and when it is looked at next.
#[derive(Debug)]
struct Places<K>(Vec<(K, Option<Instant>)>);

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The looks that are planned.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    clients: Places<ClientId>,
    upstreams: Places<UpstreamId>,
    exchanges: Places<ExchangeId>,
    /// With the place.
    looks: BinaryHeap<Reverse<(Instant, Table, u32)>>,
}

/// The position of a name in its table.
fn place(key: KeyData) -> u32 {
    // The lower half is the position, the upper one tells who has had it (slotmap's documentation of `as_ffi`).
    key.as_ffi() as u32
}

impl<K: Key> Places<K> {
    /// Somebody's time is up then. Whether that needs a look earlier than planned.
    fn plan(&mut self, key: K, at: Instant) -> bool {
        let place = place(key.data()) as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, (K::null(), None));
        }
        let (who, planned) = &mut self.0[place];
        *who = key;
        let is_earlier = planned.is_none_or(|planned| at < planned);
        if is_earlier {
            *planned = Some(at);
        }
        is_earlier
    }

    /// The looks that are planned, by place.
    fn planned(&self) -> impl Iterator<Item = (Instant, u32)> {
        let places = (0..).zip(&self.0);
        places.filter_map(|(place, (_, planned))| Some(((*planned)?, place)))
    }

    /// A look that was planned comes: who has the place, unless another look took its turn.
    fn look(&mut self, place: u32, at: Instant) -> Option<K> {
        let (who, planned) = self.0.get_mut(place as usize)?;
        if *planned != Some(at) {
            return None;
        }
        *planned = None;
        Some(*who)
    }
}

impl Alarms {
    /// Its time is up then, unless that moves.
    pub(super) fn plan(&mut self, whose: Whose, at: Instant) {
        let (is_earlier, table, place) = match whose {
            Whose::Client(id) => (self.clients.plan(id, at), Table::Clients, place(id.data())),
            Whose::Upstream(id) => {
                let is_earlier = self.upstreams.plan(id, at);
                (is_earlier, Table::Upstreams, place(id.data()))
            }
            Whose::Exchange(id) => {
                let is_earlier = self.exchanges.plan(id, at);
                (is_earlier, Table::Exchanges, place(id.data()))
            }
        };
        if is_earlier {
            self.looks.push(Reverse((at, table, place)));
            self.forget_moved();
        }
    }

    /// A look that was moved stays behind until its old time, which may be an hour away: they must not pile up.
    fn forget_moved(&mut self) {
        let Self {
            clients,
            upstreams,
            exchanges,
            looks,
        } = self;
        let places = clients.0.len() + upstreams.0.len() + exchanges.0.len();
        if looks.len() <= 2 * places + MOVED {
            return;
        }
        looks.clear();
        let of = |table| move |(at, place)| Reverse((at, table, place));
        looks.extend(clients.planned().map(of(Table::Clients)));
        looks.extend(upstreams.planned().map(of(Table::Upstreams)));
        looks.extend(exchanges.planned().map(of(Table::Exchanges)));
    }

    /// Before this there is nothing to look at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.looks.peek().map(|Reverse((at, ..))| *at)
    }

    /// Whose time may be up by now. Its next look is planned anew.
    pub(super) fn due(&mut self, now: Instant) -> Option<Whose> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse((at, table, place)) = self.looks.pop()?;
            let whose = match table {
                Table::Clients => self.clients.look(place, at).map(Whose::Client),
                Table::Upstreams => self.upstreams.look(place, at).map(Whose::Upstream),
                Table::Exchanges => self.exchanges.look(place, at).map(Whose::Exchange),
            };
            if whose.is_some() {
                return whose;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_place_is_looked_at_once_at_the_earliest_of_its_deadlines() {
        let mut names = SlotMap::<ExchangeId, ()>::with_key();
        let (one, other) = (names.insert(()), names.insert(()));
        let mut alarms = Alarms::default();
        for (who, ms) in [(one, 50), (one, 20), (one, 70), (other, 30)] {
            alarms.plan(Whose::Exchange(who), at(ms));
        }
        assert_eq!(alarms.next(), Some(at(20)));
        assert_eq!(alarms.due(at(19)), None);
        assert_eq!(alarms.due(at(20)), Some(Whose::Exchange(one)));
        assert_eq!(alarms.due(at(20)), None);
        assert_eq!(alarms.due(at(100)), Some(Whose::Exchange(other)));
        assert_eq!(alarms.due(at(100)), None, "the look at 50 was moved");
        assert_eq!(alarms.next(), None);
    }

    /// A request that takes an hour and many that are tried again at once have the same place in turn.
    #[test]
    fn looks_that_were_moved_do_not_pile_up() {
        let mut names = SlotMap::<ExchangeId, ()>::with_key();
        let mut clients = SlotMap::<ClientId, ()>::with_key();
        let client = clients.insert(());
        let mut alarms = Alarms::default();
        alarms.plan(Whose::Client(client), at(7_200_000));
        let mut last = ExchangeId::default();
        for ms in (0..100_000).step_by(10) {
            last = names.insert(());
            alarms.plan(Whose::Exchange(last), at(ms + 3_600_000));
            alarms.plan(Whose::Exchange(last), at(ms + 10));
            assert_eq!(alarms.due(at(ms + 10)), Some(Whose::Exchange(last)));
            names.remove(last);
        }
        assert!(alarms.looks.len() <= 100, "{}", alarms.looks.len());
        alarms.plan(Whose::Exchange(last), at(3_700_000));
        assert_eq!(alarms.due(at(3_700_000)), Some(Whose::Exchange(last)));
        assert_eq!(alarms.due(at(7_199_999)), None);
        assert_eq!(alarms.due(at(7_200_000)), Some(Whose::Client(client)));
    }

    #[test]
    fn who_has_a_place_by_then_is_asked_and_one_request_after_the_other_plans_one_look() {
        let mut names = SlotMap::<ExchangeId, ()>::with_key();
        let mut alarms = Alarms::default();
        let mut last = ExchangeId::default();
        for ms in 0..1000 {
            last = names.insert(());
            alarms.plan(Whose::Exchange(last), at(ms + 15_000));
            names.remove(last);
        }
        assert_eq!(alarms.looks.len(), 1);
        assert_eq!(alarms.due(at(15_000)), Some(Whose::Exchange(last)));
    }
}
