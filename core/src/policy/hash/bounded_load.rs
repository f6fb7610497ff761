//! Bounded load (Mirrokni, Thorup, Zadimoghaddam 2016; Envoy `hash_balance_factor`, reference §1.7): a host that has more
//! than its share of the requests in flight is passed over.
//!
//! Who takes its place is drawn among all hosts by the hash, so that one busy host does not drown its neighbour, and
//! the same hash has the same second choice everywhere.

use super::mersenne::MersenneTwister;
use crate::decision::LoadBound;

/// What loads are bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// How much of its fair share a host may have, in percent; at least 100.
    pub factor: u32,
    /// Requests in flight at all hosts of the cluster.
    pub total_active: u32,
    /// Of each host, its part of the whole.
    pub shares: &'a [f64],
}

impl Bound<'_> {
    /// How many requests a host may have.
    fn slots(&self, host: usize) -> u32 {
        // Envoy counts in 32 bits and wraps; nothing comes near.
        let total = (u64::from(self.total_active) + 1) * u64::from(self.factor);
        let total = total.div_ceil(100);
        let share = self.shares.get(host).copied().unwrap_or(0.0);
        // As many as fit: a float that is out of range becomes the nearest integer.
        ((total as f64 * share).ceil() as u32).max(1)
    }
}

/// Takes the host that the table names, unless it has too much to do; then the first of the others, shuffled by the
/// hash, that has not; and when all have, the one with the least for its share. `order` is memory to shuffle in.
#[must_use]
pub fn pick(
    bound: &Bound<'_>,
    first: usize,
    hash: u64,
    active: impl Fn(usize) -> u32,
    order: &mut Vec<u32>,
) -> (usize, LoadBound) {
    let load = |host: usize| Load {
        host,
        active: active(host),
        slots: bound.slots(host),
    };
    let named = load(first);
    if named.is_within() {
        return (first, named.told(named, 0));
    }
    let count = bound.shares.len();
    order.clear();
    order.extend((0..).take(count));
    // As in Envoy: the generator takes the lower half of the hash as its seed.
    let mut random = MersenneTwister::new(hash as u32);
    let (mut least, mut passed) = (named, 1);
    for at in 0..count {
        let other = at + random.below((count - at) as u32) as usize;
        order.swap(at, other);
        let host = order[at] as usize;
        if host == first {
            continue;
        }
        let load = load(host);
        if load.is_within() {
            return (host, load.told(named, passed));
        }
        passed += 1;
        if load.ratio() < least.ratio() {
            least = load;
        }
    }
    (least.host, least.told(named, passed))
}

/// How busy a host is.
#[derive(Clone, Copy)]
struct Load {
    host: usize,
    active: u32,
    slots: u32,
}

impl Load {
    fn ratio(self) -> f64 {
        f64::from(self.active) / f64::from(self.slots)
    }

    const fn is_within(self) -> bool {
        self.active <= self.slots
    }

