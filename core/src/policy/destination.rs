//! Which weighted destination of a route a request goes to.

use crate::entropy::{Draw, Entropy};
use crate::snapshot::Forward;

/// The position of the destination, or `None` when the route has none. Retries stay with it: the draw of a request
/// never changes (Envoy's stable random value, `random % total` in cumulative half-open ranges).
#[must_use]
pub fn pick(forward: &Forward, entropy: Entropy) -> Option<usize> {
    let mut left = drawn(forward, entropy);
    forward.destinations.iter().position(|destination| {
        let weight = u64::from(destination.weight);
        let is_here = left < weight;
        left = left.wrapping_sub(weight);
        is_here
    })
}

/// The number that decides, below the sum of the weights.
#[must_use]
pub fn drawn(forward: &Forward, entropy: Entropy) -> u64 {
    entropy.draw(Draw::Destination, 0) % forward.total_weight.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Destination, DestinationCluster, HeaderOps};
    use proptest::prelude::*;

    fn forward(weights: &[u32]) -> Forward {
        let of = |weight: &u32| Destination {
            weight: *weight,
            cluster: DestinationCluster::Passthrough,
            request: HeaderOps::default(),
            response: HeaderOps::default(),
        };
        Forward {
            destinations: weights.iter().map(of).collect(),
            total_weight: weights.iter().map(|w| u64::from(*w)).sum(),
            ..Forward::default()
        }
    }

    #[test]
    fn nothing_to_pick_from() {
        assert_eq!(pick(&Forward::default(), Entropy(1)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Each destination written as often as it weighs, and one of them taken.
        #[test]
        fn picks_as_from_a_list(weights in prop::collection::vec(1u32..40, 1..6), entropy in any::<u64>()) {
            let list: Vec<usize> = weights
                .iter()
                .enumerate()
                .flat_map(|(at, weight)| std::iter::repeat_n(at, *weight as usize))
                .collect();
            let entropy = Entropy(entropy);
            let draw = entropy.draw(Draw::Destination, 0) % list.len() as u64;
            prop_assert_eq!(pick(&forward(&weights), entropy), Some(list[draw as usize]));
        }
    }
}
