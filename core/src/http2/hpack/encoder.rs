//! Fields to header blocks (RFC 7541 §6).

use bytes::{BufMut, BytesMut};

use super::names::{self, GUESSABLE, Indexing};
use super::table::Table;
use super::{ENTRY_OVERHEAD, INITIAL_TABLE_SIZE, huffman, integer, static_table};

/// The largest table that we fill, in bytes, however large the peer's may be: what we look through for each field.
const MOST_TABLE_SIZE: usize = INITIAL_TABLE_SIZE;

/// Writes the header blocks to one peer, in the order in which they are sent.
#[derive(Clone, Debug)]
pub struct Encoder {
    table: Table<Prints>,
    /// The size that the table is to have from the next block on.
    wanted: usize,
    /// The smallest size that was wanted since the last block (RFC 7541 §4.2).
    lowest: usize,
}

/// What an entry is looked for by: numbers that are equal when names, and names and values, are.
#[derive(Clone, Copy, Debug)]
struct Prints {
    name: u32,
    pair: u32,
}

impl Prints {
    fn of(name: &[u8], value: &[u8]) -> Self {
        let name = print(name);
        let pair = (name.rotate_left(32) ^ print(value)).wrapping_mul(ODD);
        Self {
            name: (name >> 32) as u32,
            pair: (pair >> 32) as u32,
        }
    }
}

/// 2^64 by the golden ratio: spreads what differs over the upper bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number from the length and both ends of a text. Others with the same number are told apart by comparing them, at most
/// as many as the table has.
fn print(text: &[u8]) -> u64 {
    let ends = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        (None, _) | (_, None) => text
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    };
    (ends ^ ((text.len() as u64) << 56)).wrapping_mul(ODD)
}

/// How a literal field begins (RFC 7541 §6.2): the pattern, and how many bits of the octet are the index of its name.
#[derive(Clone, Copy)]
enum Literal {
    Kept,
    NotKept,
    Never,
}

