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

/// Envoy's rules in fractions: what is exact must be met to the percent, and the rest to one percent for each priority.
fn model(members: &[(u32, u32)]) -> Vec<f64> {
    let available: Vec<f64> = members
        .iter()
        .map(|(healthy, all)| match all {
            0 => 0.0,
            all => (1.4 * f64::from(*healthy) / f64::from(*all)).min(1.0),
        })
        .collect();
    let sum: f64 = available.iter().sum();
    let mut left = 1.0f64;
    let scale = if sum < 1.0 && sum > 0.0 {
        1.0 / sum
    } else {
        1.0
    };
    let mut loads = Vec::new();
    for a in available {
        let load = (a * scale).min(left);
        left -= load;
        loads.push(load * 100.0);
    }
    loads
}

/// Panic word for word as the reference has it, one condition after the other.
fn panics(members: &[(u32, u32)], threshold: u8) -> Vec<bool> {
    let percent = |healthy: u32, all: u32| match all {
        0 => 0.0,
        all => 100.0 * f64::from(healthy) / f64::from(all),
    };
    let mut sum = 0;
    for (healthy, all) in members {
        if *all > 0 {
            sum += (140 * healthy / all).min(100);
        }
    }
    let mut out = Vec::new();
    for (healthy, all) in members {
        out.push(sum < 100 && percent(*healthy, *all) < f64::from(threshold));
    }
    out
}

fn priorities() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let one = (0u32..12).prop_flat_map(|all| (0..=all, Just(all)));
    prop::collection::vec(one, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn loads_are_those_of_the_model(members in priorities()) {
        let got = of(&members, 0);
        prop_assert_eq!(got.iter().map(|(load, _)| u32::from(*load)).sum::<u32>(), 100);
        let any = members.iter().any(|(healthy, _)| *healthy > 0);
        let slack = if any { 1.0 + 1.5 * members.len() as f64 } else { 100.0 };
        for (at, (want, (got, _))) in model(&members).iter().zip(&got).enumerate() {
            prop_assert!((want - f64::from(*got)).abs() <= slack, "{} of {:?}: {} {}", at, members, got, want);
            // Nobody gets traffic that cannot take any, unless nobody can.
            prop_assert!(*got == 0 || members[at].0 > 0 || !any);
        }
    }

    #[test]
    fn panic_is_that_of_the_model(members in priorities(), threshold in 0u8..=100) {
        let got = of(&members, threshold);
        let want = panics(&members, threshold);
        let panicking: Vec<bool> = got.iter().map(|(_, panic)| *panic).collect();
        prop_assert_eq!(&panicking, &want);
        let total: u32 = members.iter().map(|(_, all)| all).sum();
        if want.iter().all(|p| *p) && total > 0 {
            for (at, (load, _)) in got.iter().enumerate() {
                let exact = f64::from(100 * members[at].1) / f64::from(total);
                prop_assert!((exact - f64::from(*load)).abs() < members.len() as f64);
                prop_assert!((members[at].1 > 0) || *load == 0);
            }
        }
        prop_assert_eq!(got.iter().map(|(load, _)| u32::from(*load)).sum::<u32>(), 100);
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
