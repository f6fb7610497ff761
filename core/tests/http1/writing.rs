//! What goes out: heads with each kind of body, to each kind of client.

use bytes::Bytes;
use http::{Method, StatusCode};
use outrigger_core::http1::{Reply, Writer};
use outrigger_core::message::{Headers, RequestHead, ResponseHead, Version};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::BodyLength;

use crate::codec::drain;

fn headers(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

fn text(out: &mut Outbox) -> String {
    String::from_utf8(drain(out)).unwrap()
}

#[test]
fn request_heads() {
    let line = |method: &str, body: BodyLength, upgrade: Option<&str>| {
        let head = RequestHead {
            method: method.parse().unwrap(),
            authority: b"h".to_vec(),
            path: b"/".to_vec(),
            headers: headers(&[("x", "1"), ("content-length", "99")]),
            ..RequestHead::default()
        };
        let mut out = Outbox::default();
        Writer::default().request_head(&head, body, upgrade, &mut out);
        let text = text(&mut out);
        let start = format!("{method} / HTTP/1.1\r\nhost: h\r\nx: 1\r\n");
        text.strip_prefix(&start).unwrap().replace("\r\n", "|")
    };
    let cases: &[(&str, BodyLength, &str)] = &[
        ("GET", BodyLength::None, "|"),
        ("GET", BodyLength::Known(0), "content-length: 0||"),
        ("HEAD", BodyLength::None, "|"),
        ("DELETE", BodyLength::None, "|"),
        ("POST", BodyLength::None, "content-length: 0||"),
        ("OPTIONS", BodyLength::None, "content-length: 0||"),
        ("POST", BodyLength::Known(12), "content-length: 12||"),
        ("GET", BodyLength::Unknown, "transfer-encoding: chunked||"),
    ];
    for (method, body, want) in cases {
        assert_eq!(line(method, *body, None), *want, "{method} {body:?}");
    }
    assert_eq!(
        line("GET", BodyLength::None, Some("websocket")),
        "connection: upgrade|upgrade: websocket||"
    );
    assert_eq!(line("GET", BodyLength::None, Some("a\r\nb")), "|");
}

/// One response without its end line, lines joined by `|`, and whether the connection can be kept.
fn response(
    method: Method,
    version: Version,
    status: u16,
    fields: &[(&str, &str)],
    body: BodyLength,
) -> (String, bool) {
    let head = ResponseHead {
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::Http11,
        headers: headers(fields),
    };
    let reply = Reply {
        method: &method,
        version,
        body,
        keep_alive: true,
        upgrade: (status == 101).then_some("websocket"),
    };
    let mut out = Outbox::default();
    let kept = Writer::default().response_head(&head, &reply, &mut out);
    (text(&mut out).replace("\r\n", "|"), kept)
}

#[test]
fn response_heads() {
    use BodyLength::{Known, None, Unknown};
    use Version::{Http10, Http11};
    type Case<'a> = (
        Method,
        Version,
        u16,
        &'a [(&'a str, &'a str)],
        BodyLength,
        &'a str,
        bool,
    );
    let length: &[(&str, &str)] = &[("content-length", "7")];
    let get = Method::GET;
    let head = Method::HEAD;
    let connect = Method::CONNECT;
    let cases: &[Case<'_>] = &[
        (
            get.clone(),
            Http11,
            200,
            &[],
            Known(2),
            "HTTP/1.1 200 OK|content-length: 2||",
            true,
        ),
        (
            get.clone(),
            Http11,
            200,
            &[],
            None,
            "HTTP/1.1 200 OK|content-length: 0||",
            true,
        ),
        (
            get.clone(),
            Http11,
            200,
            &[],
            Unknown,
            "HTTP/1.1 200 OK|transfer-encoding: chunked||",
            true,
        ),
        (
            get.clone(),
            Http11,
            299,
            &[],
            None,
            "HTTP/1.1 299 |content-length: 0||",
            true,
        ),
        (
            get.clone(),
            Http10,
            200,
            &[],
            Unknown,
            "HTTP/1.0 200 OK|connection: close||",
            false,
        ),
        (
            get.clone(),
            Http10,
            200,
            &[],
            Known(2),
            "HTTP/1.0 200 OK|content-length: 2|connection: keep-alive||",
            true,
        ),
        (
            get.clone(),
            Http11,
            204,
            length,
            Known(7),
            "HTTP/1.1 204 No Content||",
            true,
        ),
        (
            get.clone(),
            Http11,
            304,
            length,
            None,
            "HTTP/1.1 304 Not Modified|content-length: 7||",
            true,
        ),
        (
            get.clone(),
            Http11,
            304,
            &[],
            None,
            "HTTP/1.1 304 Not Modified||",
            true,
        ),
        (
            head.clone(),
            Http11,
            200,
            length,
            None,
            "HTTP/1.1 200 OK|content-length: 7||",
            true,
        ),
        (
            head.clone(),
            Http11,
            200,
            &[],
            Known(3),
            "HTTP/1.1 200 OK|content-length: 3||",
            true,
        ),
        (
            head.clone(),
            Http11,
            200,
            &[],
            None,
            "HTTP/1.1 200 OK|transfer-encoding: chunked||",
            true,
        ),
        (
            head,
            Http10,
            200,
            &[],
            Unknown,
            "HTTP/1.0 200 OK|connection: keep-alive||",
            true,
        ),
        (
            get.clone(),
            Http11,
            103,
            &[("link", "a")],
            None,
            "HTTP/1.1 103 Early Hints|link: a||",
            true,
        ),
        (get.clone(), Http10, 103, &[("link", "a")], None, "", true),
        (
            get,
            Http11,
            101,
            &[],
            None,
            "HTTP/1.1 101 Switching Protocols|connection: upgrade|upgrade: websocket||",
            false,
        ),
        (
            connect.clone(),
            Http11,
            200,
            length,
            None,
            "HTTP/1.1 200 OK||",
            false,
        ),
        (
            connect,
            Http11,
            403,
            &[],
            Known(1),
            "HTTP/1.1 403 Forbidden|content-length: 1||",
            true,
        ),
    ];
    for (method, version, status, fields, body, want, kept) in cases {
        let got = response(method.clone(), *version, *status, fields, *body);
        assert_eq!(
            got,
            ((*want).into(), *kept),
            "{method} {version:?} {status} {body:?}"
        );
    }
}

