//! Field lines (RFC 9112 §5) from `httparse` into a head's block, and trailer sections.

use core::mem::MaybeUninit;

use super::hop_by_hop::{is_hop_by_hop, trim};
use super::limits::MAX_FIELDS;
use super::refusals::{
    FIELD_NAME, FIELD_VALUE, HEAD_TOO_LARGE, START_LINE, STATUS, TOO_MANY_FIELDS, VERSION,
};
use crate::decision::Refused;
use crate::message::{Field, Headers, Known, has_control};

/// Room for the fields that `httparse` finds; not initialised, since it says how many it wrote.
pub(super) type Room<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_FIELDS];

/// Fresh room.
pub(super) const fn room<'a>() -> Room<'a> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// Copies parsed fields; folded values are joined by one space per fold (RFC 9112 §5.2).
pub(super) fn copy(fields: &[httparse::Header<'_>], into: &mut Headers) -> Result<(), Refused> {
    for field in fields {
        let name = field.name.as_bytes();
        let value = trim(field.value);
        let taken = if !has_control(value) {
            into.append(name, value)
        } else {
            into.append(name, &unfolded(value))
        };
        taken.map_err(|_| HEAD_TOO_LARGE)?;
    }
    Ok(())
}

/// A folded value on one line.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(value.len());
    for line in value.split(|b| matches!(b, b'\r' | b'\n')).map(trim) {
        if !line.is_empty() {
            if !joined.is_empty() {
                joined.push(b' ');
            }
            joined.extend_from_slice(line);
        }
    }
    joined
}

/// A trailer section without the fields that must not stand there. `bytes` ends with the empty line.
pub(super) fn trailers(bytes: &[u8], most: usize) -> Result<Headers, Refused> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut trailers = Headers::default();
    match httparse::parse_headers(bytes, &mut fields[..most.min(MAX_FIELDS)]) {
        Ok(httparse::Status::Complete((end, fields))) if end == bytes.len() => {
            copy(fields, &mut trailers)?;
        }
        Ok(_) => return Err(FIELD_NAME),
        Err(error) => return Err(refusal(error)),
    }
    trailers.remove_if(|field| !may_be_trailer(field));
    Ok(trailers)
}

/// RFC 9110 §6.5.1: nothing that frames, routes, authenticates or modifies the message, and nothing between two hops.
pub(crate) fn may_be_trailer(field: Field<'_>) -> bool {
    if is_hop_by_hop(field) {
        return false;
    }
    let forbidden_known = matches!(
        field.known,
        Known::ContentLength
            | Known::ContentType
            | Known::Cookie
            | Known::Date
            | Known::Expect
            | Known::Forwarded
            | Known::Host
            | Known::Location
            | Known::ProxyAuthenticate
            | Known::ProxyAuthorization
            | Known::RetryAfter
            | Known::Te
            | Known::Trailer
            | Known::Via
            | Known::XRequestId
    );
    const FORBIDDEN: [&[u8]; 11] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"expires",
        b"max-forwards",
        b"range",
        b"set-cookie",
        b"vary",
        b"www-authenticate",
    ];
    !forbidden_known
        && !FORBIDDEN.contains(&field.name)
        && !field.name.starts_with(b"x-forwarded-")
        && !field.name.starts_with(b"x-envoy-")
        && !field.name.starts_with(b"if-")
}

/// What a parse error of `httparse` means to the peer.
pub(super) const fn refusal(error: httparse::Error) -> Refused {
    match error {
        httparse::Error::HeaderName => FIELD_NAME,
        httparse::Error::HeaderValue => FIELD_VALUE,
        httparse::Error::NewLine | httparse::Error::Token => START_LINE,
        httparse::Error::Status => STATUS,
        httparse::Error::TooManyHeaders => TOO_MANY_FIELDS,
        httparse::Error::Version => VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_become_one_space() {
        let cases: &[(&str, &str)] = &[
            ("a\r\n b", "a b"),
            ("a \r\n\t b\r\n  c", "a b c"),
            ("\r\n b", "b"),
            ("a\n b", "a b"),
            ("a\r\n \r\n b", "a b"),
        ];
        for (given, want) in cases {
            assert_eq!(unfolded(given.as_bytes()), want.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn trailers_lose_what_must_not_stand_there() {
        let section = b"Grpc-Status: 0\r\nHost: evil\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nX-Sum: 1\r\n\
            Authorization: b\r\nSet-Cookie: c\r\nX-Forwarded-For: d\r\nConnection: close\r\n\r\n";
        let got = trailers(section, 100).unwrap();
        let names: Vec<_> = got.iter().map(|f| f.name).collect();
        assert_eq!(names, [&b"grpc-status"[..], b"x-sum"]);
        assert_eq!(trailers(b"X : y\r\n\r\n", 100), Err(FIELD_NAME));
        assert_eq!(trailers(b"X: y\r\nZ: y\r\n\r\n", 1), Err(TOO_MANY_FIELDS));
        assert_eq!(trailers(b"X: a\r\n b\r\n\r\n", 100), Err(FIELD_NAME));
    }

    /// Each name by itself, so that none hides behind another.
    #[test]
    fn each_name_that_must_not_be_a_trailer_is_taken_out() {
        let framing = "content-length content-type transfer-encoding trailer te content-encoding content-range";
        let routing = "host connection keep-alive proxy-connection upgrade max-forwards via forwarded location \
            x-forwarded-for x-forwarded-proto x-envoy-retry-on x-envoy-upstream-rq-timeout-ms x-request-id";
        let modifiers = "cache-control expect range if-match if-none-match if-modified-since if-range date expires age \
            vary retry-after";
        let identity = "authorization proxy-authorization www-authenticate proxy-authenticate cookie set-cookie";
        let forbidden = [framing, routing, modifiers, identity];
        let allowed = "grpc-status grpc-message x-sum digest etag x-forwarded x-envoy if server x-b3-traceid ifs";
        let names = forbidden.iter().flat_map(|list| list.split_whitespace());
        let cases = names
            .map(|name| (name, false))
            .chain(allowed.split_whitespace().map(|name| (name, true)));
        for (name, stays) in cases {
            for name in [name.to_owned(), name.to_ascii_uppercase()] {
                let section = format!("{name}: 1\r\nX-Last: 2\r\n\r\n");
                let got = trailers(section.as_bytes(), 100).unwrap();
                let count = got.iter().count();
                assert_eq!(count, 1 + usize::from(stays), "{name}");
            }
        }
    }
}
