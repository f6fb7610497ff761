//! How far chance may carry a count away from its share before something is wrong.
//!
//! Pure arithmetic: the exact binomial distribution, no approximation by a bell curve.

use std::ops::RangeInclusive;

/// The counts that `trials` independent requests, each a hit with probability `share`, may give: outside of this range
/// a correct proxy lands with a probability of at most `alarm` (half of it below, half above).
pub(super) fn plausible(trials: u32, share: f64, alarm: f64) -> RangeInclusive<u32> {
    let chances = chances(trials, share);
    let low = tail(chances.iter(), alarm / 2.0);
    let high = tail(chances.iter().rev(), alarm / 2.0);
    low..=trials.saturating_sub(high)
}

/// How many of the outermost outcomes together have at most this probability.
fn tail<'a>(outcomes: impl Iterator<Item = &'a f64>, at_most: f64) -> u32 {
    let mut sum = 0.0;
    let unlikely = outcomes.take_while(|chance| {
        sum += **chance;
        sum <= at_most
    });
    u32::try_from(unlikely.count()).unwrap_or(u32::MAX)
}

/// The probability of each number of hits from 0 to `trials`.
fn chances(trials: u32, share: f64) -> Vec<f64> {
    if share <= 0.0 || share >= 1.0 {
        let certain = if share <= 0.0 { 0 } else { trials };
        return (0..=trials)
            .map(|hits| f64::from(u8::from(hits == certain)))
            .collect();
    }
    // In logarithms, because the outermost outcomes are smaller than the smallest float.
    let odds = share.ln() - (-share).ln_1p();
    let mut log = f64::from(trials) * (-share).ln_1p();
    let mut chances = vec![log.exp()];
    for hits in 1..=trials {
        log += f64::from(trials - hits + 1).ln() - f64::from(hits).ln() + odds;
        chances.push(log.exp());
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_sum_to_one() {
        for (trials, share) in [(1, 0.5), (10, 0.1), (1000, 0.25), (5000, 0.9)] {
            let sum: f64 = chances(trials, share).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{trials} {share}: {sum}");
        }
    }

    #[test]
    fn ranges_are_as_wide_as_chance_allows() {
        let cases = [
            (10, 0.5, 1e-6, 0..=10),
            (20, 0.5, 1e-2, 4..=16),
            (1000, 0.0, 1e-6, 0..=0),
            (1000, 1.0, 1e-6, 1000..=1000),
            (0, 0.5, 1e-6, 0..=0),
        ];
        for (trials, share, alarm, expected) in cases {
            assert_eq!(
                plausible(trials, share, alarm),
                expected,
                "{trials} {share}"
            );
        }
    }

    #[test]
    fn a_range_leaves_out_no_more_than_the_alarm() {
        for (trials, share) in [(100, 0.1), (1000, 0.1), (1000, 0.75), (4000, 0.5)] {
            let range = plausible(trials, share, 1e-6);
            let chances = chances(trials, share);
            let outside: f64 = (0..=trials)
                .filter(|hits| !range.contains(hits))
                .map(|hits| chances[hits as usize])
                .sum();
            assert!(outside <= 1e-6, "{trials} {share}: {outside}");
            let next = chances[*range.start() as usize].max(chances[*range.end() as usize]);
            assert!(outside + next > 5e-7, "the range is no wider than needed");
        }
    }
}
