//! Octets of field names and values, eight at a time: most fields are too short for wider vectors to pay.

/// The same octet eight times.
const fn eight(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; 8])
}

/// Whether there is a control character other than HTAB, which no value may have (RFC 9110 §5.5).
pub(crate) fn has_control(octets: &[u8]) -> bool {
    let (eights, _) = octets.as_chunks::<8>();
    let mut found = 0;
    for octets in eights {
        found |= controls(u64::from_ne_bytes(*octets));
    }
    // What is left over is looked at together with what stands before it.
    if let Some(last) = octets.last_chunk() {
        found |= controls(u64::from_ne_bytes(*last));
    } else if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
        let both = u64::from(u32::from_ne_bytes(*first)) << 32;
        found |= controls(both | u64::from(u32::from_ne_bytes(*last)));
    } else {
        let is_control = |octet: &u8| octet.is_ascii_control() && *octet != b'\t';
        return octets.iter().any(is_control);
    }
    found != 0
}

/// The high bit of each of eight octets that is a control character other than HTAB.
const fn controls(octets: u64) -> u64 {
    // No sum of seven bits and seven bits reaches the next octet.
    let low = octets & eight(0x7f);
    let is_visible = low + eight(0x80 - b' ');
    let is_no_tab = (low ^ eight(b'\t')) + eight(0x7f);
    let is_no_delete = (low ^ eight(0x7f)) + eight(0x7f);
    (!is_visible & is_no_tab | !is_no_delete) & !octets & eight(0x80)
}

/// Whether each is a visible character of ASCII.
pub(crate) fn are_visible(octets: &[u8]) -> bool {
    let (eights, _) = octets.as_chunks::<8>();
    let mut found = 0;
    for octets in eights {
        found |= invisible(u64::from_ne_bytes(*octets));
    }
    // As above.
    if let Some(last) = octets.last_chunk() {
        found |= invisible(u64::from_ne_bytes(*last));
    } else {
        return octets.iter().all(u8::is_ascii_graphic);
    }
    found == 0
}

/// The high bit of each of eight octets that is not a visible character.
const fn invisible(octets: u64) -> u64 {
    let low = octets & eight(0x7f);
    let is_visible = low + eight(0x80 - b'!');
    let is_no_delete = (low ^ eight(0x7f)) + eight(0x7f);
    (octets | !is_visible | !is_no_delete) & eight(0x80)
}

/// Makes letters of ASCII small.
pub(super) fn make_lower(octets: &mut [u8]) {
    let (eights, _) = octets.as_chunks_mut::<8>();
    for octets in eights {
        *octets = lower(u64::from_ne_bytes(*octets)).to_ne_bytes();
    }
    // As above; what is small already stays so.
    if let Some(last) = octets.last_chunk_mut() {
        *last = lower(u64::from_ne_bytes(*last)).to_ne_bytes();
    } else {
        for octet in octets {
            octet.make_ascii_lowercase();
        }
    }
}

/// Eight octets with small letters.
const fn lower(octets: u64) -> u64 {
    let low = octets & eight(0x7f);
    let is_from_a = low + eight(0x80 - b'A');
    let is_after_z = low + eight(0x7f - b'Z');
    let is_capital = is_from_a & !is_after_z & !octets & eight(0x80);
    octets | is_capital >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each octet at each place of texts of each length.
    #[test]
    fn octets_are_judged_and_changed_one_by_one() {
        for (length, octet) in (1..20).flat_map(|len| (0..=255).map(move |octet| (len, octet))) {
            for at in 0..length {
                let mut octets = vec![b'Q'; length];
                octets[at] = octet;
                let is_control = octet.is_ascii_control() && octet != b'\t';
                assert_eq!(has_control(&octets), is_control, "{octets:?}");
                assert_eq!(are_visible(&octets), octet.is_ascii_graphic(), "{octets:?}");
                let small = octets.to_ascii_lowercase();
                make_lower(&mut octets);
                assert_eq!(octets, small);
            }
        }
        assert!(!has_control(b"") && are_visible(b""));
        make_lower(&mut []);
    }
}
