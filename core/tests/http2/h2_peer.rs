//! A peer that nobody here wrote: the `h2` crate on a pipe in memory, as a client of our server and as a server of our
//! client. What one says the other understands, in both directions at once.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use outrigger_core::entropy::mix;
use outrigger_core::http2::{Connection, Event, Limits};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::{HIGH_WATER, Outbox};
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset, StreamId};
use outrigger_core::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Requests of one connection, more than are open at once.
const REQUESTS: usize = 250;

/// The body that a request has, and its response has again: nothing, little, or more than a window.
fn body(exchange: usize) -> Bytes {
    let length = match mix(exchange as u64) % 4 {
        0 => 0,
        1 => 100,
        2 => 20_000,
        _ => 200_000,
    };
    Bytes::from(vec![exchange as u8; length])
}

/// Whether the client gives up.
const fn gives_up(exchange: usize) -> bool {
    exchange % 10 == 7
}

fn run(both: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(both);
}

/// Our end of the pipe.
struct Ours {
    connection: Connection<usize>,
    inbox: BytesMut,
    outbox: Outbox,
    pipe: DuplexStream,
}

impl Ours {
    fn new(connection: Connection<usize>, pipe: DuplexStream) -> Self {
        Self {
            connection,
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            pipe,
        }
    }

    /// Writes what may leave and reads what came; whether more will.
    async fn turn(&mut self) -> bool {
        while self.connection.has_to_send() || !self.outbox.is_empty() {
            self.connection
                .flush(&mut self.outbox, HIGH_WATER, Instant::ZERO);
            let bytes = crate::written(&mut self.outbox);
            if self.pipe.write_all(&bytes).await.is_err() {
                return false;
            }
        }
        let count = self.pipe.read_buf(&mut self.inbox).await.unwrap_or(0);
        let read = self.connection.read(&mut self.inbox, Instant::ZERO);
        assert_eq!(read, Ok(()), "h2 breaks no rule");
        count > 0
    }
}

/// Answers each request with its own body and trailers.
async fn our_server(pipe: DuplexStream) {
    let mut ours = Ours::new(Connection::server(&Limits::SERVER), pipe);
    while ours.turn().await {
        while let Some(event) = ours.connection.next_event() {
            let id = match event {
                Event::Opened(id) => {
                    let mut head = RequestHead::default();
                    ours.connection.request_head(id, &mut head).unwrap();
                    assert_eq!(head.authority, b"a.test");
                    ours.connection.set_owner(id, 0);
                    let head = ResponseHead::default();
                    ours.connection
                        .respond(id, &head, BodyLength::Unknown, &mut ours.outbox);
                    id
                }
                Event::Progress(id, _) => id,
                Event::Settings | Event::GoingAway => continue,
            };
            echo(&mut ours.connection, id);
        }
    }
    ours.connection.on_eof();
}

fn echo(connection: &mut Connection<usize>, id: StreamId) {
    if connection.is_sent(id) {
        return connection.close(id);
    }
    loop {
        match connection.body(id) {
            Ok(Part::NeedMore) => return,
            Ok(Part::Data(data)) => connection.data(id, data),
            Ok(Part::Trailers(trailers)) => return connection.end(id, Some(&trailers)),
            Ok(Part::End) => return connection.end(id, None),
            Err(broken) => {
                assert_eq!(broken, Broken::Reset(Reset::Cancelled));
                return connection.close(id);
            }
        }
    }
}

async fn their_client(pipe: DuplexStream) {
    let mut client = h2::client::Builder::new();
    client.initial_max_send_streams(50);
    let handshake = client.handshake(pipe).await;
    let (mut send, connection) = handshake.unwrap();
    let connection = tokio::spawn(connection);
    let mut asked = Vec::new();
    for exchange in 0..REQUESTS {
        send = send.ready().await.unwrap();
        let request = Request::post("http://a.test/").header("x-long", "v".repeat(exchange * 20));
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
        if gives_up(exchange) {
            stream.send_reset(h2::Reason::CANCEL);
            continue;
        }
        stream.send_data(body(exchange), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", exchange.into());
        stream.send_trailers(trailers).unwrap();
        asked.push(tokio::spawn(async move {
            let (got, trailers) = all(response.await.unwrap().into_body()).await;
            assert_eq!(got, body(exchange));
            assert_eq!(trailers.unwrap()["x-sum"], exchange.to_string());
        }));
    }
    for task in asked {
        task.await.unwrap();
    }
    drop(send);
    connection.await.unwrap().unwrap();
}

async fn all(mut stream: RecvStream) -> (Bytes, Option<HeaderMap>) {
    let mut got = BytesMut::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        got.extend_from_slice(&data);
    }
    (got.freeze(), stream.trailers().await.unwrap())
}

