//! What values of policies are held against: Istio's text with a wildcard at an end, hosts, and paths with templates.

/// Text with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// Anything, as long as it is there (`*`). Text other than a field's value must not be empty.
    Present,
    /// Equal, byte for byte.
    Exact(Box<str>),
    /// Begins with this text (`abc*`).
    Prefix(Box<str>),
    /// Ends with this text (`*abc`).
    Suffix(Box<str>),
    /// Has these pieces in this order, the first at its beginning and the last at its end: what stands between the
    /// wildcards of a namespace, of which there may be several.
    Pieces(Box<[Box<str>]>),
}

impl TextPattern {
    /// Takes a value with a wildcard at one end, as Istio reads it: a second one is text.
    #[must_use]
    pub fn new(value: &str) -> Self {
        if value == "*" {
            Self::Present
        } else if let Some(end) = value.strip_prefix('*') {
            Self::Suffix(end.into())
        } else if let Some(begin) = value.strip_suffix('*') {
            Self::Prefix(begin.into())
        } else {
            Self::Exact(value.into())
        }
    }

    /// Takes a value whose wildcards may stand anywhere.
    #[must_use]
    pub fn with_wildcards(value: &str) -> Self {
        match value.matches('*').count() {
            0 => Self::Exact(value.into()),
            1 if value.len() > 1 && (value.starts_with('*') || value.ends_with('*')) => {
                Self::new(value)
            }
            _ => Self::Pieces(value.split('*').map(Into::into).collect()),
        }
    }

    /// Whether text matches.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Present => !text.is_empty(),
            Self::Exact(wanted) => text == wanted.as_bytes(),
            Self::Prefix(begin) => text.starts_with(begin.as_bytes()),
            Self::Suffix(end) => text.ends_with(end.as_bytes()),
            Self::Pieces(pieces) => has_pieces(pieces, text),
        }
    }
}

fn has_pieces(pieces: &[Box<str>], text: &[u8]) -> bool {
    let Some((first, rest)) = pieces.split_first() else {
        return text.is_empty();
    };
    let Some((last, between)) = rest.split_last() else {
        return text == first.as_bytes();
    };
    let Some(text) = text.strip_prefix(first.as_bytes()) else {
        return false;
    };
    let Some(mut text) = text.strip_suffix(last.as_bytes()) else {
        return false;
    };
    for piece in between {
        let Some(at) = memchr::memmem::find(text, piece.as_bytes()) else {
            return false;
        };
        text = &text[at + piece.len()..];
    }
    true
}

/// An authority. Its host is compared in lower case and without the dot that ends a fully qualified name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// The host, without brackets.
    pub host: TextPattern,
    /// Digits of the port; `None` where any will do, or none.
    pub port: Option<TextPattern>,
}

impl HostPattern {
    /// Takes a value of `hosts`: `a.example`, `*.example`, `a.example:8080`, `a.example:*`, `*:8080`, `[::1]:80`.
    #[must_use]
    pub fn new(value: &str) -> Self {
        let value = value.to_ascii_lowercase();
        let (host, port) = match value.rsplit_once(':') {
            // An address of version 6 has colons of its own.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            Some(_) | None => (&*value, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let host = match host.strip_suffix('.') {
            Some(rest) if !rest.is_empty() => rest,
            _ => host,
        };
        Self {
            host: TextPattern::new(host),
            port: port.map(TextPattern::new),
        }
    }
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Text with a wildcard at an end.
    Text(TextPattern),
    /// A template: what stands between its wildcards, and these.
    Template(Box<[TemplatePiece]>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePiece {
    /// This text.
    Text(Box<str>),
    /// One segment, or the rest of one, and not empty (`{*}`).
    Segment,
    /// Any number of segments, also none (`{**}`). Nothing but text follows it.
    Segments,
}

impl PathPattern {
    /// Takes a value of `paths`. Istio reads one with `{*}` or `{**}` as a template, in which `*` is text.
    #[must_use]
    pub fn new(value: &str) -> Self {
        if !value.contains("{*}") && !value.contains("{**}") {
            return Self::Text(TextPattern::new(value));
        }
        let mut pieces = Vec::new();
        let mut rest = value;
        while let Some(at) = rest.find('{') {
            let (text, from) = rest.split_at(at);
            let (piece, len) = match from {
                _ if from.starts_with("{**}") => (TemplatePiece::Segments, 4),
                _ if from.starts_with("{*}") => (TemplatePiece::Segment, 3),
                // Refused when it is read.
                _ => (TemplatePiece::Text("{".into()), 1),
            };
            if !text.is_empty() {
                pieces.push(TemplatePiece::Text(text.into()));
            }
            pieces.push(piece);
            rest = &from[len..];
        }
        if !rest.is_empty() {
            pieces.push(TemplatePiece::Text(rest.into()));
        }
        Self::Template(pieces.into())
    }

    /// Whether a path without its query matches. What a wildcard stands for may be any byte but the slash: those that no
    /// URI holds were encoded before.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.matches(path),
            Self::Template(pieces) => follows(pieces, path),
        }
    }
}

