//! Where something is in a list, found by its hash: what that costs does not grow with the list.
//!
//! Positions stand in a table at least twice as long as the list, each at the first free place from its hash on. It is made once and
//! never changed, and holds nothing but positions: who asks compares.

/// Positions in a list, by hash.
#[derive(Clone, Debug, Default)]
pub(super) struct HashIndex {
    /// A position and 1, or 0 where there is none. As many as a power of two.
    places: Box<[u32]>,
}

impl HashIndex {
    /// The index of a list whose elements have these hashes, in order. A list of 2^31 elements does not fit into memory.
    pub(super) fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut places = vec![0; (hashes.len() * 2).next_power_of_two()];
        let last = places.len() - 1;
        for (hash, position) in hashes.zip(1..) {
            let mut at = hash as usize & last;
            while places[at] != 0 {
                at = (at + 1) & last;
            }
            places[at] = position;
        }
        Self {
            places: places.into(),
        }
    }

    /// The position of the element that has this hash and is the one.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let last = self.places.len().checked_sub(1)?;
        let mut at = hash as usize & last;
        // At least half of the places are empty.
        while let Some(position) = self.places[at].checked_sub(1) {
            if is_it(position as usize) {
                return Some(position as usize);
            }
            at = (at + 1) & last;
        }
        None
    }
}

/// The hash of a number: all of its bits change the lowest ones.
pub(super) const fn hash_of(number: u128) -> u64 {
    let mixed = (number as u64) ^ ((number >> 64) as u64).rotate_left(29);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_there_is_found_and_nothing_else(
            numbers in proptest::collection::btree_set(0..200u128, 0..60),
            // Few hashes, so that many are the same.
            spread in 1..40u64,
        ) {
            let list: Vec<u128> = numbers.iter().copied().collect();
            let index = HashIndex::new(list.iter().map(|number| hash_of(*number) % spread));
            let numbers: BTreeSet<u128> = numbers;
            for asked in 0..200 {
                let found = index.find(hash_of(asked) % spread, |at| list[at] == asked);
                prop_assert_eq!(found.map(|at| list[at]), numbers.get(&asked).copied());
            }
        }
    }
}
