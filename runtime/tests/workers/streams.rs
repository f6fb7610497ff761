//! HTTP/2 over sockets, with peers that nobody here wrote: what streams do to each other, how connections end, and how many
//! there are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use outrigger_core::snapshot::Snapshot;
use outrigger_runtime::{Direction, Stage, Stats};
use outrigger_telemetry::metrics::ListenerEvent;

use super::configured::{Sidecar, compiled, service};
use super::h2_peers::{H2Client, Service, play, read, whole};
use super::support::PATIENCE;

/// A service `app.test` that speaks HTTP/2.
pub(crate) fn config(endpoint: SocketAddr, rule: &str, policy: &str) -> String {
    let yaml = service(&[endpoint], rule, policy);
    yaml.replace(
        "name: http, protocol: HTTP}",
        "name: http, protocol: HTTP2}",
    )
}

fn before(service: &Service, policy: &str) -> Sidecar {
    Sidecar::of(&config(service.addr, "", policy))
}

fn stats(sidecar: &Sidecar) -> Stats {
    sidecar.running.handle().stats()
}

/// Counters are published when a turn is over, which a peer may see the end of before.
async fn until(mut happens: impl FnMut() -> bool) {
    while !happens() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn many_streams_are_open_at_a_time_and_each_gets_its_own_answer() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let mut responses = Vec::new();
        for n in 0..50u8 {
            let body = vec![n; 40_000];
            responses.push(client.post(&format!("/{n}"), body).await);
        }
        let mut all = service.all_asked(50).await;
        assert!(all.iter().all(|asked| asked.connection == 0));
        until(|| stats(&sidecar).http2.clients.streams == 50).await;
        let counted = stats(&sidecar).http2;
        assert_eq!((counted.clients.active, counted.endpoints.active), (1, 1));
        // Last come, first served.
        while let Some(mut asked) = all.pop() {
            let body = asked.body().await;
            asked.answer(body);
        }
        for (n, response) in responses.into_iter().enumerate() {
            let response = whole(response).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.body(), &[n as u8; 40_000]);
        }
        until(|| stats(&sidecar).http2.clients.streams == 0).await;
        let requests = &sidecar.counted().listeners[0];
        assert_eq!(requests.event(ListenerEvent::Http2), 50);
    });
}

#[test]
fn a_stream_that_nobody_reads_stops_no_other() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let stuck = client.get("/stuck").await;
        let long = vec![b's'; 2_000_000];
        service.asked().await.answer(long.clone());
        let mut stuck = stuck.await.unwrap().into_body();
        for n in 0..20 {
            let response = client.get(&format!("/{n}")).await;
            service.asked().await.answer(vec![b'x'; 200_000]);
            assert_eq!(whole(response).await.body().len(), 200_000);
        }
        assert!(read(&mut stuck).await.unwrap() == long);
    });
}

#[test]
fn who_gives_a_stream_up_ends_nothing_else() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let given_up = client.get("/given-up").await;
        let other = client.get("/other").await;
        let mut all = service.all_asked(2).await;
        assert_eq!((all[0].path(), all[1].path()), ("/given-up", "/other"));
        drop(given_up);
        assert_eq!(all.remove(0).given_up().await, h2::Reason::CANCEL);
        all.remove(0).answer("still here");
        assert_eq!(whole(other).await.body(), b"still here");
        until(|| stats(&sidecar).http2.clients.met.resets == 1).await;
    });
}

/// Its client takes little of it, and the endpoint has sent it all and closes.
#[test]
fn a_response_that_is_here_outlives_its_connection() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let response = client.get("/long").await;
        let long = vec![b'l'; 360_000];
        service.asked().await.answer(long.clone());
        let mut body = response.await.unwrap().into_body();
        service.leave().await;
        assert_eq!(service.closed().await, 0);
        // When this one is answered the sidecar has heard of the end.
        let other = client.get("/other").await;
        service.asked().await.answer("other");
        assert_eq!(whole(other).await.body(), b"other");
        assert!(read(&mut body).await.unwrap() == long);
        until(|| stats(&sidecar).http2.endpoints.active == 1).await;
    });
}

/// Nothing is lost: what the endpoint has it answers, and what comes after that goes elsewhere.
#[test]
fn an_endpoint_that_leaves_in_the_middle_loses_nothing() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let mut responses = Vec::new();
        for n in 0..5 {
            responses.push(client.post(&format!("/{n}"), "x").await);
        }
        let mut held = service.all_asked(5).await;
        service.leave().await;
        // Until the sidecar has heard of it.
        while held.last().unwrap().connection == 0 {
            responses.push(client.post("/more", "x").await);
            held.push(service.asked().await);
        }
        for asked in held {
            asked.answer("served");
        }
        for response in responses {
            let response = whole(response).await;
            assert_eq!(
                (response.status().as_u16(), &response.body()[..]),
                (200, &b"served"[..])
            );
        }
        until(|| stats(&sidecar).http2.endpoints.active == 1).await;
    });
}

#[test]
fn a_drain_ends_a_connection_when_its_streams_have_ended() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let (first, second) = (client.get("/first").await, client.get("/second").await);
        let held = service.all_asked(2).await;
        let handle = sidecar.running.handle();
        handle.begin_drain(Direction::All, Stage::Stopped);
        let drained = thread::spawn(|| sidecar.running.drain(PATIENCE));
        held.into_iter().for_each(|asked| asked.answer("served"));
        for response in [first, second] {
            assert_eq!(whole(response).await.body(), b"served");
        }
        client.connection.await.unwrap().unwrap();
        assert_eq!(drained.join().unwrap().cut_off, 0);
    });
}

