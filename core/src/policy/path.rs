//! Path normalisation: what happens to a request target before anything looks at it.
//!
//! Order and words are Envoy's (`#` is refused; escaped slashes, then RFC 3986, then runs of slashes), the choice is
//! Istio's `meshConfig.pathNormalization`. Every step but the last only shortens the path, so they happen in place, and a
//! path with nothing to do is only read. The last one encodes what no URI holds as it stands, as Envoy's canonicalizer
//! does: rules, authorization and the service then see one path. The query is never touched.

use crate::snapshot::PathNormalization;

/// The path cannot be normalised: answer 400, details `path_normalization_failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRefused;

/// Response code details of a [`PathRefused`].
pub const REFUSED_DETAILS: &str = "path_normalization_failed";

/// Normalises path and query in place. A target that does not begin with `/` (`*`, CONNECT) has no path and stays.
///
/// # Errors
/// A fragment (`#`) anywhere, or an encoded NUL in a path that is normalised.
pub fn normalize(target: &mut Vec<u8>, how: PathNormalization) -> Result<(), PathRefused> {
    let (unescape_slashes, merge_slashes) = match how {
        PathNormalization::None | PathNormalization::Base => (false, false),
        PathNormalization::MergeSlashes => (false, true),
        PathNormalization::DecodeAndMergeSlashes => (true, true),
    };
    let (end, needs_work) = look_through(target, merge_slashes)?;
    let has_path = target.first() == Some(&b'/');
    if !needs_work || !has_path || how == PathNormalization::None {
        return Ok(());
    }
    let path = &mut target[..end];
    let mut len = unescape(path, unescape_slashes)?;
    len = remove_dot_segments(&mut path[..len]);
    if merge_slashes {
        len = merge(&mut path[..len]);
    }
    target.drain(len..end);
    encode(target, len);
    Ok(())
}

/// Where the path ends, and whether any step could change it.
fn look_through(target: &[u8], merge_slashes: bool) -> Result<(usize, bool), PathRefused> {
    let (mut needs_work, mut before) = (false, 0);
    for (at, octet) in target.iter().enumerate() {
        match LOOKED_AT[usize::from(*octet)] {
            Look::Past => {}
            Look::Fragment => return Err(PathRefused),
            Look::Query => {
                return match memchr::memchr(b'#', &target[at..]) {
                    Some(_) => Err(PathRefused),
                    None => Ok((at, needs_work)),
                };
            }
            Look::Change => needs_work = true,
            Look::Slash => needs_work |= merge_slashes && before == b'/',
            Look::Dot => needs_work |= before == b'/',
        }
        before = *octet;
    }
    Ok((target.len(), needs_work))
}

/// What an octet of a target may mean.
#[derive(Clone, Copy)]
enum Look {
    Past,
    Fragment,
    Query,
    /// A step changes it, or may.
    Change,
    Slash,
    Dot,
}

/// Each octet is looked up once, in place of a search for each kind: paths are short.
const LOOKED_AT: [Look; 256] = {
    let mut table = [Look::Past; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match octet as u8 {
            b'#' => Look::Fragment,
            b'?' => Look::Query,
            b'/' => Look::Slash,
            b'.' => Look::Dot,
            b'%' | b'\\' => Look::Change,
            _ if MUST_BE_ENCODED[octet] => Look::Change,
            _ => Look::Past,
        };
        octet += 1;
    }
    table
};

/// Decodes unreserved characters (RFC 3986 §2.3), and slashes when asked to; turns `\` into `/`. Returns the new length.
/// Other escapes stay as they are, letter case included; so do percent signs that begin no escape.
fn unescape(path: &mut [u8], slashes: bool) -> Result<usize, PathRefused> {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        let decoded = escape_at(path, read);
        let (byte, width) = match decoded {
            Some(0) => return Err(PathRefused),
            Some(b'/' | b'\\') if slashes => (b'/', 3),
            Some(byte) if is_unreserved(byte) => (byte, 3),
            Some(_) => {
                path.copy_within(read..read + 3, write);
                read += 3;
                write += 3;
                continue;
            }
            None if path[read] == b'\\' => (b'/', 1),
            None => (path[read], 1),
        };
        path[write] = byte;
        write += 1;
        read += width;
    }
    Ok(write)
}

