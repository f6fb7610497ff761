//! What holds for all messages: the reader agrees with the model, tells the same however bytes arrive, and says again
//! what it read.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::codec::model::{self, End};
use crate::codec::{self, Event, read_requests};

/// Pieces from which messages, nearly right ones and smuggled ones are built.
const PIECES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /a?b HTTP/1.1\r\n",
    "POST /a HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "GET * HTTP/1.1\r\n",
    "GET / HTTP/1.2\r\n",
    "GET /#a HTTP/1.1\r\n",
    "GET http://a.b:81?c HTTP/1.1\r\n",
    "OPTIONS HTTPS://h HTTP/1.1\r\n",
    "CONNECT h:443 HTTP/1.1\r\n",
    "CONNECT [::1]:443 HTTP/1.1\r\n",
    "Host: h\r\n",
    "Host: h\r\n",
    "host: a.b:80\r\n",
    "Host: a b\r\n",
    "Host: [::1]:065535\r\n",
    "Host:\r\n",
    "Connection: close, x\r\n",
    "Connection: keep-alive\r\n",
    "Proxy-Connection: Close\r\n",
    "Content-Length: 3\r\n",
    "content-length:\t03 \r\n",
    "Content-Length: 3, 3\r\n",
    "Content-Length: -3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: CHUNKED\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "X: \u{e9}\t\r\n",
    "X: a\r\n b\r\n",
    "X\r\n",
    "x-sum: 1\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "abc",
    "3\r\nabc\r\n",
    "3;a=\"b\\\"\" ;c\r\nabc\r\n",
    "3 \r\nabc\r\n",
    "0x3\r\nabc\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "0;a\r\nx-sum: 1\r\n\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    ":",
    ";",
];

/// Bytes that are shown as text when a case fails.
#[derive(Clone)]
struct Wire(Vec<u8>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

fn bytes_of(pieces: &[&str]) -> Vec<u8> {
    pieces.concat().chars().map(|c| c as u8).collect()
}

/// Mostly whole requests with a fault here and there: pure noise would never get past the first line.
fn connection() -> impl Strategy<Value = Wire> {
    let start = select(vec![
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "POST /a?b HTTP/1.1\r\nhost: a.b:80\r\n",
        "POST / HTTP/1.0\r\n",
        "GET http://a.b:81/c HTTP/1.1\r\nHost: h\r\n",
        "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n",
    ]);
    let framed = select(vec![
        "\r\n",
        "Content-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;b\r\n0123456789\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\nhost: evil\r\n\r\n",
    ]);
    let noise = vec(select(PIECES), 0..3).prop_map(|pieces| pieces.concat());
    let rare_noise = prop_oneof![4 => Just(String::new()), 1 => noise];
    let request = (start, rare_noise.clone(), framed, rare_noise)
        .prop_map(|(start, a, framed, b)| format!("{start}{a}{framed}{b}"));
    let built = vec(request, 1..4).prop_map(|requests| bytes_of(&[&requests.concat()]));
    let loose = vec(select(PIECES), 0..12).prop_map(|pieces| bytes_of(&pieces));
    // One byte changed anywhere finds what no list of pieces thinks of.
    let mutated = (built.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    prop_oneof![4 => built, 2 => loose, 4 => mutated].prop_map(Wire)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn requests_are_those_of_the_model_however_they_arrive_and_when_said_again(Wire(bytes) in connection()) {
        codec::requests(&bytes);
    }

    #[test]
    fn what_goes_out_is_whole_requests_to_the_model(Wire(bytes) in connection()) {
        let events = read_requests([&bytes[..]]);
        let whole = codec::whole(&events);
        let count = whole.iter().filter(|event| **event == Event::End).count();
        let has_host = |event: &Event| !matches!(event, Event::Request(head, _) if head.authority.is_empty());
        if !whole.iter().all(has_host) {
            return Ok(());
        }
        let again = codec::write(whole, &http::Method::GET, outrigger_core::message::Version::Http11);
        let (requests, end) = model::requests(&again);
        prop_assert_eq!((requests.len(), end), (count, End::Clean), "{:?}", String::from_utf8_lossy(&again));
    }

    #[test]
    fn responses_are_those_of_the_model_however_they_arrive_and_when_said_again(
        kind in 0u8..8,
        Wire(bytes) in response(),
    ) {
        let mut fed = vec![kind];
        fed.extend(bytes);
        codec::responses(&fed);
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200)) {
        codec::requests(&bytes);
        codec::responses(&bytes);
    }
}

fn response() -> impl Strategy<Value = Wire> {
    let start = select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
    ]);
    let fields = select(vec![
        "",
        "X: a\r\n b\r\n",
        "X : a\r\n",
        "Connection: close, x-a\r\nX-A: 1\r\n",
        "Content-Length: 3\r\n",
        "Connection: keep-alive\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Set-Cookie: a\r\nSet-Cookie: b\r\n",
    ]);
    let body = select(vec![
        "\r\n",
        "\r\nabc",
        "\n3\r\nabc\r\n0\r\n\r\n",
        "\r\n0\r\nx-sum: 1\r\n\r\n",
    ]);
    let one = (start, vec(fields, 0..3), body)
        .prop_map(|(start, fields, body)| format!("{start}{}{body}", fields.concat()));
    let built = vec(one, 1..3).prop_map(|all| bytes_of(&[&all.concat()]));
    (
        built,
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<bool>(),
    )
        .prop_map(|(mut bytes, at, byte, mutate)| {
            if mutate {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Wire(bytes)
        })
}
