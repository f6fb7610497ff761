//! Heads by table, bodies by table and against a model that has everything at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn request(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    for (name, value) in fields {
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    head
}

fn fields(headers: &Headers) -> String {
    let text = |bytes| core::str::from_utf8(bytes).unwrap();
    let all = headers.iter();
    let all: Vec<_> = all
        .map(|field| format!("{}: {}", text(field.name), text(field.value)))
        .collect();
    all.join("; ")
}

#[test]
fn requests_become_grpc() {
    let made = |more: &str| {
        format!(
            "content-type: application/grpc{more}; te: trailers; grpc-accept-encoding: identity"
        )
    };
    let translated = |text_request, text_response| {
        Some(GrpcWeb {
            text_request,
            text_response,
        })
    };
    let accepts = "accept: application/grpc-web-text";
    let with_accept = made("").replacen("grpc; ", &format!("grpc; {accepts}; "), 1);
    for (kind, more, want, head) in [
        (
            "application/grpc-web",
            None,
            translated(false, false),
            made(""),
        ),
        (
            "application/grpc-web+proto",
            None,
            translated(false, false),
            made(""),
        ),
        (
            "application/grpc-web-text",
            None,
            translated(true, false),
            made(""),
        ),
        (
            "application/grpc-web-text+proto",
            Some(("accept", "application/grpc-web-text")),
            translated(true, true),
            with_accept.clone(),
        ),
        (
            "application/grpc-web+proto",
            Some(("accept", "application/grpc-web-text")),
            translated(false, true),
            with_accept,
        ),
        (
            "application/grpc-web",
            Some(("content-length", "7")),
            translated(false, false),
            made(""),
        ),
        (
            "application/grpc-web",
            Some(("grpc-accept-encoding", "gzip")),
            translated(false, false),
            "content-type: application/grpc; grpc-accept-encoding: gzip; te: trailers".into(),
        ),
        (
            "application/grpc-web+json",
            None,
            None,
            "content-type: application/grpc-web+json".into(),
        ),
        (
            "application/grpc",
            None,
            None,
            "content-type: application/grpc".into(),
        ),
        (
            "application/json",
            Some(("content-length", "7")),
            None,
            "content-type: application/json; content-length: 7".into(),
        ),
    ] {
        let all: Vec<_> = [("content-type", kind)].into_iter().chain(more).collect();
        let mut request = request(&all);
        assert_eq!(GrpcWeb::of_request(&mut request), want, "{all:?}");
        assert_eq!(fields(&request.headers), head, "{all:?}");
    }
    assert_eq!(GrpcWeb::of_request(&mut RequestHead::default()), None);
}

/// Translates a response whole: what its head and its body become.
fn answered(
    web: GrpcWeb,
    status: u16,
    kind: &str,
    body: &[u8],
    trailers: Option<&[(&str, &str)]>,
) -> (String, Vec<u8>) {
    let mut head = ResponseHead {
        status: StatusCode::from_u16(status).unwrap(),
        headers: request(&[("content-type", kind), ("content-length", "3")]).headers,
        ..ResponseHead::default()
    };
    let trailers = trailers.map(|trailers| request(trailers).headers);
    let ends = body.is_empty() && trailers.is_none();
    let mut out = BytesMut::new();
    let mut translated = web.response(&mut head, ends);
    translated.push(body, &mut out);
    translated.end(trailers.as_ref(), &mut head, &mut out);
    (
        format!("{} {}", head.status.as_u16(), fields(&head.headers)),
        out.to_vec(),
    )
}

#[test]
fn responses_become_grpc_web() {
    let (binary, text) = (
        GrpcWeb {
            text_request: false,
            text_response: false,
        },
        GrpcWeb {
            text_request: true,
            text_response: true,
        },
    );
    let message = b"\0\0\0\0\x02hi";
    let trailers = Some(&[("grpc-status", "0"), ("grpc-message", "")][..]);
    let frame = b"\x80\0\0\0\x1egrpc-status:0\r\ngrpc-message:\r\n";
    let web = "200 content-type: application/grpc-web+proto";
    let web_text = "200 content-type: application/grpc-web-text+proto";
    let whole = [&message[..], frame].concat();
    let whole_text = [STANDARD.encode(message), STANDARD.encode(frame)].concat();
    for (to, status, kind, body, trailers, head, want) in [
        (
            binary,
            200,
            "application/grpc",
            &message[..],
            trailers,
            web,
            &whole[..],
        ),
        (
            text,
            200,
            "application/grpc+proto",
            message,
            trailers,
            web_text,
            whole_text.as_bytes(),
        ),
        (binary, 200, "application/grpc", message, None, web, message),
        // Nothing but a head: its fields say all.
        (binary, 200, "application/grpc", b"", None, web, b""),
        (
            text,
            503,
            "text/plain",
            b"",
            None,
            "503 content-type: application/grpc-web-text+proto",
            b"",
        ),
        // A service that speaks gRPC-Web itself.
        (
            binary,
            200,
            "Application/grpc-web ; charset=a",
            &whole,
            None,
            web,
            &whole,
        ),
        (
            text,
            200,
            "application/grpc-web+proto",
            &whole,
            None,
            web_text,
            whole_text.as_bytes(),
        ),
        // What is no gRPC gives its text to the head.
        (
            binary,
            503,
            "text/plain",
            b"no 100%",
            None,
            "503 content-type: application/grpc-web+proto; grpc-status: 14; grpc-message: no 100%25; content-length: 0",
            b"",
        ),
        (
            text,
            200,
            "text/html",
            b"x",
            trailers,
            "200 content-type: application/grpc-web-text+proto; grpc-status: 2; grpc-message: x; content-length: 0",
            b"",
        ),
        (
            binary,
            404,
            "application/grpc",
            b"",
            trailers,
            "404 content-type: application/grpc-web+proto; grpc-status: 12; content-length: 0",
            b"",
        ),
    ] {
        let (got_head, got) = answered(to, status, kind, body, trailers);
        assert_eq!(got_head, head, "{status} {kind}");
        assert_eq!(got, want, "{status} {kind}");
    }
}

