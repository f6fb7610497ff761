//! The dynamic table (RFC 7541 §2.3.2, §4): the newest entry first, the oldest driven out when room is short.
//!
//! Names and values lie one after the other in one block, of which the front is given up as entries go. Each entry has a tag
//! of its owner's: the decoder keeps what it has found out about a name, the encoder what it looks for.

use std::collections::VecDeque;

use super::{ENTRY_OVERHEAD, INITIAL_TABLE_SIZE};

#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    /// Names and values, oldest first, perhaps behind some of entries that are gone.
    block: Vec<u8>,
    /// How many bytes were cut off the block's front since the beginning.
    cut: u64,
    /// Oldest first.
    entries: VecDeque<Entry<T>>,
    /// As RFC 7541 §4.1 counts it.
    size: usize,
    max_size: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    /// Where its name begins, counted as if nothing had ever been cut off the block.
    start: u64,
    name_len: u32,
    value_len: u32,
    tag: T,
}

impl<T> Entry<T> {
    const fn size(&self) -> usize {
        self.name_len as usize + self.value_len as usize + ENTRY_OVERHEAD
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            block: Vec::new(),
            cut: 0,
            entries: VecDeque::new(),
            size: 0,
            max_size: INITIAL_TABLE_SIZE,
        }
    }
}

impl<T: Copy> Table<T> {
    /// How large it may be.
    pub(super) const fn max_size(&self) -> usize {
        self.max_size
    }

    /// Allows another size, and drives out what is too much (RFC 7541 §4.3).
    pub(super) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.make_room(0);
        self.give_up_front();
    }

    /// Name, value and tag of an entry; 0 is the newest.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8], T)> {
        let entry = self.entry(index)?;
        let start = self.place(entry);
        let split = start + entry.name_len as usize;
        let name = self.block.get(start..split)?;
        let value = self.block.get(split..split + entry.value_len as usize)?;
        Some((name, value, entry.tag))
    }

    /// The newest entry whose tag is `wanted` and that is the right one.
    pub(super) fn find(
        &self,
        wanted: impl Fn(T) -> bool,
        is_right: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<usize> {
        // Slice by slice: this is done for nearly every field that is written.
        let (oldest, newest) = self.entries.as_slices();
        let mut newer = 0;
        for part in [newest, oldest] {
            let mut left = part;
            while let Some(at) = left.iter().rposition(|entry| wanted(entry.tag)) {
                let index = newer + part.len() - 1 - at;
                let entry = self.get(index);
                if entry.is_some_and(|(name, value, _)| is_right(name, value)) {
                    return Some(index);
                }
                left = left.get(..at).unwrap_or_default();
            }
            newer += part.len();
        }
        None
    }

    /// Adds an entry. One that is too large empties the table and is not an error (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], tag: T) {
        if self.make_room(name.len() + value.len() + ENTRY_OVERHEAD) {
            let start = self.end();
            self.block.extend_from_slice(name);
            self.add(start, value, tag);
        }
    }

    /// As [`Table::insert`], with the name of an entry that is there, which may be driven out by this.
    pub(super) fn insert_named_as(&mut self, index: usize, value: &[u8], tag: T) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let place = self.place(entry);
        let name = place..place + entry.name_len as usize;
        if self.make_room(name.len() + value.len() + ENTRY_OVERHEAD) {
            let start = self.end();
            // What was driven out still lies in the block.
            self.block.extend_from_within(name);
            self.add(start, value, tag);
        }
    }

    /// Adds the value, and the entry whose name begins at `start` and ends the block.
    fn add(&mut self, start: u64, value: &[u8], tag: T) {
        // An entry is no larger than a table, whose size is a number of 32 bits.
        let (name_len, value_len) = ((self.end() - start) as u32, value.len() as u32);
        self.block.extend_from_slice(value);
        let entry = Entry {
            start,
            name_len,
            value_len,
            tag,
        };
        self.size += entry.size();
        self.entries.push_back(entry);
        self.give_up_front();
    }

    /// Drives out old entries until one of this size fits. Whether it does.
    fn make_room(&mut self, size: usize) -> bool {
        while self.size > self.max_size.saturating_sub(size) {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.size -= oldest.size();
        }
        size <= self.max_size
    }

    /// Cuts what entries have left behind off the block, once that is more than what is there: then each byte is moved
    /// once, and there are never more than twice as many as the table is large.
    fn give_up_front(&mut self) {
        let front = self
            .entries
            .front()
            .map_or_else(|| self.end(), |entry| entry.start);
        let behind = (front - self.cut) as usize;
        if behind * 2 > self.block.len() {
            self.block.drain(..behind);
            self.cut = front;
        }
    }

    fn entry(&self, index: usize) -> Option<&Entry<T>> {
        let at = self.entries.len().checked_sub(index.checked_add(1)?)?;
        self.entries.get(at)
    }

    const fn place(&self, entry: &Entry<T>) -> usize {
        (entry.start - self.cut) as usize
    }

    const fn end(&self) -> u64 {
        self.cut + self.block.len() as u64
    }

    /// Its size, as the peer counts it too.
    #[cfg(test)]
    pub(super) const fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(table: &Table<u32>) -> Vec<(String, String, u32)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entry = |index| {
            let (name, value, tag) = table.get(index)?;
            Some((text(name), text(value), tag))
        };
        (0..).map_while(entry).collect()
    }

    #[test]
    fn oldest_goes_first_and_what_is_too_large_empties_it() {
        let mut table = Table::default();
        table.set_max_size(3 * 34);
        for (tag, (name, value)) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]
            .iter()
            .enumerate()
        {
            table.insert(name.as_bytes(), value.as_bytes(), tag as u32);
        }
        let entry = |name: &str, value: &str, tag| (name.to_owned(), value.to_owned(), tag);
        assert_eq!(
            list(&table),
            [entry("d", "4", 3), entry("c", "3", 2), entry("b", "2", 1)]
        );
        let find = |wanted: fn(u32) -> bool, value: &[u8]| table.find(wanted, |_, v| v == value);
        assert_eq!(find(|_| true, b"4"), Some(0));
        assert_eq!(find(|_| true, b"2"), Some(2));
        assert_eq!(find(|tag| tag == 2, b"3"), Some(1));
        assert_eq!(find(|tag| tag == 2, b"4"), None);
        assert_eq!(find(|_| true, b"1"), None);
        // The name of an entry that this drives out.
        table.insert_named_as(2, b"5", 4);
        assert_eq!(list(&table)[0], entry("b", "5", 4));
        assert_eq!((list(&table).len(), table.size()), (3, 102));
        table.insert_named_as(3, b"6", 5);
        assert_eq!(list(&table).len(), 3, "no such entry");
        table.set_max_size(68);
        assert_eq!(list(&table), [entry("b", "5", 4), entry("d", "4", 3)]);
        table.insert(b"e", &[b'x'; 36], 6);
        assert_eq!((list(&table), table.size()), (vec![], 0));
        table.insert(b"e", &[b'x'; 35], 7);
        assert_eq!(table.size(), 68);
        table.set_max_size(0);
        table.insert(b"", b"", 8);
        assert_eq!((list(&table), table.size()), (vec![], 0));
    }

    #[test]
    fn the_block_stays_small() {
        let mut table = Table::default();
        for round in 0..10_000u32 {
            let value = vec![b'v'; (round % 900) as usize];
            table.insert(b"name", &value, round);
            assert!(table.size() <= INITIAL_TABLE_SIZE);
            assert!(table.block.len() <= 2 * INITIAL_TABLE_SIZE);
        }
    }
}