    const fn told(self, named: Self, passed: u32) -> LoadBound {
        LoadBound {
            active: self.active,
            slots: self.slots,
            passed,
            // Positions fit: a table has no more hosts than entries.
            named: named.host as u32,
            named_active: named.active,
            named_slots: named.slots,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pick_of(factor: u32, shares: &[f64], active: &[u32], first: usize, hash: u64) -> usize {
        let bound = Bound {
            factor,
            total_active: active.iter().sum(),
            shares,
        };
        pick(&bound, first, hash, |at| active[at], &mut Vec::new()).0
    }

    #[test]
    fn a_host_may_have_as_much_as_its_slots() {
        let third = [1.0 / 3.0; 3];
        // 9 in flight and this one: 10 * 125 % are 13 slots, a third of them rounded up is 5.
        assert_eq!(pick_of(125, &third, &[5, 2, 2], 0, 1), 0);
        assert_ne!(pick_of(125, &third, &[6, 2, 1], 0, 1), 0);
        // Everybody has one slot at least, and at least its one is allowed.
        assert_eq!(pick_of(100, &third, &[1, 0, 0], 0, 1), 0);
        assert_ne!(pick_of(100, &third, &[2, 0, 0], 0, 1), 0);
    }

    #[test]
    fn weights_are_shares_of_the_slots() {
        // 20 * 100 %: 15 slots for the first, 5 for the second.
        assert_eq!(pick_of(100, &[0.75, 0.25], &[15, 4], 0, 9), 0);
        assert_eq!(pick_of(100, &[0.75, 0.25], &[13, 6], 1, 9), 0);
    }

    #[test]
    fn it_tells_who_was_passed_over() {
        let bound = Bound {
            factor: 100,
            total_active: 7,
            shares: &[0.5, 0.5],
        };
        let (host, why) = pick(&bound, 0, 3, |at| [7, 0][at], &mut Vec::new());
        let want = LoadBound {
            active: 0,
            slots: 4,
            passed: 1,
            named: 0,
            named_active: 7,
            named_slots: 4,
        };
        assert_eq!((host, why), (1, want));
    }

    /// Of a cluster whose requests were counted a moment ago, all hosts may have too much by now.
    #[test]
    fn when_all_have_too_much_the_least_for_its_share_takes_it() {
        let (third, half) = ([1.0 / 3.0; 3], [0.5, 0.25, 0.25]);
        for (total_active, shares, active, want) in [
            // One slot each.
            (0, &third, [5, 3, 4], 1),
            (0, &third, [3, 5, 4], 0),
            // Four slots, two and two.
            (7, &half, [9, 5, 4], 2),
            (7, &half, [8, 5, 5], 0),
            // As busy as the one the table names is not less busy.
            (7, &half, [8, 4, 4], 0),
        ] {
            let bound = Bound {
                factor: 100,
                total_active,
                shares,
            };
            let (host, why) = pick(&bound, 0, 1, |at| active[at], &mut Vec::new());
            assert_eq!((host, why.passed), (want, 3), "{active:?}");
            assert_eq!(why.active, active[want], "{active:?}");
        }
    }

    /// The walk as the reference says it, over a list of its own.
    fn walk(factor: u32, shares: &[f64], active: &[u32], first: usize, hash: u64) -> usize {
        let total = (active.iter().sum::<u32>() + 1) * factor;
        let total = total.div_ceil(100);
        let ratio = |host: usize| {
            let slots = (f64::from(total) * shares[host]).ceil().max(1.0);
            f64::from(active[host]) / slots
        };
        if ratio(first) <= 1.0 {
            return first;
        }
        let mut random = MersenneTwister::new(hash as u32);
        let mut rest: Vec<usize> = (0..shares.len()).collect();
        let mut walked = Vec::new();
        while !rest.is_empty() {
            // Taking the drawn one out and putting the first in its place is the shuffle.
            let drawn = random.below(rest.len() as u32) as usize;
            rest.swap(0, drawn);
            walked.push(rest.remove(0));
        }
        walked.retain(|host| *host != first);
        if let Some(free) = walked.iter().find(|host| ratio(**host) <= 1.0) {
            return *free;
        }
        let mut best = first;
        for host in walked {
            if ratio(host) < ratio(best) {
                best = host;
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn is_the_plain_walk(
            loads in prop::collection::vec((1_u32..9, 0_u32..40), 1..9),
            factor in 100_u32..300,
            first in any::<prop::sample::Index>(),
            hash in any::<u64>(),
        ) {
            let total: u32 = loads.iter().map(|load| load.0).sum();
            let share = |load: &(u32, u32)| f64::from(load.0) / f64::from(total);
            let shares: Vec<_> = loads.iter().map(share).collect();
            let active: Vec<_> = loads.iter().map(|load| load.1).collect();
            let first = first.index(loads.len());
            prop_assert_eq!(
                pick_of(factor, &shares, &active, first, hash),
                walk(factor, &shares, &active, first, hash)
            );
        }
    }
}
