//! How many requests a service takes at once, found out by its response times: a pure step from one state to the next.
//!
//! The formula is that of Envoy's gradient controller (Envoy reference §10.6): a limit grows while response times stay
//! near those that the service has when it is not busy, and shrinks with their ratio when they do not. Two things differ,
//! so that nothing needs a timer or a stall. A window is counted in responses instead of milliseconds. And to see how long
//! a service takes that is not busy, the limit goes down to two fifths for a while instead of to 3; should that still be
//! too much, it brings the limit down, and the next measurement begins lower. As in Netflix's Gradient2, the limit does not
//! move while requests use less than half of it, because then it is not the limit that response times tell of.

use crate::time::{Duration, Instant};

/// What is left of the limit during a measurement. With half of it a service that does only a few requests at once would
/// never be seen unbusy, because the square root that is added is large beside such a limit.
const MEASURED_AT: f64 = 0.4;

/// Settings of a limit (`outrigger.dev/adaptive-concurrency`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveConcurrency {
    /// The lowest limit, at least 1.
    pub min: u32,
    /// The highest limit, at least `min`.
    pub max: u32,
    /// The limit before anything is known, between the two.
    pub initial: u32,
    /// How much longer than measured a response may take before the limit shrinks, as a share of the time.
    pub buffer: f64,
    /// From one measurement of a service that is not busy to the next, while requests press against the limit.
    pub interval: Duration,
    /// Responses that a window has at least.
    pub window: u32,
}

/// A response that is complete, or a request that was given up after this time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// From the beginning of the attempt.
    pub took: Duration,
    /// Requests under way when it began, itself included.
    pub in_flight: u32,
    /// When it ended.
    pub at: Instant,
}

/// What is known about a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gradient {
    pub(super) limit: f64,
    pub(super) phase: Phase,
    /// Response times of the window so far, summed up, in nanoseconds.
    pub(super) sum: f64,
    /// How many these are.
    pub(super) count: u32,
    /// The most requests that were under way.
    pub(super) peak: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// The limit is down to see how long responses take then.
    Measuring {
        /// The limit from before.
        resume: f64,
    },
    /// The limit follows the response times.
    Following {
        /// How long responses take when the service is not busy, in nanoseconds.
        unbusy: f64,
        /// When that is to be measured again.
        due: Instant,
    },
}

impl Gradient {
    /// Before the first response.
    pub(super) fn new(settings: &AdaptiveConcurrency) -> Self {
        measure(settings, f64::from(settings.initial))
    }

    /// How many requests may be under way.
    pub(super) fn limit(&self, settings: &AdaptiveConcurrency) -> u32 {
        // Between bounds that are numbers of 32 bits.
        clamp(settings, self.limit) as u32
    }
}

fn clamp(settings: &AdaptiveConcurrency, limit: f64) -> f64 {
    limit.clamp(f64::from(settings.min), f64::from(settings.max))
}

fn measure(settings: &AdaptiveConcurrency, limit: f64) -> Gradient {
    Gradient {
        limit: clamp(settings, limit * MEASURED_AT),
        phase: Phase::Measuring { resume: limit },
        sum: 0.0,
        count: 0,
        peak: 0,
    }
}

/// What is known after one more response.
pub(super) fn step(settings: &AdaptiveConcurrency, now: Gradient, sample: Sample) -> Gradient {
    let limit = clamp(settings, now.limit);
    let of_before =
        matches!(now.phase, Phase::Measuring { .. }) && f64::from(sample.in_flight) > limit.floor();
    if of_before {
        return now;
    }
    let seen = Gradient {
        sum: now.sum + sample.took.as_nanos() as f64,
        count: now.count + 1,
        peak: now.peak.max(sample.in_flight),
        ..now
    };
    let (window, count) = (f64::from(settings.window), f64::from(seen.count));
    let mean = seen.sum / count;
    let next = Gradient {
        sum: 0.0,
        count: 0,
        peak: 0,
        ..seen
    };
    match seen.phase {
        // The first ones to come back of those that began together are the short ones: enough of them must follow.
        Phase::Measuring { .. } if count < window + 3.0 * limit => seen,
        Phase::Measuring { resume } => Gradient {
            limit: clamp(settings, resume),
            phase: Phase::Following {
                unbusy: mean,
                due: sample.at + settings.interval,
            },
            ..next
        },
        Phase::Following { .. } if count < window.max(limit) => seen,
        Phase::Following { .. } if f64::from(seen.peak) < limit / 2.0 => next,
        Phase::Following { unbusy, due } => {
            let gradient = (unbusy * (1.0 + settings.buffer) / mean).clamp(0.5, 2.0);
            let scaled = limit * gradient;
            let limit = clamp(settings, scaled + scaled.sqrt());
            if due <= sample.at {
                measure(settings, limit)
            } else {
                Gradient { limit, ..next }
            }
        }
    }
}

#[cfg(test)]
mod tests;
