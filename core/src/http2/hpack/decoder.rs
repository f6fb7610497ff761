//! Header blocks to fields (RFC 7541 §3, §6).

use super::table::Table;
use super::{CompressionError, INITIAL_TABLE_SIZE, huffman, integer, static_table};
use crate::message::Known;

/// Strings longer than this, in bytes, leave no memory behind when their block is done.
const KEPT: usize = 8 * 1024;

/// Reads the header blocks of one peer, one after the other: every block of its connection, and each to its end.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: Table<Known>,
    /// The largest table that the peer may ask for.
    limit: usize,
    /// What the Huffman-coded strings of a field say.
    plain: Vec<u8>,
    /// Memory for whoever joins fields.
    spare: Vec<u8>,
}

/// One field of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The name's number. Names come as they were sent: one with an upper-case letter is [`Known::Other`].
    pub known: Known,
    /// The name, as it was sent.
    pub name: &'a [u8],
    /// The value, as it was sent.
    pub value: &'a [u8],
    /// Nobody on the way may put it into a table (RFC 7541 §6.2.3).
    pub never_indexed: bool,
}

/// Where a string is.
enum Text<'a> {
    Block(&'a [u8]),
    /// In [`Decoder::plain`], from here to there.
    Plain(usize, usize),
}

impl<'a> Text<'a> {
    fn of(self, plain: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Block(text) => text,
            Self::Plain(from, to) => plain.get(from..to).unwrap_or_default(),
        }
    }
}

/// Where the name of a literal field is.
enum NameAt<'a> {
    Static(usize),
    Dynamic(usize),
    Text(Text<'a>),
}

impl Decoder {
    /// A decoder whose table may grow to `max_table_size` bytes, our `SETTINGS_HEADER_TABLE_SIZE`. That is
    /// [`INITIAL_TABLE_SIZE`] at least: a peer uses so much until it has seen our settings.
    #[must_use]
    pub fn new(max_table_size: usize) -> Self {
        Self {
            table: Table::default(),
            limit: max_table_size.max(INITIAL_TABLE_SIZE),
            plain: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Lends memory to be given back, so that joining fields allocates nothing at rest. Empty.
    pub(in crate::http2) fn take_spare(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.spare)
    }

    /// Takes back what [`Decoder::take_spare`] lent.
    pub(in crate::http2) fn give_spare(&mut self, mut spare: Vec<u8>) {
        if spare.capacity() <= KEPT {
            spare.clear();
            self.spare = spare;
        }
    }

    /// Calls `take(name, value)` for each field of one complete block, and goes on to its end whatever `take` thinks of
    /// a field, so that the table stays in step.
    ///
    /// # Errors
    /// The block cannot be read. The fields before the fault were taken, and no other block can be read.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), CompressionError> {
        self.decode_fields(block, |field| take(field.name, field.value))
    }

    /// As [`Decoder::decode`], with all that is known of a field.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn decode_fields(
        &mut self,
        mut block: &[u8],
        mut take: impl FnMut(Decoded<'_>),
    ) -> Result<(), CompressionError> {
        let mut is_first = true;
        while let Some(octet) = block.first() {
            // RFC 7541 §6: the bits before the first one tell what follows.
            match octet.leading_zeros() {
                0 => {
                    let index = integer::read(&mut block, 7)?;
                    let (name, value, known) = self.entry(index)?;
                    take(Decoded {
                        known,
                        name,
                        value,
                        never_indexed: false,
                    });
                }
                1 => self.literal(&mut block, 6, Keep::InTable, &mut take)?,
                2 => {
                    if !is_first {
                        return Err(CompressionError::LateTableSize);
                    }
                    let size = integer::read(&mut block, 5)?;
                    if size > self.limit {
                        return Err(CompressionError::TableSize);
                    }
                    self.table.set_max_size(size);
                    continue;
                }
                3 => self.literal(&mut block, 4, Keep::Never, &mut take)?,
                4.. => self.literal(&mut block, 4, Keep::No, &mut take)?,
            }
            is_first = false;
        }
        if self.plain.capacity() > KEPT {
            self.plain = Vec::new();
        }
        Ok(())
    }

    fn literal(
        &mut self,
        block: &mut &[u8],
        bits: u32,
        keep: Keep,
        take: &mut impl FnMut(Decoded<'_>),
    ) -> Result<(), CompressionError> {
        self.plain.clear();
        let name_at = match integer::read(block, bits)? {
            0 => NameAt::Text(string(block, &mut self.plain)?),
            index => match index.checked_sub(static_table::LEN + 1) {
                None => NameAt::Static(index),
                Some(index) => NameAt::Dynamic(index),
            },
        };
        let value = string(block, &mut self.plain)?.of(&self.plain);
        let never_indexed = keep == Keep::Never;
        let (name, known) = match name_at {
            NameAt::Dynamic(index) => {
                let (name, _, known) = self.table.get(index).ok_or(CompressionError::Index)?;
                take(Decoded {
                    known,
                    name,
                    value,
                    never_indexed,
                });
                if keep == Keep::InTable {
                    self.table.insert_named_as(index, value, known);
                }
                return Ok(());
            }
            NameAt::Static(index) => {
                let entry = static_table::get(index).ok_or(CompressionError::Index)?;
                (entry.0, entry.2)
            }
            NameAt::Text(text) => {
                let name = text.of(&self.plain);
                (name, Known::of(name))
            }
        };
        take(Decoded {
            known,
            name,
            value,
            never_indexed,
        });
        if keep == Keep::InTable {
            self.table.insert(name, value, known);
        }
        Ok(())
    }

    /// The entry of an index, in both tables (RFC 7541 §2.3.3).
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8], Known), CompressionError> {
        match index.checked_sub(static_table::LEN + 1) {
            None => static_table::get(index),
            Some(dynamic) => self.table.get(dynamic),
        }
        .ok_or(CompressionError::Index)
    }

    /// The table, for what tests compare it with.
    #[cfg(test)]
    pub(super) const fn table(&self) -> &Table<Known> {
        &self.table
    }
}

