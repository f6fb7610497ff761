//! Tables that all workers share: those of a cluster while nobody of it is out, by priority.
//!
//! The first worker that needs one makes it, and a worker that comes at the same moment makes another that is dropped;
//! nobody waits. Tables over fewer endpoints, while some are ejected, are each worker's own.

use std::sync::{Arc, OnceLock};

use super::table::HashTable;

/// Places for the tables of one cluster of one snapshot.
#[derive(Clone, Debug, Default)]
pub struct SharedTables(Arc<[OnceLock<Arc<HashTable>>]>);

impl SharedTables {
    /// Places for so many priorities.
    #[must_use]
    pub fn new(priorities: usize) -> Self {
        Self((0..priorities).map(|_| OnceLock::new()).collect())
    }

    /// The table of a priority; where there is no place for one it is made for whoever asks.
    #[must_use]
    pub fn get_or_make(&self, priority: u32, make: impl FnOnce() -> HashTable) -> Arc<HashTable> {
        let Some(place) = self.0.get(priority as usize) else {
            return Arc::new(make());
        };
        if let Some(table) = place.get() {
            return Arc::clone(table);
        }
        let made = Arc::new(make());
        match place.set(Arc::clone(&made)) {
            Ok(()) => made,
            Err(late) => place.get().map_or(late, Arc::clone),
        }
    }

    /// The table of a priority, if somebody has needed it.
    #[must_use]
    pub fn get(&self, priority: u32) -> Option<&HashTable> {
        self.0.get(priority as usize)?.get().map(|table| &**table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{HashTableKind, shares};

    #[test]
    fn a_table_is_made_once() {
        let tables = SharedTables::new(2);
        let make = || {
            let hosts = shares([("a", 1), ("b", 1)].into_iter(), 1.0);
            HashTable::new(HashTableKind::Maglev { size: 7 }, &hosts)
        };
        assert!(tables.get(1).is_none());
        let first = tables.get_or_make(1, make);
        let again = tables.get_or_make(1, || unreachable!());
        assert!(Arc::ptr_eq(&first, &again));
        assert!(tables.get(0).is_none() && tables.get(1).is_some());
        let own = tables.get_or_make(2, make);
        assert!(!Arc::ptr_eq(&own, &tables.get_or_make(2, make)));
    }
}
