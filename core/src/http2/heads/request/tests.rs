//! Tables of requests: what each means, how much body it has, and why it is refused.

use super::super::fixture::{block, lines};
use super::super::refusals::{LENGTH, PSEUDO_LATE, TOO_LARGE};
use super::*;

fn read(ends_stream: bool, fields: &[&str]) -> Result<(RequestHead, Begins), Refused> {
    let mut head = RequestHead::default();
    let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::REQUEST);
    let begins = read_request(
        &mut decoder,
        &block(fields),
        ends_stream,
        &limits,
        &mut head,
    );
    begins.unwrap().map(|begins| (head, begins))
}

/// A request as `GET h /p`, and its fields.
fn shown(head: &RequestHead) -> (String, Vec<String>) {
    let text = String::from_utf8_lossy;
    let line = format!(
        "{} {} {}",
        head.method,
        text(&head.authority),
        text(&head.path)
    );
    (line, lines(&head.headers))
}

const M: &str = ":method: GET";
const S: &str = ":scheme: http";
const A: &str = ":authority: h";
const P: &str = ":path: /";
const CONNECT: &str = ":method: CONNECT";
const WS: &str = ":protocol: websocket";

#[test]
fn what_it_means() {
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&[M, S, A, P], "GET h /", &[]),
        (&[P, A, S, M, "a: 1"], "GET h /", &["a: 1"]),
        (
            &[
                ":method: POST",
                ":scheme: https",
                ":authority: h:8443",
                ":path: /a?b",
            ],
            "POST h:8443 /a?b",
            &[],
        ),
        (&[":method: x-mine", S, A, P], "x-mine h /", &[]),
        (&[":method: OPTIONS", S, A, ":path: *"], "OPTIONS h *", &[]),
        (&[M, S, P, "host: h:80"], "GET h:80 /", &[]),
        (&[M, S, A, P, "host: H", "a: 1"], "GET h /", &["a: 1"]),
        (&[M, ":scheme: coap+tcp", A, P], "GET h /", &[]),
        (&[CONNECT, ":authority: h:443"], "CONNECT h:443 ", &[]),
        (
            &[CONNECT, ":authority: h:443", "content-length: 0"],
            "CONNECT h:443 ",
            &[],
        ),
        (
            &[CONNECT, S, A, P, WS, "sec-websocket-version: 13"],
            "GET h /",
            &["sec-websocket-version: 13"],
        ),
        (
            &[M, S, A, P, "te: trailers", "content-length: 0"],
            "GET h /",
            &["te: trailers", "content-length: 0"],
        ),
    ];
    for (fields, line, want) in cases {
        let (head, _) = read(true, fields).unwrap();
        assert_eq!(
            shown(&head),
            (
                (*line).to_owned(),
                want.iter().map(|l| (*l).to_owned()).collect()
            )
        );
        assert_eq!(head.version, Version::Http2);
    }
}

#[test]
fn how_much_body() {
    let length = "content-length: 5";
    let zero = "content-length: 0";
    let cases: &[(bool, &[&str], Result<BodyLength, Refused>)] = &[
        (true, &[M, S, A, P], Ok(BodyLength::None)),
        (false, &[M, S, A, P], Ok(BodyLength::Unknown)),
        (false, &[M, S, A, P, length], Ok(BodyLength::Known(5))),
        (false, &[M, S, A, P, zero], Ok(BodyLength::Known(0))),
        (true, &[M, S, A, P, zero], Ok(BodyLength::Known(0))),
        (true, &[M, S, A, P, length], Err(LENGTH_NOT_SENT)),
        (false, &[M, S, A, P, length, length], Err(LENGTH)),
        (false, &[M, S, A, P, "content-length: 5, 5"], Err(LENGTH)),
        (false, &[M, S, A, P, "content-length: -1"], Err(LENGTH)),
        (false, &[M, S, A, P, "content-length: "], Err(LENGTH)),
        (false, &[CONNECT, ":authority: h:1"], Ok(BodyLength::None)),
        (
            false,
            &[CONNECT, ":authority: h:1", length],
            Err(LENGTH_NOT_ALLOWED),
        ),
        (false, &[CONNECT, S, A, P, WS], Ok(BodyLength::None)),
        (
            false,
            &[CONNECT, S, A, P, WS, length],
            Err(LENGTH_NOT_ALLOWED),
        ),
    ];
    for (ends_stream, fields, want) in cases {
        let got = read(*ends_stream, fields).map(|(_, begins)| begins.body);
        assert_eq!(got, *want, "{ends_stream} {fields:?}");
    }
}

