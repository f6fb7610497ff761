//! Retries that leave the priorities they were at before (VirtualService `retryRemoteLocalities`, Envoy's
//! `previous_priorities` with Istio's update frequency of 2).
//!
//! Every second attempt the priorities of all attempts so far are shut; the others share the traffic. When that leaves
//! nobody, all are open again and counting begins anew.

use smallvec::SmallVec;

use super::members::{Members, Shares};
use super::priority;

/// After how many attempts the shut priorities are determined again (Istio).
const FREQUENCY: usize = 2;

/// The shares for the next attempt of a request whose earlier ones were at these priorities.
///
/// What was shut when is worked out again from the beginning by who is healthy now, so a request needs to remember
/// nothing but its attempts.
#[must_use]
pub fn shares(usual: &Shares, members: &[Members], tried: &[u32]) -> Shares {
    let available: SmallVec<[u8; 4]> = members.iter().map(|m| m.availability()).collect();
    let mut open = available.clone();
    let mut since = 0;
    for count in 1..=tried.len() {
        if (count - since) % FREQUENCY != 0 {
            continue;
        }
        for priority in &tried[since..count] {
            if let Some(share) = open.get_mut(*priority as usize) {
                *share = 0;
            }
        }
        if open.iter().all(|share| *share == 0) {
            open.clone_from(&available);
            since = count;
        }
    }
    let mut shares = usual.clone();
    if open != available {
        priority::spread(&open, &mut shares);
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(members: &[(u32, u32)], tried: &[u32]) -> Vec<u8> {
        let members: Vec<_> = members
            .iter()
            .map(|(healthy, all)| Members {
                healthy: *healthy,
                all: *all,
            })
            .collect();
        let usual = priority::shares(&members, 0);
        let shares = shares(&usual, &members, tried);
        shares.iter().map(|share| share.load).collect()
    }

    #[test]
    fn every_second_retry_leaves_what_was_tried() {
        let three = [(2, 2); 3];
        for (tried, want) in [
            (&[][..], [100, 0, 0]),
            (&[0], [100, 0, 0]),
            (&[0, 0], [0, 100, 0]),
            (&[0, 0, 1], [0, 100, 0]),
            (&[0, 0, 1, 1], [0, 0, 100]),
            (&[0, 1], [0, 0, 100]),
            (&[0, 0, 1, 1, 2], [0, 0, 100]),
            // All were tried: it begins anew.
            (&[0, 0, 1, 1, 2, 2], [100, 0, 0]),
            (&[0, 0, 1, 1, 2, 2, 0], [100, 0, 0]),
            (&[0, 0, 1, 1, 2, 2, 0, 0], [0, 100, 0]),
        ] {
            assert_eq!(of(&three, tried), want, "{tried:?}");
        }
    }

    #[test]
    fn only_who_is_healthy_takes_over() {
        for (members, tried, want) in [
            (&[(1, 1)][..], &[0, 0][..], &[100][..]),
            (&[(1, 2), (1, 2), (1, 10)], &[0, 0], &[0, 84, 16]),
            (&[(1, 2), (0, 2), (1, 10)], &[0, 0], &[0, 0, 100]),
            (&[(1, 2), (0, 2)], &[0, 0], &[100, 0]),
            (&[(0, 2), (0, 2)], &[0, 0], &[100, 0]),
        ] {
            assert_eq!(of(members, tried), want, "{members:?} {tried:?}");
        }
    }

    /// Envoy's object, step by step: asked before every attempt, told of every attempt.
    #[derive(Default)]
    struct Model {
        attempted: Vec<u32>,
        excluded: Vec<bool>,
        loads: Vec<u8>,
    }

    impl Model {
        fn loads(&mut self, members: &[Members]) -> Vec<u8> {
            let usual: Vec<u8> = priority::shares(members, 0)
                .iter()
                .map(|s| s.load)
                .collect();
            self.excluded.resize(members.len(), false);
            if self.attempted.len() < 2 {
                return usual;
            }
            if self.attempted.len() % 2 == 1 {
                return self.loads.clone();
            }
            for at in &self.attempted {
                self.excluded[*at as usize] = true;
            }
            let of = |excluded: &[bool]| -> Vec<u32> {
                let all = members.iter().zip(excluded);
                all.map(|(m, out)| if *out { 0 } else { u32::from(m.availability()) })
                    .collect()
            };
            let mut adjusted = of(&self.excluded);
            if adjusted.iter().sum::<u32>() == 0 {
                self.excluded.fill(false);
                self.attempted.clear();
                adjusted = of(&self.excluded);
            }
            let total = adjusted.iter().sum::<u32>().min(100);
            if total == 0 {
                self.loads = usual.clone();
                return usual;
            }
            let mut left = 100;
            let mut loads = vec![0; members.len()];
            while left > 0 {
                for (load, available) in loads.iter_mut().zip(&adjusted) {
                    let more = left.min(available * 100 / total);
                    *load += more as u8;
                    left -= more;
                }
            }
            self.loads = loads.clone();
            loads
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn is_what_envoy_does(
            members in prop::collection::vec((0u32..5).prop_flat_map(|all| (0..=all, Just(all))), 1..5),
            draws in prop::collection::vec(any::<u64>(), 0..9),
        ) {
            let members: Vec<_> = members.iter().map(|(healthy, all)| Members { healthy: *healthy, all: *all }).collect();
            let usual = priority::shares(&members, 0);
            let mut model = Model::default();
            let mut tried = Vec::new();
            for draw in draws {
                let got = shares(&usual, &members, &tried);
                let loads: Vec<u8> = got.iter().map(|share| share.load).collect();
                prop_assert_eq!(loads, model.loads(&members), "after {:?} of {:?}", &tried, &members);
                let at = priority::choose(&got, draw) as u32;
                tried.push(at);
                model.attempted.push(at);
            }
        }
    }
}
