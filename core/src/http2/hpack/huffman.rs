//! The Huffman code of strings (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and each length goes on
//! where the shorter one ended. So the lengths are all of appendix B that has to stand here; codes and tables follow.

use bytes::{BufMut, BytesMut};

use super::CompressionError;

/// Octets, and the symbol that must not be sent.
const SYMBOLS: usize = 257;

/// The end-of-string symbol.
const END: u16 = 256;

/// The longest code, in bits.
const LONGEST: usize = 30;

/// How many bits the code of each symbol has.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11,
    10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8,
    15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21,
    23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25,
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26,
    28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// All codes of one length.
#[derive(Clone, Copy)]
struct Group {
    length: u32,
    /// The last code, at the top of 32 bits, with ones behind it.
    last: u32,
    /// The first code, at the top of 32 bits.
    first: u32,
    /// Where the symbols of these codes begin in [`Tables::order`].
    begins: usize,
}

struct Tables {
    /// The code of each symbol, at the bottom.
    codes: [u32; SYMBOLS],
    /// The code of each octet, above six bits with the length of that: what is needed to write it, at one place.
    packed: [u64; 256],
    /// Symbols in the order of their codes.
    order: [u16; SYMBOLS],
    /// By length; lengths that no code has are empty.
    groups: [Group; LONGEST + 1],
    /// By the first eight bits: the symbol and the length of its code, or 0 where eight bits do not tell.
    short: [(u8, u8); 256],
}

static TABLES: Tables = tables();

/// The shortest code that eight bits do not hold.
const FIRST_LONG: usize = 9;

const fn tables() -> Tables {
    let nothing = Group {
        length: 0,
        last: 0,
        first: u32::MAX,
        begins: 0,
    };
    let mut tables = Tables {
        codes: [0; SYMBOLS],
        packed: [0; 256],
        order: [0; SYMBOLS],
        groups: [nothing; LONGEST + 1],
        short: [(0, 0); 256],
    };
    let (mut length, mut code, mut filled) = (1, 0u64, 0);
    while length <= LONGEST {
        let (first, begins) = (code, filled);
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                tables.codes[symbol] = code as u32;
                tables.order[filled] = symbol as u16;
                code += 1;
                filled += 1;
            }
            symbol += 1;
        }
        let unused = 32 - length as u32;
        if filled > begins {
            tables.groups[length] = Group {
                length: length as u32,
                last: ((code << unused) - 1) as u32,
                first: (first << unused) as u32,
                begins,
            };
        }
        code <<= 1;
        length += 1;
    }
    assert!(filled == SYMBOLS && code == 1 << (LONGEST + 1));
    fill_lookups(&mut tables);
    tables
}

const fn fill_lookups(tables: &mut Tables) {
    let mut symbol = 0;
    while symbol < SYMBOLS {
        let length = LENGTHS[symbol];
        if symbol < 256 {
            tables.packed[symbol] = ((tables.codes[symbol] as u64) << 6) | length as u64;
        }
        if length <= 8 {
            let unused = 8 - length as u32;
            let first = tables.codes[symbol] << unused;
            let mut at = first;
            while at < first + (1 << unused) {
                tables.short[at as usize] = (symbol as u8, length);
                at += 1;
            }
        }
        symbol += 1;
    }
}

/// Appends what a string says.
pub(super) fn decode(mut coded: &[u8], into: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut end = into.len();
    // No code is shorter than five bits. Cut to what was written below.
    into.resize(end + coded.len() * 8 / 5, 0);
    let decoded = symbols(&mut coded, |symbol| {
        if let Some(place) = into.get_mut(end) {
            *place = symbol;
        }
        end += 1;
    });
    into.truncate(end);
    decoded
}

/// Tells each symbol of a string.
fn symbols(coded: &mut &[u8], mut put: impl FnMut(u8)) -> Result<(), CompressionError> {
    // The next bits, at the top; below those that are there it is all zeros.
    let (mut window, mut there) = (0u64, 0u32);
    loop {
        refill(coded, &mut window, &mut there);
        while there >= 8 {
            let (symbol, length) = TABLES.short[(window >> 56) as usize];
            if length == 0 {
                break;
            }
            put(symbol);
            window <<= length;
            there -= u32::from(length);
        }
        if there < 32 && !coded.is_empty() {
            continue;
        }
        // The rest of the string, or a long code. RFC 7541 §5.2: it is padded with the first bits of the end-of-string
        // symbol, all of which are ones. `there` is below 64.
        let padded = window | (u64::MAX >> there);
        if there < 8 && padded == u64::MAX {
            return Ok(());
        }
        let (symbol, length) = next(padded);
        if length > there {
            return Err(CompressionError::Padding);
        }
        put(u8::try_from(symbol).map_err(|_| CompressionError::EndOfString)?);
        window <<= length;
        there -= length;
    }
}

/// Moves octets from `coded` into the window until it holds at least 32 bits, and fewer than 64, or `coded` is empty.
fn refill(coded: &mut &[u8], window: &mut u64, there: &mut u32) {
    if *there >= 32 {
        return;
    }
    if let Some((four, rest)) = coded.split_first_chunk::<4>() {
        *window |= u64::from(u32::from_be_bytes(*four)) << (32 - *there);
        *there += 32;
        *coded = rest;
        return;
    }
    while let [octet, rest @ ..] = *coded {
        *window |= u64::from(*octet) << (56 - *there);
        *there += 8;
        *coded = rest;
    }
}