#[test]
fn protocols() {
    let read = |fields: &[&str]| read(false, fields).map(|(_, begins)| begins.upgrade);
    assert_eq!(read(&[CONNECT, S, A, P, WS]), Ok(Some("websocket".into())));
    assert_eq!(
        read(&[CONNECT, S, A, P, ":protocol: connect-udp/1"]),
        Ok(Some("connect-udp/1".into()))
    );
    assert_eq!(read(&[M, S, A, P]), Ok(None));
    for bad in [
        ":protocol: ",
        ":protocol: h2c",
        ":protocol: H2C",
        ":protocol: a b",
    ] {
        assert_eq!(read(&[CONNECT, S, A, P, bad]), Err(PROTOCOL), "{bad}");
    }
}

#[test]
fn what_is_refused() {
    let cases: &[(&[&str], Refused)] = &[
        (&[], PSEUDO_MISSING),
        (&["a: 1"], PSEUDO_MISSING),
        (&[S, A, P], PSEUDO_MISSING),
        (&[M, A, P], PSEUDO_MISSING),
        (&[M, S, A], PSEUDO_MISSING),
        (&[M, S, P], NO_AUTHORITY),
        (&[M, S, P, ":authority: "], NO_AUTHORITY),
        (&[M, S, P, "host: "], NO_AUTHORITY),
        (&[M, M, S, A, P], PSEUDO_REPEATED),
        (&[M, S, S, A, P], PSEUDO_REPEATED),
        (&[M, S, A, A, P], PSEUDO_REPEATED),
        (&[M, S, A, P, P], PSEUDO_REPEATED),
        (&[CONNECT, S, A, P, WS, WS], PSEUDO_REPEATED),
        (&[M, S, A, "a: 1", P], PSEUDO_LATE),
        (&[M, S, A, P, ":status: 200"], PSEUDO_UNKNOWN),
        (&[M, S, A, P, ":x: 1"], PSEUDO_UNKNOWN),
        (&[M, S, A, P, ":: 1"], PSEUDO_UNKNOWN),
        (&[":Method: GET", S, A, P], PSEUDO_UNKNOWN),
        (&[":method: ", S, A, P], METHOD),
        (&[":method: G T", S, A, P], METHOD),
        (&[M, ":scheme: ", A, P], SCHEME),
        (&[M, ":scheme: http,https", A, P], SCHEME),
        (&[M, ":scheme: 1http", A, P], SCHEME),
        (&[M, S, A, ":path: "], PATH),
        (&[M, S, A, ":path: a"], PATH),
        (&[M, S, A, ":path: *"], PATH),
        (&[":method: OPTIONS", S, A, ":path: *a"], PATH),
        (&[M, S, A, ":path: http://h/"], PATH),
        (&[M, S, A, ":path: /a b"], PATH),
        (&[M, S, A, ":path: /\u{e9}"], PATH),
        (&[M, S, A, ":path: /a#b"], FRAGMENT),
        (&[M, S, ":authority: u@h", P], AUTHORITY),
        (&[M, S, ":authority: h:x", P], AUTHORITY),
        (&[M, S, ":authority: h/p", P], AUTHORITY),
        (&[M, S, P, "host: a b"], AUTHORITY),
        (&[M, S, A, P, "host: other"], OTHER_HOST),
        (&[M, S, A, P, "host: h:80"], OTHER_HOST),
        (&[M, S, A, P, "host: "], OTHER_HOST),
        (&[M, S, A, P, "host: h", "host: h"], MANY_HOSTS),
        (&[CONNECT, S, ":authority: h:1"], PSEUDO_NOT_ALLOWED),
        (&[CONNECT, P, ":authority: h:1"], PSEUDO_NOT_ALLOWED),
        (&[CONNECT], PSEUDO_MISSING),
        (&[CONNECT, "host: h:1"], PSEUDO_MISSING),
        (&[CONNECT, A], AUTHORITY),
        (&[M, S, A, P, WS], PSEUDO_NOT_ALLOWED),
        (&[CONNECT, A, P, WS], PSEUDO_MISSING),
        (&[CONNECT, S, A, WS], PSEUDO_MISSING),
        (&[CONNECT, S, P, WS, "host: h"], PSEUDO_MISSING),
        (&[CONNECT, S, A, ":path: *", WS], PATH),
    ];
    for (fields, want) in cases {
        let got = read(false, fields);
        assert_eq!(got.map(|(head, _)| shown(&head)), Err(*want), "{fields:?}");
        assert_eq!(want.status, 400);
    }
    let long = format!("a: {}", "x".repeat(60 * 1024));
    assert_eq!(read(true, &[M, S, A, P, &long]), Err(TOO_LARGE));
    assert_eq!(TOO_LARGE.status, 431);
}
