//! Shares against Envoy's examples and against models.

use proptest::prelude::*;

use super::*;

fn of(members: &[(u32, u32)], threshold: u8) -> Vec<(u8, bool)> {
    let members: Vec<_> = members
        .iter()
        .map(|(healthy, all)| Members {
            healthy: *healthy,
            all: *all,
        })
        .collect();
    let shares = shares(&members, threshold);
    shares.iter().map(|s| (s.load, s.is_panic)).collect()
}

#[test]
fn the_next_priority_takes_what_the_first_cannot() {
    for (members, want) in [
        (&[(10, 10)][..], &[100][..]),
        (&[(1, 10)], &[100]),
        (&[(0, 10)], &[100]),
        (&[(10, 10), (4, 4)], &[100, 0]),
        (&[(6, 10), (4, 4)], &[84, 16]),
        (&[(5, 7), (1, 1)], &[100, 0]), // exactly 100 %
        (&[(7, 10), (1, 1)], &[98, 2]), // 98 %
        (&[(71, 100), (1, 1)], &[99, 1]),
        (&[(72, 100), (1, 1)], &[100, 0]),
        (&[(0, 4), (4, 4)], &[0, 100]),
        (&[(0, 4), (0, 4), (1, 4)], &[0, 0, 100]),
        (&[(1, 4), (1, 4), (4, 4)], &[35, 35, 30]),
        // 35 and 14 are 49 together: 71 and 28, and the missing percent goes to the first.
        (&[(1, 4), (1, 10)], &[72, 28]),
        (&[(0, 4), (1, 4), (1, 10)], &[0, 72, 28]),
        (&[(0, 0), (2, 2)], &[0, 100]),
        (&[(0, 4), (0, 4)], &[100, 0]),
        (&[], &[]),
    ] {
        let got: Vec<u8> = of(members, 0).iter().map(|(load, _)| *load).collect();
        assert_eq!(got, want, "{members:?}");
        assert!(
            of(members, 0).iter().all(|(_, panic)| !panic),
            "{members:?}"
        );
    }
}

#[test]
fn a_priority_panics_only_while_all_together_are_not_enough() {
    for (members, threshold, want) in [
        (&[(1, 2)][..], 51, &[(100, true)][..]),
        (&[(1, 2)], 50, &[(100, false)]),
        (&[(3, 4)], 80, &[(100, false)]), // 75 % is less than 80, and 105 % can still be carried
        (&[(5, 7)], 100, &[(100, false)]),
        (&[(7, 10)], 100, &[(100, true)]), // 98 %
        (&[(0, 3)], 1, &[(100, true)]),
        (&[(1, 10), (2, 2)], 50, &[(14, false), (86, false)]),
        // 14 and 70 are not enough: the first panics, and gets its share of 84.
        (&[(1, 10), (1, 2)], 50, &[(17, true), (83, false)]),
        // All panic, so traffic goes by endpoints: ten of twelve.
        (&[(1, 10), (0, 2)], 50, &[(84, true), (16, true)]),
        (&[(0, 10), (0, 2)], 50, &[(84, true), (16, true)]),
        // None is healthy and none may panic.
        (&[(0, 10), (0, 2)], 0, &[(100, false), (0, false)]),
    ] {
        assert_eq!(of(members, threshold), want, "{members:?} at {threshold}");
    }
}

#[test]
fn a_number_falls_to_the_first_priority_that_reaches_it() {
    let shares: Vec<_> = [0, 84, 0, 16]
        .map(|load| Share {
            load,
            is_panic: false,
        })
        .into();
    for (random, want) in [(0, 1), (83, 1), (84, 3), (99, 3), (100, 1), (184, 3)] {
        assert_eq!(choose(&shares, random), want, "{random}");
    }
    assert_eq!(choose(&[], 5), 0);
}

/// The greatest whole percentage that holds, looked for one by one.
fn greatest(holds: impl Fn(u64) -> bool) -> u64 {
    (0..=100).rev().find(|percent| holds(*percent)).unwrap_or(0)
}

/// What each priority can carry, and whether that is everything: a percentage of its endpoints 1.4 times over.
fn available(members: &[(u32, u32)]) -> (Vec<u64>, bool) {
    let of = |(healthy, all): &(u32, u32)| match all {
        0 => 0,
        all => greatest(|percent| percent * u64::from(*all) <= 140 * u64::from(*healthy)),
    };
    let available: Vec<u64> = members.iter().map(of).collect();
    let is_enough = available.iter().sum::<u64>() >= 100;
    (available, is_enough)
}

