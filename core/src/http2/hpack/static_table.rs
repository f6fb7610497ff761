//! The table of common fields that both sides know from the start (RFC 7541 appendix A).

use crate::message::Known;

/// How many entries there are. Index 1 is the first.
pub(super) const LEN: usize = 61;

/// The entry of an index: name, value, and the number of the name.
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8], Known)> {
    let (name, value, known) = TABLE.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes(), *known))
}

#[rustfmt::skip]
static TABLE: [(&str, &str, Known); LEN] = {
    use Known::*;
    [
        (":authority", "", Other),
        (":method", "GET", Other),
        (":method", "POST", Other),
        (":path", "/", Other),
        (":path", "/index.html", Other),
        (":scheme", "http", Other),
        (":scheme", "https", Other),
        (":status", "200", Other),
        (":status", "204", Other),
        (":status", "206", Other),
        (":status", "304", Other),
        (":status", "400", Other),
        (":status", "404", Other),
        (":status", "500", Other),
        ("accept-charset", "", Other),
        ("accept-encoding", "gzip, deflate", Other),
        ("accept-language", "", Other),
        ("accept-ranges", "", Other),
        ("accept", "", Other),
        ("access-control-allow-origin", "", AccessControlAllowOrigin),
        ("age", "", Other),
        ("allow", "", Other),
        ("authorization", "", Other),
        ("cache-control", "", Other),
        ("content-disposition", "", Other),
        ("content-encoding", "", Other),
        ("content-language", "", Other),
        ("content-length", "", ContentLength),
        ("content-location", "", Other),
        ("content-range", "", Other),
        ("content-type", "", ContentType),
        ("cookie", "", Cookie),
        ("date", "", Date),
        ("etag", "", Other),
        ("expect", "", Expect),
        ("expires", "", Other),
        ("from", "", Other),
        ("host", "", Host),
        ("if-match", "", Other),
        ("if-modified-since", "", Other),
        ("if-none-match", "", Other),
        ("if-range", "", Other),
        ("if-unmodified-since", "", Other),
        ("last-modified", "", Other),
        ("link", "", Other),
        ("location", "", Location),
        ("max-forwards", "", Other),
        ("proxy-authenticate", "", ProxyAuthenticate),
        ("proxy-authorization", "", ProxyAuthorization),
        ("range", "", Other),
        ("referer", "", Referer),
        ("refresh", "", Other),
        ("retry-after", "", RetryAfter),
        ("server", "", Server),
        ("set-cookie", "", Other),
        ("strict-transport-security", "", Other),
        ("transfer-encoding", "", TransferEncoding),
        ("user-agent", "", UserAgent),
        ("vary", "", Other),
        ("via", "", Via),
        ("www-authenticate", "", WwwAuthenticate),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_numbers() {
        for (name, _, known) in TABLE {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
        assert_eq!(get(0), None);
        assert_eq!(get(LEN + 1), None);
        assert_eq!(
            get(61),
            Some((&b"www-authenticate"[..], &b""[..], Known::WwwAuthenticate))
        );
    }
}
