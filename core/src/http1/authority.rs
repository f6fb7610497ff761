//! The grammar of `host[:port]`, as Host, absolute targets and CONNECT write it.
//!
//! RFC 9110 §7.2 and RFC 3986 §3.2, without user information, which RFC 9110 §4.2.4 tells recipients to refuse.

/// Whether these bytes are a host with an optional port. The host may not be empty.
#[must_use]
pub fn is_authority(bytes: &[u8]) -> bool {
    split(bytes).is_some_and(|(host, port)| is_host(host) && port.is_none_or(is_port))
}

/// As [`is_authority`], with a port, as CONNECT demands (RFC 9112 §3.2.3).
pub(crate) fn is_authority_with_port(bytes: &[u8]) -> bool {
    split(bytes).is_some_and(|(host, port)| {
        is_host(host) && port.is_some_and(|port| !port.is_empty() && is_port(port))
    })
}

/// Host and port at the colon that divides them; an IP literal's own colons stand in brackets.
fn split(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let host_end = if bytes.first() == Some(&b'[') {
        memchr::memchr(b']', bytes)? + 1
    } else {
        memchr::memchr(b':', bytes).unwrap_or(bytes.len())
    };
    let (host, rest) = bytes.split_at(host_end);
    match rest {
        [] => Some((host, None)),
        [b':', port @ ..] => Some((host, Some(port))),
        [..] => None,
    }
}

fn is_host(host: &[u8]) -> bool {
    match host {
        [] => false,
        [b'[', literal @ .., b']'] => is_ipv6(literal),
        [..] => is_reg_name(host),
    }
}

fn is_ipv6(literal: &[u8]) -> bool {
    core::str::from_utf8(literal).is_ok_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
}

/// `reg-name` of RFC 3986 §3.2.2; an IPv4 address is one too.
fn is_reg_name(host: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = host.get(at) {
        at += match byte {
            byte if STANDS_ALONE[usize::from(*byte)] => 1,
            b'%' if host.get(at + 1..at + 3).is_some_and(is_hex) => 3,
            _ => return false,
        };
    }
    true
}

/// `unreserved` and `sub-delims` of RFC 3986 §2.
const STANDS_ALONE: [bool; 256] = {
    let mut stands = [false; 256];
    let mut byte = 0;
    while byte < stands.len() {
        stands[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
                | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        );
        byte += 1;
    }
    stands
};

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// Digits up to 65535; the grammar allows none at all.
fn is_port(port: &[u8]) -> bool {
    port.is_empty() || super::number::decimal(port).is_some_and(|n| n <= 65535)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in [
            "h",
            "a.b",
            "a_b",
            "h:80",
            "h:",
            "1.2.3.4:8",
            "[::1]",
            "[::1]:80",
            "a%41",
            "*",
            "a,b",
        ] {
            assert!(is_authority(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "", ":80", "a/b", "u@a", "a b", "a\0", "h:x", "h:-1", "h:65536", "h:1:2", "::1",
            "[::1", "[]", "[::1]x", "[h]", "a%4", "a%zz", "é", "a?b", "a#b", "a\\b", "\"a\"",
            "<a>",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_authority_with_port(b"h:443") && is_authority_with_port(b"[::1]:1"));
        assert!(!is_authority_with_port(b"h") && !is_authority_with_port(b"h:"));
    }
}