/// RFC 9113 §6.8: first that there will be no other stream some time, and then which one was the last.
#[test]
fn a_drain_is_told_twice() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = TcpStream::connect(sidecar.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        // GET / of app.test, by the static table.
        let request = *b"\0\0\x0d\x01\x05\0\0\0\x01\x82\x86\x84\x41\x08app.test";
        let all = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &request];
        client.write_all(&all.concat()).unwrap();
        let asked = service.asked().await;
        sidecar
            .running
            .handle()
            .begin_drain(Direction::All, Stage::Stopped);
        let drained = thread::spawn(|| sidecar.running.drain(PATIENCE));
        asked.answer("x");
        let frames = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).unwrap();
            all
        });
        let frames = frames.await.unwrap();
        let (mut rest, mut told) = (&frames[..], Vec::new());
        while let [a, b, c, kind, _, _, _, _, _, more @ ..] = rest {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let (payload, more) = more.split_at(length);
            if *kind == 7 {
                told.push(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            }
            rest = more;
        }
        assert_eq!(told, [u32::MAX >> 1, 1]);
        assert_eq!(drained.join().unwrap().cut_off, 0);
    });
}

#[test]
fn streams_in_flight_stay_on_their_own_configuration() {
    play(async {
        let mut service = Service::listen().await;
        let rule = |says: &str| {
            let rule = format!("headers: {{response: {{set: {{x-rule: {says}}}}}}},");
            config(service.addr, &rule, "")
        };
        let (one, two) = (rule("one"), rule("two"));
        let sidecar = Sidecar::of(&one);
        let mut client = H2Client::connect(sidecar.addr).await;
        let before = client.get("/before").await;
        let first = service.asked().await;
        let mut next = Arc::into_inner(compiled(&two)).unwrap();
        next = Snapshot {
            revision: 7,
            ..next
        };
        sidecar.running.handle().publish(Arc::new(next));
        until(|| stats(&sidecar).revision == 7).await;
        let after = client.get("/after").await;
        service.asked().await.answer("");
        first.answer("");
        for (response, rule) in [(after, "two"), (before, "one")] {
            assert_eq!(whole(response).await.headers()["x-rule"], rule);
        }
        assert_eq!(stats(&sidecar).http2.clients.connections, 1);
    });
}

#[test]
fn a_connection_has_no_more_streams_than_it_may_and_there_are_more_of_them() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(
            &service,
            "connectionPool: {http: {maxConcurrentStreams: 3}}",
        );
        let mut client = H2Client::connect(sidecar.addr).await;
        let mut responses = Vec::new();
        for n in 0..7 {
            responses.push(client.get(&format!("/{n}")).await);
        }
        let all = service.all_asked(7).await;
        let on = |number| {
            all.iter()
                .filter(|asked| asked.connection == number)
                .count()
        };
        assert_eq!([on(0), on(1), on(2)], [3, 3, 1]);
        all.into_iter().for_each(|asked| asked.answer("x"));
        for response in responses {
            assert_eq!(whole(response).await.body(), b"x");
        }
    });
}

#[test]
fn a_connection_carries_no_more_requests_than_it_may() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(
            &service,
            "connectionPool: {http: {maxRequestsPerConnection: 2}}",
        );
        let mut client = H2Client::connect(sidecar.addr).await;
        for n in 0..6 {
            let response = client.get(&format!("/{n}")).await;
            let asked = service.asked().await;
            assert_eq!(asked.connection, n / 2);
            asked.answer("x");
            assert_eq!(whole(response).await.body(), b"x");
        }
        until(|| stats(&sidecar).http2.endpoints.active == 0).await;
        assert_eq!(stats(&sidecar).http2.endpoints.connections, 3);
    });
}

/// Who finds no connection and no stream waits in line, and goes on over the connection that there is.
#[test]
fn who_finds_no_stream_waits_for_one() {
    play(async {
        let mut service = Service::listen().await;
        let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {maxConcurrentStreams: 2}}";
        let sidecar = before(&service, policy);
        let mut client = H2Client::connect(sidecar.addr).await;
        let mut responses = Vec::new();
        for n in 0..6 {
            responses.push(client.get(&format!("/{n}")).await);
        }
        until(|| stats(&sidecar).http2.clients.streams == 6).await;
        let mut served = 0;
        while served < 6 {
            let pair = service.all_asked(2).await;
            assert!(service.is_quiet(), "two at a time");
            for asked in pair {
                assert_eq!(asked.connection, 0);
                asked.answer("x");
                served += 1;
            }
        }
        for response in responses {
            assert_eq!(whole(response).await.body(), b"x");
        }
    });
}

#[test]
fn trailers_and_calls_go_through() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = before(&service, "");
        let mut client = H2Client::connect(sidecar.addr).await;
        let response = client.post("/shop.Cart/Get", "call").await;
        let mut asked = service.asked().await;
        assert_eq!(asked.body().await, b"call");
        asked.answer_call(b"answer", "5");
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body).await.unwrap(), b"answer");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "5");
    });
}