#[test]
fn their_client_is_served() {
    run(async {
        let (here, there) = tokio::io::duplex(50_000);
        let server = tokio::spawn(our_server(here));
        their_client(there).await;
        server.await.unwrap();
    });
}

async fn their_server(pipe: DuplexStream) {
    let mut server = h2::server::Builder::new();
    server.max_concurrent_streams(20);
    let mut connection = server.handshake::<_, Bytes>(pipe).await.unwrap();
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request.unwrap();
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut got = BytesMut::new();
            while let Some(data) = body.data().await {
                let Ok(data) = data else {
                    return;
                };
                let _ = body.flow_control().release_capacity(data.len());
                got.extend_from_slice(&data);
            }
            let Ok(mut send) = respond.send_response(Response::new(()), false) else {
                return;
            };
            let trailers = body.trailers().await.unwrap();
            let _ = send.send_data(got.freeze(), trailers.is_none());
            let _ = trailers.map(|trailers| send.send_trailers(trailers));
        });
    }
}

async fn our_client(pipe: DuplexStream) {
    let mut ours = Ours::new(Connection::client(&Limits::CLIENT), pipe);
    let mut next = 0;
    // Its settings first: it takes trailers of a stream that it refused for an error of the connection.
    while ours.connection.next_event() != Some(Event::Settings) {
        assert!(ours.turn().await);
    }
    let mut open: BTreeMap<StreamId, (usize, usize)> = BTreeMap::new();
    while next < REQUESTS || !open.is_empty() {
        while ours.connection.room() > 0 && next < REQUESTS {
            let id = ask(&mut ours, next);
            if gives_up(next) {
                ours.connection.reset(id, Reset::Cancelled);
            } else {
                open.insert(id, (next, 0));
            }
            next += 1;
        }
        assert!(ours.turn().await, "their server stays");
        while let Some(event) = ours.connection.next_event() {
            let Event::Progress(id, exchange) = event else {
                continue;
            };
            let Some((_, got)) = open.get_mut(&id) else {
                continue;
            };
            if take(&mut ours.connection, id, exchange, got) {
                assert_eq!(*got, body(exchange).len());
                open.remove(&id);
            }
        }
    }
    assert_eq!(ours.connection.streams(), 0);
}

fn ask(ours: &mut Ours, exchange: usize) -> StreamId {
    let body = body(exchange);
    let begins = Begins {
        body: BodyLength::Known(body.len() as u64),
        upgrade: None,
    };
    let mut head = RequestHead {
        authority: b"a.test".to_vec(),
        path: b"/".to_vec(),
        ..RequestHead::default()
    };
    head.headers
        .append(b"x-long", "v".repeat(exchange * 20).as_bytes())
        .unwrap();
    let asked = ours
        .connection
        .ask(&head, &begins, exchange, &mut ours.outbox);
    let id = asked.expect("there is room");
    let mut trailers = Headers::default();
    trailers
        .append(b"x-sum", exchange.to_string().as_bytes())
        .unwrap();
    ours.connection.data(id, body);
    ours.connection
        .end(id, Some(&trailers).filter(|_| exchange.is_multiple_of(2)));
    id
}

/// Takes what is here of a response; whether that is all.
fn take(
    connection: &mut Connection<usize>,
    id: StreamId,
    exchange: usize,
    got: &mut usize,
) -> bool {
    let mut head = ResponseHead::default();
    let answer = connection.response_head(id, &mut head).unwrap();
    assert!(matches!(answer, None | Some(Answer::Final(_))));
    loop {
        match connection.body(id) {
            Ok(Part::NeedMore) => return false,
            Ok(Part::Data(data)) => {
                assert!(data.iter().all(|byte| *byte == exchange as u8));
                *got += data.len();
            }
            Ok(Part::Trailers(trailers)) => {
                assert_eq!(
                    trailers.iter().next().unwrap().value,
                    exchange.to_string().as_bytes()
                );
            }
            Ok(Part::End) => {
                connection.close(id);
                return true;
            }
            Err(broken) => panic!("{broken:?}"),
        }
    }
}

#[test]
fn their_server_is_asked() {
    run(async {
        let (here, there) = tokio::io::duplex(50_000);
        let server = tokio::spawn(their_server(there));
        our_client(here).await;
        server.await.unwrap();
    });
}
