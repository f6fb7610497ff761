//! Names of header fields, with small numbers for the ones the proxy itself reads.
//!
//! The hot path compares numbers, not strings. This file owns the list; what a field means is decided elsewhere.

use super::octets;

/// A field the proxy reads or writes itself; every other name is [`Known::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the field of that name")]
pub enum Known {
    Other,
    AccessControlAllowCredentials,
    AccessControlAllowHeaders,
    AccessControlAllowMethods,
    AccessControlAllowOrigin,
    AccessControlExposeHeaders,
    AccessControlMaxAge,
    AccessControlRequestHeaders,
    AccessControlRequestMethod,
    B3,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    GrpcMessage,
    GrpcStatus,
    GrpcTimeout,
    Host,
    Http2Settings,
    KeepAlive,
    Location,
    Origin,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    RetryAfter,
    Server,
    Te,
    Traceparent,
    Tracestate,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    WwwAuthenticate,
    XB3Flags,
    XB3Parentspanid,
    XB3Sampled,
    XB3Spanid,
    XB3Traceid,
    XClientTraceId,
    XEnvoyAttemptCount,
    XEnvoyExpectedRqTimeoutMs,
    XEnvoyInternal,
    XEnvoyLocalOverloaded,
    XEnvoyOriginalHost,
    XEnvoyOriginalPath,
    XEnvoyOverloaded,
    XEnvoyPeerMetadata,
    XEnvoyPeerMetadataId,
    XEnvoyUpstreamServiceTime,
    XForwardedClientCert,
    XForwardedFor,
    XForwardedProto,
    XRatelimitLimit,
    XRatelimitRemaining,
    XRatelimitReset,
    XRequestId,
}

/// Sorted by name, so that a lookup is a binary search; `table_is_sorted` keeps it so.
const TABLE: &[(&str, Known)] = &[
    (
        "access-control-allow-credentials",
        Known::AccessControlAllowCredentials,
    ),
    (
        "access-control-allow-headers",
        Known::AccessControlAllowHeaders,
    ),
    (
        "access-control-allow-methods",
        Known::AccessControlAllowMethods,
    ),
    (
        "access-control-allow-origin",
        Known::AccessControlAllowOrigin,
    ),
    (
        "access-control-expose-headers",
        Known::AccessControlExposeHeaders,
    ),
    ("access-control-max-age", Known::AccessControlMaxAge),
    (
        "access-control-request-headers",
        Known::AccessControlRequestHeaders,
    ),
    (
        "access-control-request-method",
        Known::AccessControlRequestMethod,
    ),
    ("b3", Known::B3),
    ("connection", Known::Connection),
    ("content-length", Known::ContentLength),
    ("content-type", Known::ContentType),
    ("cookie", Known::Cookie),
    ("date", Known::Date),
    ("expect", Known::Expect),
    ("forwarded", Known::Forwarded),
    ("grpc-message", Known::GrpcMessage),
    ("grpc-status", Known::GrpcStatus),
    ("grpc-timeout", Known::GrpcTimeout),
    ("host", Known::Host),
    ("http2-settings", Known::Http2Settings),
    ("keep-alive", Known::KeepAlive),
    ("location", Known::Location),
    ("origin", Known::Origin),
    ("proxy-authenticate", Known::ProxyAuthenticate),
    ("proxy-authorization", Known::ProxyAuthorization),
    ("proxy-connection", Known::ProxyConnection),
    ("referer", Known::Referer),
    ("retry-after", Known::RetryAfter),
    ("server", Known::Server),
    ("te", Known::Te),
    ("traceparent", Known::Traceparent),
    ("tracestate", Known::Tracestate),
    ("trailer", Known::Trailer),
    ("transfer-encoding", Known::TransferEncoding),
    ("upgrade", Known::Upgrade),
    ("user-agent", Known::UserAgent),
    ("via", Known::Via),
    ("www-authenticate", Known::WwwAuthenticate),
    ("x-b3-flags", Known::XB3Flags),
    ("x-b3-parentspanid", Known::XB3Parentspanid),
    ("x-b3-sampled", Known::XB3Sampled),
    ("x-b3-spanid", Known::XB3Spanid),
    ("x-b3-traceid", Known::XB3Traceid),
    ("x-client-trace-id", Known::XClientTraceId),
    ("x-envoy-attempt-count", Known::XEnvoyAttemptCount),
    (
        "x-envoy-expected-rq-timeout-ms",
        Known::XEnvoyExpectedRqTimeoutMs,
    ),
    ("x-envoy-internal", Known::XEnvoyInternal),
    ("x-envoy-local-overloaded", Known::XEnvoyLocalOverloaded),
    ("x-envoy-original-host", Known::XEnvoyOriginalHost),
    ("x-envoy-original-path", Known::XEnvoyOriginalPath),
    ("x-envoy-overloaded", Known::XEnvoyOverloaded),
    ("x-envoy-peer-metadata", Known::XEnvoyPeerMetadata),
    ("x-envoy-peer-metadata-id", Known::XEnvoyPeerMetadataId),
    (
        "x-envoy-upstream-service-time",
        Known::XEnvoyUpstreamServiceTime,
    ),
    ("x-forwarded-client-cert", Known::XForwardedClientCert),
    ("x-forwarded-for", Known::XForwardedFor),
    ("x-forwarded-proto", Known::XForwardedProto),
    ("x-ratelimit-limit", Known::XRatelimitLimit),
    ("x-ratelimit-remaining", Known::XRatelimitRemaining),
    ("x-ratelimit-reset", Known::XRatelimitReset),
    ("x-request-id", Known::XRequestId),
];

