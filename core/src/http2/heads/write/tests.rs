//! Tables of heads and the blocks that become of them.

use super::super::fixture::fields;
use super::*;

fn headers(lines: &[&str]) -> Headers {
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    headers
}

#[test]
fn requests() {
    // Method, authority, path, protocol, length, fields; the block.
    type Case = (
        &'static str,
        &'static str,
        &'static str,
        Option<&'static str>,
        BodyLength,
        &'static [&'static str],
        &'static [&'static str],
    );
    const NONE: BodyLength = BodyLength::None;
    let cases: &[Case] = &[
        (
            "GET",
            "h",
            "/a?b",
            None,
            NONE,
            &["a: 1", "te: trailers"],
            &[
                ":method: GET",
                ":scheme: http",
                ":path: /a?b",
                ":authority: h",
                "a: 1",
                "te: trailers",
            ],
        ),
        (
            "POST",
            "h",
            "/",
            None,
            NONE,
            &[],
            &[
                ":method: POST",
                ":scheme: http",
                ":path: /",
                ":authority: h",
            ],
        ),
        (
            "POST",
            "h",
            "/",
            None,
            BodyLength::Unknown,
            &["content-length: 7"],
            &[
                ":method: POST",
                ":scheme: http",
                ":path: /",
                ":authority: h",
            ],
        ),
        (
            "POST",
            "h",
            "/",
            None,
            BodyLength::Known(5),
            &["content-length: 7", "a: 1"],
            &[
                ":method: POST",
                ":scheme: http",
                ":path: /",
                ":authority: h",
                "a: 1",
                "content-length: 5",
            ],
        ),
        (
            "OPTIONS",
            "h",
            "*",
            None,
            NONE,
            &[],
            &[
                ":method: OPTIONS",
                ":scheme: http",
                ":path: *",
                ":authority: h",
            ],
        ),
        (
            "GET",
            "",
            "/",
            None,
            NONE,
            &["host: evil"],
            &[":method: GET", ":scheme: http", ":path: /"],
        ),
        (
            "GET",
            "h",
            "/",
            None,
            NONE,
            &["x-forwarded-proto: https"],
            &[
                ":method: GET",
                ":scheme: https",
                ":path: /",
                ":authority: h",
                "x-forwarded-proto: https",
            ],
        ),
        (
            "GET",
            "h",
            "/",
            None,
            NONE,
            &["x-forwarded-proto: gopher"],
            &[
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: h",
                "x-forwarded-proto: gopher",
            ],
        ),
        (
            "CONNECT",
            "h:443",
            "",
            None,
            NONE,
            &["a: 1"],
            &[":method: CONNECT", ":authority: h:443", "a: 1"],
        ),
        (
            "GET",
            "h",
            "/",
            Some("websocket"),
            NONE,
            &["sec-websocket-key: k", "content-length: 0"],
            &[
                ":method: CONNECT",
                ":protocol: websocket",
                ":scheme: http",
                ":path: /",
                ":authority: h",
                "sec-websocket-key: k",
            ],
        ),
        (
            "POST",
            "h",
            "/",
            Some("websocket"),
            NONE,
            &[],
            &[
                ":method: POST",
                ":scheme: http",
                ":path: /",
                ":authority: h",
            ],
        ),
        (
            "GET",
            "h",
            "/",
            Some("a b"),
            NONE,
            &[],
            &[":method: GET", ":scheme: http", ":path: /", ":authority: h"],
        ),
        (
            "GET",
            "h\r\n",
            "a b#\u{e9}",
            None,
            NONE,
            &[],
            &[
                ":method: GET",
                ":scheme: http",
                ":path: /a%20b%23%C3%A9",
                ":authority: h%0D%0A",
            ],
        ),
        (
            "GET",
            "h",
            "/",
            None,
            NONE,
            &[
                "connection: x",
                "keep-alive: 1",
                "proxy-connection: x",
                "transfer-encoding: chunked",
                "upgrade: h2c",
                "http2-settings: A",
                "te: gzip",
                "a: 1\r\nb: 2",
                "c d: 1",
                "e:  1 ",
            ],
            &[
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: h",
                "e: 1",
            ],
        ),
    ];
    for (method, authority, path, upgrade, body, given, want) in cases {
        let head = RequestHead {
            method: method.parse().unwrap(),
            authority: authority.as_bytes().to_vec(),
            path: path.as_bytes().to_vec(),
            headers: headers(given),
            ..RequestHead::default()
        };
        let begins = Begins {
            body: *body,
            upgrade: upgrade.map(Into::into),
        };
        let mut out = BytesMut::new();
        write_request(&mut Encoder::new(), &head, &begins, &mut out);
        assert_eq!(fields(&out), *want);
    }
}

#[test]
fn responses() {
    let five = &["content-length: 5", "a: 1"][..];
    let cases: &[(u16, BodyLength, &[&str], &[&str])] = &[
        (200, BodyLength::Unknown, five, &[":status: 200", "a: 1"]),
        (
            200,
            BodyLength::Known(7),
            five,
            &[":status: 200", "a: 1", "content-length: 7"],
        ),
        (200, BodyLength::None, &["a: 1"], &[":status: 200", "a: 1"]),
        (
            200,
            BodyLength::None,
            five,
            &[":status: 200", "a: 1", "content-length: 5"],
        ),
        (
            200,
            BodyLength::None,
            &["content-length: x"],
            &[":status: 200"],
        ),
        (204, BodyLength::None, five, &[":status: 204", "a: 1"]),
        (103, BodyLength::None, five, &[":status: 103", "a: 1"]),
        (101, BodyLength::None, five, &[":status: 200", "a: 1"]),
        (
            200,
            BodyLength::Unknown,
            &["host: h", "connection: close", "upgrade: x"],
            &[":status: 200", "host: h"],
        ),
    ];
    for (status, body, given, want) in cases {
        let head = ResponseHead {
            status: StatusCode::from_u16(*status).unwrap(),
            headers: headers(given),
            ..ResponseHead::default()
        };
        let mut out = BytesMut::new();
        write_response(&mut Encoder::new(), &head, *body, &mut out);
        assert_eq!(fields(&out), *want, "{status}");
    }
}

#[test]
fn trailers() {
    let mut out = BytesMut::new();
    let given = headers(&["grpc-status: 0", "host: evil", "content-length: 1", "a: \n"]);
    write_trailers(&mut Encoder::new(), &given, &mut out);
    assert_eq!(fields(&out), ["grpc-status: 0"]);
}
