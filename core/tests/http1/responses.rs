//! What an upstream may send: each line of a table is one response, how it is taken, and the rule.

use http::Method;
use outrigger_core::http1::Asked;

use crate::codec::{Event, read_responses};

fn told(method: &str, upgrade: bool, bytes: &[u8]) -> String {
    let method: Method = method.parse().unwrap();
    let asked = Asked {
        method: &method,
        upgrade,
    };
    let events = read_responses(asked, [bytes]);
    assert_eq!(
        events,
        read_responses(asked, bytes.chunks(1)),
        "byte by byte"
    );
    let words: Vec<_> = events.iter().map(word).collect();
    words.join(" ")
}

fn word(event: &Event) -> String {
    match event {
        Event::Request(..) => "impossible".into(),
        Event::Response(head, facts) => {
            let mut word = format!("{}", head.status.as_u16());
            for field in head.headers.iter() {
                word += " ";
                word += &String::from_utf8_lossy(field.name);
                word += "=";
                word += &String::from_utf8_lossy(field.value);
            }
            for (is_set, mark) in [
                (facts.keep_alive, " keep"),
                (facts.interim, " interim"),
                (facts.switched, " switched"),
            ] {
                if is_set {
                    word += mark;
                }
            }
            word
        }
        Event::Data(data) => format!("{:?}", String::from_utf8_lossy(data)),
        Event::Trailers(fields) => format!("+{}", fields.len()),
        Event::End => ".".into(),
        Event::Refused(refused) => format!("{} {}", refused.status, refused.details),
        Event::Eof => "eof".into(),
        Event::Closed => "closed".into(),
    }
}

fn check(method: &str, cases: &[(&str, &str)]) {
    for (bytes, want) in cases {
        let raw: Vec<u8> = bytes.chars().map(|c| c as u8).collect();
        assert_eq!(told(method, false, &raw), *want, "{method} {bytes:?}");
    }
}

const CODEC: &str = "502 http1.codec_error";
const CHARACTERS: &str = "502 http1.invalid_characters";
const CODING: &str = "502 http1.invalid_transfer_encoding";

#[test]
fn status_lines() {
    check(
        "HEAD",
        &[
            ("HTTP/1.1 200 OK\r\n\r\n", "200 keep . eof"),
            ("HTTP/1.1 200 \r\n\r\n", "200 keep . eof"),
            ("HTTP/1.1 200\r\n\r\n", "200 keep . eof"),
            ("HTTP/1.1 299 \u{e9}t\u{e9}\r\n\r\n", "299 keep . eof"),
            ("HTTP/1.0 200 OK\r\n\r\n", "200 . eof"),
            ("http/1.1 200 OK\r\n\r\n", CODEC),
            ("HTTP/01.1 200 OK\r\n\r\n", CODEC),
            ("HTTP/2.0 200 OK\r\n\r\n", CODEC),
            ("HTP/1.1 200 OK\r\n\r\n", CODEC),
            ("HTTP/1.1 99 X\r\n\r\n", CODEC),
            ("HTTP/1.1 099 X\r\n\r\n", CODEC),
            ("HTTP/1.1 2000 X\r\n\r\n", CODEC),
            ("HTTP/1.1 2x0 X\r\n\r\n", CODEC),
            ("HTTP/1.1  200 X\r\n\r\n", CODEC),
            ("HTTP/1.1 200 a\rb\r\n\r\n", CODEC),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", CODEC),
            ("hello", CODEC),
            ("", "eof"),
        ],
    );
}

#[test]
fn framing() {
    check(
        "GET",
        &[
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "200 content-length=5 keep \"hello\" . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
                "200 content-length=5 \"hello\" . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                &format!("200 content-length=5 keep \"hell\" {CODEC}"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\nGrpc-Status: 0\r\n\r\n",
                "200 keep \"hello\" +1 . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                &format!("200 keep \"hello\" {CODEC}"),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nhello", "200 \"hello\" closed"),
            ("HTTP/1.1 200 OK\r\n\r\n", "200 closed"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "204 keep . eof"),
            (
                "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
                "204 keep . eof",
            ),
            (
                "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello",
                "502 http1.content_length_not_allowed",
            ),
            (
                "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "502 http1.transfer_encoding_not_allowed",
            ),
            (
                "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n",
                "304 content-length=5 keep . eof",
            ),
            (
                "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n",
                "304 keep . eof",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "100 keep interim . 103 link=a keep interim . 200 content-length=0 keep . eof",
            ),
            (
                "HTTP/1.1 100 X\r\nContent-Length: 5\r\n\r\nhello",
                "502 http1.content_length_not_allowed",
            ),
            // Nobody asked for it.
            (
                "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                CODEC,
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", CODEC),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
                CODEC,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                CODING,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
                CODING,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                "502 http1.content_length_and_chunked_not_allowed",
            ),
            (
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "502 http1.transfer_encoding_not_allowed",
            ),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
                "200 content-length=1 keep \"x\" . eof",
            ),
        ],
    );
    check(
        "HEAD",
        &[
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "200 content-length=5 keep . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "200 keep . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                &format!("200 content-length=5 keep . {CODEC}"),
            ),
        ],
    );
}

#[test]
fn tunnels() {
    let switch = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\0\r\nraw";
    assert_eq!(
        told("GET", true, switch.as_bytes()),
        "101 switched \"\\0\\r\\nraw\" closed"
    );
    check(
        "CONNECT",
        &[
            // RFC 9110 §9.3.6: framing fields of a successful answer mean nothing.
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nraw",
                "200 switched \"raw\" closed",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nraw",
                "200 switched \"raw\" closed",
            ),
            (
                "HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nno",
                "403 content-length=2 keep \"no\" . eof",
            ),
        ],
    );
}

#[test]
fn what_is_put_right_and_what_is_not() {
    check(
        "HEAD",
        &[
            ("HTTP/1.1 200 OK\nX: 1\n\n", "200 x=1 keep . eof"),
            (
                "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nY: d\r\n\r\n",
                "200 x=a b c y=d keep . eof",
            ),
            ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "200 x=a keep . eof"),
            ("HTTP/1.1 200 OK\r\n X: a\r\n\r\n", CHARACTERS),
            ("HTTP/1.1 200 OK\r\nFoo\r\n\r\n", CHARACTERS),
            ("HTTP/1.1 200 OK\r\n: x\r\n\r\n", CHARACTERS),
            ("HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n", CHARACTERS),
            ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", CODEC),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 5\r\n\r\n", CODEC),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
                "200 keep . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: x-foo\r\nX-Foo: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-Bar: 2\r\n\r\n",
                "200 x-bar=2 keep . eof",
            ),
            (
                "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
                "200 set-cookie=a set-cookie=b keep . eof",
            ),
            (
                &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(81 * 1024)),
                "502 http1.headers_too_large",
            ),
            ("HTTP/1.1 200 OK\r\n", CODEC),
        ],
    );
}