/// The longest name of the table.
const LONGEST: usize = 32;

/// A name of the table.
#[derive(Clone, Copy)]
struct Ordered {
    /// Its last octet.
    last: u8,
    /// Its position in the table.
    at: u8,
}

/// The names of the table, ordered by their length.
const BY_LENGTH: [Ordered; TABLE.len()] = by_length().0;

/// Where the names of each length begin in [`BY_LENGTH`].
const LENGTH_BEGINS: [u8; LONGEST + 2] = by_length().1;

/// How a line begins, and how much of that there is: what has a fixed length is copied without a call.
pub(super) type LineBegins = ([u8; LONGEST + 2], u8);

/// How the lines of all names begin, by their numbers.
static LINES: [LineBegins; TABLE.len() + 1] = {
    let mut lines = [([0; LONGEST + 2], 0); TABLE.len() + 1];
    let mut at = 0;
    while at < TABLE.len() {
        let name = TABLE[at].0.as_bytes();
        let (line, length) = &mut lines[at + 1];
        let mut octet = 0;
        while octet < name.len() {
            line[octet] = name[octet];
            octet += 1;
        }
        (line[octet], line[octet + 1]) = (b':', b' ');
        *length = name.len() as u8 + 2;
        at += 1;
    }
    lines
};

const fn by_length() -> ([Ordered; TABLE.len()], [u8; LONGEST + 2]) {
    let (mut order, mut begins) = ([Ordered { last: 0, at: 0 }; TABLE.len()], [0; LONGEST + 2]);
    let (mut length, mut filled) = (0, 0);
    while length <= LONGEST {
        begins[length] = filled as u8;
        let mut at = 0;
        while at < TABLE.len() {
            let name = TABLE[at].0.as_bytes();
            if name.len() == length {
                order[filled] = Ordered {
                    last: name[length - 1],
                    at: at as u8,
                };
                filled += 1;
            }
            at += 1;
        }
        length += 1;
    }
    assert!(filled == TABLE.len(), "a name is longer than `LONGEST`");
    begins[LONGEST + 1] = filled as u8;
    (order, begins)
}

