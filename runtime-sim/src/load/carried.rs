//! What an application carries on from a request to the calls that it makes for it: the fields that tracing and routes deep in
//! a mesh rely on.

use crate::reader::HeadSeen;

/// What applications carry on where nobody says otherwise: what those of Istio's examples do, apart from `x-request-id`,
/// which is each call's own here.
pub const USUAL: &[&str] = &[
    "b3",
    "baggage",
    "baggage-*",
    "end-user",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-b3-*",
    "x-ot-span-context",
];

/// Names of fields, in lower case; those that end with `*` are the beginnings of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwards(Vec<String>);

impl Forwards {
    /// These.
    #[must_use]
    pub const fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => name
                .get(..start.len())
                .is_some_and(|begins| begins.eq_ignore_ascii_case(start.as_bytes())),
            None => name.eq_ignore_ascii_case(wanted.as_bytes()),
        })
    }

    /// The fields of a head that go on, as lines, in the place of what was there.
    pub(super) fn carry(&self, head: &HeadSeen<'_>, lines: &mut Vec<u8>) {
        lines.clear();
        for (name, value) in head.fields().filter(|(name, _)| self.has(name)) {
            for piece in [name, b": ", value, b"\r\n"] {
                lines.extend_from_slice(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{Reader, SeenPiece};

    #[test]
    fn only_what_is_named_goes_on() {
        let usual = USUAL.iter().map(|name| (*name).to_owned()).collect();
        for (names, want) in [
            (Vec::new(), ""),
            (vec!["x-mine".to_owned()], "X-Mine: 1\r\n"),
            (vec!["x-*".to_owned()], "X-Mine: 1\r\nx-b3-traceid: 7\r\n"),
            (usual, "end-user: jason\r\nx-b3-traceid: 7\r\n"),
        ] {
            let mut reader = Reader::requests();
            reader.feed(b"GET / HTTP/1.1\r\nhost: a\r\nX-Mine: 1\r\nend-user: jason\r\nx-b3-traceid: 7\r\nb: 2\r\n\r\n");
            let Ok(Some(SeenPiece::Head(head))) = reader.next_seen() else {
                panic!("it is a head");
            };
            let mut lines = b"old".to_vec();
            Forwards::new(names).carry(&head, &mut lines);
            assert_eq!(String::from_utf8(lines).unwrap(), want);
        }
    }
}
