//! The life of a connection: how it ends in peace, whether the peer is still there, and what streams become of other
//! protocols.

use bytes::Bytes;
use http::{Method, StatusCode};
use outrigger_core::http2::{Code, Connection, Event, KeepAlive, Limits};
use outrigger_core::message::{RequestHead, ResponseHead};
use outrigger_core::outbox::{HIGH_WATER, Outbox};
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset};
use outrigger_core::time::{Duration, Instant};

use crate::by_hand::{
    Heard, Ours, PREFACE, data, frame, get, headers, open, reset, settings, update,
};

#[test]
fn a_drain_warns_first() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    ours.connection.drain();
    assert_eq!(ours.told(), ["GOAWAY 2147483647 NoError", "PING 0"]);
    // What the client opened before it knew is served.
    ours.say(&get(3)).unwrap();
    assert!(!ours.connection.drain_is_known());
    ours.say(&frame(6, 1, 0, b"draining")).unwrap();
    assert!(ours.connection.drain_is_known());
    ours.connection.finish_drain();
    ours.connection.finish_drain();
    ours.connection.drain();
    assert_eq!(ours.told(), ["GOAWAY 3 NoError"]);
    // What it opened later is not looked at, but read, since others refer to it.
    let heard = ours.heard.len();
    ours.say(
        &[
            open(5),
            data(5, false, b"x"),
            headers(5, true, &[("a", "b")]),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(ours.heard.len(), heard);
    assert_eq!(ours.connection.streams(), 2);
    for stream in [1, 3] {
        ours.answer(stream, 0);
        ours.output();
        ours.connection.close(ours.id(stream));
    }
    assert_eq!(ours.connection.streams(), 0);
    // The last stream is not named again, should it end in error.
    let _ = ours.say(&update(0, 0));
    assert_eq!(ours.told(), ["GOAWAY 3 ProtocolError"]);
}

#[test]
fn what_a_server_that_leaves_has_not_seen_may_be_asked_elsewhere() {
    let mut ours = Ours::client(&Limits::CLIENT, 3);
    ours.say(&frame(7, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0"))
        .unwrap();
    assert_eq!((ours.connection.room(), ours.heard.len()), (0, 0));
    ours.say(&frame(7, 0, 0, b"\0\0\0\x03\0\0\0\0")).unwrap();
    assert_eq!(
        ours.heard,
        [(5, Heard::Broken(Broken::Reset(Reset::Unprocessed)))]
    );
    ours.say(&headers(1, true, &[(":status", "200")])).unwrap();
    assert!(matches!(
        ours.heard[1..],
        [(1, Heard::Response(_)), (1, Heard::End)]
    ));
    ours.connection.on_eof();
    ours.listen();
    assert_eq!(
        ours.heard.last(),
        Some(&(3, Heard::Broken(Broken::Reset(Reset::Cut))))
    );
    let mut ours = Ours::client(&Limits::CLIENT, 1);
    ours.connection.on_eof();
    assert_eq!(ours.connection.room(), 0);
}

#[test]
fn resets_have_their_meaning() {
    for (code, want) in [
        (Code::RefusedStream, Reset::Unprocessed),
        (Code::Cancel, Reset::Cancelled),
        (Code::NoError, Reset::NoError),
        (Code::EnhanceYourCalm, Reset::Failed),
        (Code::Other(77), Reset::Failed),
    ] {
        let mut ours = Ours::client(&Limits::CLIENT, 1);
        ours.say(&reset(1, code)).unwrap();
        assert_eq!(ours.heard, [(1, Heard::Broken(Broken::Reset(want)))]);
        assert_eq!((ours.told().len(), ours.connection.streams()), (0, 0));
    }
}

#[test]
fn a_response_that_is_complete_survives_a_reset() {
    // RFC 9113 §8.1: the server does not want the rest of the request.
    let mut ours = Ours::client(&Limits::CLIENT, 0);
    let begins = Begins {
        body: BodyLength::Unknown,
        upgrade: None,
    };
    let id = ours
        .connection
        .ask(&RequestHead::default(), &begins, (), &mut ours.outbox)
        .unwrap();
    ours.connection.data(id, Bytes::from(vec![0; 70_000]));
    ours.output();
    let response = [
        headers(1, false, &[(":status", "413")]),
        data(1, true, b"too large"),
        reset(1, Code::NoError),
    ];
    ours.say(&response.concat()).unwrap();
    let heard: Vec<_> = ours.heard.iter().map(|(_, heard)| heard).collect();
    assert!(
        matches!(heard[..], [Heard::Response(_), Heard::Data(_), Heard::End]),
        "{heard:?}"
    );
    assert!(ours.connection.is_sent(id) && ours.connection.unsent(id) == 0);
    ours.connection.data(id, Bytes::from_static(b"more"));
    ours.connection.end(id, None);
    ours.connection.close(id);
    assert_eq!((ours.told().len(), ours.connection.streams()), (0, 0));
}

#[test]
fn a_response_that_is_complete_ends_the_request() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&open(1)).unwrap();
    ours.answer(1, 10);
    // Its owner is done before the last byte has left.
    ours.connection.close(ours.id(1));
    assert_eq!(ours.connection.streams(), 1);
    assert_eq!(ours.told(), ["HEADERS 1", "DATA 1 10 end", "RST 1 NoError"]);
    assert_eq!(ours.connection.streams(), 0);
    ours.say(&data(1, true, b"on its way")).unwrap();
    assert_eq!(ours.told(), [""; 0]);
}

#[test]
fn a_body_that_is_shorter_than_was_told_is_no_body() {
    let mut ours = Ours::server(&Limits::SERVER);
    ours.say(&get(1)).unwrap();
    let id = ours.id(1);
    let head = ResponseHead::default();
    ours.connection
        .respond(id, &head, BodyLength::Known(5), &mut ours.outbox);
    ours.connection.data(id, Bytes::from_static(b"abc"));
    ours.connection.end(id, None);
    assert_eq!(ours.told(), ["HEADERS 1", "RST 1 InternalError"]);
    // And one that is longer is cut.
    ours.say(&get(3)).unwrap();
    let id = ours.id(3);
    ours.connection
        .respond(id, &head, BodyLength::Known(2), &mut ours.outbox);
    ours.connection.data(id, Bytes::from_static(b"abc"));
    ours.connection.end(id, None);
    assert_eq!(ours.told(), ["HEADERS 3", "DATA 3 2 end"]);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    for (method, status, body, want) in [
        ("GET", 200, BodyLength::None, "HEADERS 1 end"),
        ("HEAD", 200, BodyLength::Known(100), "HEADERS 1 end"),
        ("HEAD", 200, BodyLength::Unknown, "HEADERS 1 end"),
        ("GET", 304, BodyLength::Known(100), "HEADERS 1 end"),
        ("GET", 204, BodyLength::None, "HEADERS 1 end"),
        ("GET", 200, BodyLength::Known(100), "HEADERS 1"),
        ("GET", 200, BodyLength::Unknown, "HEADERS 1"),
    ] {
        let mut ours = Ours::server(&Limits::SERVER);
        let mut fields = crate::by_hand::GET.to_vec();
        fields[0].1 = method;
        ours.say(&headers(1, true, &fields)).unwrap();
        let head = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            ..ResponseHead::default()
        };
        ours.connection
            .respond(ours.id(1), &head, body, &mut ours.outbox);
        assert_eq!(ours.told(), [want], "{method} {status}");
    }
}

