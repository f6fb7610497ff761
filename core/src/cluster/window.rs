//! A count over the last stretch of time, in ten slots. It owns no clock and no timer: what is too old is passed over
//! when somebody looks.

use super::atomic::{AtomicU64, Ordering};

use crate::time::{Duration, Instant};

/// In how many slots a window moves on; what was counted lasts between nine and ten tenths of it.
pub(super) const SLOTS: u32 = 10;

/// The shortest slot. Numbers of slots then repeat only after 49 days.
const SHORTEST: Duration = Duration::from_millis(1);

/// Counts of one window, each slot one atomic: the number of its stretch of time in the high half, its count in the low.
#[derive(Debug, Default)]
pub(super) struct Window([AtomicU64; SLOTS as usize]);

impl Window {
    /// Counts one more.
    pub(super) fn add(&self, length: Duration, now: Instant) {
        let tick = tick(length, now);
        let more = |slot| {
            let (of, count) = split(slot);
            Some(if of == tick {
                join(tick, count.saturating_add(1))
            } else {
                join(tick, 1)
            })
        };
        // The closure never refuses.
        let _ = self
            .slot(tick)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
    }

    /// Takes one back that was counted at this time.
    pub(super) fn take_back(&self, length: Duration, at: Instant) {
        let tick = tick(length, at);
        let less = |slot| {
            let (of, count) = split(slot);
            // If it is another's slot by now, what was counted there is forgotten anyhow.
            (of == tick).then(|| join(tick, count.saturating_sub(1)))
        };
        let _ = self
            .slot(tick)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    /// How many were counted within the window that ends now.
    pub(super) fn sum(&self, length: Duration, now: Instant) -> u64 {
        let now = tick(length, now);
        let is_within = |of: u32| {
            // Another worker's time may be a little ahead.
            now.wrapping_sub(of) < SLOTS || of.wrapping_sub(now) == 1
        };
        let slots = self.0.iter().map(|slot| split(slot.load(Ordering::SeqCst)));
        slots
            .filter(|(of, _)| is_within(*of))
            .map(|(_, count)| u64::from(count))
            .sum()
    }

    const fn slot(&self, tick: u32) -> &AtomicU64 {
        &self.0[(tick % SLOTS) as usize]
    }
}

/// The number of the slot of a time.
fn tick(length: Duration, now: Instant) -> u32 {
    let slot = (length / SLOTS).max(SHORTEST).as_nanos();
    // Only differences matter, so the number may wrap around.
    (u128::from(now.as_nanos()) / slot) as u32
}

const fn join(tick: u32, count: u32) -> u64 {
    (tick as u64) << 32 | count as u64
}

const fn split(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_counted_leaves_after_ten_slots() {
        let window = Window::default();
        for (at, want) in [(0, 1), (99, 2), (100, 3), (950, 4)] {
            window.add(SECOND, Instant::from_millis(at));
            assert_eq!(window.sum(SECOND, Instant::from_millis(at)), want, "{at}");
        }
        for (at, want) in [(999, 4), (1000, 2), (1100, 1), (1899, 1), (1900, 0)] {
            assert_eq!(window.sum(SECOND, Instant::from_millis(at)), want, "{at}");
        }
        window.add(SECOND, Instant::from_millis(5000));
        assert_eq!(window.sum(SECOND, Instant::from_millis(5000)), 1);
    }

    #[test]
    fn one_is_taken_back_from_where_it_was_counted() {
        let window = Window::default();
        let (first, later) = (Instant::from_millis(0), Instant::from_millis(1000));
        window.add(SECOND, first);
        window.take_back(SECOND, first);
        window.take_back(SECOND, first);
        assert_eq!(window.sum(SECOND, first), 0);
        window.add(SECOND, later);
        window.take_back(SECOND, first);
        assert_eq!(window.sum(SECOND, later), 1, "the slot is another's now");
    }

    #[test]
    fn workers_whose_times_differ_a_little_see_each_other() {
        let window = Window::default();
        window.add(SECOND, Instant::from_millis(1000));
        assert_eq!(window.sum(SECOND, Instant::from_millis(999)), 1);
        assert_eq!(window.sum(SECOND, Instant::from_millis(899)), 0);
    }

    #[test]
    fn a_window_that_became_longer_forgets() {
        let window = Window::default();
        window.add(SECOND, Instant::from_millis(90_000));
        assert_eq!(window.sum(10 * SECOND, Instant::from_millis(90_000)), 0);
        window.add(10 * SECOND, Instant::from_millis(90_000));
        assert_eq!(window.sum(10 * SECOND, Instant::from_millis(90_000)), 1);
    }
}
