//! How much of a cluster's traffic each of its priorities gets (Envoy reference §1.3).
//!
//! A priority that has enough healthy endpoints takes everything; what it cannot take goes to the next ones. All numbers
//! are whole percentages and divisions round down, as in Envoy, so that shares are the same to the last percent. When
//! health is to be ignored is `panic`'s business, which endpoint it becomes is `balance`'s.

use smallvec::SmallVec;

use super::members::{Members, Share, Shares};
use super::panic::{self, is_panic};

/// Shares out the traffic of a cluster. `threshold` is DestinationRule `minHealthPercent`.
#[must_use]
pub fn shares(members: &[Members], threshold: u8) -> Shares {
    let available: SmallVec<[u8; 4]> = members.iter().map(|m| m.availability()).collect();
    let is_enough = total(&available) == 100;
    let mut shares: Shares = members
        .iter()
        .map(|m| Share {
            load: 0,
            is_panic: !is_enough && is_panic(*m, threshold),
        })
        .collect();
    if !shares.is_empty() && shares.iter().all(|share| share.is_panic) {
        panic::spread(members, &mut shares);
    } else {
        spread(&available, &mut shares);
    }
    shares
}

/// Gives each priority what it can carry of what is left. What rounding leaves over goes to the first that can carry
/// anything; if none can, the first one gets everything, and has nobody to give it to.
pub fn spread(available: &[u8], shares: &mut [Share]) {
    let total = u32::from(total(available)).max(1);
    let mut left = 100;
    for (share, available) in shares.iter_mut().zip(available) {
        let wanted = u32::from(*available) * 100 / total;
        share.load = wanted.min(left) as u8; // at most 100
        left -= u32::from(share.load);
    }
    let first = available.iter().position(|a| *a > 0).unwrap_or(0);
    if let Some(share) = shares.get_mut(first) {
        share.load += left as u8; // no more than is missing to 100
    }
}

/// The priority that a random number falls to.
#[must_use]
pub fn choose(shares: &[Share], random: u64) -> usize {
    let percent = random % 100 + 1;
    let mut sum = 0;
    let reached = shares.iter().position(|share| {
        sum += u64::from(share.load);
        percent <= sum
    });
    reached.unwrap_or(0)
}

/// How much all of them could carry together, at most 100.
fn total(available: &[u8]) -> u8 {
    let sum: u32 = available.iter().map(|a| u32::from(*a)).sum();
    sum.min(100) as u8 // at most 100
}

#[cfg(test)]
mod tests;
