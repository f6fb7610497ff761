//! What is known of names, for as long as it holds, and of only so many of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Nothing holds for less, so that many connections at once cost one question.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// Nothing is taken to hold for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// Answers by name.
#[derive(Debug)]
pub(super) struct Cache<T> {
    most: usize,
    known: HashMap<Box<str>, (T, Instant)>,
}

impl<T> Cache<T> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: HashMap::new(),
        }
    }

    pub(super) fn find(&self, name: &str, now: Instant) -> Option<&T> {
        let (answer, until) = self.known.get(name)?;
        (now < *until).then_some(answer)
    }

    /// Keeps an answer. Where there is no room, what does not hold any more makes some, else what holds for the shortest time.
    pub(super) fn put(&mut self, name: Box<str>, answer: T, ttl: Duration, now: Instant) {
        if self.most == 0 {
            return;
        }
        if self.known.len() >= self.most && !self.known.contains_key(&name) {
            self.known.retain(|_, (_, until)| now < *until);
        }
        if self.known.len() >= self.most && !self.known.contains_key(&name) {
            let soonest = self
                .known
                .iter()
                .min_by_key(|(name, (_, until))| (*until, *name));
            if let Some(soonest) = soonest.map(|(name, _)| name.clone()) {
                self.known.remove(&soonest);
            }
        }
        let until = now + ttl.clamp(SHORTEST, LONGEST);
        self.known.insert(name, (answer, until));
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_for_their_time_within_bounds() {
        let start = Instant::now();
        for (ttl, holds) in [(0, 1), (1, 1), (30, 30), (100_000, 3600)] {
            let mut cache = Cache::new(1);
            cache.put("a".into(), 7, Duration::from_secs(ttl), start);
            let after = |seconds: u64| start + Duration::from_secs(seconds);
            let last = after(holds) - Duration::from_nanos(1);
            assert_eq!(cache.find("a", last), Some(&7), "{ttl}");
            assert_eq!(cache.find("a", after(holds)), None, "{ttl}");
            assert_eq!(cache.find("b", start), None);
        }
    }

    #[test]
    fn there_are_never_more_than_there_may_be() {
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut cache = Cache::new(2);
        cache.put("long".into(), 1, seconds(90), start);
        cache.put("short".into(), 2, seconds(5), start);
        cache.put("short".into(), 3, seconds(6), start);
        assert_eq!(cache.find("short", start), Some(&3));
        // What holds for the shortest time gives way.
        cache.put("middle".into(), 4, seconds(10), start);
        assert_eq!((cache.len(), cache.find("short", start)), (2, None));
        // What does not hold any more is nothing to keep.
        cache.put("last".into(), 5, seconds(1), after(10));
        assert_eq!(cache.find("long", after(10)), Some(&1));
        assert_eq!(cache.len(), 2);
        let mut none = Cache::new(0);
        none.put("a".into(), 1, seconds(10), start);
        assert_eq!(none.len(), 0);
    }
}
