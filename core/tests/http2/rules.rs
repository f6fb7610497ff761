//! The rules of RFC 9113 by which frames follow one another: what comes, and what is said to it.

use outrigger_core::http2::{Code, Connection, Limits};

use crate::by_hand::{
    GET, Ours, PREFACE, block, data, frame, get, headers, open, post, reset, settings, update,
};

/// A name, what comes behind a greeting, and what is said to it.
type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a [&'a str]);

fn server(cases: &[Case<'_>]) {
    for (name, bytes, want) in cases {
        let mut ours = Ours::server(&Limits::SERVER);
        let _ = ours.say(&bytes.concat());
        assert_eq!(ours.told(), *want, "{name}");
    }
}

#[test]
fn a_connection_begins_with_its_preface() {
    for (name, bytes, want) in [
        (
            "http1",
            b"GET / HTTP/1.1\r\n".to_vec(),
            "GOAWAY 0 ProtocolError",
        ),
        (
            "late",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx".to_vec(),
            "GOAWAY 0 ProtocolError",
        ),
        (
            "no settings",
            [PREFACE, &get(1)].concat(),
            "GOAWAY 0 ProtocolError",
        ),
        (
            "ack first",
            [PREFACE, &frame(4, 1, 0, b"")].concat(),
            "GOAWAY 0 ProtocolError",
        ),
        ("right", [PREFACE, &settings(&[])].concat(), "SETTINGS ack"),
        ("part", PREFACE[..20].to_vec(), "UPDATE 0 983041"),
    ] {
        let mut ours = Ours::new(Connection::server(&Limits::SERVER));
        let _ = ours.say(&bytes);
        let told = ours.told();
        assert_eq!(told[0], "SETTINGS", "{name}");
        assert_eq!(told[1], want, "{name}");
    }
    let mut ours = Ours::new(Connection::client(&Limits::CLIENT));
    assert!(ours.say(&frame(6, 0, 0, b"12345678")).is_err());
    assert_eq!(ours.told(), ["SETTINGS", "GOAWAY 0 ProtocolError"]);
}

#[test]
fn every_size_of_the_table_of_fields_is_heard() {
    const TABLE: u16 = 1;
    let whole = [0x3f, 0xe1, 0x1f];
    for (said, want) in [
        (&[][..], &[][..]),
        (&[(TABLE, 4096)], &[]),
        (&[(TABLE, 0)], &[0x20]),
        // Two in one frame: the smallest is told first, then the last (RFC 7541 §4.2).
        (
            &[(TABLE, 0), (TABLE, 4096)],
            &[&[0x20], &whole[..]].concat(),
        ),
        (&[(TABLE, 4096), (TABLE, 0)], &[0x20]),
    ] {
        let mut ours = Ours::server(&Limits::SERVER);
        ours.say(&[settings(said), get(1)].concat()).unwrap();
        ours.answer(1, 0);
        let frames = ours.output();
        let head = frames.iter().find(|frame| frame.kind == 1).unwrap();
        // Up to `:status: 200`, which is one byte.
        let sizes = head.payload.split(|byte| *byte == 0x88).next();
        assert_eq!(sizes, Some(want), "{said:?}");
    }
}

#[test]
fn frames_have_their_time() {
    let continued = |flags, stream| frame(9, flags, stream, b"");
    let begun = |stream| frame(1, 1, stream, &block(GET));
    server(&[
        ("ping", vec![frame(6, 0, 0, b"12345678")], &["PING 1"]),
        ("pong unasked", vec![frame(6, 1, 0, b"12345678")], &[]),
        ("unknown type", vec![frame(0xbe, 0xff, 7, b"what")], &[]),
        ("priority", vec![frame(2, 0, 5, b"\0\0\0\0\0")], &[]),
        ("settings", vec![settings(&[(0xff, 1)])], &["SETTINGS ack"]),
        (
            "too long",
            vec![frame(0, 0, 1, &[0; 16_385])],
            &["GOAWAY 0 FrameSizeError"],
        ),
        (
            "too long, only its head",
            vec![frame(0xbe, 0, 1, &[0; 16_385])[..9].to_vec()],
            &["GOAWAY 0 FrameSizeError"],
        ),
        ("continued", vec![begun(1), continued(4, 1)], &[]),
        (
            "continuation alone",
            vec![continued(4, 1)],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "of another stream",
            vec![begun(1), continued(4, 3)],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "something between",
            vec![begun(1), frame(6, 0, 0, b"12345678")],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "unknown between",
            vec![begun(1), frame(0xbe, 0, 0, b"")],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "another head between",
            vec![begun(1), get(3)],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "push",
            vec![open(1), frame(5, 4, 1, b"\0\0\0\x02")],
            &["GOAWAY 1 ProtocolError"],
        ),
        (
            "bad block",
            vec![frame(1, 5, 1, b"\x80")],
            &["GOAWAY 1 CompressionError"],
        ),
        (
            "bad block of a stream that was reset",
            vec![open(1), reset(1, Code::Cancel), frame(1, 5, 1, b"\x80")],
            &["GOAWAY 1 CompressionError"],
        ),
        (
            "priority of an idle stream cut",
            vec![frame(2, 0, 1, b"\0")],
            &["GOAWAY 0 FrameSizeError"],
        ),
        (
            "priority cut",
            vec![open(1), frame(2, 0, 1, b"\0")],
            &["RST 1 FrameSizeError"],
        ),
        (
            "goaway",
            vec![frame(7, 0, 0, b"\0\0\0\0\0\0\0\0"), get(1)],
            &[],
        ),
        (
            "goaway grows",
            vec![
                frame(7, 0, 0, b"\0\0\0\x01\0\0\0\0"),
                frame(7, 0, 0, b"\0\0\0\x03\0\0\0\0"),
            ],
            &["GOAWAY 0 ProtocolError"],
        ),
    ]);
}

#[test]
fn streams_have_their_states() {
    let trailers = |stream| headers(stream, true, &[("x-sum", "1")]);
    server(&[
        (
            "idle: data",
            vec![data(1, true, b"x")],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "idle: reset",
            vec![reset(1, Code::Cancel)],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "idle: update",
            vec![update(1, 1)],
            &["GOAWAY 0 ProtocolError"],
        ),
        ("even", vec![get(2)], &["GOAWAY 0 ProtocolError"]),
        (
            "goes back",
            vec![get(5), get(3)],
            &["GOAWAY 5 ProtocolError"],
        ),
        (
            "half-closed: data",
            vec![get(1), data(1, false, b"x")],
            &["RST 1 StreamClosed"],
        ),
        (
            "half-closed: head",
            vec![get(1), get(1)],
            &["RST 1 StreamClosed"],
        ),
        ("half-closed: update", vec![get(1), update(1, 1)], &[]),
        (
            "half-closed: priority",
            vec![get(1), frame(2, 0, 1, b"\0\0\0\0\0")],
            &[],
        ),
        (
            "reset: data",
            vec![open(1), reset(1, Code::Cancel), data(1, true, b"x")],
            &["RST 1 StreamClosed"],
        ),
        (
            "reset: head",
            vec![open(1), reset(1, Code::Cancel), trailers(1)],
            &["RST 1 StreamClosed"],
        ),
        (
            "reset: reset, update",
            vec![
                open(1),
                reset(1, Code::Cancel),
                reset(1, Code::Cancel),
                update(1, 7),
            ],
            &[],
        ),
        (
            "reset: malformed update and priority",
            vec![
                open(1),
                reset(1, Code::Cancel),
                update(1, 0),
                frame(2, 0, 1, b"\0"),
            ],
            &[],
        ),
        (
            "passed over: malformed update and priority",
            vec![open(3), update(1, 0), frame(2, 0, 1, b"\0")],
            &[],
        ),
        (
            "trailers",
            vec![open(1), data(1, false, b"x"), trailers(1)],
            &[],
        ),
        (
            "trailers twice",
            vec![open(1), trailers(1), trailers(1)],
            &["RST 1 StreamClosed"],
        ),
        (
            "trailers without an end",
            vec![open(1), headers(1, false, &[("x-sum", "1")])],
            &["RST 1 ProtocolError"],
        ),
        (
            "refused, then what was on its way",
            vec![
                headers(1, false, &[("x", "no pseudo fields")]),
                data(1, true, b"x"),
            ],
            &["RST 1 ProtocolError"],
        ),
        (
            "refused, then malformed update and priority",
            vec![
                headers(1, false, &[("x", "no pseudo fields")]),
                update(1, 0),
                frame(2, 0, 1, b"\0"),
            ],
            &["RST 1 ProtocolError"],
        ),
    ]);
}

#[test]
fn closed_streams_are_told_from_others() {
    for (name, bytes, want) in [
        ("data", data(1, true, b"x"), "GOAWAY 1 StreamClosed"),
        ("head", get(1), "GOAWAY 1 StreamClosed"),
    ] {
        let mut ours = Ours::server(&Limits::SERVER);
        ours.say(&get(1)).unwrap();
        ours.answer(1, 3);
        assert_eq!(ours.told(), ["HEADERS 1", "DATA 1 3 end"]);
        ours.connection.close(ours.id(1));
        assert_eq!(ours.connection.streams(), 0);
        let malformed = [update(1, 0), frame(2, 0, 1, b"\0")];
        for harmless in [reset(1, Code::Cancel), update(1, 9)]
            .iter()
            .chain(&malformed)
        {
            assert_eq!(ours.say(harmless), Ok(()));
        }
        assert!(ours.say(&bytes).is_err());
        assert_eq!(ours.told(), [want], "{name}");
    }
    // We reset it, so the client could not know.
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&open(1)).unwrap();
    ours.connection
        .reset(ours.id(1), outrigger_core::stream::Reset::Failed);
    ours.say(&[data(1, false, b"x"), headers(1, true, &[("a", "b")])].concat())
        .unwrap();
    assert_eq!(ours.told(), ["RST 1 InternalError"]);
    assert_eq!(ours.connection.counts().late_frames, 2);
}

#[test]
fn lengths_are_those_of_the_data() {
    let posted = |length| frame(1, 4, 1, &post(length));
    server(&[
        ("as told", vec![posted("3"), data(1, true, b"abc")], &[]),
        (
            "as told, in pieces",
            vec![posted("3"), data(1, false, b"ab"), data(1, true, b"c")],
            &[],
        ),
        (
            "as told, then an empty end",
            vec![posted("3"), data(1, false, b"abc"), data(1, true, b"")],
            &[],
        ),
        (
            "padded",
            vec![posted("3"), frame(0, 9, 1, b"\x02abc\0\0")],
            &[],
        ),
        (
            "more",
            vec![posted("3"), data(1, false, b"abcd")],
            &["RST 1 ProtocolError"],
        ),
        (
            "less",
            vec![posted("3"), data(1, true, b"ab")],
            &["RST 1 ProtocolError"],
        ),
        (
            "less, trailers",
            vec![posted("3"), headers(1, true, &[("a", "b")])],
            &["RST 1 ProtocolError"],
        ),
        (
            "none",
            vec![frame(1, 5, 1, &post("3"))],
            &["RST 1 ProtocolError"],
        ),
    ]);
}

#[test]
fn windows_are_kept() {
    let mut big = vec![open(1)];
    big.extend((0..4).map(|_| data(1, false, &[0; 16_384])));
    server(&[
        (
            "overflow of the connection",
            vec![update(0, 0x7fff_ffff)],
            &["GOAWAY 0 FlowControlError"],
        ),
        (
            "overflow of a stream",
            vec![open(1), update(1, 0x7fff_ffff)],
            &["RST 1 FlowControlError"],
        ),
        (
            "overflow by settings",
            vec![
                open(1),
                update(1, 0x7fff_0000),
                settings(&[(4, 0x7fff_ffff)]),
            ],
            &["GOAWAY 1 FlowControlError"],
        ),
        (
            "nothing, connection",
            vec![update(0, 0)],
            &["GOAWAY 0 ProtocolError"],
        ),
        (
            "nothing, stream",
            vec![open(1), update(1, 0)],
            &["RST 1 ProtocolError"],
        ),
        (
            "initial size",
            vec![settings(&[(4, 0x8000_0000)])],
            &["GOAWAY 0 FlowControlError"],
        ),
    ]);
    // Up to the last byte, and one more.
    let mut ours = Ours::server(&Limits::SERVER);
    ours.takes = false;
    ours.say(&big.concat()).unwrap();
    assert_eq!(ours.connection.unread(ours.id(1)), 65_536);
    assert_eq!(ours.told(), [""; 0]);
    ours.say(&data(1, false, b"")).unwrap();
    ours.say(&data(1, false, b"x")).unwrap();
    assert_eq!(ours.told(), ["RST 1 FlowControlError"]);
    assert_eq!(ours.connection.counts().windows, 1);
}

#[test]
fn credit_is_given_when_bytes_are_taken() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.takes = false;
    ours.say(
        &[
            open(1),
            data(1, false, &[0; 16_384]),
            data(1, false, &[0; 16_384]),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(ours.told(), [""; 0], "nobody has taken any");
    ours.takes = true;
    ours.say(&data(1, false, b"x")).unwrap();
    assert_eq!(ours.told(), ["UPDATE 1 32769"]);
    // The connection's own credit does not wait for anybody, and padding counts.
    ours.takes = false;
    let padded = frame(0, 8, 1, &[&[255][..], &[0; 255 + 10]].concat());
    let mut came = 32_769;
    for n in 0..2000 {
        came += 1 + 255 + 10;
        let stream = 3 + 2 * n;
        ours.say(&[open(stream), padded.replace_stream(stream)].concat())
            .unwrap();
        ours.connection.close(ours.id(stream));
        let told = ours.told();
        assert!(told.contains(&format!("RST {stream} Cancel")));
        if told.len() > 1 {
            assert_eq!(told.last().unwrap(), &format!("UPDATE 0 {came}"));
            assert!(came >= 1024 * 1024 / 2);
            return;
        }
    }
    panic!("credit of the connection was never given back");
}

trait ReplaceStream {
    fn replace_stream(&self, stream: u32) -> Vec<u8>;
}

impl ReplaceStream for Vec<u8> {
    fn replace_stream(&self, stream: u32) -> Vec<u8> {
        let mut frame = self.clone();
        frame[5..9].copy_from_slice(&stream.to_be_bytes());
        frame
    }
}