/// What becomes of a literal field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    InTable,
    No,
    Never,
}

/// Takes a string from the front of the block (RFC 7541 §5.2).
fn string<'a>(block: &mut &'a [u8], plain: &mut Vec<u8>) -> Result<Text<'a>, CompressionError> {
    let is_coded = block.first().is_some_and(|octet| octet & 0x80 != 0);
    let length = integer::read(block, 7)?;
    let (text, rest) = block
        .split_at_checked(length)
        .ok_or(CompressionError::Cut)?;
    *block = rest;
    if !is_coded {
        return Ok(Text::Block(text));
    }
    let from = plain.len();
    huffman::decode(text, plain)?;
    Ok(Text::Plain(from, plain.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(
        decoder: &mut Decoder,
        block: &[u8],
    ) -> Result<Vec<(String, String)>, CompressionError> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(block, |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    #[test]
    fn what_is_refused() {
        use CompressionError::{
            Cut, EndOfString, Index, Integer, LateTableSize, Padding, TableSize,
        };
        let cases: &[(&str, &[u8], CompressionError)] = &[
            ("index 0", &[0x80], Index),
            ("behind the static table", &[0x80 | 62], Index),
            ("far behind it", &[0xff, 0x80, 0x80, 0x01], Index),
            ("name behind it, kept", &[0x40 | 62, 0], Index),
            ("name behind it, not kept", &[0x0f, 47, 0], Index),
            ("name behind it, never", &[0x1f, 47, 0], Index),
            (
                "an endless integer",
                &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
                Integer,
            ),
            (
                "a large integer",
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                Integer,
            ),
            ("no name", &[0x40], Cut),
            ("a short name", &[0x40, 2, b'a'], Cut),
            ("no value", &[0x40, 1, b'a'], Cut),
            ("a short value", &[0x41, 9, b'a'], Cut),
            (
                "a length of 4 GiB",
                &[0x41, 0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f],
                Cut,
            ),
            ("an integer cut", &[0xff], Cut),
            ("padding", &[0x41, 0x81, 0b0001_1000], Padding),
            (
                "the end-of-string symbol",
                &[0x41, 0x84, 0xff, 0xff, 0xff, 0xff],
                EndOfString,
            ),
            ("a table of 4097", &[0x3f, 0xe2, 0x1f], TableSize),
            ("a size behind a field", &[0x82, 0x20], LateTableSize),
        ];
        for (what, block, want) in cases {
            let got = decode(&mut Decoder::new(4096), block);
            assert_eq!(got, Err(*want), "{what}");
        }
    }

    #[test]
    fn sizes_change_at_the_front_of_a_block() {
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, &[0x40, 1, b'a', 1, b'b']).unwrap();
        assert_eq!(decoder.table().size(), 34);
        // To nothing and back: the entry is gone.
        assert_eq!(
            decode(&mut decoder, &[0x20, 0x3f, 0xe1, 0x1f, 0x82])
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            (decoder.table().size(), decoder.table().max_size()),
            (0, 4096)
        );
        assert_eq!(decode(&mut decoder, &[0xbe]), Err(CompressionError::Index));
        let mut larger = Decoder::new(65536);
        assert_eq!(larger.table().max_size(), 4096, "until the peer asks");
        assert_eq!(decode(&mut larger, &[0x3f, 0xe1, 0xff, 0x03]), Ok(vec![]));
        assert_eq!(larger.table().max_size(), 65536);
    }

    #[test]
    fn names_have_numbers_and_secrets_are_told() {
        let mut decoder = Decoder::new(4096);
        let mut seen = Vec::new();
        let block = b"\x40\x04date\x01x\xbe\x7e\x01y\x17\x01z\x00\x04Date\x01x";
        let mut note = |field: Decoded<'_>| {
            seen.push((field.known, field.value.to_vec(), field.never_indexed));
        };
        decoder.decode_fields(block, &mut note).unwrap();
        let want = [
            (Known::Date, b"x", false),
            (Known::Date, b"x", false),
            (Known::Date, b"y", false),
            (Known::Other, b"z", true),
            (Known::Other, b"x", false),
        ];
        assert_eq!(
            seen,
            want.map(|(known, value, never)| (known, value.to_vec(), never))
        );
    }

    #[test]
    fn a_long_string_leaves_no_memory_behind() {
        let mut decoder = Decoder::new(4096);
        let mut block = bytes::BytesMut::from(&[0x01][..]);
        integer::write(KEPT, 7, 0x80, &mut block);
        block.extend_from_slice(&[0; KEPT - 1]);
        block.extend_from_slice(&[0x07]);
        decoder
            .decode(&block, |_, value| assert!(value.len() > KEPT))
            .unwrap();
        assert_eq!(decoder.plain.capacity(), 0);
    }
}
