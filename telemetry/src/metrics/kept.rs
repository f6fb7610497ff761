//! What workers count by names that come and go with the configuration, added up by name.
//!
//! A worker looks a name up once in each configuration and keeps what it counts in; the lock is taken then, and when somebody
//! adds up. What is gone is forgotten when somebody adds up, so that its series end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrigger_core::time::Instant;

use super::life::Life;

/// What one worker counts under one name.
pub(crate) trait Cells: Default {
    /// What all have counted.
    type Sum: Default;

    /// Adds what was counted to what others have.
    fn add_to(&self, sum: &mut Self::Sum);

    /// Whether it is in use, where it ends without that.
    fn life(&self) -> Option<&Life> {
        None
    }
}

/// Says whether what a name stands for is gone.
pub(crate) type Gone = Box<dyn Fn() -> bool + Send>;

/// Everything that is counted under names.
pub(crate) struct Kept<T> {
    names: Mutex<HashMap<Arc<str>, Named<T>>>,
}

struct Named<T> {
    gone: Gone,
    /// Whose: the number of the worker.
    cells: Vec<(usize, Arc<T>)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<T: Cells> Kept<T> {
    /// What a worker counts in under a name. Where that stood for something that is gone, it begins anew. `None` when it is not
    /// there and there are `most` names already.
    pub(crate) fn of(
        &self,
        worker: usize,
        name: &str,
        most: usize,
        gone: impl FnOnce() -> Gone,
    ) -> Option<Arc<T>> {
        let mut names = self.names();
        if !names.contains_key(name) && names.len() >= most {
            return None;
        }
        let named = match names.entry(name.into()) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                if (known.gone)() {
                    known.cells.clear();
                }
                // What it stands for now may outlive what it stood for.
                known.gone = gone();
                known
            }
            Entry::Vacant(new) => new.insert(Named {
                gone: gone(),
                cells: Vec::new(),
            }),
        };
        if let Some((_, cells)) = named.cells.iter().find(|(of, _)| *of == worker) {
            return Some(Arc::clone(cells));
        }
        let cells = Arc::<T>::default();
        named.cells.push((worker, Arc::clone(&cells)));
        Some(cells)
    }

    /// Adds up what is not gone, and forgets the rest.
    pub(crate) fn sum(&self) -> HashMap<Arc<str>, T::Sum> {
        let all: Vec<_> = {
            let mut names = self.names();
            names.retain(|_, named| !(named.gone)());
            let all = names.iter();
            all.map(|(name, named)| (Arc::clone(name), named.cells.clone()))
                .collect()
        };
        let sum = |(name, cells): (Arc<str>, Vec<(usize, Arc<T>)>)| {
            let mut sum = T::Sum::default();
            cells.iter().for_each(|(_, cells)| cells.add_to(&mut sum));
            (name, sum)
        };
        all.into_iter().map(sum).collect()
    }

    /// Forgets names under which nothing has been counted since, but for those that stay; how many.
    pub(crate) fn end_idle(&self, since: Instant, stays: impl Fn(&str) -> bool) -> usize {
        let mut names = self.names();
        let before = names.len();
        names.retain(|name, named| {
            let all = named.cells.iter();
            let lives: Vec<_> = all.filter_map(|(_, cells)| cells.life()).collect();
            let is_idle = || lives.iter().all(|life| life.is_idle_since(since));
            if lives.is_empty() || !is_idle() || stays(name) {
                return true;
            }
            lives.iter().for_each(|life| life.end(true));
            // Who used them meanwhile did not see that.
            let ends = is_idle();
            lives.iter().for_each(|life| life.end(ends));
            !ends
        });
        before - names.len()
    }

    /// Forgets names that are not wanted any more.
    pub(crate) fn keep(&self, wanted: impl Fn(&str) -> bool) {
        self.names().retain(|name, _| wanted(name));
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Arc<str>, Named<T>>> {
        // Each change is whole before the next one begins, so a panic elsewhere leaves it whole.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use outrigger_runtime::Counter;

    use super::*;

    #[derive(Debug, Default)]
    struct Count(Counter);

    impl Cells for Count {
        type Sum = u64;

        fn add_to(&self, sum: &mut u64) {
            *sum += self.0.value();
        }
    }

    /// Gone when the value is.
    fn with(alive: &Arc<()>) -> impl FnOnce() -> Gone {
        let alive = Arc::downgrade(alive);
        move || Box::new(move || alive.strong_count() == 0)
    }

    #[test]
    fn names_are_added_up_over_workers_and_end_with_what_they_stand_for() {
        let (kept, alive) = (Kept::<Count>::default(), Arc::new(()));
        for (worker, name, more) in [(0, "a", 1), (1, "a", 2), (0, "b", 4), (0, "a", 8)] {
            let cells = kept.of(worker, name, 2, with(&alive)).unwrap();
            cells.0.add(more);
        }
        assert!(
            kept.of(0, "c", 2, with(&alive)).is_none(),
            "there is no room"
        );
        let sum = kept.sum();
        assert_eq!((sum["a"], sum["b"]), (11, 4));
        drop(alive);
        let again = Arc::new(());
        let cells = kept.of(0, "a", 2, with(&again)).unwrap();
        cells.0.add(16);
        assert_eq!(kept.sum(), HashMap::from([("a".into(), 16)]));
        kept.keep(|name| name != "a");
        assert!(kept.sum().is_empty());
    }
}
