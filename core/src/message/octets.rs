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

/// Whether each may stand in a target as it is: a visible character of ASCII that begins no fragment.
pub(crate) fn are_of_target(octets: &[u8]) -> bool {
    let hash = |eight_octets: u64| {
        let is_other = ((eight_octets ^ eight(b'#')) & eight(0x7f)) + eight(0x7f);
        !is_other & eight(0x80)
    };
    let (eights, _) = octets.as_chunks::<8>();
    let mut found = 0;
    for octets in eights {
        let octets = u64::from_ne_bytes(*octets);
        found |= invisible(octets) | hash(octets);
    }
    // As above.
    if let Some(last) = octets.last_chunk() {
        let octets = u64::from_ne_bytes(*last);
        found |= invisible(octets) | hash(octets);
    } else {
        return octets.iter().all(|b| b.is_ascii_graphic() && *b != b'#');
    }
    found == 0
}

/// Whether each is what is asked for. Octets are judged sixteen at a time, all of them, so this is for texts that mostly are,
/// and for questions without branches.
#[inline]
pub(crate) fn are_all(octets: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let is_none = |octets: &[u8; 16]| {
        octets
            .iter()
            .fold(false, |found, octet| found | !is(*octet))
    };
    let (sixteens, _) = octets.as_chunks::<16>();
    let mut found = false;
    for octets in sixteens {
        found |= is_none(octets);
    }
    // As above.
    match octets.last_chunk() {
        Some(last) => !found & !is_none(last),
        None => octets.iter().all(|octet| is(*octet)),
    }
}

/// Whether two texts of one length are the same: most are shorter than what a call for it costs.
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    debug_assert_eq!(one.len(), other.len(), "texts of one length");
    let differ = |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    if let (Some(a), Some(b)) = (one.last_chunk(), other.last_chunk()) {
        let ((ones, _), (others, _)) = (one.as_chunks(), other.as_chunks());
        let eights = ones.iter().zip(others);
        return eights.fold(differ(a, b), |found, (a, b)| found | differ(a, b)) == 0;
    }
    let ends = |octets: &[u8]| Some((*octets.first_chunk::<4>()?, *octets.last_chunk::<4>()?));
    match (ends(one), ends(other)) {
        (Some(a), Some(b)) => a == b,
        _ => one == other,
    }
}

/// Where the next control character is, from one octet on; HTAB is one here.
pub(crate) fn next_control(octets: &[u8], from: usize) -> Option<usize> {
    // Of what a difference borrows, only octets behind the first one found know.
    let found = |octets: u64| {
        let delete = octets ^ eight(0x7f);
        let is_low = octets.wrapping_sub(eight(b' ')) & !octets;
        let is_delete = delete.wrapping_sub(eight(1)) & !delete;
        (is_low | is_delete) & eight(0x80)
    };
    next(octets, from, found, |octet| octet.is_ascii_control())
}

/// Where the next octet is, from one on, of which few names of fields are made: no letter, digit or hyphen.
pub(crate) fn next_no_name(octets: &[u8], from: usize) -> Option<usize> {
    let found = |octets: u64| {
        let (low, small) = (octets & eight(0x7f), (octets | eight(0x20)) & eight(0x7f));
        let is_letter = (small + eight(0x80 - b'a')) & !(small + eight(0x7f - b'z'));
        let is_digit = (low + eight(0x80 - b'0')) & !(low + eight(0x7f - b'9'));
        let is_no_hyphen = (low ^ eight(b'-')) + eight(0x7f);
        (!is_letter & !is_digit & is_no_hyphen | octets) & eight(0x80)
    };
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    next(octets, from, found, |octet| !is_name(octet))
}

/// The first octet that is found, from one on. `found` sets the high bit of each of eight octets; of the first one it is right.
#[inline]
fn next(
    octets: &[u8],
    from: usize,
    found: impl Fn(u64) -> u64,
    is_found: impl Fn(u8) -> bool,
) -> Option<usize> {
    let mut at = from;
    loop {
        let Some(eight) = octets.get(at..).and_then(<[u8]>::first_chunk) else {
            let rest = octets.get(at..)?;
            return rest
                .iter()
                .position(|octet| is_found(*octet))
                .map(|behind| at + behind);
        };
        let marks = found(u64::from_le_bytes(*eight));
        if marks != 0 {
            return Some(at + (marks.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
}

/// Makes letters of ASCII small.
pub(crate) fn make_lower(octets: &mut [u8]) {
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
        for (length, octet) in (1..40).flat_map(|len| (0..=255).map(move |octet| (len, octet))) {
            for at in 0..length {
                let mut octets = vec![b'Q'; length];
                octets[at] = octet;
                let is_control = octet.is_ascii_control() && octet != b'\t';
                assert_eq!(has_control(&octets), is_control, "{octets:?}");
                assert_eq!(are_visible(&octets), octet.is_ascii_graphic(), "{octets:?}");
                let is_of_target = octet.is_ascii_graphic() && octet != b'#';
                assert_eq!(are_of_target(&octets), is_of_target, "{octets:?}");
                assert_eq!(
                    are_all(&octets, |octet| octet.is_ascii_graphic()),
                    octet.is_ascii_graphic(),
                    "{octets:?}"
                );
                let is_name = octet.is_ascii_alphanumeric() || octet == b'-';
                for from in [0, at] {
                    let control = octet.is_ascii_control().then_some(at);
                    assert_eq!(next_control(&octets, from), control, "{octets:?}");
                    let no_name = (!is_name).then_some(at);
                    assert_eq!(next_no_name(&octets, from), no_name, "{octets:?}");
                }
                let alike = vec![b'Q'; length];
                assert_eq!(are_same(&octets, &alike), octet == b'Q', "{octets:?}");
                let small = octets.to_ascii_lowercase();
                make_lower(&mut octets);
                assert_eq!(octets, small);
            }
        }
        assert!(!has_control(b"") && are_visible(b"") && are_of_target(b""));
        make_lower(&mut []);
        // The first one counts, whatever follows.
        let mixed = b"QQ\x01\x00\x7f\x1f\r\n\x80\xff: ";
        assert_eq!(next_control(mixed, 0), Some(2));
        assert_eq!(next_control(mixed, 4), Some(4));
        assert_eq!(next_no_name(mixed, 8), Some(8));
        assert_eq!((next_control(b"", 0), next_no_name(b"a", 2)), (None, None));
    }
}
