//! Ring hash (Envoy reference §1.7): every host has points on a ring, and a hash belongs to the next point.
//!
//! Points are hashes of `10.0.0.1:8080_0`, `10.0.0.1:8080_1` and so on, as Envoy makes them, so an Envoy with the same
//! endpoints sends the same user to the same one. A host that comes or goes moves only its own points.

use super::share::Share;
use crate::snapshot::hashing::MAX_RING_SIZE;
use crate::xxhash::xxh64;

/// A point and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u64,
    host: u32,
}

/// The points of some hosts, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ring {
    points: Box<[Point]>,
}

impl Ring {
    /// A ring of at least `min_size` points, if [`MAX_RING_SIZE`] allows it: as many as give the lightest host a whole number,
    /// and the others in proportion. Shares total 1.
    #[must_use]
    pub(super) fn new(hosts: &[Share<'_>], min_size: u64) -> Self {
        let lightest = hosts.iter().fold(1.0, |least, host| host.share.min(least));
        let scale = ((lightest * min_size as f64).ceil() / lightest).min(MAX_RING_SIZE as f64);
        let mut points = Vec::with_capacity(scale.ceil() as usize);
        let mut key = String::new();
        // Running sums over all hosts, so that parts of a point are not lost host by host.
        let (mut current, mut target) = (0.0, 0.0);
        for (at, host) in (0..).zip(hosts) {
            key.clear();
            key.push_str(host.key);
            key.push('_');
            let stem = key.len();
            target += scale * host.share;
            let mut number = 0_u64;
            while current < target {
                key.truncate(stem);
                push_number(&mut key, number);
                let hash = xxh64(key.as_bytes(), 0);
                points.push(Point { hash, host: at });
                number += 1;
                current += 1.0;
            }
        }
        points.sort_unstable();
        Self {
            points: points.into(),
        }
    }

    /// How many points there are.
    #[must_use]
    pub(super) fn size(&self) -> usize {
        self.points.len()
    }

    /// Whose each point is.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> + '_ {
        self.points.iter().map(|point| point.host)
    }

    /// The point a hash belongs to, and whose it is. `step` goes on by so many points, as Envoy does when a retry is to
    /// avoid the endpoints that were tried; the same host may have that point too.
    #[must_use]
    pub(super) fn find(&self, hash: u64, step: u64) -> Option<(u32, u32)> {
        let size = self.points.len();
        let first = self.points.partition_point(|point| point.hash < hash);
        let at = (first as u64 % (size as u64).max(1) + step) % (size as u64).max(1);
        let point = self.points.get(at as usize)?;
        // A ring has at most 2^23 points.
        Some((at as u32, point.host))
    }
}

fn push_number(text: &mut String, number: u64) {
    use core::fmt::Write as _;
    // Writing to a string does not fail.
    let _ = write!(text, "{number}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::hash_table::fixture::{self, hosts};

    fn sizes(weights: &[u32], min_size: u64) -> Vec<usize> {
        let keys = fixture::keys(weights.len());
        let ring = Ring::new(&hosts(&keys, weights), min_size);
        let of = |host| ring.points.iter().filter(|p| p.host == host).count();
        (0..).take(weights.len()).map(of).collect()
    }

    /// What Envoy 1.40 says in `ring_hash_lb.size`, `min_hashes_per_host` and `max_hashes_per_host`.
    #[test]
    fn has_as_many_points_as_envoy() {
        for (weights, min_size, total, least, most) in [
            (&[1, 1, 1][..], 1024, 1026, 342, 342),
            (&[1, 1, 1, 1, 1], 1024, 1025, 205, 205),
            (&[1, 2, 3, 4, 5], 1024, 1035, 69, 345),
            (&[3, 1, 7, 2, 5], 7, 18, 1, 7),
        ] {
            let sizes = sizes(weights, min_size);
            assert_eq!(sizes.iter().sum::<usize>(), total, "{weights:?}");
            assert_eq!(sizes.iter().min(), Some(&least), "{weights:?}");
            assert_eq!(sizes.iter().max(), Some(&most), "{weights:?}");
        }
    }

    #[test]
    fn an_empty_ring_has_nobody() {
        assert_eq!(Ring::new(&[], 1024).find(7, 0), None);
    }

    #[test]
    fn ends_of_the_ring() {
        let keys = fixture::keys(3);
        let ring = Ring::new(&hosts(&keys, &[1, 1, 1]), 8);
        let (first, last) = (ring.points[0], ring.points[ring.size() - 1]);
        let end = ring.size() as u32 - 1;
        assert_eq!(ring.find(0, 0), Some((0, first.host)));
        assert_eq!(ring.find(first.hash, 0), Some((0, first.host)));
        assert_eq!(ring.find(first.hash + 1, 0).map(|found| found.0), Some(1));
        assert_eq!(ring.find(last.hash, 0), Some((end, last.host)));
        assert_eq!(ring.find(last.hash + 1, 0), Some((0, first.host)));
        assert_eq!(ring.find(last.hash, 1), Some((0, first.host)));
        let round = u64::from(end) + 1;
        assert_eq!(ring.find(0, round), Some((0, first.host)), "once around");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// The model: every point in a list, and the least one that is not below the hash, or the least of all.
        #[test]
        fn is_the_next_point_of_a_plain_list(
            weights in prop::collection::vec(1_u32..6, 1..6),
            min_size in 1_u64..60,
            hash in any::<u64>(),
            near in any::<prop::sample::Index>(),
        ) {
            let keys = fixture::keys(weights.len());
            let total: u32 = weights.iter().sum();
            let lightest = f64::from(*weights.iter().min().unwrap()) / f64::from(total);
            let scale = (lightest * min_size as f64).ceil() / lightest;
            let (mut list, mut target) = (Vec::new(), 0.0);
            for (host, weight) in weights.iter().enumerate() {
                target += scale * (f64::from(*weight) / f64::from(total));
                for number in 0.. {
                    if list.len() as f64 >= target { break; }
                    list.push((xxh64(format!("{}_{number}", keys[host]).as_bytes(), 0), host as u32));
                }
            }
            let ring = Ring::new(&hosts(&keys, &weights), min_size);
            prop_assert_eq!(ring.size(), list.len());
            for hash in [hash, list[near.index(list.len())].0] {
                let above = list.iter().filter(|point| point.0 >= hash).min();
                let want = above.or_else(|| list.iter().min()).unwrap();
                prop_assert_eq!(ring.find(hash, 0).map(|found| found.1), Some(want.1));
            }
        }

        /// Minimal disruption: when a host leaves and the others keep their points, only its users move.
        #[test]
        fn only_users_of_a_host_that_leaves_move(
            count in 2_usize..8,
            gone in any::<prop::sample::Index>(),
            hash in any::<u64>(),
        ) {
            let keys = fixture::keys(count);
            let gone = gone.index(count);
            let points = 64;
            let before = Ring::new(&hosts(&keys, &vec![1; count]), points * count as u64);
            let rest: Vec<_> = (0..count).filter(|at| *at != gone).collect();
            let left: Vec<_> = rest.iter().map(|at| keys[*at].clone()).collect();
            let after = Ring::new(&hosts(&left, &vec![1; rest.len()]), points * rest.len() as u64);
            let was = before.find(hash, 0).unwrap().1 as usize;
            let is = rest[after.find(hash, 0).unwrap().1 as usize];
            prop_assert!(was == gone || was == is, "{} was {was}, is {is}", keys[gone]);
        }
    }
}