#[test]
fn the_peer_is_asked_whether_it_is_there() {
    let limits = Limits {
        keepalive: Some(KeepAlive {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
        }),
        ..Limits::CLIENT
    };
    let mut ours = Ours::client(&limits, 1);
    let begun = ours.now;
    let seconds = |n: u64| begun + Duration::from_secs(n);
    assert_eq!(ours.connection.deadline(), Some(seconds(10)));
    ours.now = seconds(10);
    ours.connection.on_time(ours.now).unwrap();
    assert_eq!(ours.connection.deadline(), Some(seconds(12)));
    let ping = ours.output().remove(0);
    ours.now = seconds(11);
    ours.say(&frame(6, 1, 0, b"whatever")).unwrap();
    assert_eq!(ours.connection.deadline(), Some(seconds(12)));
    ours.say(&frame(6, 1, 0, &ping.payload)).unwrap();
    assert_eq!(ours.connection.deadline(), Some(seconds(21)));
    ours.connection.on_time(seconds(21)).unwrap();
    assert!(ours.connection.on_time(seconds(23)).is_err());
    ours.listen();
    assert_eq!(ours.told(), ["GOAWAY 0 NoError"]);
    assert_eq!(ours.connection.counts().keepalive, 1);
    assert_eq!(ours.heard, [(1, Heard::Broken(Broken::Reset(Reset::Cut)))]);
}

