//! Numbers as text, without allocation.

/// `value` in base 10 or 16, written into `digits`.
pub(crate) fn digits<const BASE: u64>(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[(value % BASE) as usize];
        value /= BASE;
        if value == 0 {
            break;
        }
    }
    &digits[at..]
}

/// Each octet in two digits of base 16, in lower case.
pub(crate) const HEX_PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut octet = 0;
    while octet < pairs.len() {
        pairs[octet] = hex_pair(octet as u8, b"0123456789abcdef");
        octet += 1;
    }
    pairs
};

/// An octet in two of these digits.
pub(crate) const fn hex_pair(octet: u8, digits: &[u8; 16]) -> [u8; 2] {
    [digits[(octet >> 4) as usize], digits[(octet & 15) as usize]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_the_standard_library_does() {
        for n in [0, 1, 9, 10, 255, 4096, u64::MAX] {
            let mut room = [0; 20];
            assert_eq!(digits::<10>(n, &mut room), n.to_string().as_bytes());
            assert_eq!(digits::<16>(n, &mut room), format!("{n:x}").as_bytes());
        }
    }
}
