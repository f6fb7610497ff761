//! The fields of one block, one after the other: what every kind of block must not have, and how they become a list.

use super::limits::HeadLimits;
use super::refusals::{
    CONNECTION_FIELD, LENGTH, NAME, PSEUDO_LATE, TE, TOO_LARGE, TOO_MANY_FIELDS, VALUE,
};
use crate::decision::Refused;
use crate::http1::{decimal, is_hop_by_hop};
use crate::http2::hpack::{CompressionError, Decoded, Decoder, ENTRY_OVERHEAD};
use crate::message::{Field, Headers, Known, has_control, is_token_byte};

/// Reads one block into `into`; `pseudo` is asked for the fields that begin with a colon.
pub(super) fn read(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
    into: &mut Headers,
    mut pseudo: impl FnMut(&[u8], &[u8]) -> Result<(), Refused>,
) -> Result<Result<(), Refused>, CompressionError> {
    let mut list = List {
        limits,
        bytes: 0,
        fields: 0,
        cookie: decoder.take_spare(),
        crumbs: 0,
        into,
    };
    let mut judged = Ok(());
    let read = decoder.decode_fields(block, |field| {
        // What stands behind a fault is read for the table's sake alone.
        if judged.is_ok() {
            judged = list.take(field, &mut pseudo);
        }
    });
    list.join_cookie();
    decoder.give_spare(list.cookie);
    read.map(|()| judged)
}

/// A list under way.
struct List<'a> {
    limits: &'a HeadLimits,
    /// As RFC 9113 §6.5.2 counts.
    bytes: usize,
    fields: usize,
    /// All crumbs so far, joined.
    cookie: Vec<u8>,
    crumbs: usize,
    into: &'a mut Headers,
}

impl List<'_> {
    fn take(
        &mut self,
        field: Decoded<'_>,
        pseudo: impl FnOnce(&[u8], &[u8]) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.bytes += field.name.len() + field.value.len() + ENTRY_OVERHEAD;
        if self.bytes > self.limits.list_bytes {
            return Err(TOO_LARGE);
        }
        if !is_value(field.value) {
            return Err(VALUE);
        }
        if field.name.first() == Some(&b':') {
            // RFC 9113 §8.3: all of them stand in front.
            return if self.fields == 0 {
                pseudo(field.name, field.value)
            } else {
                Err(PSEUDO_LATE)
            };
        }
        self.fields += 1;
        if self.fields > self.limits.fields {
            return Err(TOO_MANY_FIELDS);
        }
        if field.known == Known::Other && !is_name(field.name) {
            return Err(NAME);
        }
        self.take_regular(Field {
            known: field.known,
            name: field.name,
            value: field.value,
            never_indexed: field.never_indexed,
            is_judged: true,
        })
    }

    fn take_regular(&mut self, field: Field<'_>) -> Result<(), Refused> {
        if field.known == Known::Te {
            return self.take_te(field.value);
        }
        if is_hop_by_hop(field) {
            // RFC 9113 §8.2.2. `http2-settings` is of RFC 7540, and removed by HTTP/1 too.
            let is_old = field.known == Known::Http2Settings;
            return if is_old {
                Ok(())
            } else {
                Err(CONNECTION_FIELD)
            };
        }
        if field.known == Known::Cookie && self.is_later_crumb(field.value) {
            return Ok(());
        }
        self.into.append_read(field).map_err(|_| TOO_LARGE)
    }

    /// RFC 9113 §8.2.2.
    fn take_te(&mut self, value: &[u8]) -> Result<(), Refused> {
        if !value.eq_ignore_ascii_case(b"trailers") {
            return Err(TE);
        }
        // Said twice it says no more.
        if self.into.get(Known::Te).is_none() {
            self.into.append_known(Known::Te, b"trailers");
        }
        Ok(())
    }

    /// RFC 9113 §8.2.3: crumbs are joined, for whoever does not speak HTTP/2. The first one holds the place.
    fn is_later_crumb(&mut self, value: &[u8]) -> bool {
        self.crumbs += 1;
        if self.crumbs > 1 {
            self.cookie.extend_from_slice(b"; ");
        }
        self.cookie.extend_from_slice(value);
        self.crumbs > 1
    }

    fn join_cookie(&mut self) {
        if self.crumbs > 1 {
            self.into.set(Known::Cookie, &self.cookie);
        }
        self.cookie.clear();
    }
}

/// RFC 9113 §8.2.1 and RFC 9110 §5.1: a token without upper-case letters, since it may go on by HTTP/1.
fn is_name(name: &[u8]) -> bool {
    let is_lower = |byte: &u8| is_token_byte(*byte) && !byte.is_ascii_uppercase();
    !name.is_empty() && name.iter().all(is_lower)
}

/// RFC 9113 §8.2.1 and RFC 9110 §5.5: no control character but tabs, and no white space at its ends.
fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !has_control(value) && !is_blank(value.first()) && !is_blank(value.last())
}

