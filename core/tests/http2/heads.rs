//! A head is the same value whichever version it came by, and whichever it goes on by.

use bytes::BytesMut;
use http::{Method, StatusCode};
use outrigger_core::http1::{self, Limits, Reader, Reply, Writer};
use outrigger_core::http2::heads::{
    Asked, HeadLimits, read_request, read_response, read_trailers, write_request, write_response,
    write_trailers,
};
use outrigger_core::http2::hpack::{Decoder, Encoder};
use outrigger_core::message::{Headers, Known, RequestHead, ResponseHead, Version};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Part};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn sent(out: &Outbox) -> BytesMut {
    out.pieces().flatten().copied().collect::<Vec<_>>()[..].into()
}

type Request = (RequestHead, Begins);
type Response = (ResponseHead, Answer);

/// By HTTP/1 and back.
fn request_by_1((head, begins): &Request) -> Request {
    let mut out = Outbox::default();
    let upgrade = begins.upgrade.as_deref();
    Writer::default().request_head(head, begins.body, upgrade, &mut out);
    let mut read = RequestHead::default();
    let facts = Reader::requests(&Limits::REQUEST).request_head(&mut sent(&out), &mut read);
    let facts = facts.unwrap().unwrap();
    let begins = Begins {
        body: facts.framing.into(),
        upgrade: facts.upgrade,
    };
    (neutral_request(read), begins)
}

/// By HTTP/2 and back.
fn request_by_2((head, begins): &Request) -> Request {
    let mut block = BytesMut::new();
    write_request(&mut Encoder::new(), head, begins, &mut block);
    let mut read = RequestHead::default();
    let ends = begins.body == BodyLength::None && begins.upgrade.is_none();
    let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::REQUEST);
    let begins = read_request(&mut decoder, &block, ends, &limits, &mut read);
    (neutral_request(read), begins.unwrap().unwrap())
}

/// Without what tells the version, and with the length at the end, where both write it.
fn neutral_request(mut head: RequestHead) -> RequestHead {
    head.version = Version::default();
    length_last(&mut head.headers);
    head
}

fn length_last(headers: &mut Headers) {
    if let Some(length) = headers.get(Known::ContentLength).map(<[u8]>::to_vec) {
        headers.remove(Known::ContentLength);
        headers.append_known(Known::ContentLength, &length);
    }
}

fn response_by_1(method: &Method, upgrade: Option<&str>, (head, answer): &Response) -> Response {
    let mut out = Outbox::default();
    let switched = match answer {
        Answer::Switched(protocol) => protocol.as_deref(),
        Answer::Interim | Answer::Final(_) => None,
    };
    let reply = Reply {
        method,
        version: Version::Http11,
        body: body_of(answer),
        keep_alive: true,
        upgrade: switched,
    };
    Writer::default().response_head(head, &reply, &mut out);
    let mut read = ResponseHead::default();
    let asked = http1::Asked {
        method,
        upgrade: upgrade.is_some(),
    };
    let facts =
        Reader::responses(&Limits::RESPONSE).response_head(&mut sent(&out), asked, &mut read);
    let facts = facts.unwrap().unwrap();
    let answer = if facts.switched {
        Answer::Switched(facts.upgrade)
    } else if facts.interim {
        Answer::Interim
    } else {
        Answer::Final(facts.framing.into())
    };
    (neutral_response(read), answer)
}

fn response_by_2(method: &Method, upgrade: Option<&str>, (head, answer): &Response) -> Response {
    let mut block = BytesMut::new();
    write_response(&mut Encoder::new(), head, body_of(answer), &mut block);
    let request = RequestHead {
        method: method.clone(),
        ..RequestHead::default()
    };
    let begins = Begins {
        upgrade: upgrade.map(Into::into),
        ..Begins::default()
    };
    let mut read = ResponseHead::default();
    let asked = Asked::of(&request, &begins);
    let ends = *answer == Answer::Final(BodyLength::None);
    let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::RESPONSE);
    let answer = read_response(&mut decoder, &block, ends, &asked, &limits, &mut read);
    (neutral_response(read), answer.unwrap().unwrap())
}

fn neutral_response(mut head: ResponseHead) -> ResponseHead {
    head.version = Version::default();
    length_last(&mut head.headers);
    head
}

fn body_of(answer: &Answer) -> BodyLength {
    match answer {
        Answer::Final(body) => *body,
        Answer::Interim | Answer::Switched(_) => BodyLength::None,
    }
}

const NAMES: &[&str] = &[
    "accept",
    "authorization",
    "content-type",
    "cookie",
    "date",
    "expect",
    "grpc-timeout",
    "sec-websocket-key",
    "server",
    "set-cookie",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-!#$%&'*+.^_`|~9",
];