impl Known {
    /// The number of a name in lower case.
    ///
    /// Every field of every message is looked up, so only names of the same length and last byte are compared, which
    /// leaves one or none.
    #[must_use]
    pub fn of(lower_case: &[u8]) -> Self {
        let length = lower_case.len();
        let (Some(last), true) = (lower_case.last(), length <= LONGEST) else {
            return Self::Other;
        };
        let range = LENGTH_BEGINS[length].into()..LENGTH_BEGINS[length + 1].into();
        for ordered in &BY_LENGTH[range] {
            if ordered.last == *last {
                let (name, known) = TABLE[usize::from(ordered.at)];
                if octets::are_same(name.as_bytes(), lower_case) {
                    return known;
                }
            }
        }
        Self::Other
    }

    /// One bit of 64 for each.
    const fn bit(self) -> u64 {
        const { assert!(TABLE.len() < 64, "there is a bit for each and for `Other`") }
        1 << self as u8
    }

    /// How its line begins: the name in lower case, a colon and a blank; empty for [`Known::Other`].
    pub(super) fn begins_line(self) -> &'static LineBegins {
        &LINES[self as usize]
    }

    /// The name in lower case; empty for [`Known::Other`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // The variants stand in the order of the table, shifted by `Other`; `table_matches_variants` keeps it so.
        (self as usize).checked_sub(1).map_or("", |at| TABLE[at].0)
    }
}

/// Some of the numbers of names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names(u64);

impl Names {
    pub(crate) const fn of(names: &[Known]) -> Self {
        Self(0).and(names)
    }

    /// These, and others.
    pub(crate) const fn and(mut self, names: &[Known]) -> Self {
        let mut at = 0;
        while at < names.len() {
            self.insert(names[at]);
            at += 1;
        }
        self
    }

    pub(super) const fn insert(&mut self, name: Known) {
        self.0 |= name.bit();
    }

    pub(super) const fn remove(&mut self, name: Known) {
        self.0 &= !name.bit();
    }

    pub(crate) const fn have(self, name: Known) -> bool {
        self.0 & name.bit() != 0
    }

    pub(super) const fn have_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

/// A field name from configuration: checked, in lower case, and with its number looked up once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldName {
    text: Box<str>,
    known: u8,
}

impl FieldName {
    /// Takes a name in any case. `None` unless it is a token (RFC 9110 §5.6.2) of 1 to 255 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if name.is_empty() || name.len() > 255 || !name.bytes().all(is_token_byte) {
            return None;
        }
        let text: Box<str> = name.to_ascii_lowercase().into();
        let known = Known::of(text.as_bytes()) as u8;
        Some(Self { text, known })
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number of the name.
    #[must_use]
    pub fn known(&self) -> Known {
        Known::of_number(self.known)
    }
}

impl Known {
    fn of_number(number: u8) -> Self {
        (number as usize)
            .checked_sub(1)
            .map_or(Self::Other, |at| TABLE[at].1)
    }
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2): field names and methods.
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// Every byte of most names is looked up, so it is done without a branch.
const TOKEN_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = matches!(byte as u8, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        byte += 1;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_matches_variants() {
        assert!(TABLE.windows(2).all(|w| w[0].0 < w[1].0));
        for (at, (name, known)) in TABLE.iter().enumerate() {
            assert_eq!(*known as usize, at + 1, "{name}");
            assert_eq!(known.as_str(), *name);
            let (line, length) = known.begins_line();
            assert_eq!(
                &line[..usize::from(*length)],
                format!("{name}: ").as_bytes()
            );
            assert_eq!(Known::of(name.as_bytes()), *known);
        }
        for other in ["", "x-unheard-of", "dare", "x-request-ic", &"a".repeat(33)] {
            assert_eq!(Known::of(other.as_bytes()), Known::Other, "{other}");
        }
    }

    #[test]
    fn names_are_tokens() {
        assert_eq!(
            FieldName::new("X-Request-ID").unwrap().known(),
            Known::XRequestId
        );
        assert_eq!(FieldName::new("X-Mine").unwrap().as_str(), "x-mine");
        for bad in ["", "a b", "a:b", "a\n", "é"] {
            assert!(FieldName::new(bad).is_none(), "{bad:?}");
        }
    }
}