/// The byte that a percent escape at `at` stands for.
fn escape_at(path: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low, ..] = path.get(at..)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §5.2.4 for a path that begins with a slash. Returns the new length.
fn remove_dot_segments(path: &mut [u8]) -> usize {
    // `path[..write]` is done and has no trailing slash; `path[read]` is the slash before the next segment.
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        let rest = &path[read + 1..];
        let len = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let is_last = read + 1 + len == path.len();
        let dots = dots_of(&rest[..len]);
        if dots == 2 {
            write = memchr::memrchr(b'/', &path[..write]).unwrap_or(0);
        }
        if dots == 0 {
            path.copy_within(read..read + 1 + len, write);
            write += 1 + len;
        } else if is_last {
            path[write] = b'/';
            write += 1;
        }
        read += 1 + len;
    }
    write
}

/// How many dots a dot segment has, 0 for any other. What follows `;` is a parameter (RFC 3986 §3.3): servers that take
/// parameters off before they resolve dots go up at `..;`, so what guards them has to do the same (CVE-2026-73551).
fn dots_of(segment: &[u8]) -> usize {
    let name = memchr::memchr(b';', segment).map_or(segment, |at| &segment[..at]);
    match name {
        b"." => 1,
        b".." => 2,
        _ => 0,
    }
}

/// What RFC 3986 §3.3 does not allow in a path: controls, blanks, `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}`, and bytes
/// that are not ASCII. `[` and `]` are left alone, as Envoy leaves them.
const MUST_BE_ENCODED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte <= 0x20
            || byte >= 0x7f
            || matches!(
                byte as u8,
                b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'
            );
        byte += 1;
    }
    table
};

/// Percent-encodes what a path may not hold in the first `len` bytes. Grows the target by two bytes for each.
fn encode(target: &mut Vec<u8>, len: usize) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let is_doomed = |byte: u8| MUST_BE_ENCODED[usize::from(byte)];
    let count = target[..len]
        .iter()
        .filter(|&&byte| is_doomed(byte))
        .count();
    if count == 0 {
        return;
    }
    let old = target.len();
    target.resize(old + 2 * count, 0);
    target.copy_within(len..old, len + 2 * count);
    // From the end, so that nothing is overwritten before it is read.
    let mut write = len + 2 * count;
    for read in (0..len).rev() {
        let byte = target[read];
        if is_doomed(byte) {
            write -= 3;
            target[write] = b'%';
            target[write + 1] = DIGITS[usize::from(byte >> 4)];
            target[write + 2] = DIGITS[usize::from(byte & 15)];
        } else {
            write -= 1;
            target[write] = byte;
        }
    }
}

/// Turns runs of slashes into one. Returns the new length.
fn merge(path: &mut [u8]) -> usize {
    let mut write = 0;
    for read in 0..path.len() {
        if path[read] == b'/' && write > 0 && path[write - 1] == b'/' {
            continue;
        }
        path[write] = path[read];
        write += 1;
    }
    write
}