fn follows(pieces: &[TemplatePiece], mut path: &[u8]) -> bool {
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            TemplatePiece::Text(text) => match path.strip_prefix(text.as_bytes()) {
                Some(rest) => path = rest,
                None => return false,
            },
            TemplatePiece::Segment => {
                let end = memchr::memchr(b'/', path).unwrap_or(path.len());
                if end == 0 {
                    return false;
                }
                path = &path[end..];
            }
            TemplatePiece::Segments => {
                return match pieces.get(at + 1) {
                    None => true,
                    Some(TemplatePiece::Text(end)) => path.ends_with(end.as_bytes()),
                    Some(TemplatePiece::Segment | TemplatePiece::Segments) => false,
                };
            }
        }
    }
    path.is_empty()
}

/// Issuer and subject of a token. They are compared apart: an issuer holds slashes of its own, and a subject might.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPrincipal {
    /// The claim `iss`.
    pub issuer: TextPattern,
    /// The claim `sub`.
    pub subject: TextPattern,
}

impl TokenPrincipal {
    /// Takes a value of `requestPrincipals`, as Istio takes it apart: at the last slash, and where there is none it is all
    /// issuer, or all subject behind a wildcard.
    #[must_use]
    pub fn new(value: &str) -> Self {
        let exact = |text: &str| TextPattern::Exact(text.into());
        let (issuer, subject) = match value.rsplit_once('/') {
            None if value == "*" => (TextPattern::Present, TextPattern::Present),
            None if value.starts_with('*') => (TextPattern::Present, TextPattern::new(value)),
            None if value.ends_with('*') => (TextPattern::new(value), TextPattern::Present),
            None => (exact(value), exact("")),
            Some((issuer, subject)) if value.starts_with('*') => {
                (TextPattern::new(issuer), exact(subject))
            }
            Some((issuer, subject)) if value.ends_with('*') => {
                (exact(issuer), TextPattern::new(subject))
            }
            Some((issuer, subject)) => (exact(issuer), exact(subject)),
        };
        Self { issuer, subject }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_wildcard_at_one_end() {
        for (pattern, yes, no) in [
            ("abc", &["abc"][..], &["ab", "abcd", "ABC", ""][..]),
            ("abc*", &["abc", "abcd"], &["ab", "xabc"]),
            ("*abc", &["abc", "xabc"], &["abcx", "bc"]),
            ("*", &["a", "*"], &[""]),
            ("*a*", &["a*", "xa*"], &["a", "xax"]),
            ("a.c", &["a.c"], &["abc"]),
        ] {
            let pattern = TextPattern::new(pattern);
            for (texts, want) in [(yes, true), (no, false)] {
                for text in texts {
                    let got = pattern.matches(text.as_bytes());
                    assert_eq!(got, want, "{pattern:?} {text}");
                }
            }
        }
    }

    #[test]
    fn a_namespace_may_have_several() {
        for (pattern, yes, no) in [
            ("a", &["a"][..], &["ab", ""][..]),
            ("a*", &["a", "ab"], &["ba"]),
            ("*", &["a", ""], &[]),
            ("*a*", &["a", "bab"], &["b", ""]),
            ("a*b*c", &["abc", "axbxc", "abbc"], &["ab", "acb", "abcd"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("**", &["", "a"], &[]),
        ] {
            let pattern = TextPattern::with_wildcards(pattern);
            for (texts, want) in [(yes, true), (no, false)] {
                for text in texts {
                    let got = pattern.matches(text.as_bytes());
                    assert_eq!(got, want, "{pattern:?} {text}");
                }
            }
        }
    }

    #[test]
    fn templates_stand_for_segments() {
        for (pattern, yes, no) in [
            (
                "/a/{*}/b",
                &["/a/x/b", "/a/*/b", "/a/{*}/b", "/a/x.y/b"][..],
                &["/a/b", "/a//b", "/a/x/y/b", "/a/x/b/", "/a/x/bc"][..],
            ),
            ("/a/{*}", &["/a/x"], &["/a/", "/a", "/a/x/", "/a/x/y"]),
            ("/a/{**}", &["/a/", "/a/x", "/a/x/y/"], &["/a", "/ab"]),
            (
                "/{**}/b",
                &["/x/b", "/x/y/b", "//b"],
                &["/b", "/x/bc", "/x/b/"],
            ),
            ("/{*}/{**}", &["/a/", "/a/b/c"], &["/a", "//a", "/"]),
            ("/a*/{*}", &["/a*/x"], &["/ab/x"]),
            ("/a/{*}/", &["/a/x/"], &["/a/x"]),
        ] {
            let pattern = PathPattern::new(pattern);
            for (paths, want) in [(yes, true), (no, false)] {
                for path in paths {
                    let got = pattern.matches(path.as_bytes());
                    assert_eq!(got, want, "{pattern:?} {path}");
                }
            }
        }
    }

    #[test]
    fn hosts_are_taken_apart() {
        let exact = |text: &str| TextPattern::Exact(text.into());
        for (value, host, port) in [
            ("A.Example", exact("a.example"), None),
            ("a.example.", exact("a.example"), None),
            ("*.example", TextPattern::Suffix(".example".into()), None),
            ("a.example:80", exact("a.example"), Some(exact("80"))),
            (
                "a.example:*",
                exact("a.example"),
                Some(TextPattern::Present),
            ),
            ("*:80", TextPattern::Present, Some(exact("80"))),
            ("[::1]:80", exact("::1"), Some(exact("80"))),
            ("[::1]", exact("::1"), None),
            ("::1", exact("::1"), None),
            ("*", TextPattern::Present, None),
        ] {
            assert_eq!(
                HostPattern::new(value),
                HostPattern { host, port },
                "{value}"
            );
        }
    }

    /// As Istio takes them apart (`pilot/pkg/security/authz/model`, `requestPrincipalGenerator`).
    #[test]
    fn principals_of_tokens_are_taken_apart() {
        let exact = |text: &str| TextPattern::Exact(text.into());
        let (any, begin) = (TextPattern::Present, |text: &str| {
            TextPattern::Prefix(text.into())
        });
        let end = |text: &str| TextPattern::Suffix(text.into());
        for (value, issuer, subject) in [
            ("*", any.clone(), any.clone()),
            ("id-1", exact("id-1"), exact("")),
            ("https://a/b", exact("https://a"), exact("b")),
            ("*/b", any.clone(), exact("b")),
            ("*.com/b", end(".com"), exact("b")),
            ("*b", any.clone(), end("b")),
            ("a/*", exact("a"), any.clone()),
            ("a/b*", exact("a"), begin("b")),
            ("a*", begin("a"), any),
        ] {
            let got = TokenPrincipal::new(value);
            assert_eq!(got, TokenPrincipal { issuer, subject }, "{value}");
        }
    }
}
