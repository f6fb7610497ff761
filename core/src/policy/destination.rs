//! Which weighted destination of a route a request goes to.

use crate::entropy::{Draw, Entropy};
use crate::snapshot::Forward;

/// The position of the destination, or `None` when the route has none. Retries stay with it: the draw of a request
/// never changes (Envoy's stable random value, `random % total` in cumulative half-open ranges).
#[must_use]
pub fn pick(forward: &Forward, entropy: Entropy) -> Option<usize> {
    let mut left = entropy.draw(Draw::Destination, 0) % forward.total_weight.max(1);
    forward.destinations.iter().position(|destination| {
        let weight = u64::from(destination.weight);
        let is_here = left < weight;
        left = left.wrapping_sub(weight);
        is_here
    })
}
