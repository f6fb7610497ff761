//! Frames by themselves: what each type is, and the exact error of what it must not be.

use proptest::prelude::*;

use super::*;

const CONNECTION: u32 = 0;

fn understand(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Frame<'_>, Fault> {
    FrameHead {
        length: payload.len(),
        kind: Kind::of(kind),
        flags,
        stream: StreamId::new(stream),
    }
    .understand(payload)
}

fn id(number: u32) -> StreamId {
    StreamId::new(number).expect("not 0")
}

#[test]
fn frames_are_understood() {
    let data = |data| Frame::Data {
        stream: id(1),
        ends_stream: false,
        data,
    };
    let headers = |ends_stream, ends_block, fragment| Frame::Headers {
        stream: id(1),
        ends_stream,
        ends_block,
        fragment,
    };
    for (kind, flags, stream, payload, want) in [
        (0, 0, 1, &b"abc"[..], data(0..3)),
        (0, 0x8, 1, b"\x02abc\0\0", data(1..4)),
        (0, 0x8, 1, b"\x02\0\0", data(1..1)),
        (0, 0x8, 1, b"\0", data(1..1)),
        (1, 0x5, 1, b"abc", headers(true, true, b"abc")),
        (
            1,
            0x28,
            1,
            b"\x01\0\0\0\0\0ab\0",
            headers(false, false, b"ab"),
        ),
        (1, 0x20, 1, b"\0\0\0\0\0", headers(false, false, b"")),
        (2, 0, 3, b"\0\0\0\0\0", Frame::Priority),
        (
            3,
            0,
            3,
            b"\0\0\0\x08",
            Frame::ResetStream {
                stream: id(3),
                code: Code::Cancel,
            },
        ),
        (4, 0, 0, b"", Frame::Settings(b"")),
        (4, 1, 0, b"", Frame::SettingsAck),
        (5, 4, 1, b"", Frame::PushPromise),
        (6, 0, 0, b"12345678", Frame::Ping(*b"12345678")),
        (6, 1, 0, b"12345678", Frame::Pong(*b"12345678")),
        (
            7,
            0,
            0,
            b"\x80\0\0\x05\0\0\0\x0bwhy",
            Frame::GoAway {
                last: Some(id(5)),
                code: Code::EnhanceYourCalm,
            },
        ),
        (
            7,
            0,
            0,
            b"\0\0\0\0\0\0\0\0",
            Frame::GoAway {
                last: None,
                code: Code::NoError,
            },
        ),
        (
            8,
            0,
            0,
            b"\x80\0\0\x01",
            Frame::WindowUpdate {
                stream: None,
                increment: 1,
            },
        ),
        (
            8,
            0,
            7,
            b"\x7f\xff\xff\xff",
            Frame::WindowUpdate {
                stream: Some(id(7)),
                increment: 0x7fff_ffff,
            },
        ),
        (
            9,
            4,
            1,
            b"abc",
            Frame::Continuation {
                stream: id(1),
                ends_block: true,
                fragment: b"abc",
            },
        ),
        (10, 0xff, 0, b"anything", Frame::Unknown),
    ] {
        let got = understand(kind, flags, stream, payload);
        assert_eq!(got, Ok(want), "{kind} {payload:?}");
    }
}

#[test]
fn faults_are_those_of_the_rfc() {
    let connection = |code| (None, code);
    let (protocol, size) = (
        connection(Code::ProtocolError),
        connection(Code::FrameSizeError),
    );
    for (kind, flags, stream, payload, want) in [
        // Streams and connections.
        (0, 0, CONNECTION, &b""[..], protocol),
        (1, 0, CONNECTION, b"", protocol),
        (2, 0, CONNECTION, b"\0\0\0\0\0", protocol),
        (3, 0, CONNECTION, b"\0\0\0\0", protocol),
        (4, 0, 1, b"", protocol),
        (4, 1, 1, b"", protocol),
        (5, 0, CONNECTION, b"", protocol),
        (6, 0, 1, b"12345678", protocol),
        (7, 0, 1, b"\0\0\0\0\0\0\0\0", protocol),
        (9, 0, CONNECTION, b"", protocol),
        // Padding (§6.1, §6.2).
        (0, 8, 1, b"", size),
        (0, 8, 1, b"\x01", protocol),
        (0, 8, 1, b"\xff\0\0", protocol),
        (1, 8, 1, b"\x02a", protocol),
        (1, 0x28, 1, b"\x01\0\0\0\0\0", protocol),
        (1, 0x20, 1, b"\0\0\0\0", size),
        // Sizes.
        (2, 0, 1, b"\0\0\0\0", (Some(1), Code::FrameSizeError)),
        (3, 0, 1, b"\0\0\0", size),
        (3, 0, 1, b"\0\0\0\0\0", size),
        (4, 0, 0, b"\0\x01\0\0\0", size),
        (4, 1, 0, b"\0\x01\0\0\0\0", size),
        (6, 0, 0, b"1234567", size),
        (6, 1, 0, b"123456789", size),
        (7, 0, 0, b"\0\0\0\0\0\0\0", size),
        (7, 0, 0, b"", size),
        (8, 0, 0, b"\0\0\0", size),
        (8, 0, 1, b"\0\0\0\0\0", size),
        // Increments (§6.9).
        (8, 0, 0, b"\0\0\0\0", protocol),
        (8, 0, 0, b"\x80\0\0\0", protocol),
        (8, 0, 1, b"\0\0\0\0", (Some(1), Code::ProtocolError)),
    ] {
        let got = match understand(kind, flags, stream, payload) {
            Err(Fault::Connection(fatal)) => (None, fatal.code),
            Err(Fault::Stream(stream, code)) => (Some(stream.number()), code),
            Ok(frame) => panic!("{frame:?}"),
        };
        assert_eq!(got, want, "{kind} {payload:?}");
    }
}

proptest! {
    #[test]
    fn heads_go_round(length in 0usize..1 << 24, kind: u8, flags: u8, stream: u32) {
        let head = FrameHead { length, kind: Kind::of(kind), flags, stream: StreamId::new(stream) };
        let mut bytes = BytesMut::new();
        head.write(&mut bytes);
        prop_assert_eq!(FrameHead::read(&bytes), Some(head));
        prop_assert_eq!(FrameHead::read(&bytes[..8]), None);
    }

    #[test]
    fn no_payload_panics(kind in 0u8..12, flags: u8, stream in 0u32..4, payload: Vec<u8>) {
        if let Ok(Frame::Data { data, .. }) = understand(kind, flags, stream, &payload) {
            prop_assert!(payload.get(data).is_some());
        }
    }
}
