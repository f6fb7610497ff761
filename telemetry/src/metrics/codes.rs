//! How many responses had which status.

use std::array;
use std::sync::OnceLock;

use outrigger_runtime::Counter;

/// Hundreds of statuses that there are: 1xx to 9xx.
const CLASSES: usize = 9;

/// What one thread counts. Memory is taken for hundreds that occur.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    /// There was no response.
    none: Counter,
    classes: [OnceLock<Box<[Counter; 100]>>; CLASSES],
}

impl Codes {
    /// One more; 0 is no response.
    pub(crate) fn count(&self, status: u16) {
        let (class, code) = (usize::from(status / 100), usize::from(status % 100));
        match class
            .checked_sub(1)
            .and_then(|class| self.classes.get(class))
        {
            Some(class) => {
                class.get_or_init(|| Box::new(array::from_fn(|_| Counter::default())))[code].add(1);
            }
            None => self.none.add(1),
        }
    }

    /// Adds what was counted to what others have.
    pub(crate) fn add_to(&self, sum: &mut StatusCounts) {
        sum.add(0, self.none.value());
        for (class, codes) in (1..).zip(&self.classes) {
            for (code, count) in (0..).zip(codes.get().into_iter().flat_map(|codes| codes.iter())) {
                sum.add(100 * class + code, count.value());
            }
        }
    }
}

/// What all threads have counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts(Vec<(u16, u64)>);

impl StatusCounts {
    /// Statuses that there were, in order, with how often; 0 is no response.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.iter().copied()
    }

    /// How many there were of some hundreds: of 5, those from 500 to 599; of 0, those without a response.
    #[must_use]
    pub fn class(&self, hundreds: u16) -> u64 {
        let of_class = self.iter().filter(|(status, _)| status / 100 == hundreds);
        of_class.map(|(_, count)| count).sum()
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, status: u16, more: u64) {
        if more == 0 {
            return;
        }
        match self.0.binary_search_by_key(&status, |(status, _)| *status) {
            Ok(at) => self.0[at].1 += more,
            Err(at) => self.0.insert(at, (status, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_counted_one_by_one_and_added_up() {
        let (one, other) = (Codes::default(), Codes::default());
        for (codes, statuses) in [
            (&one, &[200, 200, 503, 0, 999][..]),
            (&other, &[200, 504, 99, 100]),
        ] {
            statuses.iter().for_each(|status| codes.count(*status));
        }
        let mut sum = StatusCounts::default();
        one.add_to(&mut sum);
        other.add_to(&mut sum);
        let all: Vec<_> = sum.iter().collect();
        let want = [(0, 2), (100, 1), (200, 3), (503, 1), (504, 1), (999, 1)];
        assert_eq!(all, want);
        assert_eq!(
            [0, 1, 2, 3, 5].map(|class| sum.class(class)),
            [2, 1, 3, 0, 2]
        );
        assert_eq!(sum.total(), 9);
    }
}
