//! What a client may send: each line of a table is one request, how it is taken, and the rule.

use outrigger_core::http1::{Framing, Limits, Reader};
use outrigger_core::message::{Known, RequestHead, Version};
use outrigger_core::stream::Part;

use crate::codec::{Event, read_requests};

/// The events in a short notation: `GET h /path` and framing for a head, quoted bodies, `.` for an end.
fn told(bytes: &[u8]) -> String {
    let events = read_requests([bytes]);
    assert_eq!(events, read_requests(bytes.chunks(1)), "byte by byte");
    let words: Vec<_> = events.iter().map(word).collect();
    words.join(" ")
}

fn word(event: &Event) -> String {
    match event {
        Event::Request(head, facts) => {
            let framing = match facts.framing {
                Framing::None => String::new(),
                Framing::Length(n) => format!(" {n}"),
                Framing::Chunked => " chunked".into(),
                Framing::UntilClose | Framing::Tunnel => " impossible".into(),
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!(
                "{} {} {}{framing}",
                head.method,
                text(&head.authority),
                text(&head.path)
            )
        }
        Event::Response(..) => "impossible".into(),
        Event::Data(data) => format!("{:?}", String::from_utf8_lossy(data)),
        Event::Trailers(fields) => format!("+{}", fields.len()),
        Event::End => ".".into(),
        Event::Refused(refused) => format!("{} {}", refused.status, refused.details),
        Event::Eof => "eof".into(),
        Event::Closed => "impossible".into(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (bytes, want) in cases {
        // Tables write bytes above 0x7f as `\u{80}` to `\u{ff}`.
        let raw: Vec<u8> = bytes.chars().map(|c| c as u8).collect();
        let shown: String = bytes.chars().take(200).collect();
        assert_eq!(told(&raw), *want, "{shown:?}");
    }
}

const CODEC: &str = "400 http1.codec_error";
const CHARACTERS: &str = "400 http1.invalid_characters";
const CODING: &str = "501 http1.invalid_transfer_encoding";
const URL: &str = "400 http1.invalid_url";
const HOST: &str = "400 http1.invalid_host";

#[test]
fn request_lines() {
    check(&[
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET h / . eof"),
        // RFC 9110 §9.1: methods are tokens, case-sensitive, and open-ended.
        ("get / HTTP/1.1\r\nHost: h\r\n\r\n", "get h / . eof"),
        ("X-1! / HTTP/1.1\r\nHost: h\r\n\r\n", "X-1! h / . eof"),
        ("G\"T / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("(GET / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        (" / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        // RFC 9112 §3: single spaces, nothing else.
        ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", CODEC),
        ("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET /\r\n", CODEC),
        ("GET HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        // RFC 9110 §2.3 and §2.5.
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 http1.codec_error"),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505 http1.codec_error"),
        ("GET / HTTP/1.10\r\nHost: h\r\n\r\n", CODEC),
        ("GET / HTTP/01.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET / http/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET / HTTP/1,1\r\nHost: h\r\n\r\n", CODEC),
        ("GET / ICE/1.1\r\nHost: h\r\n\r\n", CODEC),
        // Other protocols are told from the first byte.
        ("\u{16}\u{3}\u{1}", CODEC),
        // RFC 9112 §2.2: one empty line before, no more.
        ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET h / . eof"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("\r\n", "eof"),
        ("", "eof"),
    ]);
}

#[test]
fn targets_and_hosts() {
    check(&[
        (
            "GET http://a:8080/p?q HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET a:8080 /p?q . eof",
        ),
        ("GET http://a HTTP/1.1\r\nHost: b\r\n\r\n", "GET a / . eof"),
        ("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", "GET a / . eof"),
        // RFC 9112 §3.2: without Host it is refused, even if the target would do.
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400 missing_host_header"),
        ("GET / HTTP/1.1\r\n\r\n", "400 missing_host_header"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 missing_host_header"),
        ("GET / HTTP/1.0\r\n\r\n", "GET  / . eof"),
        ("GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET h / . eof"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", CODEC),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", CODEC),
        ("GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", HOST),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HOST),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", HOST),
        ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", HOST),
        ("GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n", HOST),
        ("GET http://u:p@a/ HTTP/1.1\r\nHost: h\r\n\r\n", HOST),
        ("GET ftp://a/ HTTP/1.1\r\nHost: h\r\n\r\n", URL),
        ("GET a:80 HTTP/1.1\r\nHost: h\r\n\r\n", URL),
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", URL),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS h * . eof"),
        (
            "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 path_normalization_failed",
        ),
        ("GET /\u{c3}\u{a9} HTTP/1.1\r\nHost: h\r\n\r\n", URL),
        ("GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        ("GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", CODEC),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443  . eof",
        ),
        ("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", URL),
        ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", URL),
    ]);
}

#[test]
fn field_lines() {
    check(&[
        (
            "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n",
            "GET h / . eof",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX:\r\nY:a\tb\u{e9}\r\n\r\n",
            "GET h / . eof",
        ),
        ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", CHARACTERS),
        ("GET / HTTP/1.1\r\nHost: h\r\nX\t: 1\r\n\r\n", CHARACTERS),
        ("GET / HTTP/1.1\r\nHost: h\r\nX y: 1\r\n\r\n", CHARACTERS),
        ("GET / HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n", CHARACTERS),
        ("GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", CHARACTERS),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX\u{e9}: 1\r\n\r\n",
            CHARACTERS,
        ),
        ("GET / HTTP/1.1\r\n X: 1\r\nHost: h\r\n\r\n", CHARACTERS),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
            CHARACTERS,
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\u{1}b\r\n\r\n",
            CHARACTERS,
        ),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", CHARACTERS),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\u{7f}b\r\n\r\n",
            CHARACTERS,
        ),
        // Line ends are CRLF, told at the first byte that breaks the rule.
        ("GET / HTTP/1.1\nHost: h\n\n", CODEC),
        ("GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", CODEC),
        ("GET / HTTP/1.1\r\nHost: h\r\n\n", CODEC),
        ("GET / HTTP/1.1\rHost: h\r\r", CODEC),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", CODEC),
        ("GET / HTTP/1.1\r\nHost: h\r\n\rZ", CODEC),
        ("GET / HTTP/1.1\r\nHost: h\r\n", CODEC),
    ]);
}

#[test]
fn lengths() {
    let post = |fields: &str, rest: &str, want: &str| {
        check(&[(
            &format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{rest}"),
            want,
        )]);
    };
    post("Content-Length: 5", "hello", "POST h / 5 \"hello\" . eof");
    post("Content-Length: 005", "hello", "POST h / 5 \"hello\" . eof");
    post("content-length:5\t", "hello", "POST h / 5 \"hello\" . eof");
    post("Content-Length: 0", "", "POST h / 0 . eof");
    post(
        "Content-Length: 5",
        "hell",
        &format!("POST h / 5 \"hell\" {CODEC}"),
    );
    post(
        "Content_Length: 0\r\nContent-Length: 1",
        "h",
        "POST h / 1 \"h\" . eof",
    );
    post("X: 1", "GET", &format!("POST h / . {CODEC}"));
    for bad in [
        "-5",
        "+5",
        "0x5",
        "\"5\"",
        "5;a",
        "1e1",
        "5 5",
        "5, 5",
        "5,",
        "",
        "\u{a0}5",
        "5.0",
        "18446744073709551616",
        "9223372036854775808",
    ] {
        post(&format!("Content-Length: {bad}"), "hello", CODEC);
    }
    // RFC 9112 §6.3 rule 5; equal ones are refused too.
    post("Content-Length: 5\r\nContent-Length: 6", "hello", CODEC);
    post("Content-Length: 5\r\nContent-Length: 5", "hello", CODEC);
    // CONNECT has no content (RFC 9110 §9.3.6).
    let connect = |fields: &str, want: &str| {
        let request = format!("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        check(&[(&request, want)]);
    };
    connect("Content-Length: 0", "CONNECT a:1  . eof");
    connect("Content-Length: 1", "400 http1.content_length_not_allowed");
    connect(
        "Transfer-Encoding: chunked",
        "501 http1.transfer_encoding_not_allowed",
    );
}

#[test]
fn codings() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let post = |version: &str, fields: &str, want: &str| {
        let request = format!("POST / HTTP/{version}\r\nHost: h\r\n{fields}\r\n\r\n{chunks}");
        check(&[(&request, want)]);
    };
    post(
        "1.1",
        "Transfer-Encoding: chunked",
        "POST h / chunked \"hello\" . eof",
    );
    post(
        "1.1",
        "transfer-encoding:\tChunked ",
        "POST h / chunked \"hello\" . eof",
    );
    for bad in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "identity",
        "\u{a0}chunked",
        "x-chunked",
        "chunke",
    ] {
        post("1.1", &format!("Transfer-Encoding: {bad}"), CODING);
    }
    post(
        "1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        CODING,
    );
    post(
        "1.1",
        "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
        CODING,
    );
    let both = "400 http1.content_length_and_chunked_not_allowed";
    post(
        "1.1",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        both,
    );
    post(
        "1.1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        both,
    );
    post("1.1", "Content-Length: 5\r\nTransfer-Encoding: cow", CODING);
    post(
        "1.0",
        "Transfer-Encoding: chunked",
        "400 http1.transfer_encoding_not_allowed",
    );
}

#[test]
fn chunks() {
    let chunked = |body: &str, want: &str| {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&[(
            &format!("{head}{body}"),
            &format!("POST h / chunked {want}"),
        )]);
    };
    chunked("0\r\n\r\n", ". eof");
    chunked("000005\r\nhello\r\n000\r\n\r\n", "\"hello\" . eof");
    chunked("2\r\nhe\r\n3;a=b\r\nllo\r\n0;c\r\n\r\n", "\"hello\" . eof");
    chunked(
        "A ; n=\"v;\\\"\"\r\n0123456789\r\n0\r\n\r\n",
        "\"0123456789\" . eof",
    );
    chunked("0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "+2 . eof");
    chunked("0\r\nHost: evil\r\nContent-Length: 9\r\n\r\n", ". eof");
    chunked(
        "0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ". GET h / . eof",
    );
    for bad in [
        "\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "g\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "8000000000000000\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=\u{1}\r\nhello\r\n0\r\n\r\n",
        "0\n\n",
        "",
        "0",
        "0\r\n",
        "0\r\nX: 1\r\n",
    ] {
        chunked(bad, CODEC);
    }
    chunked("5\r\nhel", &format!("\"hel\" {CODEC}"));
    chunked("5\r\nhello", &format!("\"hello\" {CODEC}"));
    chunked("5\r\nhelloX\r\n0\r\n\r\n", &format!("\"hello\" {CODEC}"));
    chunked("5\r\nhello\n0\r\n\r\n", &format!("\"hello\" {CODEC}"));
    chunked("5\r\nhello\r\n\r\n0\r\n\r\n", &format!("\"hello\" {CODEC}"));
    chunked("0\r\nX : y\r\n\r\n", CHARACTERS);
    chunked("0\r\nX: a\r\n b\r\n\r\n", CHARACTERS);
    chunked("0\r\nno colon\r\n\r\n", CHARACTERS);
}

#[test]
fn pipelines() {
    check(&[
        (
            "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET h /1 . POST h /2 1 \"x\" . GET h /3 . eof",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\nBAD\r\n\r\n",
            &format!("GET h / . {CODEC}"),
        ),
    ]);
}

#[test]
fn limits() {
    let get = |field_bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
            "a".repeat(field_bytes)
        )
    };
    check(&[
        (&get(60 * 1024 - 32), "GET h / . eof"),
        (&get(60 * 1024 - 31), "431 http1.headers_too_large"),
        (
            &format!("GET /{}", "a".repeat(61 * 1024)),
            "431 http1.headers_too_large",
        ),
        (
            &format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: 1\r\n".repeat(99)),
            "GET h / . eof",
        ),
        (
            &format!(
                "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
                "X: 1\r\n".repeat(100)
            ),
            "431 http1.too_many_headers",
        ),
    ]);
    let chunked = |body: &str, want: &str| {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&[(
            &format!("{head}{body}"),
            &format!("POST h / chunked {want}"),
        )]);
    };
    // One line, and all of them together.
    chunked(
        &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(5000)),
        CODEC,
    );
    chunked(&format!("5;{}", "a".repeat(5000)), CODEC);
    let line = format!("1;{}\r\nx\r\n", "a".repeat(1000));
    let taken = "x".repeat(16);
    chunked(&line.repeat(20), &format!("\"{taken}\" {CODEC}"));
    chunked(
        &format!("0\r\nX: {}\r\n\r\n", "a".repeat(20_000)),
        "431 http1.trailers_too_large",
    );
}

