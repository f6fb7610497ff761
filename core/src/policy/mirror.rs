//! Mirroring (VirtualService `mirror`, `mirrors`, Envoy's shadow policies): which mirrors of a rule get a copy.
//!
//! Each mirror has its own roll, so that the share of one says nothing about the share of another.

use crate::entropy::{Draw, Entropy};
use crate::snapshot::Mirror;

/// The positions of the mirrors that get a copy of a request, in order.
pub fn chosen(mirrors: &[Mirror], entropy: Entropy) -> impl Iterator<Item = u32> {
    (0..)
        .zip(mirrors)
        .filter(move |(at, mirror)| {
            let draw = entropy.draw(Draw::Mirror, u64::from(*at));
            mirror.share.takes(draw)
        })
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{DestinationCluster, PerMillion};
    use proptest::prelude::*;

    fn mirrors(percents: &[f64]) -> Vec<Mirror> {
        let of = |percent: &f64| Mirror {
            cluster: DestinationCluster::Passthrough,
            share: PerMillion::from_percent(*percent),
        };
        percents.iter().map(of).collect()
    }

    fn all(percents: &[f64], entropy: u64) -> Vec<u32> {
        chosen(&mirrors(percents), Entropy(entropy)).collect()
    }

    #[test]
    fn nothing_and_everything_are_exact() {
        for (percents, want) in [
            (&[][..], &[][..]),
            (&[0.0], &[]),
            (&[100.0], &[0]),
            (&[0.0, 100.0], &[1]),
            (&[100.0, 0.0, 100.0], &[0, 2]),
            (&[100.0; 4], &[0, 1, 2, 3]),
        ] {
            for entropy in (0..1000).chain([u64::MAX]) {
                assert_eq!(all(percents, entropy), want, "{percents:?} {entropy}");
            }
        }
    }

    #[test]
    fn shares_hold_and_rolls_are_independent() {
        const ROUNDS: u64 = 40_000;
        for (first, second) in [(50.0, 50.0), (10.0, 90.0), (1.0, 25.0), (100.0, 30.0)] {
            let mut counts = [0u64; 4];
            for entropy in 0..ROUNDS {
                let got = all(&[first, second], entropy);
                let has = |at| usize::from(got.contains(&at));
                counts[has(0) + 2 * has(1)] += 1;
            }
            let (p, q) = (first / 100.0, second / 100.0);
            let want = [(1.0 - p) * (1.0 - q), p * (1.0 - q), (1.0 - p) * q, p * q];
            for (count, want) in counts.into_iter().zip(want) {
                let got = count as f64 / ROUNDS as f64;
                assert!((got - want).abs() < 0.01, "{first} {second}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_share_of_one_in_a_million_is_not_none() {
        let one = mirrors(&[0.0001]);
        let fired = (0..4_000_000).filter(|n| chosen(&one, Entropy(*n)).next().is_some());
        assert!((1..=12).contains(&fired.count()));
    }

    /// A box with a million tickets for each mirror, of which its share are winning ones; the first ones, as well as any.
    fn model(percents: &[u32], entropy: Entropy) -> Vec<u32> {
        let mut winners = Vec::new();
        for (at, percent) in percents.iter().enumerate() {
            let mut tickets = vec![false; 1_000_000];
            tickets[..*percent as usize * 10_000].fill(true);
            let ticket = entropy.draw(Draw::Mirror, at as u64) % 1_000_000;
            if tickets[ticket as usize] {
                winners.push(at as u32);
            }
        }
        winners
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn chooses_as_from_a_box_of_tickets(percents in prop::collection::vec(0u32..=100, 0..4), entropy in any::<u64>()) {
            let as_float: Vec<f64> = percents.iter().map(|p| f64::from(*p)).collect();
            prop_assert_eq!(all(&as_float, entropy), model(&percents, Entropy(entropy)));
        }

        /// A mirror more or less does not move the roll of another one.
        #[test]
        fn a_mirror_is_chosen_whatever_stands_behind_it(percents in prop::collection::vec(0.0f64..=100.0, 1..6), entropy in any::<u64>()) {
            let whole = all(&percents, entropy);
            for count in 0..percents.len() {
                let some: Vec<u32> = whole.iter().copied().filter(|at| (*at as usize) < count).collect();
                prop_assert_eq!(all(&percents[..count], entropy), some);
            }
        }

        /// More percent never takes a copy away.
        #[test]
        fn a_larger_share_holds_the_smaller_one(small in 0.0f64..=100.0, more in 0.0f64..=100.0, entropy in any::<u64>()) {
            if !all(&[small], entropy).is_empty() {
                prop_assert_eq!(all(&[small + more], entropy), [0]);
            }
        }
    }
}
