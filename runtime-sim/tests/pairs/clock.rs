//! Several times that one peer waits for.

use std::collections::BTreeMap;

use outrigger_core::time::{Duration, Instant};
use outrigger_sim::Action;

/// What is due, and when.
#[derive(Debug)]
pub(crate) struct Clock<T> {
    due: BTreeMap<(Instant, u64), T>,
    number: u64,
}

impl<T> Clock<T> {
    pub(crate) const fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            number: 0,
        }
    }

    /// This is due so many milliseconds from now.
    pub(crate) fn plan(&mut self, now: Instant, millis: u64, what: T) {
        self.number += 1;
        let at = now + Duration::from_millis(millis);
        self.due.insert((at, self.number), what);
    }

    /// What is due, one after the other.
    pub(crate) fn next(&mut self, now: Instant) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(crate) fn clear(&mut self) {
        self.due.clear();
    }

    /// Has its peer woken for the next of them.
    pub(crate) fn arm(&self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(((at, _), _)) = self.due.first_key_value() {
            actions.push(Action::Sleep(at.since(now)));
        }
    }
}
