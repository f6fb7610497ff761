//! Header compression (RFC 7541): blocks of bytes to fields and back, in step with the peer.
//!
//! Owns the two tables, the codes of integers and strings, and which fields are worth a place in the peer's table. What a
//! field means, and which fields may stand in a head, is decided elsewhere; so is how much of a list is taken, for the
//! decoder must read every block to its end to stay in step.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod names;
mod static_table;
mod table;

pub use decoder::{Decoded, Decoder};
pub use encoder::Encoder;

/// What an entry of a table is counted for beside its name and value, in bytes (RFC 7541 §4.1). A list of fields is counted
/// in the same way (RFC 9113 §6.5.2).
pub const ENTRY_OVERHEAD: usize = 32;

/// The size of both tables before anybody asks for another (RFC 9113 §6.5.2, `SETTINGS_HEADER_TABLE_SIZE`), in bytes.
pub const INITIAL_TABLE_SIZE: usize = 4096;

/// Why a header block cannot be read. The tables are out of step from then on: the connection ends with
/// `COMPRESSION_ERROR` (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionError {
    /// The block ends inside a field (RFC 7541 §3.1).
    Cut,
    /// An integer is 2^32 or more, or has more than five octets behind its prefix (RFC 7541 §5.1).
    Integer,
    /// A string's padding is 8 bits or longer, or not all ones (RFC 7541 §5.2).
    Padding,
    /// A string has the symbol for its own end in it (RFC 7541 §5.2).
    EndOfString,
    /// An index is 0, or larger than both tables are long (RFC 7541 §2.3.3, §6.1).
    Index,
    /// The peer asks for a larger table than it was allowed (RFC 7541 §6.3).
    TableSize,
    /// A table's size changes behind the first field of a block (RFC 7541 §4.2).
    LateTableSize,
}

impl CompressionError {
    /// In words, for the story of a connection and for GOAWAY.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "a header block ends inside a field",
            Self::Integer => "an integer of a header block is too large",
            Self::Padding => "the padding of a Huffman-coded string is wrong",
            Self::EndOfString => "a Huffman-coded string has the end-of-string symbol in it",
            Self::Index => "a header block refers to an entry that no table has",
            Self::TableSize => "a header block asks for a larger table than is allowed",
            Self::LateTableSize => "a header block changes the table's size behind a field",
        }
    }
}

#[cfg(test)]
mod vectors;