#[cfg(test)]
mod tests {
    use super::PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None as Keep};
    use super::*;
    use proptest::prelude::*;

    fn normalized(target: &str, how: PathNormalization) -> Result<String, PathRefused> {
        let mut bytes = target.as_bytes().to_vec();
        normalize(&mut bytes, how)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn each_choice_does_what_it_says() {
        for (target, how, want) in [
            ("/a/b?x=/../y", Base, "/a/b?x=/../y"),
            ("/x/../exact", Base, "/exact"),
            ("/./pre", Base, "/pre"),
            ("//exact", Base, "//exact"),
            ("/%65xact", Base, "/exact"),
            ("/x/%2e%2E/exact", Base, "/exact"),
            ("/a/..", Base, "/"),
            ("/a/.", Base, "/a/"),
            ("/a/b/..", Base, "/a/"),
            ("/../../a", Base, "/a"),
            ("/..", Base, "/"),
            ("/a//../b", Base, "/a/b"),
            ("/a/...", Base, "/a/..."),
            ("/.a/b.", Base, "/.a/b."),
            ("/a/..;/b", Base, "/b"),
            ("/public/..;/admin", Base, "/admin"),
            ("/public/%2e%2e;/admin", Base, "/admin"),
            ("/public/..;x=1;y/admin", Base, "/admin"),
            ("/a/.;/b", Base, "/a/b"),
            ("/a/..;", Base, "/"),
            ("/a/...;/b", Base, "/a/...;/b"),
            ("/a;b/..c;/d;", Base, "/a;b/..c;/d;"),
            ("/a/..;/b", Keep, "/a/..;/b"),
            ("/a|b?c|d", Base, "/a%7Cb?c|d"),
            ("/\"<>^`{|}~", Base, "/%22%3C%3E%5E%60%7B%7C%7D~"),
            ("/a|b/../c^", MergeSlashes, "/c%5E"),
            ("/[a]'()*,;=:@!$&+", Base, "/[a]'()*,;=:@!$&+"),
            ("/a|b", Keep, "/a|b"),
            ("/a\\b\\..\\c", Base, "/a/c"),
            ("/a%2Fb%5cc", Base, "/a%2Fb%5cc"),
            ("/a%2fb%5Cc", DecodeAndMergeSlashes, "/a/b/c"),
            ("/a%2F..%2Fb", DecodeAndMergeSlashes, "/b"),
            ("/a%2F%2Fb//c", DecodeAndMergeSlashes, "/a/b/c"),
            ("//a///b//", MergeSlashes, "/a/b/"),
            ("/a//../b", MergeSlashes, "/a/b"),
            ("/a?x=//", MergeSlashes, "/a?x=//"),
            ("/%zz%2", Base, "/%zz%2"),
            ("/%252e%252e/a", Base, "/%252e%252e/a"),
            ("/x/../a%2e\\?%41", Keep, "/x/../a%2e\\?%41"),
            ("*", Base, "*"),
            ("", Base, ""),
            ("/", MergeSlashes, "/"),
        ] {
            let got = normalized(target, how);
            assert_eq!(got.as_deref(), Ok(want), "{target} {how:?}");
        }
        for target in ["/a#b", "/a?b#c", "/%00"] {
            assert_eq!(normalized(target, Base), Err(PathRefused), "{target}");
        }
    }

    /// Every byte as it stands: kept, put right, or encoded; and what came of it stays as it is.
    #[test]
    fn every_byte_has_one_form() {
        for byte in (0..=255_u8).filter(|byte| !b"#?/\\".contains(byte)) {
            let mut target = vec![b'/', b'a', byte, b'b'];
            normalize(&mut target, Base).unwrap();
            let must_be_encoded = !byte.is_ascii_graphic() || b"\"<>^`{|}".contains(&byte);
            let want = if must_be_encoded {
                format!("/a%{byte:02X}b").into_bytes()
            } else {
                vec![b'/', b'a', byte, b'b']
            };
            assert_eq!(target, want, "{byte:#x}");
            if byte != 0 {
                normalize(&mut target, Base).unwrap();
                assert_eq!(target, want, "{byte:#x} again");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Against the segments of RFC 3986 §5.2.4 as a list.
        #[test]
        fn dot_segments_are_removed_as_from_a_list(parts in prop::collection::vec("[ab]|\\.|\\.\\.|", 1..8)) {
            let mut stack: Vec<&str> = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let last = at + 1 == parts.len();
                match part.as_str() {
                    "." => if last { stack.push("") },
                    ".." => { stack.pop(); if last { stack.push("") } },
                    other => stack.push(other),
                }
            }
            let want = format!("/{}", stack.join("/"));
            let target = format!("/{}", parts.join("/"));
            let once = normalized(&target, Base).unwrap();
            prop_assert_eq!(&once, &want);
            prop_assert_eq!(normalized(&once, Base).unwrap(), once);
        }
    }
}
