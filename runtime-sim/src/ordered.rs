//! A small map in the order of its keys: one vector, searched by halving. For few entries, or keys that mostly grow, it
//! is quicker than a tree, and it allocates nothing while it does not grow.

/// Values by key.
#[derive(Debug)]
pub(crate) struct Ordered<K, V>(Vec<(K, V)>);

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Ord, V> Ordered<K, V> {
    fn find(&self, key: K) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if *last == key => Ok(self.0.len() - 1),
            Some((last, _)) if *last < key => Err(self.0.len()),
            Some(_) | None => self.0.binary_search_by_key(&key, |(key, _)| *key),
        }
    }

    /// Puts a value in, in the place of one that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        let at = self.find(key).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        Some(&mut self.0[at].1)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dice::Dice;

    #[test]
    fn it_does_what_a_tree_does() {
        let (mut dice, mut tree, mut ordered) = (Dice::new(1), BTreeMap::new(), Ordered::default());
        for step in 0..2000_u64 {
            let key = dice.below(40);
            match dice.below(4) {
                0 => assert_eq!(tree.remove(&key), ordered.remove(key)),
                1 => assert_eq!(tree.get_mut(&key), ordered.get_mut(key)),
                2 => assert_eq!(tree.get(&key), ordered.get(key)),
                _ => {
                    tree.insert(key, step);
                    ordered.insert(key, step);
                }
            }
            let sorted = tree.iter().map(|(key, value)| (*key, value));
            assert!(sorted.eq(ordered.iter()));
            assert_eq!(tree.len(), ordered.len());
        }
    }
}
