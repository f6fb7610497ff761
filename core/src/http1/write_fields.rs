//! The parts of a head as bytes, in a way that no value can break out of its place.
//!
//! Heads reach a writer after header operations and rewrites from configuration, so nothing is taken on trust: a field
//! that could end its line early is left out, a target byte that could end the start line is percent-encoded.

use bytes::{BufMut, BytesMut};
use http::Method;

use super::hop_by_hop::HOP_BY_HOP;
use crate::message::{Headers, Known, Names, RequestHead, are_of_target};

/// What the writer of a request says itself, and what concerns this connection.
const OF_REQUESTS: Names = HOP_BY_HOP.and(&[Known::Host, Known::ContentLength]);

/// Of a response: Host means nothing there and passes.
const OF_RESPONSES: Names = HOP_BY_HOP.and(&[Known::ContentLength]);

/// Appends the fields of a request but those that the writer says itself: Host, and what concerns framing or this
/// connection.
pub(super) fn put_request_fields(headers: &Headers, block: &mut BytesMut) {
    headers.put_lines(OF_REQUESTS, block);
}

/// As [`put_request_fields`].
pub(super) fn put_response_fields(headers: &Headers, block: &mut BytesMut) {
    headers.put_lines(OF_RESPONSES, block);
}

/// Appends trailers.
pub(super) fn put_trailers(trailers: &Headers, block: &mut BytesMut) {
    for field in trailers.iter() {
        if super::field_lines::may_be_trailer(field) && field.is_writable() {
            put_field(field.name, field.value, block);
        }
    }
}

/// Appends one field line.
pub(super) fn put_field(name: &[u8], value: &[u8], block: &mut BytesMut) {
    block.reserve(name.len() + value.len() + 4);
    block.put_slice(name);
    block.put_slice(b": ");
    block.put_slice(value);
    block.put_slice(b"\r\n");
}

/// Appends a request line and the Host field.
pub(super) fn put_request_line(head: &RequestHead, block: &mut BytesMut) {
    block.put_slice(head.method.as_str().as_bytes());
    block.put_u8(b' ');
    if head.method == Method::CONNECT {
        put_escaped(&head.authority, block);
    } else {
        // A rewrite may have left anything; origin form begins with a slash (RFC 9112 §3.2.1).
        if head.path.first() != Some(&b'/') && head.path != b"*" {
            block.put_u8(b'/');
        }
        put_escaped(&head.path, block);
    }
    block.put_slice(b" HTTP/1.1\r\nhost: ");
    put_escaped(&head.authority, block);
    block.put_slice(b"\r\n");
}

/// Appends text of which every byte is printable ASCII and no fragment begins.
pub(crate) fn put_escaped(text: &[u8], block: &mut BytesMut) {
    let is_safe = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if are_of_target(text) {
        block.put_slice(text);
        return;
    }
    for byte in text {
        if is_safe(*byte) {
            block.put_u8(*byte);
        } else {
            let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
            block.put_slice(&[b'%', digit(byte >> 4), digit(*byte)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("a", "1"),
            ("b", "1\r\nevil: 1"),
            ("c", "1\nevil: 1"),
            ("d", "\0"),
            ("e\r\nevil", "1"),
            ("f g", "1"),
            ("h", "tab\tand é"),
            ("connection", "x"),
            ("content-length", "7"),
            ("host", "evil"),
            ("http2-settings", "7"),
        ] {
            headers.append(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let mut block = BytesMut::new();
        put_request_fields(&headers, &mut block);
        assert_eq!(block, "a: 1\r\nh: tab\tand é\r\n".as_bytes());
    }

    #[test]
    fn request_lines_are_well_formed_whatever_the_head_holds() {
        let cases: &[(&str, &str, &str, &str)] = &[
            ("GET", "h", "/a?b", "GET /a?b HTTP/1.1\r\nhost: h\r\n"),
            ("OPTIONS", "h", "*", "OPTIONS * HTTP/1.1\r\nhost: h\r\n"),
            (
                "CONNECT",
                "h:1",
                "",
                "CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n",
            ),
            (
                "GET",
                "h\r\nx: y",
                "a b\r\n#é",
                "GET /a%20b%0D%0A%23%C3%A9 HTTP/1.1\r\nhost: h%0D%0Ax:%20y\r\n",
            ),
            ("GET", "", "", "GET / HTTP/1.1\r\nhost: \r\n"),
        ];
        for (method, authority, path, want) in cases {
            let head = RequestHead {
                method: method.parse().unwrap(),
                authority: authority.as_bytes().to_vec(),
                path: path.as_bytes().to_vec(),
                ..RequestHead::default()
            };
            let mut block = BytesMut::new();
            put_request_line(&head, &mut block);
            assert_eq!(block, want.as_bytes());
        }
    }
}
