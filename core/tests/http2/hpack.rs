//! Header compression: what is written is read, by the decoder and by the model of RFC 7541, over whole connections.

use outrigger_core::http2::hpack::Encoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::checked::model::Field;
use crate::checked::{Checked, LIMIT, blocks, encode};

/// Names of all kinds: with many entries in the static table, with one, with none; secret, moving, and of no meaning.
const NAMES: &[&str] = &[
    ":method",
    ":status",
    ":path",
    ":authority",
    "accept",
    "authorization",
    "content-length",
    "cookie",
    "grpc-timeout",
    "set-cookie",
    "te",
    "user-agent",
    "www-authenticate",
    "x-a",
    "x-b",
    "x-request-id",
];

const VALUES: &[&str] = &[
    "",
    "/",
    "200",
    "GET",
    "trailers",
    "gzip, deflate",
    "a",
    "b",
    "c",
];

fn text(usual: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => select(usual).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
        1 => vec(select(&b"abcdefghijklmnopqrstuvwxyz-0123456789"[..]), 0..900),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let parts = (text(NAMES), text(VALUES), proptest::bool::weighted(0.1));
    parts.prop_map(|(name, value, never_indexed)| Field {
        name,
        value,
        never_indexed,
    })
}

/// A size that the peer tells, now and then.
fn size() -> impl Strategy<Value = Option<u32>> {
    proptest::option::weighted(0.3, prop_oneof![0..200u32, 0..=u32::from(LIMIT)])
}

/// An integer with its prefix, written as the RFC's pseudo-code has it.
fn integer(mut value: usize, bits: u32, pattern: u8) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![pattern | value as u8];
    }
    let mut octets = vec![pattern | most as u8];
    value -= most;
    while value >= 128 {
        octets.push((value % 128 + 128) as u8);
        value /= 128;
    }
    octets.push(value as u8);
    octets
}

/// A field or a change of size in any of its forms, right or nearly so. Indices lie about where tables end.
fn representation() -> impl Strategy<Value = Vec<u8>> {
    let string = || {
        prop_oneof![
            vec(any::<u8>(), 0..6),
            vec(any::<u8>(), 0..2000),
            select(NAMES).prop_map(|name| name.as_bytes().to_vec()),
        ]
        .prop_map(|text| [integer(text.len(), 7, 0), text].concat())
    };
    // A few strings of the code: `a`, `www.example.com`, `no-cache`, one with the end in it, one badly padded.
    const CODED: &[&[u8]] = &[
        b"\x81\x1f",
        b"\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        b"\x86\xa8\xeb\x10\x64\x9c\xbf",
        b"\x84\xff\xff\xff\xff",
        b"\x81\x18",
    ];
    let string = move || prop_oneof![3 => string(), 2 => select(CODED).prop_map(<[u8]>::to_vec)];
    let named = (
        prop_oneof![1..62usize, 60..70usize],
        select(&[(6, 0x40), (4, 0), (4, 0x10)][..]),
    );
    prop_oneof![
        4 => (0..70usize).prop_map(|index| integer(index, 7, 0x80)),
        4 => (62..66usize).prop_map(|index| integer(index, 7, 0x80)),
        4 => (named, string()).prop_map(|((index, (bits, pattern)), value)| {
            [integer(index, bits, pattern), value].concat()
        }),
        3 => (select(&[0x40u8, 0, 0x10][..]), string(), string())
            .prop_map(|(first, name, value)| [vec![first], name, value].concat()),
        1 => (0..=usize::from(LIMIT) + 1).prop_map(|size| integer(size, 5, 0x20)),
        1 => vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whole connections, whose peer changes the size of its table between blocks.
    #[test]
    fn written_as_read(blocks in vec((vec(size(), 0..3), vec(field(), 0..20)), 1..12)) {
        let (mut encoder, mut peer) = (Encoder::new(), Checked::default());
        for (sizes, fields) in blocks {
            for size in sizes.into_iter().flatten() {
                encoder.set_max_table_size(size);
            }
            let block = encode(&mut encoder, &fields);
            let read = peer.decode(&block).expect("we write nothing else");
            prop_assert_eq!(read.len(), fields.len());
            for (read, field) in read.iter().zip(&fields) {
                prop_assert_eq!((&read.name, &read.value), (&field.name, &field.value));
                prop_assert!(read.never_indexed || !field.never_indexed);
            }
        }
    }

    /// Where one block ends and the next begins says nothing, but for the changes of size.
    #[test]
    fn one_block_or_many(fields in vec(field(), 0..30)) {
        let (mut one, mut many) = (Encoder::new(), Encoder::new());
        let whole = encode(&mut one, &fields);
        let parts = fields.chunks(1).map(|field| encode(&mut many, field).to_vec());
        let parts = parts.collect::<Vec<_>>().concat();
        prop_assert_eq!(&whole[..], &parts[..]);
    }

    /// Any forms of fields and sizes, as the model reads them. A block that cannot be read is taken back, so that the
    /// tables fill.
    #[test]
    fn forms_that_our_encoder_does_not_write(
        blocks in vec(vec(representation(), 1..4), 1..60),
    ) {
        let mut peer = Checked::default();
        for block in blocks {
            let before = peer.clone();
            if peer.decode(&block.concat()).is_none() {
                peer = before;
            }
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        blocks(&bytes);
    }
}