#[test]
fn so_much_of_an_answer_is_kept() {
    let web = GrpcWeb {
        text_request: false,
        text_response: false,
    };
    let body = vec![b'a'; ANSWER_TEXT + 1];
    let (head, _) = answered(web, 500, "text/plain", &body, None);
    let (_, message) = head.split_once("grpc-message: ").unwrap();
    let (message, _) = message.split_once(';').unwrap();
    assert_eq!(message.len(), ANSWER_TEXT);
}

fn decoded(pieces: &[&[u8]]) -> Result<Vec<u8>, BadBase64> {
    let mut decoder = TextDecoder::default();
    let mut out = BytesMut::new();
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.end().map(|()| out.to_vec())
}

#[test]
fn base64_is_read_four_by_four() {
    for (text, want) in [
        ("", Ok(&b""[..])),
        ("YWJj", Ok(b"abc")),
        ("YWI=", Ok(b"ab")),
        // A client that flushed pads in the middle.
        ("YQ==YWJj", Ok(b"aabc")),
        ("YWJ", Err(BadBase64)),
        ("YWJjYQ", Err(BadBase64)),
        ("YW-_", Err(BadBase64)),
        ("YWJ\n", Err(BadBase64)),
        ("====", Err(BadBase64)),
        ("Y===", Err(BadBase64)),
        ("YR==", Err(BadBase64)),
    ] {
        assert_eq!(
            decoded(&[text.as_bytes()]).as_deref(),
            want.as_ref().map(|w| *w),
            "{text}"
        );
    }
}

/// What is sent for messages and a rest that is no whole one, all at once.
fn model(messages: &[Vec<u8>], rest: &[u8], trailers: &Headers) -> String {
    let framed = messages
        .iter()
        .map(|message| STANDARD.encode(frame_of(message)));
    let mut frame = BytesMut::new();
    trailers_frame(trailers, &mut frame);
    let mut all: Vec<String> = framed.collect();
    all.push(STANDARD.encode(rest));
    all.push(STANDARD.encode(frame));
    all.concat()
}

fn frame_of(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// Bytes cut at these places.
fn cut<'b>(mut bytes: &'b [u8], at: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    for length in at {
        let (piece, rest) = bytes.split_at((*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

proptest! {
    #[test]
    fn what_is_sent_does_not_depend_on_cuts(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
        rest in prop::collection::vec(any::<u8>(), 0..5),
        cuts in prop::collection::vec(0usize..12, 0..20),
    ) {
        let trailers = request(&[("grpc-status", "0")]).headers;
        let body: Vec<u8> = messages.iter().flat_map(|m| frame_of(m)).chain(rest.iter().copied()).collect();
        let mut encoder = TextEncoder::default();
        let mut out = BytesMut::new();
        let mut fed = 0;
        for piece in cut(&body, &cuts) {
            encoder.push(piece, &mut out);
            fed += piece.len();
            // No whole message is kept back, and of another one never more than two bytes.
            let mut whole = 0;
            for message in &messages {
                let end = whole + message.len() + 5;
                whole = if end <= fed { end } else { break };
            }
            let sent = out.chunks(4).map(|four| STANDARD.decode(four).unwrap().len()).sum::<usize>();
            prop_assert!(sent >= whole.max(fed.saturating_sub(2)), "{sent} of {fed}");
        }
        encoder.end(Some(&trailers), &mut out);
        prop_assert_eq!(core::str::from_utf8(&out).unwrap(), model(&messages, &rest, &trailers));
        // A client that reads four by four has it all again.
        let mut again = BytesMut::from(&body[..]);
        trailers_frame(&trailers, &mut again);
        prop_assert_eq!(decoded(&[&out]), Ok(again.to_vec()));
    }

    #[test]
    fn what_is_read_does_not_depend_on_cuts(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4),
        cuts in prop::collection::vec(0usize..9, 0..20),
    ) {
        let text: String = chunks.iter().map(|chunk| STANDARD.encode(chunk)).collect();
        prop_assert_eq!(decoded(&cut(text.as_bytes(), &cuts)), Ok(chunks.concat()));
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), cuts in prop::collection::vec(0usize..9, 0..20)) {
        let whole = decoded(&[&bytes]);
        let pieces = decoded(&cut(&bytes, &cuts));
        prop_assert_eq!(whole, pieces);
    }
}
