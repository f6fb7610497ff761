//! How long one endpoint takes to answer, as a moving average that jumps to peaks (Finagle, tower `peak_ewma`; Envoy
//! reference §10.2).
//!
//! A sample above the average replaces it; one below pulls it down by as much as time has passed. Between samples it
//! decays, so that an endpoint nobody asks is asked again. Two atomics: whoever moves the time of the last sample
//! forward owns the time in between, so that no moment counts twice whatever workers do at once.

use super::atomic::{AtomicU64, Ordering};
use crate::time::{Duration, Instant};

/// After this time a sample counts for 1/e (tower's and linkerd's default).
pub const DECAY: Duration = Duration::from_secs(10);

/// What an endpoint is taken to need before it has answered once (tower's and linkerd's default).
pub const DEFAULT_RTT: Duration = Duration::from_millis(30);

/// Nobody has looked yet.
const NEVER: u64 = 0;

/// The moving average of one endpoint.
#[derive(Debug)]
pub struct PeakEwma {
    /// Seconds, as the bits of an `f64`. It is never negative, so the bits are in the order of the numbers.
    average: AtomicU64,
    /// Nanoseconds plus one, or `NEVER`.
    at: AtomicU64,
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self {
            average: AtomicU64::new(DEFAULT_RTT.as_secs_f64().to_bits()),
            at: AtomicU64::new(NEVER),
        }
    }
}

impl PeakEwma {
    /// It took so long to answer, or is to count as if it had.
    pub fn observe(&self, sample: Duration, now: Instant) {
        let weight = weight(self.claim(now));
        let sample = sample.as_secs_f64();
        let blend = |bits| Some(blend(f64::from_bits(bits), sample, weight).to_bits());
        let _ = self
            .average
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, blend); // never refuses
    }

    /// What it is at a time, in seconds. The first one to ask starts the decay.
    #[must_use]
    pub fn average(&self, now: Instant) -> f64 {
        let stamp = stamp(now);
        let at = match self.at.load(Ordering::Acquire) {
            NEVER => {
                let begun =
                    self.at
                        .compare_exchange(NEVER, stamp, Ordering::AcqRel, Ordering::Acquire);
                begun.err().unwrap_or(stamp)
            }
            at => at,
        };
        f64::from_bits(self.average.load(Ordering::Acquire)) * weight(stamp.saturating_sub(at))
    }

    /// Moves the time forward and says by how many nanoseconds; nobody else gets the same ones.
    fn claim(&self, now: Instant) -> u64 {
        let stamp = stamp(now);
        let before = self.at.fetch_max(stamp, Ordering::AcqRel);
        if before == NEVER {
            0
        } else {
            stamp.saturating_sub(before)
        }
    }
}

const fn stamp(now: Instant) -> u64 {
    now.as_nanos().saturating_add(1)
}

/// What an average still counts after so many nanoseconds.
fn weight(nanos: u64) -> f64 {
    (-(nanos as f64) / DECAY.as_nanos() as f64).exp()
}

fn blend(average: f64, sample: f64, weight: f64) -> f64 {
    if sample > average {
        sample
    } else {
        average * weight + sample * (1.0 - weight)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-9 * want.max(1e-9)
    }

    #[test]
    fn peaks_count_at_once_and_fade() {
        let ewma = PeakEwma::default();
        assert!(close(ewma.average(at(0)), 0.030));
        assert!(close(
            ewma.average(at(10_000)),
            0.030 / core::f64::consts::E
        ));
        ewma.observe(Duration::from_millis(500), at(10_000));
        assert!(close(ewma.average(at(10_000)), 0.5));
        ewma.observe(Duration::from_millis(100), at(20_000));
        let e = 1.0 / core::f64::consts::E;
        assert!(close(ewma.average(at(20_000)), 0.5 * e + 0.1 * (1.0 - e)));
    }

    #[test]
    fn a_sample_out_of_order_takes_no_time() {
        let ewma = PeakEwma::default();
        ewma.observe(Duration::from_millis(40), at(5000));
        ewma.observe(Duration::from_millis(10), at(1000));
        assert!(close(ewma.average(at(5000)), 0.040));
        ewma.observe(Duration::from_millis(90), at(1000));
        assert!(close(ewma.average(at(5000)), 0.090));
        assert!(close(ewma.average(at(1)), 0.090), "before is as then");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The closed form: since the last peak the average is a sum over samples, each by the time it held and faded.
        #[test]
        fn is_its_closed_form(samples in prop::collection::vec((0_u64..8000, 1_u64..400), 1..30)) {
            let ewma = PeakEwma::default();
            let (mut now, mut since_peak, mut peak) = (1, Vec::new(), (1, 0.030));
            let _ = ewma.average(at(now));
            // The weight at `end` of what held from `from` to `to`.
            let held = |from: u64, to: u64, end: u64| {
                let faded = |t: u64| (-((end - t) as f64) / 10_000.0).exp();
                faded(to) - faded(from)
            };
            let closed = |peak: (u64, f64), since: &[(u64, u64, f64)], end: u64| {
                let rest: f64 = since.iter().map(|(from, to, x)| x * held(*from, *to, end)).sum();
                peak.1 * (-((end - peak.0) as f64) / 10_000.0).exp() + rest
            };
            for (gap, sample) in samples {
                let before = now;
                now += gap;
                let x = sample as f64 / 1000.0;
                // A peak is judged by the average as it stood, not as faded.
                if x > closed(peak, &since_peak, before) {
                    (peak, since_peak) = ((now, x), Vec::new());
                } else {
                    since_peak.push((before, now, x));
                }
                ewma.observe(Duration::from_millis(sample), at(now));
                let (got, want) = (ewma.average(at(now)), closed(peak, &since_peak, now));
                prop_assert!((got - want).abs() < 1e-9, "{got} {want}");
            }
            let later = now + 7000;
            prop_assert!((ewma.average(at(later)) - closed(peak, &since_peak, later)).abs() < 1e-9);
        }
    }
}
