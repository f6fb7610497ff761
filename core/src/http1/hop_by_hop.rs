//! Fields that concern one connection only (RFC 9110 §7.6.1): read here, then removed.
//!
//! A head that leaves this module has none of them but `te: trailers`, which says something about the whole way.

use http::Method;
use smallvec::SmallVec;

use super::refusals::CONNECTION_OPTIONS;
use crate::decision::Refused;
use crate::message::{Field, Headers, Known, Names, Version};

/// More options than this are refused: each costs a walk over the fields (Envoy's bound is 10).
const MAX_OPTIONS: usize = 64;

/// What a head says about its connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    /// Names of fields that concern this connection only, each followed by a comma, in lower case.
    nominated: SmallVec<[u8; 64]>,
}

impl Connection {
    /// Reads all `Connection` fields, and `Proxy-Connection`, which old clients send in its place.
    pub(super) fn read(headers: &Headers) -> Result<Self, Refused> {
        let mut connection = Self::default();
        let mut count = 0;
        for option in headers.get_all(Known::Connection).flat_map(list) {
            count += 1;
            if count > MAX_OPTIONS {
                return Err(CONNECTION_OPTIONS);
            }
            connection.note(option);
        }
        for option in headers.get_all(Known::ProxyConnection).flat_map(list) {
            connection.close |= option.eq_ignore_ascii_case(b"close");
            connection.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        Ok(connection)
    }

    fn note(&mut self, option: &[u8]) {
        if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if !is_protected(option) {
            self.nominated
                .extend(option.iter().map(u8::to_ascii_lowercase));
            self.nominated.push(b',');
        }
    }

    /// Whether the connection outlives the message (RFC 9112 §9.3).
    pub(super) const fn persists(&self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// The protocol to switch to (RFC 9110 §7.8). `h2c` is never offered or taken: it smuggles requests past a proxy.
    pub(super) fn upgrade_token(&self, version: Version, headers: &Headers) -> Option<Box<str>> {
        if !self.upgrade || version == Version::Http10 {
            return None;
        }
        let token = headers
            .get_all(Known::Upgrade)
            .flat_map(list)
            .find(|token| !token.eq_ignore_ascii_case(b"h2c"))?;
        let text = core::str::from_utf8(token).ok()?;
        text.bytes()
            .all(|b| crate::message::is_token_byte(b) || b == b'/')
            .then(|| text.into())
    }

    /// Removes every field that concerns this connection only, and what `also` names.
    pub(super) fn strip(&self, headers: &mut Headers, also: &[Known]) {
        let wants_trailers = accepts_trailers(headers);
        if self.nominated.is_empty() && !headers.may_have_any(HOP_BY_HOP) {
            for name in also {
                headers.remove(*name);
            }
        } else {
            headers.remove_if(|field| {
                is_hop_by_hop(field)
                    || also.contains(&field.known)
                    || self.nominates(field.name) && field.known != Known::Te
            });
        }
        if wants_trailers {
            headers.set(Known::Te, b"trailers");
        } else {
            headers.remove(Known::Te);
        }
    }

    fn nominates(&self, name: &[u8]) -> bool {
        !self.nominated.is_empty() && list(&self.nominated).any(|option| option == name)
    }
}

/// Whether the sender can take trailers (RFC 9110 §10.1.4).
pub(super) fn accepts_trailers(headers: &Headers) -> bool {
    headers
        .get_all(Known::Te)
        .flat_map(list)
        .any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The elements of a comma-separated list without blanks and empty ones (RFC 9110 §5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Without optional white space (RFC 9110 §5.6.3).
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Fields that concern one connection whether `Connection` names them or not.
pub(super) const HOP_BY_HOP: Names = Names::of(&[
    Known::Connection,
    Known::Http2Settings,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::TransferEncoding,
    Known::Upgrade,
]);

/// Whether a field concerns one connection whether `Connection` names it or not.
pub(crate) const fn is_hop_by_hop(field: Field<'_>) -> bool {
    HOP_BY_HOP.have(field.known)
}

/// Names that an option must not take away: they frame or route the message, or say where it came from.
fn is_protected(option: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        option
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    option.eq_ignore_ascii_case(b"host")
        || option.eq_ignore_ascii_case(b"content-length")
        || option.eq_ignore_ascii_case(b"te")
        || starts(b"x-forwarded-")
        || starts(b"x-envoy-")
}

/// Methods whose requests have no body unless they announce one: no `content-length: 0` is needed (Envoy's list).
pub(super) fn is_bodiless(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::TRACE,
        Method::CONNECT,
    ]
    .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn headers(lines: Fields<'_>) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.append(name.as_bytes(), value.as_bytes()).unwrap();
        }
        headers
    }

    #[test]
    fn strips_what_is_hop_by_hop_and_nominated() {
        let cases: &[(Fields<'_>, Fields<'_>)] = &[
            (
                &[
                    ("Connection", "close , X-Foo,,\tx-b"),
                    ("x-foo", "1"),
                    ("X-B", "1"),
                    ("X-C", "1"),
                ],
                &[("x-c", "1")],
            ),
            (
                &[
                    ("Keep-Alive", "timeout=5"),
                    ("Proxy-Connection", "x"),
                    ("Upgrade", "h2c"),
                    ("HTTP2-Settings", "AA"),
                    ("Transfer-Encoding", "chunked"),
                    ("Trailer", "x-t"),
                ],
                &[("trailer", "x-t")],
            ),
            (
                &[
                    (
                        "Connection",
                        "content-length, x-forwarded-for, X-Envoy-Internal",
                    ),
                    ("Content-Length", "5"),
                    ("X-Forwarded-For", "a"),
                    ("x-envoy-internal", "true"),
                ],
                &[
                    ("content-length", "5"),
                    ("x-forwarded-for", "a"),
                    ("x-envoy-internal", "true"),
                ],
            ),
            (
                &[("TE", "gzip;q=1, Trailers"), ("Connection", "TE")],
                &[("te", "trailers")],
            ),
            (&[("TE", "gzip"), ("a", "b")], &[("a", "b")]),
        ];
        for (given, want) in cases {
            let mut got = headers(given);
            Connection::read(&got).unwrap().strip(&mut got, &[]);
            assert_eq!(got, headers(want), "{given:?}");
        }
    }

    #[test]
    fn persistence() {
        use Version::{Http10, Http11};
        let cases: &[(Version, Fields<'_>, bool)] = &[
            (Http11, &[], true),
            (
                Http11,
                &[("Connection", "a"), ("Connection", "CLOSE")],
                false,
            ),
            (Http11, &[("Proxy-Connection", "close")], false),
            (Http11, &[("Connection", "closed")], true),
            (Http10, &[], false),
            (Http10, &[("Connection", "Keep-Alive")], true),
            (Http10, &[("Connection", "keep-alive, close")], false),
        ];
        for (version, lines, want) in cases {
            let connection = Connection::read(&headers(lines)).unwrap();
            assert_eq!(connection.persists(*version), *want, "{lines:?}");
        }
        let many = "a,".repeat(MAX_OPTIONS + 1);
        assert!(Connection::read(&headers(&[("connection", &many)])).is_err());
    }

    #[test]
    fn upgrade_tokens() {
        let cases: &[(Fields<'_>, Option<&str>)] = &[
            (
                &[("Connection", "Upgrade"), ("Upgrade", "websocket")],
                Some("websocket"),
            ),
            (
                &[("Connection", "upgrade"), ("Upgrade", "h2c, websocket")],
                Some("websocket"),
            ),
            (&[("Upgrade", "websocket")], None),
            (
                &[
                    ("Connection", "Upgrade, HTTP2-Settings"),
                    ("Upgrade", "h2c"),
                ],
                None,
            ),
            (&[("Connection", "upgrade"), ("Upgrade", "a b")], None),
        ];
        for (lines, want) in cases {
            let headers = headers(lines);
            let connection = Connection::read(&headers).unwrap();
            let token = connection.upgrade_token(Version::Http11, &headers);
            assert_eq!(token.as_deref(), *want, "{lines:?}");
            assert_eq!(connection.upgrade_token(Version::Http10, &headers), None);
        }
    }
}