/// Legal in both versions, with bytes that are not ASCII.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let usual = select(
        &[
            "",
            "a",
            "https",
            "text/plain; q=1",
            "a\tb  c",
            "\u{e9}\u{ff}",
        ][..],
    );
    let any = vec(prop_oneof![0x21..0x7fu8, 0x80..=0xffu8], 0..60);
    prop_oneof![usual.prop_map(|text| text.as_bytes().to_vec()), any]
}

fn headers() -> impl Strategy<Value = Headers> {
    let names = subsequence(NAMES, 0..NAMES.len()).prop_shuffle();
    (names, vec(value(), NAMES.len()), any::<bool>()).prop_map(|(names, values, te)| {
        let mut headers = Headers::default();
        for (name, value) in names.into_iter().zip(values) {
            headers.append(name.as_bytes(), &value).unwrap();
        }
        if te {
            headers.append_known(Known::Te, b"trailers");
        }
        headers
    })
}

fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        Just(BodyLength::Unknown),
        (0..=i64::MAX as u64).prop_map(BodyLength::Known)
    ];
    let none = BodyLength::None;
    // Method, path, authority, what begins. POST without a body is told in another way by HTTP/1.
    let kinds = prop_oneof![
        (
            Just("GET"),
            Just("/a?b=%20"),
            Just("h:80"),
            Just((none, None))
        ),
        (
            Just("OPTIONS"),
            Just("*"),
            Just("[::1]:80"),
            body.clone().prop_map(|body| (body, None))
        ),
        (
            select(&["POST", "PUT", "x-mine", "DELETE"][..]),
            Just("/"),
            Just("a.b"),
            body.prop_map(|body| (body, None))
        ),
        (Just("CONNECT"), Just(""), Just("h:443"), Just((none, None))),
        (
            Just("GET"),
            Just("/chat"),
            Just("h"),
            Just((none, Some("websocket")))
        ),
    ];
    (kinds, headers()).prop_map(|((method, path, authority, (body, upgrade)), headers)| {
        let head = RequestHead {
            method: method.parse().unwrap(),
            authority: authority.as_bytes().to_vec(),
            path: path.as_bytes().to_vec(),
            headers,
            ..RequestHead::default()
        };
        let upgrade = upgrade.map(Into::into);
        (head, Begins { body, upgrade })
    })
}

/// What a response answers, and it.
fn response() -> impl Strategy<Value = (Method, Option<&'static str>, Response)> {
    let websocket = Some("websocket");
    let body = prop_oneof![
        Just(BodyLength::Unknown),
        (0..=i64::MAX as u64).prop_map(BodyLength::Known)
    ];
    let usual = (select(&[200u16, 206, 404, 503, 999][..]), body);
    let kinds = prop_oneof![
        usual.prop_map(|(status, body)| (Method::GET, None, status, Answer::Final(body))),
        Just((Method::GET, None, 100, Answer::Interim)),
        Just((Method::POST, None, 103, Answer::Interim)),
        Just((Method::GET, None, 204, Answer::Final(BodyLength::None))),
        Just((Method::GET, None, 304, Answer::Final(BodyLength::None))),
        Just((Method::HEAD, None, 200, Answer::Final(BodyLength::None))),
        Just((Method::CONNECT, None, 200, Answer::Switched(None))),
        Just((
            Method::CONNECT,
            None,
            502,
            Answer::Final(BodyLength::Known(3))
        )),
        Just((
            Method::GET,
            websocket,
            101,
            Answer::Switched(websocket.map(Into::into))
        )),
        Just((
            Method::GET,
            websocket,
            403,
            Answer::Final(BodyLength::Unknown)
        )),
    ];
    let told = proptest::option::of(0..1_000_000u32);
    (kinds, headers(), told).prop_map(|((method, upgrade, status, answer), mut headers, told)| {
        headers.remove(Known::Te);
        let is_told = method == Method::HEAD || status == 304;
        if let Some(length) = told.filter(|_| is_told) {
            headers.append_known(Known::ContentLength, length.to_string().as_bytes());
        }
        let head = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            ..ResponseHead::default()
        };
        (method, upgrade, (head, answer))
    })
}

