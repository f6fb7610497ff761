//! Names that the encoder knows: where the static table has them, and whether a field is worth a place in the peer's table.

use super::static_table;

/// Whether a field is put into the peer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexing {
    /// It is: the value is likely to come again.
    Whole,
    /// The value is not, for it will be another one next time and would drive out those that stay.
    NameOnly,
    /// Nobody may: an entry can be guessed by watching sizes (RFC 7541 §7.1.3).
    Never,
    /// As [`Indexing::Never`] when the value is shorter than [`GUESSABLE`].
    NeverWhenShort,
}

/// Values shorter than this, in bytes, can be guessed whole (nghttp2's bound for cookies).
pub(super) const GUESSABLE: usize = 20;

/// A known name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    text: &'static str,
    /// The first entry of the static table with this name; 0 when there is none.
    first: u8,
    /// How many entries have it; they follow each other.
    count: u8,
    pub(super) indexing: Indexing,
}

impl Name {
    /// The name's index in the static table.
    pub(super) fn index(&self) -> Option<usize> {
        (self.first > 0).then_some(usize::from(self.first))
    }

    /// The index of the entry with this value in the static table.
    pub(super) fn index_with(&self, value: &[u8]) -> Option<usize> {
        let first = usize::from(self.first);
        let mut entries = first..first + usize::from(self.count);
        entries.find(|index| static_table::get(*index).is_some_and(|entry| entry.1 == value))
    }
}

/// The name with this text, in lower case. Only names of the same length and last byte are compared.
pub(super) fn find(text: &[u8]) -> Option<&'static Name> {
    if text.len() > LONGEST {
        return None;
    }
    let range = BEGINS[text.len()].into()..BEGINS[text.len() + 1].into();
    NAMES[range]
        .iter()
        .find(|name| name.text.as_bytes().last() == text.last() && name.text.as_bytes() == text)
}

/// The longest name here.
const LONGEST: usize = 29;

/// Where the names of each length begin.
const BEGINS: [u8; LONGEST + 2] = begins();

const fn begins() -> [u8; LONGEST + 2] {
    let mut begins = [0; LONGEST + 2];
    let (mut length, mut at) = (0, 0);
    while length < LONGEST + 2 {
        while at < NAMES.len() && NAMES[at].text.len() < length {
            at += 1;
        }
        begins[length] = at as u8;
        length += 1;
    }
    begins
}

/// By length. What moves: lengths, dates, validators and positions (nghttp2's list and more), and what names one request.
static NAMES: [Name; ROWS.len()] = {
    let mut names = [Name {
        text: "",
        first: 0,
        count: 0,
        indexing: Indexing::Whole,
    }; ROWS.len()];
    let mut at = 0;
    while at < ROWS.len() {
        let (text, first, count, indexing) = ROWS[at];
        names[at] = Name {
            text,
            first,
            count,
            indexing,
        };
        at += 1;
    }
    names
};

#[rustfmt::skip]
const ROWS: [(&str, u8, u8, Indexing); 65] = {
    use Indexing::*;
    [
        ("age", 21, 1, NameOnly),
        ("via", 60, 1, Whole),
        ("date", 33, 1, NameOnly),
        ("etag", 34, 1, NameOnly),
        ("from", 37, 1, Whole),
        ("host", 38, 1, Whole),
        ("link", 45, 1, Whole),
        ("vary", 59, 1, Whole),
        (":path", 4, 2, NameOnly),
        ("allow", 22, 1, Whole),
        ("range", 50, 1, NameOnly),
        ("accept", 19, 1, Whole),
        ("cookie", 32, 1, NeverWhenShort),
        ("expect", 35, 1, Whole),
        ("server", 54, 1, Whole),
        (":method", 2, 2, Whole),
        (":scheme", 6, 2, Whole),
        (":status", 8, 7, Whole),
        ("expires", 36, 1, NameOnly),
        ("referer", 51, 1, Whole),
        ("refresh", 52, 1, Whole),
        ("if-match", 39, 1, NameOnly),
        ("if-range", 42, 1, NameOnly),
        ("location", 46, 1, NameOnly),
        (":authority", 1, 1, Whole),
        ("set-cookie", 55, 1, Never),
        ("user-agent", 58, 1, Whole),
        ("retry-after", 53, 1, Whole),
        ("traceparent", 0, 0, NameOnly),
        ("x-b3-spanid", 0, 0, NameOnly),
        ("content-type", 31, 1, Whole),
        ("grpc-timeout", 0, 0, NameOnly),
        ("max-forwards", 47, 1, Whole),
        ("x-b3-traceid", 0, 0, NameOnly),
        ("x-request-id", 0, 0, NameOnly),
        ("accept-ranges", 18, 1, Whole),
        ("authorization", 23, 1, Never),
        ("cache-control", 24, 1, Whole),
        ("content-range", 30, 1, NameOnly),
        ("if-none-match", 41, 1, NameOnly),
        ("last-modified", 44, 1, NameOnly),
        ("accept-charset", 15, 1, Whole),
        ("content-length", 28, 1, NameOnly),
        ("accept-encoding", 16, 1, Whole),
        ("accept-language", 17, 1, Whole),
        ("x-amzn-trace-id", 0, 0, NameOnly),
        ("content-encoding", 26, 1, Whole),
        ("content-language", 27, 1, Whole),
        ("content-location", 29, 1, Whole),
        ("www-authenticate", 61, 1, Whole),
        ("if-modified-since", 40, 1, NameOnly),
        ("sec-websocket-key", 0, 0, NameOnly),
        ("transfer-encoding", 57, 1, Whole),
        ("x-b3-parentspanid", 0, 0, NameOnly),
        ("proxy-authenticate", 48, 1, Whole),
        ("x-datadog-trace-id", 0, 0, NameOnly),
        ("content-disposition", 25, 1, Whole),
        ("if-unmodified-since", 43, 1, NameOnly),
        ("proxy-authorization", 49, 1, Never),
        ("x-datadog-parent-id", 0, 0, NameOnly),
        ("sec-websocket-accept", 0, 0, NameOnly),
        ("x-cloud-trace-context", 0, 0, NameOnly),
        ("strict-transport-security", 56, 1, Whole),
        ("access-control-allow-origin", 20, 1, Whole),
        ("x-envoy-upstream-service-time", 0, 0, NameOnly),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_ordered_and_has_the_whole_static_table() {
        assert!(NAMES.is_sorted_by_key(|name| name.text.len()));
        assert_eq!(NAMES.last().map(|name| name.text.len()), Some(LONGEST));
        for name in &NAMES {
            assert_eq!(find(name.text.as_bytes()).unwrap().text, name.text);
            assert_eq!(name.index().is_some(), name.count > 0, "{}", name.text);
        }
        for index in 1..=static_table::LEN {
            let (text, value, _) = static_table::get(index).unwrap();
            let name = find(text).unwrap();
            assert_eq!(name.index_with(value), Some(index));
            assert_eq!(static_table::get(name.index().unwrap()).unwrap().0, text);
            assert_eq!(name.index_with(b"something else"), None);
        }
        for other in ["", "x", "x-unheard-of", &"a".repeat(30)] {
            assert!(find(other.as_bytes()).is_none(), "{other}");
        }
    }
}