/// What is missing to all of the traffic goes to the first priority that has any of what counts.
fn fill_up(mut loads: Vec<u64>, counts: &[u64]) -> Vec<u64> {
    let missing = 100 - loads.iter().sum::<u64>();
    let first = counts.iter().position(|count| *count != 0).unwrap_or(0);
    loads[first] += missing;
    loads
}

/// Loads while not every priority panics, percent by percent.
fn loads(members: &[(u32, u32)]) -> Vec<u64> {
    let (available, is_enough) = available(members);
    let sum: u64 = available.iter().sum();
    let mut loads: Vec<u64> = Vec::new();
    for carried in &available {
        let left = 100 - loads.iter().sum::<u64>();
        let wanted = match (is_enough, sum) {
            (true, _) => *carried,
            (false, 0) => 0,
            // They carry what they carry of all that can be carried.
            (false, sum) => greatest(|percent| percent * sum <= carried * 100),
        };
        loads.push(wanted.min(left));
    }
    fill_up(loads, &available)
}

/// Loads while every priority panics: by endpoints.
fn loads_in_panic(members: &[(u32, u32)]) -> Vec<u64> {
    let counts: Vec<u64> = members.iter().map(|(_, all)| u64::from(*all)).collect();
    let total: u64 = counts.iter().sum();
    let of = |count: &u64| match total {
        0 => 0,
        total => greatest(|percent| percent * total <= 100 * count),
    };
    fill_up(counts.iter().map(of).collect(), &counts)
}

/// Panic word for word as the reference has it, one condition after the other.
fn panics(members: &[(u32, u32)], threshold: u8) -> Vec<bool> {
    let (_, is_enough) = available(members);
    let is_below = |(healthy, all): &(u32, u32)| match all {
        0 => threshold > 0,
        all => 100 * u64::from(*healthy) < u64::from(threshold) * u64::from(*all),
    };
    let panics = members.iter().map(|one| !is_enough && is_below(one));
    panics.collect()
}

/// Priorities that can carry one percent, all but one, or just everything; and those with nobody.
const AT_THE_EDGE: [(u32, u32); 7] = [
    (1, 140),
    (71, 100),
    (5, 7),
    (50, 100),
    (50, 71),
    (0, 0),
    (0, 5),
];

/// Small ones and large ones, well and ill: a percent of a priority is less than one endpoint or many.
fn priorities() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let all = prop_oneof![2 => 0u32..12, 1 => 0u32..300];
    let any = (all, 0u32..=100, any::<bool>()).prop_map(|(all, percent, is_ill)| {
        let most = if is_ill { all.div_ceil(4) } else { all };
        (most * percent / 100, all)
    });
    let one = prop_oneof![any, prop::sample::select(&AT_THE_EDGE)];
    prop::collection::vec(one, 1..6)
}

/// A threshold, often one that a priority meets exactly.
fn with_threshold() -> impl Strategy<Value = (Vec<(u32, u32)>, u8)> {
    (
        priorities(),
        prop_oneof![2 => 0u8..=100, 1 => 0u8..=1],
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(members, any, which, is_exact)| {
            let met =
                |(healthy, all): &&(u32, u32)| *all > 0 && (100 * healthy).is_multiple_of(*all);
            let met: Vec<_> = members.iter().filter(met).collect();
            let threshold = match met.is_empty() || !is_exact {
                true => any,
                false => {
                    let (healthy, all) = met[which.index(met.len())];
                    (100 * healthy / all) as u8
                }
            };
            (members, threshold)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn loads_are_those_of_the_model(members in priorities()) {
        let got: Vec<_> = of(&members, 0).iter().map(|(load, _)| u64::from(*load)).collect();
        prop_assert_eq!(got, loads(&members), "{:?}", members);
    }

    #[test]
    fn panic_is_that_of_the_model((members, threshold) in with_threshold()) {
        let (got, is_panic): (Vec<_>, Vec<_>) = of(&members, threshold).into_iter().unzip();
        prop_assert_eq!(&is_panic, &panics(&members, threshold));
        let want = match is_panic.contains(&false) {
            true => loads(&members),
            false => loads_in_panic(&members),
        };
        prop_assert_eq!(got.into_iter().map(u64::from).collect::<Vec<_>>(), want);
    }

    /// Over all hundred numbers every priority is chosen as often as its load says.
    #[test]
    fn choices_follow_loads(members in priorities(), threshold in 0u8..=100, from in any::<u32>()) {
        let members: Vec<_> = members.iter().map(|(healthy, all)| Members { healthy: *healthy, all: *all }).collect();
        let shares = shares(&members, threshold);
        let mut counts = vec![0u8; shares.len()];
        for number in 0..100 {
            counts[choose(&shares, u64::from(from) + number)] += 1;
        }
        prop_assert_eq!(counts, shares.iter().map(|s| s.load).collect::<Vec<_>>());
    }
}