proptest! {
    #[test]
    fn requests_of_either_version(request in request()) {
        let (one, two) = (request_by_1(&request), request_by_2(&request));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(&request_by_1(&one), &one);
        prop_assert_eq!(&request_by_2(&one), &one);
        // The other way too: nothing is added on the way that was not there.
        let (mut head, _) = request;
        if let BodyLength::Known(length) = one.1.body {
            head.headers.set(Known::ContentLength, length.to_string().as_bytes());
        }
        prop_assert_eq!(one.0, head);
    }

    #[test]
    fn responses_of_either_version((method, upgrade, response) in response()) {
        let (one, two) = (
            response_by_1(&method, upgrade, &response),
            response_by_2(&method, upgrade, &response),
        );
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(&response_by_1(&method, upgrade, &two), &one);
        prop_assert_eq!(&response_by_2(&method, upgrade, &one), &one);
        prop_assert_eq!(one.1, response.1);
    }

    #[test]
    fn trailers_of_either_version(trailers in headers()) {
        let mut out = Outbox::default();
        let mut writer = Writer::default();
        let head = ResponseHead::default();
        let reply = Reply {
            method: &Method::GET,
            version: Version::Http11,
            body: BodyLength::Unknown,
            keep_alive: true,
            upgrade: None,
        };
        writer.response_head(&head, &reply, &mut out);
        prop_assert!(writer.end(Some(&trailers), &mut out));
        let mut reader = Reader::responses(&Limits::RESPONSE);
        let (mut buf, asked) = (sent(&out), http1::Asked { method: &Method::GET, upgrade: false });
        reader.response_head(&mut buf, asked, &mut ResponseHead::default()).unwrap().unwrap();
        let one = match reader.body(&mut buf).unwrap() {
            Part::Trailers(trailers) => trailers,
            Part::NeedMore | Part::Data(_) | Part::End => Headers::default(),
        };
        let mut block = BytesMut::new();
        write_trailers(&mut Encoder::new(), &trailers, &mut block);
        let mut two = Headers::default();
        let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::TRAILERS);
        prop_assert_eq!(read_trailers(&mut decoder, &block, &limits, &mut two), Ok(Ok(())));
        prop_assert_eq!(one, two);
    }

    /// Whatever a block tells and is taken goes on by either version, and is the same there.
    #[test]
    fn whatever_is_taken_goes_on(fields in vec((select(ANY_NAMES), select(ANY_VALUES)), 0..8), ends: bool) {
        let mut block = BytesMut::new();
        let mut encoder = Encoder::new();
        let usual = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "h")];
        for (name, value) in usual.into_iter().chain(fields) {
            encoder.field(name.as_bytes(), value.as_bytes(), &mut block);
        }
        let mut head = RequestHead::default();
        let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::REQUEST);
        if let Ok(begins) = read_request(&mut decoder, &block, ends, &limits, &mut head).unwrap() {
            let request = (neutral_request(head), begins);
            prop_assert_eq!(request_by_1(&request), request_by_2(&request));
        }
    }
}

const ANY_NAMES: &[&str] = &[
    "host",
    "cookie",
    "te",
    "content-length",
    "x-a",
    "x-b",
    "X-c",
    "connection",
    "expect",
    ":path",
    "http2-settings",
    "x_d",
];

const ANY_VALUES: &[&str] = &["h", "trailers", "a=b", "0", "5", "", "x y", " z", "a\nb"];

/// Two fields of a cookie are one for whoever got them as crumbs, and in any case the same to whoever reads them.
#[test]
fn cookies_of_http_1_are_joined() {
    let mut head = RequestHead::default();
    for (name, value) in [("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2")] {
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    head.authority.extend_from_slice(b"h");
    head.path.extend_from_slice(b"/");
    let (read, _) = request_by_2(&(head, Begins::default()));
    let fields = read.headers.iter().map(|field| (field.name, field.value));
    let want: [(&[u8], &[u8]); 2] = [(b"cookie", b"a=1; b=2"), (b"x-a", b"1")];
    assert_eq!(fields.collect::<Vec<_>>(), want);
}

/// A field that its sender keeps out of every table stays out of the next one.
#[test]
fn what_is_never_indexed_stays_so() {
    let mut block = BytesMut::new();
    let mut encoder = Encoder::new();
    let usual = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "h"),
    ];
    for (name, value) in usual {
        encoder.field(name.as_bytes(), value.as_bytes(), &mut block);
    }
    encoder.never_indexed(b"x-secret", b"1", &mut block);
    let mut head = RequestHead::default();
    let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::REQUEST);
    let begins = read_request(&mut decoder, &block, true, &limits, &mut head)
        .unwrap()
        .unwrap();
    let mut again = BytesMut::new();
    write_request(&mut Encoder::new(), &head, &begins, &mut again);
    let mut seen = Vec::new();
    let mut note = |name: &[u8], never| seen.push((name.to_vec(), never));
    let read =
        Decoder::new(4096).decode_fields(&again, |field| note(field.name, field.never_indexed));
    assert_eq!(read, Ok(()));
    assert_eq!(seen.last(), Some(&(b"x-secret".to_vec(), true)));
    assert_eq!(seen.iter().filter(|(_, never)| *never).count(), 1);
}