/// The symbol whose code is at the top of the window, and the length of that.
fn next(window: u64) -> (u16, u32) {
    let (symbol, length) = TABLES.short[(window >> 56) as usize];
    if length != 0 {
        return (u16::from(symbol), u32::from(length));
    }
    let top = (window >> 32) as u32;
    let group = TABLES.groups[FIRST_LONG..].iter();
    // The last group ends with all ones, so there is one.
    group
        .filter(|group| group.length != 0)
        .find(|group| top <= group.last)
        .map_or((END, LONGEST as u32), |group| {
            let at = (top - group.first) >> (32 - group.length);
            let symbol = TABLES.order.get(group.begins + at as usize);
            (symbol.copied().unwrap_or(END), group.length)
        })
}

/// How many octets a string takes.
pub(super) fn encoded_len(plain: &[u8]) -> usize {
    let bits = plain.iter().map(|octet| LENGTHS[usize::from(*octet)]);
    bits.map(usize::from).sum::<usize>().div_ceil(8)
}

/// Appends a string in the code.
pub(super) fn encode(plain: &[u8], out: &mut BytesMut) {
    // Bits that were not appended yet, at the bottom; fewer than 32.
    let (mut window, mut there) = (0u64, 0u32);
    for octet in plain {
        let packed = TABLES.packed[usize::from(*octet)];
        let length = packed as u32 & 63;
        window = (window << length) | (packed >> 6);
        there += length;
        if there >= 32 {
            there -= 32;
            out.put_u32((window >> there) as u32);
        }
    }
    let padding = there.wrapping_neg() % 8;
    window = (window << padding) | ((1 << padding) - 1);
    there += padding;
    while there > 0 {
        there -= 8;
        out.put_u8((window >> there) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut plain = Vec::new();
        decode(coded, &mut plain).map(|()| plain)
    }

    fn encoded(plain: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode(plain, &mut out);
        assert_eq!(out.len(), encoded_len(plain));
        out.to_vec()
    }

    /// Rows of appendix B as they stand there: one of each length, and the last.
    #[test]
    fn codes_are_those_of_appendix_b() {
        let rows: &[(usize, u32, u8)] = &[
            (b'0' as usize, 0x0, 5),
            (b't' as usize, 0x9, 5),
            (b' ' as usize, 0x14, 6),
            (b'u' as usize, 0x2d, 6),
            (b':' as usize, 0x5c, 7),
            (b'z' as usize, 0x7b, 7),
            (b'&' as usize, 0xf8, 8),
            (b'Z' as usize, 0xfd, 8),
            (b'!' as usize, 0x3f8, 10),
            (b'\'' as usize, 0x7fa, 11),
            (b'#' as usize, 0xffa, 12),
            (0, 0x1ff8, 13),
            (b'^' as usize, 0x3ffc, 14),
            (b'<' as usize, 0x7ffc, 15),
            (b'\\' as usize, 0x7fff0, 19),
            (128, 0xfffe6, 20),
            (153, 0x1f_ffdc, 21),
            (129, 0x3f_ffd2, 22),
            (1, 0x7f_ffd8, 23),
            (9, 0xff_ffea, 24),
            (199, 0x1ff_ffec, 25),
            (192, 0x3ff_ffe0, 26),
            (203, 0x7ff_ffde, 27),
            (2, 0xfff_ffe2, 28),
            (249, 0xfff_fffe, 28),
            (10, 0x3fff_fffc, 30),
            (256, 0x3fff_ffff, 30),
        ];
        for (symbol, code, length) in rows {
            assert_eq!(TABLES.codes[*symbol], *code, "{symbol}");
            assert_eq!(LENGTHS[*symbol], *length, "{symbol}");
        }
    }

    #[test]
    fn each_octet_alone_and_between_others() {
        for octet in 0..=u8::MAX {
            for plain in [
                &[octet][..],
                &[octet; 9],
                &[b'a', octet, b'/'],
                &[b'&', octet],
            ] {
                assert_eq!(decoded(&encoded(plain)).as_deref(), Ok(plain));
            }
        }
    }

    #[test]
    fn what_is_not_a_string() {
        use CompressionError::{EndOfString, Padding};
        type Want<'a> = Result<&'a [u8], CompressionError>;
        let cases: &[(&[u8], Want<'_>)] = &[
            (&[], Ok(b"")),
            // `a` is 00011.
            (&[0b0001_1111], Ok(b"a")),
            (&[0b0001_1110], Err(Padding)),
            (&[0b0001_1000], Err(Padding)),
            (&[0b0001_1111, 0xff], Err(Padding)),
            (&[0xff], Err(Padding)),
            (&[0xfe], Err(Padding)),
            // `0` is 00000, so eight octets of zeros end with four bits that are nothing.
            (&[0; 8], Err(Padding)),
            (&[0; 5], Ok(b"00000000")),
            // `Z` is 11111101: no padding at all.
            (&[0b1111_1101], Ok(b"Z")),
            (&[0xff, 0xff, 0xff, 0xff], Err(EndOfString)),
            (&[0xff, 0xff, 0xff, 0xfc], Err(EndOfString)),
            (&[0x1f, 0xff, 0xff, 0xff, 0xff], Err(EndOfString)),
            // The beginning of a long code, and no more.
            (&[0xff, 0xff, 0xfa], Err(Padding)),
        ];
        for (coded, want) in cases {
            assert_eq!(
                decoded(coded).as_deref(),
                want.as_ref().map(|p| *p),
                "{coded:x?}"
            );
        }
    }

    /// Whatever decodes is written again as it was: there is one way to write a string.
    #[test]
    fn all_short_strings() {
        for bits in 0..=0xffff_u16 {
            let coded = bits.to_be_bytes();
            if let Ok(plain) = decoded(&coded) {
                assert_eq!(encoded(&plain), coded);
            }
        }
    }
}