/// The one valid Content-Length (RFC 9113 §8.1.1). A repeated one is refused, equal or not, as by HTTP/1.
pub(super) fn length(headers: &Headers) -> Result<Option<u64>, Refused> {
    let mut lengths = headers.get_all(Known::ContentLength);
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(digits), None) => decimal(digits).map(Some).ok_or(LENGTH),
        (Some(_), Some(_)) => Err(LENGTH),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{block, lines};
    use super::super::refusals::PSEUDO_UNKNOWN;
    use super::*;

    fn read_with(limits: &HeadLimits, fields: &[&str]) -> Result<Vec<String>, Refused> {
        let mut headers = Headers::default();
        let pseudo = |name: &[u8], _: &[u8]| {
            let is_known = name == b":known";
            is_known.then_some(()).ok_or(PSEUDO_UNKNOWN)
        };
        let mut decoder = Decoder::new(4096);
        let read = read(&mut decoder, &block(fields), limits, &mut headers, pseudo);
        read.unwrap().map(|()| lines(&headers))
    }

    #[test]
    fn what_is_taken_and_what_is_not() {
        type Want = Result<&'static [&'static str], Refused>;
        let cases: &[(&[&str], Want)] = &[
            (&[], Ok(&[])),
            (
                &[":known: 1", "a: 1", "b: ", "a: 2"],
                Ok(&["a: 1", "b: ", "a: 2"]),
            ),
            (&["a: b\tc d \u{e9}"], Ok(&["a: b\tc d \u{e9}"])),
            (&["!#$%&'*+-.^_`|~09: 1"], Ok(&["!#$%&'*+-.^_`|~09: 1"])),
            (&[":unknown: 1"], Err(PSEUDO_UNKNOWN)),
            (&["a: 1", ":known: 1"], Err(PSEUDO_LATE)),
            (&["A: 1"], Err(NAME)),
            (&["aB: 1"], Err(NAME)),
            (&["Date: 1"], Err(NAME)),
            (&["a b: 1"], Err(NAME)),
            (&["a\r\nb: 1"], Err(NAME)),
            (&["a\0: 1"], Err(NAME)),
            (&["\u{e9}: 1"], Err(NAME)),
            (&["a\u{7f}: 1"], Err(NAME)),
            (&["a: \r"], Err(VALUE)),
            (&["a: b\nc"], Err(VALUE)),
            (&["a: \0"], Err(VALUE)),
            (&["a: \u{1}b"], Err(VALUE)),
            (&["a: b\u{7f}"], Err(VALUE)),
            (&["a:  b"], Err(VALUE)),
            (&["a: b "], Err(VALUE)),
            (&["a: \tb"], Err(VALUE)),
            (&["a: b\t"], Err(VALUE)),
            (&[":known: \n"], Err(VALUE)),
            (&["connection: close"], Err(CONNECTION_FIELD)),
            (&["proxy-connection: close"], Err(CONNECTION_FIELD)),
            (&["keep-alive: 1"], Err(CONNECTION_FIELD)),
            (&["transfer-encoding: chunked"], Err(CONNECTION_FIELD)),
            (&["upgrade: websocket"], Err(CONNECTION_FIELD)),
            (&["http2-settings: AA", "a: 1"], Ok(&["a: 1"])),
            (
                &["te: trailers", "a: 1", "te: Trailers"],
                Ok(&["te: trailers", "a: 1"]),
            ),
            (&["te: gzip"], Err(TE)),
            (&["te: trailers, gzip"], Err(TE)),
            (&["te: "], Err(TE)),
            (&["cookie: a=1", "b: 2"], Ok(&["cookie: a=1", "b: 2"])),
            (
                &["cookie: a=1", "b: 2", "cookie: c=3", "cookie: d=4; e=5"],
                Ok(&["cookie: a=1; c=3; d=4; e=5", "b: 2"]),
            ),
            // The first fault is the one that is told.
            (&["a: \n", "B: 1"], Err(VALUE)),
        ];
        for (fields, want) in cases {
            let got = read_with(&HeadLimits::REQUEST, fields);
            let want = want.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
            assert_eq!(got, want, "{fields:?}");
        }
        // A name without a byte cannot be said in the table's way.
        let mut headers = Headers::default();
        let read = read(
            &mut Decoder::new(0),
            b"\x00\x00\x00",
            &HeadLimits::REQUEST,
            &mut headers,
            |_, _| Ok(()),
        );
        assert_eq!(read, Ok(Err(NAME)));
    }

    #[test]
    fn limits() {
        let limits = HeadLimits {
            list_bytes: 102,
            fields: 3,
        };
        let cases: &[(&[&str], Result<usize, Refused>)] = &[
            (&["a: 1", "a: 1", "a: 1"], Ok(3)),
            (&["a: 1", "a: 1", "a: 12"], Err(TOO_LARGE)),
            (&["a: 1", "b: ", "b: "], Ok(3)),
            (&[":known: 1234567890123456789012345678901"], Ok(0)),
            (&[":known: ", ":known: ", ":known: "], Err(TOO_LARGE)),
        ];
        for (fields, want) in cases {
            let got = read_with(&limits, fields).map(|lines| lines.len());
            assert_eq!(got, *want, "{fields:?}");
        }
        let limits = HeadLimits {
            list_bytes: 1000,
            fields: 3,
        };
        let crumbs = ["cookie: a", ":known: 1"].map(|_| "cookie: a");
        assert!(read_with(&limits, &[&crumbs[..], &["a: 1"]].concat()).is_ok());
        let four = read_with(&limits, &[&crumbs[..], &crumbs[..]].concat());
        assert_eq!(four, Err(TOO_MANY_FIELDS), "each crumb is a field");
    }

    /// A head that is refused leaves the table as one that is taken does.
    #[test]
    fn what_is_refused_is_read_to_its_end() {
        let mut encoder = crate::http2::hpack::Encoder::new();
        let mut decoder = Decoder::new(4096);
        let mut headers = Headers::default();
        for (round, want) in [(0, Err(NAME)), (1, Ok(()))] {
            let mut block = bytes::BytesMut::new();
            if round == 0 {
                encoder.never_indexed(b"A", b"1", &mut block);
            }
            encoder.field(b"x-kept", b"1", &mut block);
            let read = read(
                &mut decoder,
                &block,
                &HeadLimits::REQUEST,
                &mut headers,
                |_, _| Ok(()),
            );
            assert_eq!(read, Ok(want));
        }
        assert_eq!(lines(&headers), ["x-kept: 1"]);
    }
}
