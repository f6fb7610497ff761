//! What a client asks for, again and again.

use crate::reader::HeadSeen;

/// A request that is sent many times; only its `x-request-id` differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Method.
    pub method: String,
    /// The service asked for.
    pub host: String,
    /// Path.
    pub path: String,
    /// The length of the body, in bytes; 0 is no body.
    pub body: usize,
    /// More fields of the head, by name.
    pub headers: Vec<(String, String)>,
    /// What `x-request-id` begins with, before the number of the request.
    pub id: String,
}

/// What ends the `x-request-id` of a request that would not have been made without a retry somewhere before.
const AGAIN: u8 = b'~';

/// Whether a request would not be there without a retry: its own, or one of a request before it.
pub(super) fn is_again(head: &HeadSeen<'_>) -> bool {
    let is_retry = |count: &[u8]| count != b"1";
    head.values("x-envoy-attempt-count").any(is_retry)
        || head.values("x-request-id").any(|id| id.ends_with(&[AGAIN]))
}

impl Ask {
    /// `GET /` from a service.
    #[must_use]
    pub fn get(host: &str) -> Self {
        Self {
            method: "GET".into(),
            host: host.into(),
            path: "/".into(),
            body: 0,
            headers: Vec::new(),
            id: String::new(),
        }
    }

    /// What all requests have in common, rendered.
    pub(super) fn prepare(&self) -> Prepared {
        let (method, path, host, id) = (&self.method, &self.path, &self.host, &self.id);
        let before = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {id}");
        let mut after = String::new();
        for (name, value) in &self.headers {
            after += &format!("{name}: {value}\r\n");
        }
        if self.body > 0 {
            after += &format!("content-length: {}\r\n", self.body);
        }
        after.push_str("\r\n");
        let mut after = after.into_bytes();
        after.resize(after.len() + self.body, b'b');
        Prepared {
            before: before.into_bytes().into(),
            after: after.into(),
            own: self
                .headers
                .iter()
                .map(|(name, _)| name.as_str().into())
                .collect(),
        }
    }
}

/// A request without its number.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    before: Box<[u8]>,
    after: Box<[u8]>,
    /// Names of the fields that it has of its own, which are not carried on beside.
    own: Box<[Box<str>]>,
}

impl Prepared {
    /// Appends the request with this number, which is its id, too. `carried` are lines of fields that go with it.
    pub(super) fn render(&self, number: u64, again: bool, carried: &[u8], bytes: &mut Vec<u8>) {
        bytes.reserve(self.before.len() + DIGITS + 3 + carried.len() + self.after.len());
        bytes.extend_from_slice(&self.before);
        push_number(number, bytes);
        if again {
            bytes.push(AGAIN);
        }
        bytes.extend_from_slice(b"\r\n");
        if self.own.is_empty() {
            bytes.extend_from_slice(carried);
        } else {
            let lines = carried.split_inclusive(|b| *b == b'\n');
            lines
                .filter(|line| !self.has_own(line))
                .for_each(|line| bytes.extend_from_slice(line));
        }
        bytes.extend_from_slice(&self.after);
    }

    fn has_own(&self, line: &[u8]) -> bool {
        let is_of = |name: &str| {
            let begins = line.get(..name.len());
            begins.is_some_and(|begins| begins.eq_ignore_ascii_case(name.as_bytes()))
                && line.get(name.len()) == Some(&b':')
        };
        self.own.iter().any(|name| is_of(name))
    }
}

/// The most digits a number has.
const DIGITS: usize = 20;

fn push_number(mut number: u64, bytes: &mut Vec<u8>) {
    let (mut digits, mut from) = ([0; DIGITS], DIGITS);
    loop {
        from -= 1;
        // Below ten.
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return bytes.extend_from_slice(&digits[from..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_in_their_ids_alone() {
        let ask = Ask {
            method: "PUT".into(),
            path: "/p".into(),
            body: 2,
            headers: vec![("a".into(), "b".into())],
            id: "7-".into(),
            ..Ask::get("shop")
        };
        for (number, again, id) in [
            (0, false, "7-0"),
            (120, true, "7-120~"),
            (u64::MAX, false, "7-18446744073709551615"),
        ] {
            let mut bytes = Vec::new();
            // A field of its own goes before one that is carried.
            let carried = b"A: c\r\nab: d\r\n";
            ask.prepare().render(number, again, carried, &mut bytes);
            let want = format!(
                "PUT /p HTTP/1.1\r\nhost: shop\r\nx-request-id: {id}\r\nab: d\r\na: b\r\ncontent-length: 2\r\n\r\nbb"
            );
            assert_eq!(String::from_utf8(bytes).unwrap(), want);
        }
    }
}