impl Literal {
    const fn pattern(self) -> (u8, u32) {
        match self {
            Self::Kept => (0x40, 6),
            Self::NotKept => (0x00, 4),
            Self::Never => (0x10, 4),
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder for a peer that has not said how large its table is.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Table::default(),
            wanted: INITIAL_TABLE_SIZE,
            lowest: INITIAL_TABLE_SIZE,
        }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`. The next block tells the size that is used of it.
    pub fn set_max_table_size(&mut self, peers: u32) {
        self.wanted =
            usize::try_from(peers).map_or(MOST_TABLE_SIZE, |size| size.min(MOST_TABLE_SIZE));
        self.lowest = self.lowest.min(self.wanted);
    }

    /// Begins a block: tells the peer of another size of the table, if it has changed (RFC 7541 §4.2).
    pub fn begin(&mut self, out: &mut BytesMut) {
        // The smallest first, so that the peer drives out as much as we do.
        for size in [self.lowest, self.wanted] {
            if size != self.table.max_size() {
                integer::write(size, 5, 0x20, out);
                self.table.set_max_size(size);
            }
        }
        self.lowest = self.wanted;
    }

    /// Appends a field, whose name is in lower case. Fields that can be guessed are never put into a table.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut BytesMut) {
        let known = names::find(name);
        if let Some(index) = known.and_then(|known| known.index_with(value)) {
            integer::write(index, 7, 0x80, out);
            return;
        }
        let index = known.and_then(|known| known.index());
        match known.map_or(Indexing::Whole, |known| known.indexing) {
            Indexing::Never => put(Literal::Never, index, name, value, out),
            Indexing::NeverWhenShort if value.len() < GUESSABLE => {
                put(Literal::Never, index, name, value, out);
            }
            Indexing::Whole | Indexing::NeverWhenShort => self.whole(index, name, value, out),
            Indexing::NameOnly => self.name_only(index, name, value, out),
        }
    }

    /// Appends a field that nobody on the way may put into a table (RFC 7541 §6.2.3).
    pub fn never_indexed(&mut self, name: &[u8], value: &[u8], out: &mut BytesMut) {
        let index = names::find(name).and_then(|known| known.index());
        put(Literal::Never, index, name, value, out);
    }

    /// A field whose value is likely to come again.
    fn whole(&mut self, index: Option<usize>, name: &[u8], value: &[u8], out: &mut BytesMut) {
        let prints = Prints::of(name, value);
        if let Some(index) = self.find_pair(prints, name, value) {
            integer::write(index, 7, 0x80, out);
            return;
        }
        let index = index.or_else(|| self.find_name(prints, name));
        // What would drive out most of the others is not worth it (nghttp2's bound).
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        if size > self.table.max_size() / 4 * 3 {
            put(Literal::NotKept, index, name, value, out);
        } else {
            put(Literal::Kept, index, name, value, out);
            self.table.insert(name, value, prints);
        }
    }

    /// A field whose value is another one each time. Its name needs an entry to be told by; any value does for that.
    fn name_only(&mut self, index: Option<usize>, name: &[u8], value: &[u8], out: &mut BytesMut) {
        if index.is_some() {
            put(Literal::NotKept, index, name, value, out);
            return;
        }
        let prints = Prints::of(name, value);
        match self.find_name(prints, name) {
            None => self.whole(None, name, value, out),
            found => put(Literal::NotKept, found, name, value, out),
        }
    }

    fn find_pair(&self, prints: Prints, name: &[u8], value: &[u8]) -> Option<usize> {
        let is_alike = |tag: Prints| tag.pair == prints.pair;
        let found = self.table.find(is_alike, |n, v| n == name && v == value);
        found.map(|at| static_table::LEN + 1 + at)
    }

    fn find_name(&self, prints: Prints, name: &[u8]) -> Option<usize> {
        let is_alike = |tag: Prints| tag.name == prints.name;
        let found = self.table.find(is_alike, |n, _| n == name);
        found.map(|at| static_table::LEN + 1 + at)
    }

    /// The table, for what tests compare it with.
    #[cfg(test)]
    pub(super) const fn table_size(&self) -> usize {
        self.table.size()
    }
}

/// Appends a literal field.
fn put(literal: Literal, index: Option<usize>, name: &[u8], value: &[u8], out: &mut BytesMut) {
    out.reserve(name.len() + value.len() + 16);
    let (pattern, bits) = literal.pattern();
    integer::write(index.unwrap_or(0), bits, pattern, out);
    if index.is_none() {
        put_string(name, out);
    }
    put_string(value, out);
}

/// A string up to this long, in bytes, is coded at once, and its length is written in front of it when it is known.
const SHORT: usize = 128;

/// Appends a string in the shorter of its two forms (RFC 7541 §5.2).
fn put_string(text: &[u8], out: &mut BytesMut) {
    if text.len() > SHORT {
        let coded = huffman::encoded_len(text);
        if coded < text.len() {
            integer::write(coded, 7, 0x80, out);
            huffman::encode(text, out);
        } else {
            put_plain(text, out);
        }
        return;
    }
    let place = out.len();
    out.put_u8(0);
    huffman::encode(text, out);
    let coded = out.len() - place - 1;
    match out.get_mut(place) {
        // One octet holds the length (RFC 7541 §5.1).
        Some(length) if coded < text.len() && coded < 127 => *length = 0x80 | coded as u8,
        Some(_) | None => {
            out.truncate(place);
            put_plain(text, out);
        }
    }
}

fn put_plain(text: &[u8], out: &mut BytesMut) {
    integer::write(text.len(), 7, 0x00, out);
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = BytesMut::new();
        encoder.begin(&mut out);
        for (name, value) in fields {
            encoder.field(name.as_bytes(), value.as_bytes(), &mut out);
        }
        out.to_vec()
    }

    #[test]
    fn what_comes_again_is_one_octet_and_the_rest_leaves_no_trace() {
        let secret = "0123456789012345678";
        let cases: &[(&str, &str, u8, u8)] = &[
            // Name, value, the first octet now and when it comes again.
            (":method", "GET", 0x82, 0x82),
            (":status", "404", 0x8d, 0x8d),
            (":status", "201", 0x48, 0xbe),
            (":path", "/", 0x84, 0x84),
            (":path", "/a", 0x04, 0x04),
            ("accept-encoding", "gzip, deflate", 0x90, 0x90),
            ("accept-encoding", "br", 0x50, 0xbe),
            ("x-mine", "1", 0x40, 0xbe),
            ("date", "now", 0x0f, 0x0f),
            ("content-length", "5", 0x0f, 0x0f),
            ("x-request-id", "1", 0x40, 0x0f),
            ("authorization", "Basic Zm9v", 0x1f, 0x1f),
            ("proxy-authorization", "x", 0x1f, 0x1f),
            ("set-cookie", "a=b", 0x1f, 0x1f),
            ("cookie", secret, 0x1f, 0x1f),
            ("cookie", "01234567890123456789", 0x60, 0xbe),
        ];
        for (name, value, first, again) in cases {
            let mut encoder = Encoder::new();
            let octets = [0; 2].map(|_| block(&mut encoder, &[(name, value)])[0]);
            assert_eq!(octets, [*first, *again], "{name}: {value}");
        }
        let mut out = BytesMut::new();
        let mut encoder = Encoder::new();
        encoder.never_indexed(b"x-mine", b"1", &mut out);
        encoder.never_indexed(b":method", b"GET", &mut out);
        assert_eq!(out, &b"\x10\x85\xf2\xb5\x26\xa8\xbf\x011\x12\x03GET"[..]);
        assert_eq!(encoder.table_size(), 0);
    }

    #[test]
    fn a_name_that_is_in_the_table_is_told_by_it() {
        let mut encoder = Encoder::new();
        assert_eq!(block(&mut encoder, &[("x-mine", "1")])[0], 0x40);
        assert_eq!(block(&mut encoder, &[("x-mine", "2")])[0], 0x40 | 62);
        assert_eq!(block(&mut encoder, &[("traceparent", "2")])[0], 0x40);
        assert_eq!(
            block(&mut encoder, &[("traceparent", "3")]),
            b"\x0f\x2f\x013"
        );
    }

    #[test]
    fn what_is_too_large_drives_out_nothing() {
        let mut encoder = Encoder::new();
        let size = encoder.table.max_size() / 4 * 3;
        for (length, kept) in [(size - 33, true), (size - 32, false)] {
            let value = "v".repeat(length);
            let first = block(&mut encoder, &[("a", &value)])[0];
            assert_eq!(first & 0x40 != 0, kept, "{length}");
        }
    }

    #[test]
    fn strings_take_the_shorter_form_at_any_length() {
        // `a` has five bits, `&` and `Z` eight, 0xff has 26.
        for letter in *b"aZ&\xff" {
            for length in 0..400 {
                let text = vec![letter; length];
                let mut out = BytesMut::new();
                put_string(&text, &mut out);
                let is_coded = huffman::encoded_len(&text) < length;
                assert_eq!(out[0] & 0x80 != 0, is_coded, "{letter} {length}");
                let mut block = BytesMut::from(&b"\x01"[..]);
                block.extend_from_slice(&out);
                let mut decoder = super::super::Decoder::new(0);
                let read = decoder.decode(&block, |_, value| assert_eq!(value, text));
                assert_eq!(read, Ok(()), "{letter} {length}");
            }
        }
    }

    #[test]
    fn sizes_are_told_once_and_the_smallest_first() {
        let cases: &[(&[u32], &[u8])] = &[
            (&[], &[]),
            (&[4096], &[]),
            (&[65536], &[]),
            (&[u32::MAX], &[]),
            (&[0], &[0x20]),
            (&[30], &[0x3e]),
            (&[0, 4096], &[0x20, 0x3f, 0xe1, 0x1f]),
            (&[0, 100, 50], &[0x20, 0x3f, 0x13]),
            (&[100, 0], &[0x20]),
            (&[4097, 4096], &[]),
        ];
        for (sizes, want) in cases {
            let mut encoder = Encoder::new();
            block(&mut encoder, &[("a", "b")]);
            sizes
                .iter()
                .for_each(|size| encoder.set_max_table_size(*size));
            assert_eq!(block(&mut encoder, &[]), *want, "{sizes:?}");
            assert_eq!(block(&mut encoder, &[]), b"", "{sizes:?}");
            let is_there = !sizes.contains(&0) && !sizes.contains(&30);
            assert_eq!(encoder.table_size() > 0, is_there, "{sizes:?}");
        }
    }
}
