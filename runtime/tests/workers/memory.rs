//! How much of bodies is in memory when nobody takes them, and that everything goes through in the end.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use outrigger_core::worker::WorkerSettings;

use super::configured::{Setup, Sidecar, service};
use super::support::{Client, Endpoints, ok};

const LIMIT: u64 = 256 * 1024;
const UPLOADS: usize = 16;
const BODY: usize = 8 * 1024 * 1024;

/// What one connection may hold however short memory is: its low mark, and what one read adds.
const EACH: u64 = 96 * 1024;

fn buffered(sidecar: &Sidecar) -> u64 {
    sidecar.running.handle().stats().buffered.bytes
}

const SMALL: &str = "GET /small HTTP/1.1\r\nhost: app.test\r\n\r\n";

fn answer(client: &mut Client, endpoint: &mut Client) {
    endpoint.message().unwrap();
    endpoint.send(&ok("small"));
    assert_eq!(client.message().unwrap().body, b"small");
}

#[test]
fn bodies_that_nobody_takes_are_bounded_together() {
    let endpoints = Endpoints::listen();
    let setup = Setup {
        settings: WorkerSettings {
            max_buffered_bytes: Some(LIMIT),
            ..WorkerSettings::default()
        },
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "retries: {attempts: 2},", ""));
    let sent = Arc::new(AtomicUsize::new(0));
    let uploads: Vec<_> = (0..UPLOADS)
        .map(|_| {
            let (mut client, sent) = (sidecar.client(), Arc::clone(&sent));
            thread::spawn(move || {
                client.send(&format!(
                    "POST /up HTTP/1.1\r\nhost: app.test\r\ncontent-length: {BODY}\r\n\r\n"
                ));
                for piece in vec![b'x'; BODY].chunks(64 * 1024) {
                    client.stream.write_all(piece).unwrap();
                    sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
                client.message().unwrap().start
            })
        })
        .collect();
    let mut takers: Vec<Client> = (0..UPLOADS).map(|_| endpoints.accept()).collect();
    for taker in &mut takers {
        assert!(taker.head().unwrap().start.starts_with("POST /up "));
    }
    while buffered(&sidecar) < LIMIT {
        thread::yield_now();
    }
    // Who holds little is served meanwhile, and the worker reads of the others all that it wants to.
    let mut client = sidecar.client();
    client.send(SMALL);
    let mut endpoint = endpoints.accept();
    answer(&mut client, &mut endpoint);
    let mut before = 0;
    while before != sent.load(Ordering::Relaxed) {
        before = sent.load(Ordering::Relaxed);
        for _ in 0..50 {
            client.send(SMALL);
            answer(&mut client, &mut endpoint);
        }
    }
    let stats = sidecar.running.handle().stats().buffered;
    let most = LIMIT + (UPLOADS as u64 + 1) * EACH;
    assert!((LIMIT..most).contains(&stats.bytes), "{stats:?}");
    assert!(stats.overflows > 0 && stats.abandoned > 0, "{stats:?}");
    let takers: Vec<_> = takers
        .into_iter()
        .map(|mut taker| {
            thread::spawn(move || {
                assert_eq!(taker.read_at_most(BODY as u64), BODY as u64);
                taker.send(&ok("taken"));
                taker
            })
        })
        .collect();
    for upload in uploads {
        assert_eq!(upload.join().unwrap(), "HTTP/1.1 200 OK");
    }
    for taker in takers {
        drop(taker.join().unwrap());
    }
    drop(client);
    while buffered(&sidecar) > 0 {
        thread::yield_now();
    }
}
