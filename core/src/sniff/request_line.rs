//! Whether bytes begin as HTTP does: with a request line of HTTP/1 (RFC 9112 §3), or the preface of HTTP/2 (RFC 9113 §3.4), which
//! looks like one.

use memchr::{memchr, memrchr};

/// Methods that are looked for, which are those that Envoy's inspector knows: words that other protocols begin with are none, so
/// that most are told from HTTP by a few bytes.
const METHODS: [&[u8]; 35] = [
    b"ACL",
    b"BIND",
    b"CHECKOUT",
    b"CONNECT",
    b"COPY",
    b"DELETE",
    b"GET",
    b"HEAD",
    b"LINK",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MOVE",
    b"NOTIFY",
    b"OPTIONS",
    b"PATCH",
    b"POST",
    // Of the preface of HTTP/2.
    b"PRI",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"PUT",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"SOURCE",
    b"SUBSCRIBE",
    b"TRACE",
    b"UNBIND",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
];

/// Whether HTTP begins so; `None` when more bytes are needed. A method, a target and a version make a line of it, whichever
/// version that is.
#[must_use]
pub(super) fn is_begun(bytes: &[u8]) -> Option<bool> {
    let Some(space) = memchr(b' ', bytes) else {
        let may_be = METHODS.iter().any(|method| method.starts_with(bytes));
        return if may_be { None } else { Some(false) };
    };
    if !METHODS.contains(&&bytes[..space]) {
        return Some(false);
    }
    let end = memchr(b'\n', bytes);
    let line = end.map_or(bytes, |end| &bytes[..end]);
    // No line of HTTP has such in it.
    if line.iter().any(|b| matches!(b, 0..=8 | 11 | 12 | 14..=31)) {
        return Some(false);
    }
    end.map(|_| {
        let version = memrchr(b' ', line).map_or(line, |at| &line[at + 1..]);
        version.starts_with(b"HTTP/")
    })
}
