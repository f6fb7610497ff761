//! Earliest deadline first: the scheduler of weighted balancing (Envoy's EdfScheduler).
//!
//! An entry of weight `w` is due every `1/w` units of virtual time, so over any stretch each is picked in proportion to
//! its weight and as evenly as possible. Equal deadlines are served in the order they were set. Owns nothing but the
//! queue; what a weight is belongs to `balance`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Envoy's bound on the picks that a start offset stands for: 2^32 / 10.
const MAX_OFFSET: u64 = 429_496_729;

#[derive(Clone, Copy, Debug)]
struct EdfEntry {
    deadline: f64,
    sequence: u64,
    index: u32,
}

/// Greater is sooner, because the heap yields its greatest entry first.
impl Ord for EdfEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        let sooner = other.deadline.total_cmp(&self.deadline);
        sooner.then_with(|| other.sequence.cmp(&self.sequence))
    }
}

impl PartialOrd for EdfEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EdfEntry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for EdfEntry {}

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Edf {
    queue: BinaryHeap<EdfEntry>,
    sequence: u64,
}

impl Edf {
    /// A scheduler over entries `0..count`, as if `offset % 429496729` picks had been made already. `weight` must be
    /// above zero; it is asked once for each entry.
    ///
    /// After a virtual time of `picks / sum of weights`, an entry has been picked `floor(picks * w / sum)` times; the
    /// few picks still missing are made one by one.
    pub(super) fn new(count: usize, offset: u64, weight: impl Fn(usize) -> f64) -> Self {
        let picks = offset % MAX_OFFSET;
        let weights: Vec<f64> = (0..count).map(&weight).collect();
        let sum: f64 = weights.iter().sum();
        let turns = |w: f64| (picks as f64 * w / sum).floor();
        // Of two equal deadlines the one that was set first is served first: that of the longer period.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| weights[*a].total_cmp(&weights[*b])); // stable
        let queue = order.iter().zip(0..).map(|(index, sequence)| EdfEntry {
            deadline: (turns(weights[*index]) + 1.0) / weights[*index],
            sequence,
            index: u32::try_from(*index).unwrap_or(u32::MAX), // a cluster of 2^32 endpoints does not fit into memory
        });
        let mut edf = Self {
            queue: queue.collect(),
            sequence: count as u64,
        };
        let made: f64 = weights.iter().map(|w| turns(*w)).sum();
        for _ in 0..(picks as f64 - made).max(0.0) as u64 {
            edf.pick(|index| weights[index]);
        }
        edf
    }

    /// The next entry; it goes back into the queue with the weight it has now. `None` when there is no entry.
    pub(super) fn pick(&mut self, weight: impl FnOnce(usize) -> f64) -> Option<usize> {
        let mut soonest = self.queue.peek_mut()?;
        let index = soonest.index as usize;
        soonest.deadline += 1.0 / weight(index);
        soonest.sequence = self.sequence;
        self.sequence += 1;
        drop(soonest); // moves the entry to its new place
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Envoy's rule without a heap: the least deadline, and of equal ones the one set first.
    struct Model {
        weights: Vec<f64>,
        deadlines: Vec<(f64, u64)>,
        sequence: u64,
    }

    impl Model {
        fn new(weights: &[f64]) -> Self {
            let sequence = weights.len() as u64;
            Self {
                weights: weights.to_vec(),
                deadlines: weights.iter().zip(0..).map(|(w, s)| (1.0 / w, s)).collect(),
                sequence,
            }
        }

        fn pick(&mut self) -> usize {
            let due = |a: &(f64, u64), b: &(f64, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            let soonest = *self.deadlines.iter().min_by(|a, b| due(a, b)).unwrap();
            let at = self.deadlines.iter().position(|d| *d == soonest).unwrap();
            self.deadlines[at] = (soonest.0 + 1.0 / self.weights[at], self.sequence);
            self.sequence += 1;
            at
        }
    }

    fn pick_many(edf: &mut Edf, weights: &[f64], count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| edf.pick(|at| weights[at]).unwrap())
            .collect()
    }

    #[test]
    fn serves_in_the_order_of_deadlines() {
        let weights = [1.0, 4.0];
        let mut edf = Edf::new(2, 0, |at| weights[at]);
        // Due at 1/4, 2/4, 3/4, then 1 and 1: the entry that was set first goes first.
        let want = [1, 1, 1, 0, 1, 1, 1, 1, 0, 1];
        assert_eq!(pick_many(&mut edf, &weights, 10), want);
        let mut none = Edf::new(0, 5, |_| 1.0);
        assert_eq!(none.pick(|_| 1.0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn picks_as_the_model_does(weights in prop::collection::vec(1u32..20, 1..8)) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let mut edf = Edf::new(weights.len(), 0, |at| weights[at]);
            let mut model = Model::new(&weights);
            let want: Vec<usize> = (0..100).map(|_| model.pick()).collect();
            prop_assert_eq!(pick_many(&mut edf, &weights, 100), want);
        }

        /// Powers of two, whose deadlines are exact: the jump is the same as having picked.
        #[test]
        fn an_offset_is_as_many_picks(
            weights in prop::collection::vec((0u32..6).prop_map(|e| f64::from(1 << e)), 1..8),
            offset in 0u64..2000,
        ) {
            let mut jumped = Edf::new(weights.len(), offset + MAX_OFFSET, |at| weights[at]);
            let mut model = Model::new(&weights);
            for _ in 0..offset {
                model.pick();
            }
            let want: Vec<usize> = (0..50).map(|_| model.pick()).collect();
            prop_assert_eq!(pick_many(&mut jumped, &weights, 50), want);
        }

        /// Over any stretch that is a whole number of rounds, wherever it starts, shares are exact to one pick.
        #[test]
        fn shares_follow_weights(
            weights in prop::collection::vec(1u32..30, 1..8),
            offset in any::<u64>(),
        ) {
            let round: u32 = weights.iter().sum();
            let as_f64: Vec<f64> = weights.iter().copied().map(f64::from).collect();
            let mut edf = Edf::new(weights.len(), offset, |at| as_f64[at]);
            let picks = pick_many(&mut edf, &as_f64, round as usize * 3);
            for (at, weight) in weights.iter().enumerate() {
                let count = picks.iter().filter(|p| **p == at).count() as i64;
                prop_assert!((count - i64::from(weight * 3)).abs() <= 1, "{} of {:?}", at, weights);
            }
        }
    }
}
