//! Bytes as choices, for targets that make something of them that has a meaning.

/// Draws choices from bytes; once they are used up everything is the first of its kind, or empty. Each choice takes one byte, so
/// that a byte that changes changes one choice.
pub struct Draws<'a>(pub &'a [u8]);

impl Draws<'_> {
    /// The next one, and 0 when all are used up.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// At most 256 can be told apart.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// One in so many.
    pub fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    /// None, or at most so many.
    pub fn several<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}
