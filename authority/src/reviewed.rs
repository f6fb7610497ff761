//! What reviews of tokens have found, for a short while, and reviews that are on their way: of many who show one token one is
//! asked about, and nobody is asked again at once.
//!
//! Owns for how long an answer holds, how many are kept, and who waits for whom. A token itself is not kept, only its digest.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::{OnceCell, Semaphore};

use crate::caller::{Caller, Refused, Reviewer};
use crate::counts::Counts;
use crate::limits::Limits;

/// A token's SHA-256.
type Digest = [u8; 32];

/// Characters of a reason that are kept.
const REASON: usize = 256;

/// What comes of a review.
type Found = Result<Caller, Refused>;

/// Reviews that are on their way, by token.
type Flights = HashMap<Digest, Arc<OnceCell<Found>>>;

/// A reviewer, and what he has found lately.
pub(crate) struct Reviewed {
    reviewer: Arc<dyn Reviewer>,
    turns: Semaphore,
    memory: Mutex<Memory>,
    flights: Mutex<Flights>,
    counts: Arc<Counts>,
}

impl Reviewed {
    pub(crate) fn new(reviewer: Arc<dyn Reviewer>, limits: &Limits, counts: Arc<Counts>) -> Self {
        Self {
            reviewer,
            turns: Semaphore::new(limits.max_reviews),
            memory: Mutex::new(Memory::new(limits)),
            flights: Mutex::default(),
            counts,
        }
    }

    /// Whose a token is. Who waits for a review that somebody else has begun goes on with it when that one goes away.
    pub(crate) async fn review(&self, token: &str) -> Found {
        let key = digest(&SHA256, token.as_bytes());
        let key: Digest = key.as_ref().try_into().expect("SHA-256 has 32 bytes");
        if let Some(found) = self.memory().get(&key, Instant::now(), SystemTime::now()) {
            self.counts.reviews_spared.fetch_add(1, Ordering::Relaxed);
            return found;
        }
        let seat = Seat::take(&self.flights, key);
        let mut has_asked = false;
        let found = seat.cell.get_or_init(|| {
            has_asked = true;
            self.ask(key, token)
        });
        let found = found.await.clone();
        if !has_asked {
            self.counts.reviews_spared.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    async fn ask(&self, key: Digest, token: &str) -> Found {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        self.counts.reviews.fetch_add(1, Ordering::Relaxed);
        let found = self.reviewer.review(token).await;
        self.memory().keep(key, &found, Instant::now());
        // Who comes from now on finds what is kept, or asks anew where nobody could say.
        flights(&self.flights).remove(&key);
        found
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each change of it is whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flights(of: &Mutex<Flights>) -> MutexGuard<'_, Flights> {
    // Each change of it is whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for a review: the last one who gives up takes it out.
struct Seat<'a> {
    flights: &'a Mutex<Flights>,
    key: Digest,
    cell: Arc<OnceCell<Found>>,
}

impl<'a> Seat<'a> {
    fn take(of: &'a Mutex<Flights>, key: Digest) -> Self {
        let cell = Arc::clone(flights(of).entry(key).or_default());
        Self {
            flights: of,
            key,
            cell,
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = flights(self.flights);
        let is_ours = |cell: &Arc<_>| Arc::ptr_eq(cell, &self.cell);
        // The map's own and ours: others are taken and given back under the same lock.
        if flights.get(&self.key).is_some_and(is_ours) && Arc::strong_count(&self.cell) == 2 {
            flights.remove(&self.key);
        }
        // Given back while the lock is held.
        self.cell = Arc::default();
    }
}

/// Answers of reviews. What nobody could say is not kept.
#[derive(Debug)]
pub(crate) struct Memory {
    good: Shelf<Caller>,
    /// Apart from the good ones: whoever makes tokens up pushes none of those out.
    bad: Shelf<String>,
}

impl Memory {
    fn new(limits: &Limits) -> Self {
        Self {
            good: Shelf::new(limits.good_for, limits.max_kept),
            bad: Shelf::new(limits.bad_for, limits.max_kept),
        }
    }

    /// What is known of a token. `at` is the time of the world, by which its own end is told.
    fn get(&self, token: &Digest, now: Instant, at: SystemTime) -> Option<Found> {
        if let Some(caller) = self.good.get(token, now) {
            let is_over = caller.until.is_some_and(|until| until <= at);
            return (!is_over).then(|| Ok(caller.clone()));
        }
        let why = self.bad.get(token, now)?;
        Some(Err(Refused::NotProved(why.clone())))
    }

    fn keep(&mut self, token: Digest, found: &Found, now: Instant) {
        self.good.forget(&token);
        self.bad.forget(&token);
        match found {
            Ok(caller) => self.good.keep(token, caller.clone(), now),
            Err(Refused::NotProved(why)) => {
                let why = why.chars().take(REASON).collect();
                self.bad.keep(token, why, now);
            }
            Err(Refused::Unknown(_)) => {}
        }
    }
}

/// Things that are kept for the same time each, so that the oldest ones go first.
#[derive(Debug)]
struct Shelf<T> {
    time: Duration,
    most: usize,
    kept: HashMap<Digest, (Instant, T)>,
    /// In the order in which they came; some may be gone, or have come again.
    order: VecDeque<(Instant, Digest)>,
}

impl<T> Shelf<T> {
    fn new(time: Duration, most: usize) -> Self {
        Self {
            time,
            most,
            kept: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn get(&self, token: &Digest, now: Instant) -> Option<&T> {
        let (since, thing) = self.kept.get(token)?;
        (now.saturating_duration_since(*since) < self.time).then_some(thing)
    }

    fn keep(&mut self, token: Digest, thing: T, now: Instant) {
        while let Some((since, oldest)) = self.order.front().copied() {
            let is_over = now.saturating_duration_since(since) >= self.time;
            if !is_over && self.order.len() < self.most {
                break;
            }
            self.order.pop_front();
            if self.kept.get(&oldest).is_some_and(|(at, _)| *at == since) {
                self.kept.remove(&oldest);
            }
        }
        if self.most > 0 {
            self.order.push_back((now, token));
            self.kept.insert(token, (now, thing));
        }
    }

    fn forget(&mut self, token: &Digest) {
        self.kept.remove(token);
    }
}

#[cfg(test)]
mod tests;
