//! A kept connection costs no heap allocation for a request, and little memory between requests.

use bytes::{Bytes, BytesMut};
use outrigger_core::http2::{Connection, Event, Limits};
use outrigger_core::message::{RequestHead, ResponseHead};
use outrigger_core::outbox::{HIGH_WATER, Outbox};
use outrigger_core::stream::{Answer, Begins, BodyLength, Part, StreamId};
use outrigger_core::time::Instant;

const NOW: Instant = Instant::from_millis(7);

/// One end of a connection, with the memory that its owner lends.
struct End {
    connection: Connection<u64>,
    inbox: BytesMut,
    outbox: Outbox,
}

impl End {
    fn new(connection: Connection<u64>) -> Self {
        Self {
            connection,
            inbox: BytesMut::with_capacity(64 * 1024),
            outbox: Outbox::default(),
        }
    }

    /// What it has to say is read by the other one.
    fn tell(&mut self, other: &mut Self) {
        self.connection.flush(&mut self.outbox, HIGH_WATER, NOW);
        let _ = other.inbox.try_reclaim(32 * 1024);
        while !self.outbox.is_empty() {
            let piece = self.outbox.front();
            other.inbox.extend_from_slice(piece);
            let count = piece.len();
            self.outbox.advance(count);
        }
        other.connection.read(&mut other.inbox, NOW).unwrap();
    }

    fn event(&mut self) -> Option<StreamId> {
        loop {
            match self.connection.next_event()? {
                Event::Opened(id) | Event::Progress(id, _) => return Some(id),
                Event::Settings | Event::GoingAway => {}
            }
        }
    }
}

struct Heads {
    request: RequestHead,
    response: ResponseHead,
}

fn one_request(
    client: &mut End,
    server: &mut End,
    asked: &RequestHead,
    answered: &ResponseHead,
    heads: &mut Heads,
) {
    let begins = Begins {
        body: BodyLength::Known(4),
        upgrade: None,
    };
    let id = client
        .connection
        .ask(asked, &begins, 1, &mut client.outbox)
        .unwrap();
    client.connection.data(id, Bytes::from_static(b"ping"));
    client.connection.end(id, None);
    client.tell(server);
    assert_eq!(server.event(), Some(id));
    let begins = server
        .connection
        .request_head(id, &mut heads.request)
        .unwrap();
    assert_eq!(begins.unwrap().body, BodyLength::Known(4));
    server.connection.set_owner(id, 2);
    assert!(matches!(server.connection.body(id), Ok(Part::Data(data)) if data == b"ping"[..]));
    assert_eq!(server.connection.body(id), Ok(Part::End));
    let body = BodyLength::Known(4);
    server
        .connection
        .respond(id, answered, body, &mut server.outbox);
    server.connection.data(id, Bytes::from_static(b"pong"));
    server.connection.end(id, None);
    server.tell(client);
    assert!(server.connection.is_sent(id));
    server.connection.close(id);
    assert_eq!(client.event(), Some(id));
    let answer = client.connection.response_head(id, &mut heads.response);
    assert_eq!(answer, Ok(Some(Answer::Final(body))));
    assert!(matches!(client.connection.body(id), Ok(Part::Data(data)) if data == b"pong"[..]));
    assert_eq!(client.connection.body(id), Ok(Part::End));
    client.connection.close(id);
    while server.event().is_some() || client.event().is_some() {}
}

#[test]
fn a_request_on_a_kept_connection_allocates_nothing() {
    let mut client = End::new(Connection::client(&Limits::CLIENT));
    let mut server = End::new(Connection::server(&Limits::SERVER));
    client.tell(&mut server);
    server.tell(&mut client);
    client.tell(&mut server);
    let mut asked = RequestHead {
        authority: b"cart.shop:8080".to_vec(),
        path: b"/shop.Cart/Add".to_vec(),
        ..RequestHead::default()
    };
    for (name, value) in [
        ("user-agent", "grpc-go/1.70.0"),
        ("x-request-id", "4a5a2bb9-4b1f-4d5e"),
    ] {
        asked
            .headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    let mut answered = ResponseHead::default();
    answered
        .headers
        .append(b"content-type", b"application/grpc")
        .unwrap();
    let mut heads = Heads {
        request: RequestHead::default(),
        response: ResponseHead::default(),
    };
    for _ in 0..300 {
        one_request(&mut client, &mut server, &asked, &answered, &mut heads);
    }
    let counted = allocation_counter::measure(|| {
        for _ in 0..200 {
            one_request(&mut client, &mut server, &asked, &answered, &mut heads);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(heads.request.path, asked.path);
}

#[test]
fn a_connection_at_rest_is_small() {
    let mut held = Vec::new();
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            let mut client = End::new(Connection::client(&Limits::CLIENT));
            let mut server = End::new(Connection::server(&Limits::SERVER));
            client.tell(&mut server);
            server.tell(&mut client);
            client.tell(&mut server);
            (client.inbox, client.outbox) = (BytesMut::new(), Outbox::default());
            held.push(server.connection);
        }
    });
    let size = size_of::<Connection<u64>>();
    assert!(size <= 1400, "{size}");
    let beside = counted.bytes_current / 100;
    assert!(beside <= 6 * 1024, "{beside}");
}