#[test]
fn our_settings_are_to_be_acknowledged() {
    let mut ours = Ours::new(Connection::client(&Limits::CLIENT));
    assert_eq!(ours.connection.deadline(), None);
    ours.output();
    let until = ours.now + Limits::CLIENT.settings_time;
    assert_eq!(ours.connection.deadline(), Some(until));
    assert!(ours.connection.on_time(until).is_err());
    assert_eq!(ours.told(), ["GOAWAY 0 SettingsTimeout"]);
    assert_eq!(ours.connection.counts().settings_time, 1);
    // Nor is an acknowledgement one that came before them.
    let mut ours = Ours::new(Connection::server(&Limits::SERVER));
    ours.say(&[PREFACE, &settings(&[]), &frame(4, 1, 0, b"")].concat())
        .unwrap();
    assert_eq!(ours.told()[..2], ["SETTINGS", "SETTINGS ack"]);
    assert!(ours.connection.deadline().is_some());
}

#[test]
fn other_protocols_are_asked_for_where_they_are_understood() {
    let begins = Begins {
        body: BodyLength::None,
        upgrade: Some("websocket".into()),
    };
    let head = RequestHead {
        authority: b"a.test".to_vec(),
        path: b"/chat".to_vec(),
        ..RequestHead::default()
    };
    let mut client = Ours::new(Connection::client(&Limits::CLIENT));
    assert_eq!(
        client
            .connection
            .ask(&head, &begins, (), &mut client.outbox),
        None
    );
    let mut server = Ours::new(Connection::server(&Limits::SERVER));
    let bytes = |ours: &mut Ours| {
        ours.connection
            .flush(&mut ours.outbox, HIGH_WATER, ours.now);
        crate::written(&mut ours.outbox)
    };
    client.say(&bytes(&mut server)).unwrap();
    assert!(client.connection.takes_protocols());
    let id = client
        .connection
        .ask(&head, &begins, (), &mut client.outbox)
        .unwrap();
    server.say(&bytes(&mut client)).unwrap();
    let Some((1, Heard::Request(asked, read))) = server.heard.first() else {
        panic!("{:?}", server.heard);
    };
    assert_eq!(
        (&asked.method, &asked.path, read),
        (&Method::GET, &head.path, &begins)
    );
    let switched = ResponseHead {
        status: StatusCode::SWITCHING_PROTOCOLS,
        ..ResponseHead::default()
    };
    server
        .connection
        .respond(id, &switched, BodyLength::None, &mut server.outbox);
    server.connection.data(id, Bytes::from_static(b"down"));
    client.say(&bytes(&mut server)).unwrap();
    client.connection.data(id, Bytes::from_static(b"up"));
    client.connection.end(id, None);
    server.say(&bytes(&mut client)).unwrap();
    assert_eq!(client.heard[1], (1, Heard::Data(b"down".to_vec())));
    assert_eq!(
        server.heard[1..],
        [(1, Heard::Data(b"up".to_vec())), (1, Heard::End)]
    );
    server.connection.end(id, None);
    client.say(&bytes(&mut server)).unwrap();
    assert_eq!(client.heard[2], (1, Heard::End));
}

