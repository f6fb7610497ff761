//! The four forms of a request target (RFC 9112 §3.2).
//!
//! Whatever form came, a head keeps an authority and a path; which forms a listener serves is decided elsewhere.

use http::Method;

use super::authority::{is_authority, is_authority_with_port};
use super::refusals::{BAD_HOST, FRAGMENT, TARGET};
use crate::decision::Refused;
use crate::message::{are_of_target, are_visible};

/// A target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/path?query`, or `*` of an OPTIONS request.
    Path(&'a [u8]),
    /// `http://authority/path?query`; the rest is empty or begins with `/` or `?`.
    Absolute { authority: &'a [u8], rest: &'a [u8] },
    /// `host:port` of a CONNECT request.
    Authority(&'a [u8]),
}

impl<'a> Target<'a> {
    /// Reads a target by the method it came with.
    pub(super) fn read(method: &Method, text: &'a [u8]) -> Result<Self, Refused> {
        if text == b"*" {
            // RFC 9112 §3.2.4: asterisk-form is for OPTIONS alone.
            return (method == Method::OPTIONS)
                .then_some(Self::Path(text))
                .ok_or(TARGET);
        }
        if !are_of_target(text) {
            // RFC 9112 §3.2: no form has a fragment. Parsers disagree about what follows.
            return Err(if are_visible(text) { FRAGMENT } else { TARGET });
        }
        if method == Method::CONNECT {
            // RFC 9112 §3.2.3.
            return is_authority_with_port(text)
                .then_some(Self::Authority(text))
                .ok_or(TARGET);
        }
        if text.first() == Some(&b'/') {
            return Ok(Self::Path(text));
        }
        let rest = without_scheme(text).ok_or(TARGET)?;
        let end = rest
            .iter()
            .position(|b| matches!(b, b'/' | b'?'))
            .unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // RFC 9110 §4.2.1: an empty host is invalid; §4.2.4: user information is an error.
        is_authority(authority)
            .then_some(Self::Absolute { authority, rest })
            .ok_or(BAD_HOST)
    }

    /// The authority that overrides Host (RFC 9112 §3.2.2), if the target has one.
    pub(super) const fn authority(&self) -> Option<&'a [u8]> {
        match self {
            Self::Path(_) => None,
            Self::Absolute { authority, .. } | Self::Authority(authority) => Some(authority),
        }
    }

    /// Appends the path in origin form; nothing for CONNECT.
    pub(super) fn put_path(&self, method: &Method, path: &mut Vec<u8>) {
        match self {
            Self::Authority(_) => {}
            // RFC 9112 §3.2.4: OPTIONS with an absolute target that has no path means the server as a whole.
            Self::Absolute { rest: [], .. } if method == Method::OPTIONS => path.push(b'*'),
            Self::Path(text) => path.extend_from_slice(text),
            Self::Absolute { rest, .. } => {
                if rest.first() != Some(&b'/') {
                    path.push(b'/');
                }
                path.extend_from_slice(rest);
            }
        }
    }
}

fn without_scheme(text: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let get = &Method::GET;
        let options = &Method::OPTIONS;
        let connect = &Method::CONNECT;
        type Want = Result<(&'static str, &'static str), Refused>;
        let cases: &[(&Method, &str, Want)] = &[
            (get, "/a?b", Ok(("", "/a?b"))),
            (get, "//a", Ok(("", "//a"))),
            (get, "http://h/p?q", Ok(("h", "/p?q"))),
            (get, "HTTPS://h:8443", Ok(("h:8443", "/"))),
            (get, "http://h?q", Ok(("h", "/?q"))),
            (options, "http://h", Ok(("h", "*"))),
            (options, "http://h/", Ok(("h", "/"))),
            (options, "*", Ok(("", "*"))),
            (connect, "h:443", Ok(("h:443", ""))),
            (get, "*", Err(TARGET)),
            (options, "*a", Err(TARGET)),
            (get, "h:443", Err(TARGET)),
            (get, "a", Err(TARGET)),
            (get, "?a", Err(TARGET)),
            (get, "ftp://h/", Err(TARGET)),
            (get, "http:/h/", Err(TARGET)),
            (get, "http:///p", Err(BAD_HOST)),
            (get, "http://u@h/", Err(BAD_HOST)),
            (get, "http://h:x/", Err(BAD_HOST)),
            (get, "/a#b", Err(FRAGMENT)),
            (get, "/é", Err(TARGET)),
            (get, "/a\u{7f}", Err(TARGET)),
            (connect, "/", Err(TARGET)),
            (connect, "h", Err(TARGET)),
            (connect, "http://h:1/", Err(TARGET)),
        ];
        for (method, text, want) in cases {
            let got = Target::read(method, text.as_bytes()).map(|target| {
                let mut path = Vec::new();
                target.put_path(method, &mut path);
                let authority = target.authority().unwrap_or_default().to_vec();
                (authority, path)
            });
            let want = want.map(|(a, p)| (a.as_bytes().to_vec(), p.as_bytes().to_vec()));
            assert_eq!(got, want, "{method} {text}");
        }
    }
}
