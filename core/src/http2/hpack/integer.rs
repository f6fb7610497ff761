//! Integers with a prefix of some bits (RFC 7541 §5.1).

use bytes::{BufMut, BytesMut};

use super::CompressionError;

/// More octets than this behind a prefix say nothing that 32 bits can hold.
const MOST_OCTETS: u32 = 5;

/// Takes an integer from the front of `input`, whose prefix is the low `bits` (1 to 8) of its first octet.
pub(super) fn read(input: &mut &[u8], bits: u32) -> Result<usize, CompressionError> {
    let (first, mut rest) = input.split_first().ok_or(CompressionError::Cut)?;
    let most = u8::MAX >> (8 - bits);
    let mut value = u64::from(first & most);
    if first & most == most {
        let mut octets = 0;
        loop {
            let (octet, behind) = rest.split_first().ok_or(CompressionError::Cut)?;
            rest = behind;
            value += u64::from(octet & 0x7f) << (7 * octets);
            if octet & 0x80 == 0 {
                break;
            }
            octets += 1;
            if octets == MOST_OCTETS {
                return Err(CompressionError::Integer);
            }
        }
    }
    *input = rest;
    let value = u32::try_from(value).map_err(|_| CompressionError::Integer)?;
    usize::try_from(value).map_err(|_| CompressionError::Integer)
}

/// Appends an integer whose prefix is the low `bits` (1 to 8) of its first octet; `pattern` is the rest of that octet.
pub(super) fn write(value: usize, bits: u32, pattern: u8, out: &mut BytesMut) {
    let most = usize::from(u8::MAX >> (8 - bits));
    if value < most {
        out.put_u8(pattern | value as u8);
        return;
    }
    out.put_u8(pattern | most as u8);
    let mut left = value - most;
    while left >= 0x80 {
        out.put_u8(left as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_refused() {
        use CompressionError::{Cut, Integer};
        type Want = Result<(usize, usize), CompressionError>;
        let cases: &[(u32, &[u8], Want)] = &[
            // RFC 7541 §C.1.
            (5, &[0b1010], Ok((10, 0))),
            (5, &[0b1110_1010], Ok((10, 0))),
            (5, &[31, 154, 10], Ok((1337, 0))),
            (8, &[42], Ok((42, 0))),
            (5, &[31, 154, 10, 9, 9], Ok((1337, 2))),
            (7, &[0xff, 0], Ok((127, 0))),
            (7, &[0xfe, 0], Ok((126, 1))),
            (4, &[0x0f, 0x80, 0x00], Ok((15, 0))),
            (
                8,
                &[0xff, 0x80, 0xfe, 0xff, 0xff, 0x0f],
                Ok((0xffff_ffff, 0)),
            ),
            (8, &[0xff, 0x81, 0xfe, 0xff, 0xff, 0x0f], Err(Integer)),
            (7, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00], Ok((127, 0))),
            (7, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x10], Err(Integer)),
            (7, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], Err(Integer)),
            (7, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(Integer)),
            (1, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Integer)),
            (5, &[], Err(Cut)),
            (5, &[31], Err(Cut)),
            (5, &[31, 154], Err(Cut)),
        ];
        for (bits, octets, want) in cases {
            let mut input = *octets;
            let got = read(&mut input, *bits).map(|value| (value, input.len()));
            assert_eq!(got, *want, "{bits} {octets:?}");
        }
    }

    #[test]
    fn written_as_read() {
        let values = (0..300).chain((0..=31).flat_map(|bit| {
            let power = 1usize << bit;
            [power - 1, power, power + 1]
        }));
        for value in values.chain([u32::MAX as usize]) {
            for bits in 1..=8 {
                let pattern = !(u8::MAX >> (8 - bits));
                let mut out = BytesMut::new();
                write(value, bits, pattern, &mut out);
                assert_eq!(out[0] & pattern, pattern);
                let mut input = &out[..];
                assert_eq!(read(&mut input, bits), Ok(value));
                assert!(input.is_empty());
            }
        }
    }
}
