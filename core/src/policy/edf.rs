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
struct Entry {
    deadline: f64,
    sequence: u64,
    index: u32,
}

/// Greater is sooner, because the heap yields its greatest entry first.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let sooner = other.deadline.total_cmp(&self.deadline);
        sooner.then_with(|| other.sequence.cmp(&self.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Edf {
    queue: BinaryHeap<Entry>,
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
        let queue = order.iter().zip(0..).map(|(index, sequence)| Entry {
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
