//! The adaptive limit of one cluster, shared by all workers.
//!
//! Owns the atomics; what a response does to the limit is in `gradient`. One worker at a time moves the state on. A response
//! that another worker reports at that very moment is not taken into account, so that nobody waits: there are more.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::gradient::{AdaptiveConcurrency, Gradient, Phase, Sample, step};
use crate::time::{Duration, Instant};

/// Nothing has been reported yet.
const UNSET: u32 = 0;

/// Live state of one cluster's adaptive limit.
#[derive(Debug, Default)]
pub struct AdaptiveLimit {
    /// What admission compares with; at least 1 once something was reported.
    limit: AtomicU32,
    /// Requests that were refused.
    blocked: AtomicU64,
    /// Somebody is moving the state on.
    busy: AtomicU32,
    state: GradientCells,
}

/// The parts of a `Gradient`; read and written by whoever made it busy.
#[derive(Debug, Default)]
struct GradientCells {
    limit: AtomicU64,
    /// Nanoseconds; zero while it is measured.
    unbusy: AtomicU64,
    /// The limit from before a measurement, or when the next one is due.
    resume_or_due: AtomicU64,
    sum: AtomicU64,
    count: AtomicU32,
    peak: AtomicU32,
}

impl AdaptiveLimit {
    /// How many requests may be under way.
    #[must_use]
    pub fn limit(&self, settings: &AdaptiveConcurrency) -> u32 {
        match self.limit.load(Ordering::Relaxed) {
            UNSET => Gradient::new(settings).limit(settings),
            // A newer snapshot may have other bounds.
            limit => limit.clamp(settings.min, settings.max),
        }
    }

    /// One more response.
    pub fn report(&self, settings: &AdaptiveConcurrency, sample: Sample) {
        // Acquire and release: who makes it busy sees all that the one before wrote.
        let got = self
            .busy
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        if got.is_err() {
            return;
        }
        let now = if self.limit.load(Ordering::Relaxed) == UNSET {
            Gradient::new(settings)
        } else {
            self.state.read()
        };
        let next = step(settings, now, sample);
        self.state.write(&next);
        self.limit
            .store(next.limit(settings).max(1), Ordering::Relaxed);
        self.busy.store(0, Ordering::Release);
    }

    /// One more request was refused.
    pub fn count_blocked(&self) {
        self.blocked.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests refused so far (`rq_blocked`).
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed)
    }

    /// How long responses take when the service is not busy, as last measured (`min_rtt_msecs`); `None` while that is being
    /// measured. For people: a state that is just being moved on may be seen half moved.
    #[must_use]
    pub fn unbusy(&self) -> Option<Duration> {
        let nanos = f64::from_bits(self.state.unbusy.load(Ordering::Relaxed));
        (nanos > 0.0).then(|| Duration::from_nanos(nanos as u64))
    }
}

impl GradientCells {
    fn read(&self) -> Gradient {
        let number = |word: &AtomicU64| f64::from_bits(word.load(Ordering::Relaxed));
        let unbusy = number(&self.unbusy);
        let phase = if unbusy > 0.0 {
            let due = self.resume_or_due.load(Ordering::Relaxed);
            Phase::Following {
                unbusy,
                due: Instant::from_nanos(due),
            }
        } else {
            let resume = number(&self.resume_or_due);
            Phase::Measuring { resume }
        };
        Gradient {
            limit: number(&self.limit),
            phase,
            sum: number(&self.sum),
            count: self.count.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
        }
    }

    fn write(&self, next: &Gradient) {
        let set = |word: &AtomicU64, number: f64| word.store(number.to_bits(), Ordering::Relaxed);
        match next.phase {
            Phase::Measuring { resume } => {
                set(&self.unbusy, 0.0);
                set(&self.resume_or_due, resume);
            }
            Phase::Following { unbusy, due } => {
                // A time of nothing would look like none.
                set(&self.unbusy, unbusy.max(1.0));
                self.resume_or_due.store(due.as_nanos(), Ordering::Relaxed);
            }
        }
        set(&self.limit, next.limit);
        set(&self.sum, next.sum);
        self.count.store(next.count, Ordering::Relaxed);
        self.peak.store(next.peak, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SETTINGS: AdaptiveConcurrency = AdaptiveConcurrency {
        min: 3,
        max: 1000,
        initial: 20,
        buffer: 0.5,
        interval: Duration::from_secs(10),
        window: 50,
    };

    fn sample(took: u64, at: u64) -> Sample {
        Sample {
            took: Duration::from_millis(took),
            in_flight: 8,
            at: Instant::from_millis(at),
        }
    }

    #[test]
    fn is_the_pure_state_kept_in_words() {
        let shared = AdaptiveLimit::default();
        let mut state = Gradient::new(&SETTINGS);
        for n in 0..2_000 {
            assert_eq!(shared.limit(&SETTINGS), state.limit(&SETTINGS), "{n}");
            let sample = sample(100 + n * 7 % 90, n * 20);
            shared.report(&SETTINGS, sample);
            state = step(&SETTINGS, state, sample);
            assert_eq!(shared.state.read(), state, "{n}");
            let is_following = matches!(state.phase, Phase::Following { .. });
            assert_eq!(shared.unbusy().is_some(), is_following);
        }
    }

    #[test]
    fn other_bounds_hold_at_once() {
        let shared = AdaptiveLimit::default();
        shared.report(&SETTINGS, sample(100, 0));
        assert_eq!(shared.limit(&SETTINGS), 8);
        let narrow = AdaptiveConcurrency {
            min: 12,
            max: 15,
            ..SETTINGS
        };
        assert_eq!(shared.limit(&narrow), 12);
        let low = AdaptiveConcurrency {
            min: 1,
            max: 2,
            ..SETTINGS
        };
        assert_eq!(shared.limit(&low), 2);
    }

    #[test]
    fn workers_at_the_same_time_leave_a_whole_state() {
        let shared = AdaptiveLimit::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..20_000 {
                        shared.report(&SETTINGS, sample(100, n));
                        let limit = shared.limit(&SETTINGS);
                        assert!((3..=1000).contains(&limit), "{limit}");
                    }
                });
            }
        });
        let state = shared.state.read();
        assert_eq!(state.limit(&SETTINGS), shared.limit(&SETTINGS));
        let unbusy = shared.unbusy().unwrap_or(Duration::from_millis(100));
        assert_eq!(unbusy, Duration::from_millis(100), "all took the same");
    }

    #[test]
    fn every_refused_request_is_counted() {
        let shared = AdaptiveLimit::default();
        for refused in 0..3 {
            assert_eq!(shared.blocked(), refused);
            shared.count_blocked();
        }
    }
}
