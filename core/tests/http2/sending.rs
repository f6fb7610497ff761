//! What leaves, in which order and in which frames.

use bytes::Bytes;
use outrigger_core::http2::Limits;
use outrigger_core::message::{Headers, ResponseHead};
use outrigger_core::outbox::HIGH_WATER;
use outrigger_core::stream::BodyLength;

use crate::by_hand::{Ours, get, open, settings, update};

#[test]
fn a_small_response_is_one_block() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    ours.answer(1, 100);
    ours.connection
        .flush(&mut ours.outbox, HIGH_WATER, ours.now);
    assert!(ours.outbox.is_single());
    assert_eq!(ours.told(), ["HEADERS 1", "DATA 1 100 end"]);
}

#[test]
fn long_pieces_are_not_copied() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.outbox.mark_bodies();
    ours.say(&get(1)).unwrap();
    let id = ours.id(1);
    let head = ResponseHead::default();
    ours.connection
        .respond(id, &head, BodyLength::Unknown, &mut ours.outbox);
    let long = Bytes::from(vec![7; 40_000]);
    ours.connection.data(id, long.clone());
    ours.connection
        .flush(&mut ours.outbox, HIGH_WATER, ours.now);
    let at = |piece: &[u8]| long.as_ptr_range().contains(&piece.as_ptr());
    let kept: usize = ours
        .outbox
        .pieces()
        .filter(|piece| at(piece))
        .map(<[u8]>::len)
        .sum();
    assert_eq!(kept, 40_000);
    let bodies: usize = ours.outbox.bodies().map(|body| body.len()).sum();
    assert_eq!(bodies, 40_000, "frame heads are not of the body");
    assert_eq!(
        ours.told(),
        ["HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 7232"]
    );
}

#[test]
fn streams_take_turns() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&[get(1), get(3), get(5)].concat()).unwrap();
    ours.answer(1, 40_000);
    ours.answer(3, 20_000);
    ours.answer(5, 10);
    ours.connection.flush(&mut ours.outbox, 1, ours.now);
    let want = [
        "HEADERS 1",
        "HEADERS 3",
        "HEADERS 5",
        // The window of the connection is 65,535.
        "DATA 1 16384",
        "DATA 3 16384",
        "DATA 5 10 end",
        "DATA 1 16384",
        "DATA 3 3616 end",
        "DATA 1 7232 end",
    ];
    assert_eq!(ours.told(), want);
}

#[test]
fn nothing_more_leaves_above_the_mark() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&[get(1), open(3)].concat()).unwrap();
    ours.answer(1, 60_000);
    let before = ours.outbox.len();
    ours.connection.flush(&mut ours.outbox, before, ours.now);
    assert_eq!(ours.outbox.len(), before);
    assert!(ours.connection.has_to_send());
    ours.connection
        .flush(&mut ours.outbox, before + 1, ours.now);
    assert_eq!(ours.outbox.len(), before + 9 + 16_384);
    ours.told();
    assert!(!ours.connection.has_to_send());
}

#[test]
fn a_stuck_stream_does_not_stop_the_others() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&[settings(&[(4, 100)]), get(1), get(3)].concat())
        .unwrap();
    ours.answer(1, 1000);
    ours.answer(3, 300);
    let told = ours.told();
    assert_eq!(told[told.len() - 2..], ["DATA 1 100", "DATA 3 100"]);
    ours.say(&update(3, 200)).unwrap();
    assert_eq!(ours.told(), ["DATA 3 200 end"]);
    ours.say(&settings(&[(4, 0)])).unwrap();
    ours.say(&update(1, 50)).unwrap();
    assert_eq!(ours.told(), ["SETTINGS ack"], "the window is below 0");
    ours.say(&settings(&[(4, 60)])).unwrap();
    assert_eq!(ours.told(), ["SETTINGS ack", "DATA 1 10"]);
    ours.say(&settings(&[(4, 10_000)])).unwrap();
    assert_eq!(ours.told(), ["SETTINGS ack", "DATA 1 890 end"]);
}

#[test]
fn ends_need_no_window() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&[settings(&[(4, 3)]), get(1), get(3)].concat())
        .unwrap();
    let head = ResponseHead::default();
    let mut trailers = Headers::default();
    trailers.append(b"grpc-status", b"0").unwrap();
    for stream in [1, 3] {
        let id = ours.id(stream);
        ours.connection
            .respond(id, &head, BodyLength::Unknown, &mut ours.outbox);
        ours.connection.data(id, Bytes::from_static(b"abc"));
    }
    ours.told();
    ours.connection.end(ours.id(1), Some(&trailers));
    ours.connection.end(ours.id(3), None);
    assert_eq!(ours.told(), ["HEADERS 1 end", "DATA 3 0 end"]);
}

#[test]
fn a_long_head_is_continued() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    let mut head = ResponseHead::default();
    for n in 0..40 {
        let name = format!("x-{n}");
        // Huffman's code is longer than such bytes.
        head.headers.append(name.as_bytes(), &[b'~'; 1000]).unwrap();
    }
    ours.connection
        .respond(ours.id(1), &head, BodyLength::None, &mut ours.outbox);
    let frames = ours.output();
    let flags: Vec<_> = frames
        .iter()
        .map(|frame| (frame.kind, frame.flags))
        .collect();
    assert_eq!(flags, [(1, 1), (9, 0), (9, 4)]);
    assert_eq!(frames[0].payload.len(), 16_384);
    let mut client = Ours::client(&Limits::CLIENT, 1);
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend(crate::by_hand::frame(
            frame.kind,
            frame.flags,
            frame.stream,
            &frame.payload,
        ));
    }
    client.say(&bytes).unwrap();
    let crate::by_hand::Heard::Response(read) = &client.heard[0].1 else {
        panic!("{:?}", client.heard);
    };
    assert_eq!(read.headers, head.headers);
}

#[test]
fn the_owner_is_told_when_little_is_left() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    let id = ours.id(1);
    let head = ResponseHead::default();
    ours.connection
        .respond(id, &head, BodyLength::Unknown, &mut ours.outbox);
    ours.connection.data(id, Bytes::from(vec![0; 66_000]));
    assert_eq!(ours.connection.next_event(), None);
    ours.output();
    assert_eq!(ours.connection.unsent(id), 465);
    let event = ours.connection.next_event();
    assert_eq!(event, Some(outrigger_core::http2::Event::Progress(id, ())));
    ours.connection.end(id, None);
    ours.say(&update(0, 1000)).unwrap();
    ours.say(&update(1, 1000)).unwrap();
    assert!(!ours.connection.is_sent(id));
    assert_eq!(ours.told(), ["DATA 1 465 end"]);
    assert!(ours.connection.is_sent(id));
    assert!(ours.connection.next_event().is_some());
}
