//! Requests of one worker that wait for a connection within their cluster's limit, and what was let go meanwhile.
//!
//! The line is first come, first served within a worker. Who is served is decided by asking again: whoever lets a
//! connection go has the first one in line woken, and that one tries, and when it leaves the next one is woken.

use core::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::cluster::{ClusterState, Counted, Permit};
use crate::peer::ExchangeId;

/// The clusters of which this worker has let something go since it last looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freed(Rc<RefCell<SmallVec<[Arc<ClusterState>; 2]>>>);

impl Freed {
    /// Something of this cluster was let go. Where nobody waits for it, in no worker, there is nothing to be told: who comes to wait
    /// says so and then looks once more, as [`Lines::settle`] has it.
    pub(crate) fn add(&self, cluster: &Arc<ClusterState>) {
        if cluster.gauges().current(Counted::Waiting) == 0 {
            return;
        }
        let mut all = self.0.borrow_mut();
        if !all.iter().any(|known| Arc::ptr_eq(known, cluster)) {
            all.push(Arc::clone(cluster));
        }
    }

    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn take(&self) -> SmallVec<[Arc<ClusterState>; 2]> {
        self.0.take()
    }
}

/// A connection's share of its cluster's limit. However it ends, the worker gets to know.
#[derive(Debug)]
pub(crate) struct Slot {
    permit: Option<Permit>,
    cluster: Arc<ClusterState>,
    freed: Freed,
}

impl Slot {
    pub(crate) const fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permit = None;
        self.freed.add(&self.cluster);
    }
}

/// A place in the line; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket(Rc<Waiter>);

impl Ticket {
    pub(crate) fn id(&self) -> ExchangeId {
        self.0.id
    }
}

#[derive(Debug)]
struct Waiter {
    id: ExchangeId,
    waiting: Option<Permit>,
    freed: Freed,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // It may have been woken and not have come to use it: the next one is to try.
        if let Some(permit) = self.waiting.take() {
            self.freed.add(permit.cluster());
        }
    }
}

#[derive(Debug)]
struct Line {
    cluster: Arc<ClusterState>,
    places: VecDeque<Weak<Waiter>>,
}

/// The lines of one worker. There are as many as clusters at their limit, so few that they are searched in turn.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    freed: Freed,
}

impl Lines {
    /// Who has waited longest for a connection of a cluster.
    pub(crate) fn first(&mut self, cluster: &Arc<ClusterState>) -> Option<ExchangeId> {
        let at = self.position(cluster)?;
        let places = &mut self.lines[at].places;
        while let Some(place) = places.front() {
            if let Some(place) = place.upgrade() {
                return Some(place.id);
            }
            places.pop_front();
        }
        self.lines.swap_remove(at);
        None
    }

    /// The last place in the line of a cluster, for an exchange.
    pub(crate) fn join(&mut self, id: ExchangeId, cluster: &Arc<ClusterState>) -> Ticket {
        let place = Rc::new(Waiter {
            id,
            waiting: cluster.admit(Counted::Waiting, u32::MAX),
            freed: self.freed.clone(),
        });
        let at = self.position(cluster).unwrap_or_else(|| {
            self.lines.push(Line {
                cluster: Arc::clone(cluster),
                places: VecDeque::new(),
            });
            self.lines.len() - 1
        });
        let places = &mut self.lines[at].places;
        // Those who left from the middle are forgotten before they outnumber those who wait.
        let waiting = cluster.gauges().current(Counted::Waiting) as usize;
        if places.len() > 2 * waiting + 8 {
            places.retain(|place| place.strong_count() > 0);
        }
        places.push_back(Rc::downgrade(&place));
        Ticket(place)
    }

    /// Leave to make a connection, within a limit.
    pub(crate) fn slot(&self, cluster: &Arc<ClusterState>, max: u32) -> Option<Slot> {
        let permit = cluster.admit(Counted::Connections, max)?;
        Some(Slot {
            cluster: Arc::clone(cluster),
            permit: Some(permit),
            freed: self.freed.clone(),
        })
    }

    /// A connection that counts against a cluster's limit is free for the next request.
    pub(crate) fn offer(&self, cluster: &Arc<ClusterState>) {
        self.freed.add(cluster);
    }

    /// Whether something was let go since it was last looked at.
    pub(crate) fn has_freed(&self) -> bool {
        !self.freed.is_empty()
    }

    /// Whether only other workers wait for a connection of a cluster.
    pub(crate) fn is_wanted_elsewhere(&mut self, cluster: &Arc<ClusterState>) -> bool {
        self.first(cluster).is_none() && cluster.gauges().current(Counted::Waiting) > 0
    }

    /// Names who is to try again because of what was let go, and says whether other workers must be told.
    ///
    /// Nobody is forgotten: who waits has joined a line first and tries once more after that; who lets a connection go has
    /// done so before it looks here for somebody who waits. One of the two sees the other, because both steps of each are
    /// sequentially consistent.
    pub(crate) fn settle(&mut self, mut wake: impl FnMut(ExchangeId)) -> bool {
        let mut announce = false;
        for cluster in self.freed.take() {
            match self.first(&cluster) {
                Some(waiter) => wake(waiter),
                None => announce |= self.is_wanted_elsewhere(&cluster),
            }
        }
        announce
    }

    /// The first one of each line.
    pub(crate) fn all_first(&mut self) -> Vec<ExchangeId> {
        let clusters: Vec<_> = self.lines.iter().map(|l| Arc::clone(&l.cluster)).collect();
        clusters.iter().filter_map(|c| self.first(c)).collect()
    }

    fn position(&self, cluster: &Arc<ClusterState>) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| Arc::ptr_eq(&line.cluster, cluster))
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn the_first_is_served_first_and_who_leaves_is_passed_over() {
        let cluster = Arc::new(ClusterState::default());
        let other = Arc::new(ClusterState::default());
        let mut lines = Lines::default();
        let mut exchanges = SlotMap::with_key();
        let tickets: Vec<_> = (0..3)
            .map(|_| lines.join(exchanges.insert(()), &cluster))
            .collect();
        let ids: Vec<_> = tickets.iter().map(Ticket::id).collect();
        assert_eq!(lines.first(&other), None);
        let [a, b, c] = <[Ticket; 3]>::try_from(tickets).unwrap();
        assert_eq!(lines.first(&cluster), Some(ids[0]));
        drop(b);
        drop(a);
        assert_eq!(lines.first(&cluster), Some(ids[2]));
        assert_eq!(lines.freed.take().len(), 1, "each cluster is told once");
        assert_eq!(lines.all_first(), [ids[2]]);
        drop(c);
        assert_eq!(lines.first(&cluster), None);
        assert!(lines.lines.is_empty());
        assert_eq!(cluster.gauges().current(Counted::Waiting), 0);
    }

    #[test]
    fn who_comes_and_goes_behind_a_waiting_one_takes_no_memory() {
        let cluster = Arc::new(ClusterState::default());
        let mut lines = Lines::default();
        let mut exchanges = SlotMap::with_key();
        let first = lines.join(exchanges.insert(()), &cluster);
        for _ in 0..1_000 {
            drop(lines.join(exchanges.insert(()), &cluster));
        }
        assert!(lines.lines[0].places.len() < 20);
        assert_eq!(lines.first(&cluster), Some(first.id()));
    }
}