#[test]
fn a_tunnel_is_a_stream_as_any_other() {
    let mut ours = Ours::client(&Limits::CLIENT, 0);
    let head = RequestHead {
        method: Method::CONNECT,
        authority: b"a.test:443".to_vec(),
        ..RequestHead::default()
    };
    let id = ours
        .connection
        .ask(&head, &Begins::default(), (), &mut ours.outbox)
        .unwrap();
    assert_eq!(ours.told(), ["HEADERS 1"]);
    ours.connection.data(id, Bytes::from_static(b"hello"));
    assert_eq!(ours.told(), ["DATA 1 5"]);
    ours.inbox
        .extend_from_slice(&headers(1, false, &[(":status", "200")]));
    ours.connection.read(&mut ours.inbox, ours.now).unwrap();
    assert_eq!(ours.connection.next_event(), Some(Event::Progress(id, ())));
    let mut answer = ResponseHead::default();
    assert_eq!(
        ours.connection.response_head(id, &mut answer),
        Ok(Some(Answer::Switched(None)))
    );
    assert_eq!(ours.connection.body(id), Ok(Part::NeedMore));
}

#[test]
fn what_is_called_on_a_stream_that_is_gone_does_nothing() {
    let mut ours = Ours::client(&Limits::CLIENT, 1);
    let id = ours.id(1);
    ours.connection.close(id);
    assert_eq!(ours.told(), ["RST 1 Cancel"]);
    let connection = &mut ours.connection;
    let mut out = Outbox::default();
    connection.data(id, Bytes::from_static(b"x"));
    connection.end(id, None);
    connection.respond(id, &ResponseHead::default(), BodyLength::None, &mut out);
    connection.inform(id, &ResponseHead::default(), &mut out);
    connection.set_owner(id, ());
    connection.reset(id, Reset::Cancelled);
    connection.close(id);
    assert_eq!(connection.body(id), Ok(Part::NeedMore));
    assert_eq!(
        connection.response_head(id, &mut ResponseHead::default()),
        Ok(None)
    );
    assert_eq!(
        connection.request_head(id, &mut RequestHead::default()),
        Ok(None)
    );
    assert_eq!((connection.unread(id), connection.unsent(id)), (0, 0));
    assert!(connection.is_sent(id) && out.is_empty() && !connection.has_to_send());
    assert_eq!(connection.next_event(), None);
}

#[test]
fn room_is_what_both_sides_allow() {
    let mut ours = Ours::new(Connection::client(&Limits {
        concurrent_streams: 200,
        ..Limits::CLIENT
    }));
    assert_eq!(
        ours.connection.room(),
        100,
        "before the server has said anything"
    );
    ours.say(&settings(&[])).unwrap();
    assert_eq!(ours.connection.room(), 200);
    ours.say(&settings(&[(3, 1)])).unwrap();
    assert_eq!(ours.connection.room(), 1);
    let ask = |ours: &mut Ours| {
        let head = RequestHead::default();
        ours.connection
            .ask(&head, &Begins::default(), (), &mut ours.outbox)
    };
    let id = ask(&mut ours).unwrap();
    assert_eq!((ask(&mut ours), ours.connection.room()), (None, 0));
    ours.connection.close(id);
    assert_eq!(ours.connection.room(), 1);
    assert_eq!(Connection::<()>::server(&Limits::SERVER).room(), 0);
    ours.now = Instant::from_millis(5);
    assert!(ours.say(b"not a frame at all, but long enough").is_err());
    assert_eq!((ask(&mut ours), ours.connection.room()), (None, 0));
}

/// A server that is quick may answer what it is sent in the very bytes that say how much it takes.
#[test]
fn capacity_does_not_grow_by_streams_of_which_nobody_has_heard() {
    let mut ours = Ours::new(Connection::client(&Limits::CLIENT));
    for _ in 0..100 {
        let (head, begins) = (RequestHead::default(), Begins::default());
        let asked = ours.connection.ask(&head, &begins, (), &mut ours.outbox);
        assert!(asked.is_some(), "so many are assumed");
    }
    let answers = (0..100).map(|at| headers(2 * at + 1, true, &[(":status", "200")]));
    let said = [settings(&[(3, 100)])].into_iter().chain(answers);
    ours.inbox.extend(said.flatten());
    ours.connection.read(&mut ours.inbox, ours.now).unwrap();
    assert_eq!(
        (ours.connection.streams(), ours.connection.room()),
        (100, 100)
    );
    assert_eq!(ours.connection.capacity(), 100);
}
