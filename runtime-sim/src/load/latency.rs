//! How long something takes: always the same, or drawn from a distribution by a seed.

use outrigger_core::time::Duration;

use crate::dice::Dice;

/// A time, or a distribution of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always this.
    Fixed(Duration),
    /// Anything from the first to the second, all equally likely.
    Uniform(Duration, Duration),
    /// Exponential with this mean: the time between independent arrivals, or a memoryless service.
    Exponential(Duration),
    /// Log-normal: most times near the median, few much longer. The shape of real services.
    LogNormal {
        /// Half take less.
        median: Duration,
        /// One in a hundred takes longer.
        p99: Duration,
    },
}

/// How many standard deviations the 99th percentile of a normal distribution lies above its mean.
const Z99: f64 = 2.326_347_874;

impl Latency {
    /// No time at all.
    pub const ZERO: Self = Self::Fixed(Duration::ZERO);

    /// One time.
    pub(crate) fn draw(self, dice: &mut Dice) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Uniform(low, high) => {
                let span = nanos(high.saturating_sub(low));
                low + Duration::from_nanos(dice.between(0, span))
            }
            Self::Exponential(mean) => mean.mul_f64(-dice.unit().ln()),
            Self::LogNormal { median, p99 } => {
                let sigma = (p99.as_secs_f64() / median.as_secs_f64()).ln() / Z99;
                median.mul_f64((sigma * normal(dice)).exp())
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1)
}

/// A standard normal number (Box and Muller).
fn normal(dice: &mut Dice) -> f64 {
    let radius = (-2.0 * dice.unit().ln()).sqrt();
    radius * (core::f64::consts::TAU * dice.unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Half and 99 in a hundred of many draws lie below these, within five in a hundred.
    fn check(latency: Latency, median: f64, p99: f64) {
        let mut dice = Dice::new(1);
        let mut drawn: Vec<f64> = (0..20_000)
            .map(|_| latency.draw(&mut dice).as_secs_f64() * 1000.0)
            .collect();
        drawn.sort_by(f64::total_cmp);
        for (got, want) in [(drawn[10_000], median), (drawn[19_800], p99)] {
            assert!((got / want - 1.0).abs() < 0.05, "{latency:?}: {got} {want}");
        }
    }

    #[test]
    fn draws_follow_their_distribution() {
        check(Latency::Fixed(3 * MS), 3.0, 3.0);
        check(Latency::Uniform(10 * MS, 20 * MS), 15.0, 19.9);
        check(Latency::Exponential(10 * MS), 6.931, 46.05);
        let (median, p99) = (10 * MS, 80 * MS);
        check(Latency::LogNormal { median, p99 }, 10.0, 80.0);
    }
}