#[test]
fn facts() {
    let facts = |version: &str, fields: &str| {
        let request = format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
        let first = read_requests([request.as_bytes()]).swap_remove(0);
        let Event::Request(head, facts) = first else {
            panic!("{first:?}")
        };
        (head, facts)
    };
    let (head, plain) = facts("1.1", "");
    assert!(plain.keep_alive && plain.upgrade.is_none());
    assert_eq!(head.version, Version::Http11);
    assert!(head.headers.is_empty());
    let (head, old) = facts("1.0", "");
    assert!(!old.keep_alive);
    assert_eq!(head.version, Version::Http10);
    assert!(facts("1.0", "Connection: keep-alive\r\n").1.keep_alive);
    let (head, switch) = facts(
        "1.1",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n",
    );
    assert_eq!(switch.upgrade.as_deref(), Some("websocket"));
    assert_eq!(head.headers.len(), 1);
    let (head, te) = facts(
        "1.1",
        "TE: gzip, trailers\r\nConnection: TE, X-A\r\nX-A: 1\r\n",
    );
    assert!(te.accepts_trailers);
    assert_eq!(head.headers.get(Known::Te), Some(&b"trailers"[..]));
    assert_eq!(head.headers.len(), 1);
}

#[test]
fn a_head_waits_for_the_body_before_it() {
    let mut reader = Reader::requests(&Limits::REQUEST);
    let mut head = RequestHead::default();
    let mut buf = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
        .as_bytes()
        .into();
    assert!(reader.request_head(&mut buf, &mut head).unwrap().is_some());
    assert!(buf.is_empty());
    assert_eq!(reader.body(&mut buf), Ok(Part::NeedMore));
    assert_eq!(reader.request_head(&mut buf, &mut head), Ok(None));
}