#[test]
fn close_is_said() {
    let reply = Reply {
        method: &Method::GET,
        version: Version::Http11,
        body: BodyLength::None,
        keep_alive: false,
        upgrade: None,
    };
    let mut out = Outbox::default();
    let mut writer = Writer::default();
    let early = ResponseHead {
        status: StatusCode::CONTINUE,
        ..ResponseHead::default()
    };
    assert!(!writer.response_head(&early, &reply, &mut out));
    assert_eq!(text(&mut out), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(!writer.response_head(&ResponseHead::default(), &reply, &mut out));
    assert!(text(&mut out).contains("\r\nconnection: close\r\n"));
}

/// A body written after such a head: the bytes after the head, and whether it was whole.
fn body(body: BodyLength, method: Method, pieces: &[&'static str]) -> (String, bool) {
    let mut out = Outbox::default();
    let mut writer = Writer::default();
    let reply = Reply {
        method: &method,
        version: Version::Http11,
        body,
        keep_alive: true,
        upgrade: None,
    };
    let _ = writer.response_head(&ResponseHead::default(), &reply, &mut out);
    let _ = drain(&mut out);
    for piece in pieces {
        writer.data(Bytes::from_static(piece.as_bytes()), &mut out);
    }
    let trailers = headers(&[("x-sum", "1"), ("host", "evil"), ("y", "a\r\nb")]);
    let whole = writer.end(Some(&trailers), &mut out);
    (text(&mut out), whole)
}

#[test]
fn bodies() {
    let get = || Method::GET;
    let cases: &[(BodyLength, Method, &[&'static str], &str, bool)] = &[
        (
            BodyLength::Known(5),
            get(),
            &["he", "", "llo"],
            "hello",
            true,
        ),
        (
            BodyLength::Known(5),
            get(),
            &["hello", "more"],
            "hello",
            true,
        ),
        (
            BodyLength::Known(5),
            get(),
            &["helloGET / HTTP/1.1"],
            "hello",
            true,
        ),
        (BodyLength::Known(5), get(), &["hell"], "hell", false),
        (BodyLength::None, get(), &["x"], "", true),
        (BodyLength::Known(5), Method::HEAD, &["hello"], "", true),
        (BodyLength::Unknown, Method::HEAD, &["hello"], "", true),
        (
            BodyLength::Unknown,
            get(),
            &["he", "", "llo0123456789abcdef"],
            "2\r\nhe\r\n13\r\nllo0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n",
            true,
        ),
        (
            BodyLength::None,
            Method::CONNECT,
            &["raw", "", "\0"],
            "raw\0",
            true,
        ),
    ];
    for (length, method, pieces, want, whole) in cases {
        let got = body(*length, method.clone(), pieces);
        assert_eq!(got, ((*want).into(), *whole), "{length:?} {method}");
    }
}
