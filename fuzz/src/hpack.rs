//! What must hold for header compression whatever bytes it is fed: the decoder reads what a slow [`model`] reads, field by
//! field and block by block, wherever a block is cut; and what the encoder makes of it reads the same again, for the
//! decoder and for the model. The fuzz target calls [`blocks`]; core's tests replay the corpus through it and build their
//! properties on [`Checked`].

#[path = "hpack/model.rs"]
pub mod model;

use bytes::BytesMut;
use outrigger_core::http2::hpack::{CompressionError, Decoder, Encoder};

use model::{Field, Model};

/// Larger than a table is at first, so that growing is seen too.
pub const LIMIT: u16 = 5000;

/// A decoder and its model in step.
#[derive(Clone, Debug)]
pub struct Checked {
    decoder: Decoder,
    model: Model,
}

impl Default for Checked {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(LIMIT.into()),
            model: Model::new(LIMIT.into()),
        }
    }
}

impl Checked {
    /// The fields of a block, as both read it; `None` when neither can.
    pub fn decode(&mut self, block: &[u8]) -> Option<Vec<Field>> {
        let (fields, read) = fields(&mut self.decoder, block);
        let (want, end) = self.model.decode(block);
        assert_eq!(fields, want);
        assert_eq!(read.is_ok(), end.is_ok(), "{read:?}");
        read.is_ok().then_some(fields)
    }
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> (Vec<Field>, Result<(), CompressionError>) {
    let mut fields = Vec::new();
    let read = decoder.decode_fields(block, |field| {
        fields.push(Field {
            name: field.name.to_vec(),
            value: field.value.to_vec(),
            never_indexed: field.never_indexed,
        });
    });
    (fields, read)
}

/// Writes fields as one block.
pub fn encode(encoder: &mut Encoder, fields: &[Field]) -> BytesMut {
    let mut block = BytesMut::new();
    encoder.begin(&mut block);
    for field in fields {
        if field.never_indexed {
            encoder.never_indexed(&field.name, &field.value, &mut block);
        } else {
            encoder.field(&field.name, &field.value, &mut block);
        }
    }
    block
}

/// Takes bytes for the blocks of one connection, each behind an octet with its length.
pub fn blocks(mut bytes: &[u8]) {
    let mut there = Checked::default();
    let mut back = (Encoder::new(), Checked::default());
    while let [length, rest @ ..] = bytes {
        let (block, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let before = there.clone();
        let Some(fields) = there.decode(block) else {
            return;
        };
        cut(before, block, &fields);
        // Any size, to be told in front of the block; both sides may have 4096 at least.
        back.0.set_max_table_size(u32::from(*length) * 32);
        let again = encode(&mut back.0, &fields);
        let read = back.1.decode(&again).map(|read| {
            let plain = |field: &Field| (field.name.clone(), field.value.clone());
            read.iter().map(plain).collect::<Vec<_>>()
        });
        let want = fields.iter().map(|f| (f.name.clone(), f.value.clone()));
        assert_eq!(read, Some(want.collect()));
    }
}

/// A block that ends early tells the beginning of its fields; the rest of it tells the rest, if it ended between two.
fn cut(before: Checked, block: &[u8], fields: &[Field]) {
    for at in 0..block.len() {
        let mut decoder = before.decoder.clone();
        let (first, whole) = self::fields(&mut decoder, &block[..at]);
        assert_eq!(first, fields[..first.len()]);
        if whole.is_ok() {
            let (second, _) = self::fields(&mut decoder, &block[at..]);
            assert_eq!(second, fields[first.len()..]);
        }
    }
}
