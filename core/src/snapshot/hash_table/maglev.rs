//! Maglev (Eisenbud et al., NSDI 2016, §3.4; Envoy reference §1.7): a table that hosts fill in turn, each by a
//! permutation of its own.
//!
//! Lookup is one division. The table depends on the hosts' texts and weights only, not on their order, and is the one
//! that Envoy makes.

use super::share::Share;
use crate::xxhash::xxh64;

/// A filled table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Maglev {
    /// Whose each entry is.
    table: Box<[u32]>,
}

/// A host that fills its entries.
struct Filler {
    host: u32,
    share: f64,
    /// What `round * share` must reach before it takes another entry.
    target: f64,
    /// Its next wish.
    at: u64,
    skip: u64,
}

/// An entry that nobody has taken.
const FREE: u32 = u32::MAX;

impl Maglev {
    /// A table of `size` entries, which is a prime. Shares total 1.
    #[must_use]
    pub(super) fn new(hosts: &[Share<'_>], size: u64) -> Self {
        if hosts.is_empty() {
            return Self::default();
        }
        let heaviest = hosts.iter().fold(0.0, |most, host| host.share.max(most));
        let mut order: Vec<_> = (0..).zip(hosts).collect();
        order.sort_by(|a, b| a.1.key.cmp(b.1.key));
        let mut fillers: Vec<_> = order
            .into_iter()
            .map(|(host, share)| Filler::new(host, share, size))
            .collect();
        let mut table = vec![FREE; size as usize];
        let mut left = size;
        let mut round = 0.0;
        while left > 0 {
            round += 1.0;
            for filler in &mut fillers {
                // The heaviest host takes an entry in every round, one of a third of its weight in every third.
                if round * filler.share < filler.target {
                    continue;
                }
                filler.target += heaviest;
                filler.take(&mut table);
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        Self {
            table: table.into(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub(super) fn size(&self) -> usize {
        self.table.len()
    }

    /// Whose each entry is.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> + '_ {
        self.table.iter().copied()
    }

    /// The entry of a hash, and whose it is. `step` counts how often a retry has asked for another one; as in Envoy, it
    /// turns over most bits of the hash.
    #[must_use]
    pub(super) fn find(&self, hash: u64, step: u64) -> Option<(u32, u32)> {
        let hash = hash ^ step.wrapping_neg();
        let at = hash.checked_rem(self.table.len() as u64)?;
        // A table has fewer than 5,000,011 entries.
        Some((at as u32, self.table[at as usize]))
    }
}

impl Filler {
    fn new(host: u32, share: &Share<'_>, size: u64) -> Self {
        let key = share.key.as_bytes();
        Self {
            host,
            share: share.share,
            target: 0.0,
            at: xxh64(key, 0) % size,
            skip: xxh64(key, 1) % (size - 1) + 1,
        }
    }

    /// Takes the next of its wishes that is free. There is one: `skip` and the size have no common divisor.
    fn take(&mut self, table: &mut [u32]) {
        let size = table.len() as u64;
        loop {
            let entry = &mut table[self.at as usize];
            self.at = (self.at + self.skip) % size;
            if *entry == FREE {
                *entry = self.host;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::hash_table::fixture::{self, hosts};

    const DEFAULT_SIZE: u64 = 65_537;
    const PRIMES: [u64; 6] = [2, 7, 31, 101, 251, 509];

    fn counts(table: &Maglev, hosts: usize) -> Vec<usize> {
        let of = |host| table.table.iter().filter(|h| **h == host).count();
        (0..).take(hosts).map(of).collect()
    }

    /// What Envoy 1.40 says in `maglev_lb.min_entries_per_host` and `max_entries_per_host`.
    #[test]
    fn gives_as_many_entries_as_envoy() {
        for (weights, size, least, most) in [
            (&[1, 1, 1][..], DEFAULT_SIZE, 21_845, 21_846),
            (&[1, 1, 1, 1, 1], DEFAULT_SIZE, 13_107, 13_108),
            (&[1, 2, 3, 4, 5], DEFAULT_SIZE, 4_370, 21_845),
            (&[3, 1, 7, 2, 5], 251, 14, 97),
        ] {
            let keys = fixture::keys(weights.len());
            let counts = counts(&Maglev::new(&hosts(&keys, weights), size), weights.len());
            assert_eq!(counts.iter().sum::<usize>() as u64, size, "{weights:?}");
            assert_eq!(counts.iter().min(), Some(&least), "{weights:?}");
            assert_eq!(counts.iter().max(), Some(&most), "{weights:?}");
        }
    }

    #[test]
    fn an_empty_table_has_nobody() {
        assert_eq!(Maglev::new(&[], 7).find(3, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The model: listing 1 of the paper, with the permutations written out, for hosts of equal weight.
        #[test]
        fn is_the_table_of_the_paper(count in 1_usize..9, prime in 0_usize..6, hash in any::<u64>()) {
            let (keys, size) = (fixture::keys(count), PRIMES[prime]);
            let permutation = |key: &String| -> Vec<u64> {
                let offset = xxh64(key.as_bytes(), 0) % size;
                let skip = xxh64(key.as_bytes(), 1) % (size - 1) + 1;
                (0..size).map(|j| (offset + j * skip) % size).collect()
            };
            let permutations: Vec<_> = keys.iter().map(permutation).collect();
            let mut next = vec![0; count];
            let mut entry = vec![None; size as usize];
            let mut filled = 0;
            'fill: loop {
                for host in 0..count {
                    let mut wish = permutations[host][next[host]] as usize;
                    while entry[wish].is_some() {
                        next[host] += 1;
                        wish = permutations[host][next[host]] as usize;
                    }
                    entry[wish] = Some(host as u32);
                    next[host] += 1;
                    filled += 1;
                    if filled == size { break 'fill; }
                }
            }
            let table = Maglev::new(&hosts(&keys, &vec![1; count]), size);
            let at = (hash % size) as usize;
            prop_assert_eq!(table.find(hash, 0), Some((at as u32, entry[at].unwrap())));
        }

        /// Hosts of any order make the same table, and get what their weight is worth.
        #[test]
        fn order_does_not_matter_and_weight_does(
            weights in prop::collection::vec(1_u32..9, 2..7),
            turn in 1_usize..6,
        ) {
            let (count, size) = (weights.len(), 5003);
            let keys = fixture::keys(count);
            let table = Maglev::new(&hosts(&keys, &weights), size);
            let turned = |list: &[u32]| { let mut l = list.to_vec(); l.rotate_left(turn % count); l };
            let mut turned_keys = keys.clone();
            turned_keys.rotate_left(turn % count);
            let other = Maglev::new(&hosts(&turned_keys, &turned(&weights)), size);
            for hash in 0..size {
                let host = table.find(hash, 0).unwrap().1 as usize;
                let same = other.find(hash, 0).unwrap().1 as usize;
                prop_assert_eq!(&keys[host], &turned_keys[same]);
            }
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts(&table, count).iter().zip(&weights) {
                let fair = size as f64 * f64::from(*weight) / f64::from(total);
                prop_assert!((*count as f64 - fair).abs() <= 0.02 * size as f64, "{count} of {fair}");
            }
        }

        /// Little disruption: when a host leaves, few entries of the others change hands.
        #[test]
        fn few_others_move_when_a_host_leaves(count in 3_usize..8, gone in any::<prop::sample::Index>()) {
            let (keys, size) = (fixture::keys(count), 5003);
            let gone = gone.index(count);
            let before = Maglev::new(&hosts(&keys, &vec![1; count]), size);
            let mut left = keys.clone();
            left.remove(gone);
            let after = Maglev::new(&hosts(&left, &vec![1; count - 1]), size);
            let moved = (0..size).filter(|hash| {
                let was = &keys[before.find(*hash, 0).unwrap().1 as usize];
                let is = &left[after.find(*hash, 0).unwrap().1 as usize];
                was != is && *was != keys[gone]
            });
            prop_assert!(moved.count() < size as usize / 10);
        }
    }
}
