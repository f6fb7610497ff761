//! Long bodies whose peers never pause: others have their turns all the same.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::support::{Endpoints, Proxy, ok};

/// How much of the bodies may pass while somebody else's request is served. Sockets hold some megabytes, and a turn of the
/// worker moves a few; without an end to its turns it is all there is.
const MOST: u64 = 256 * 1024 * 1024;

/// Writes until the other side closes or the test is over.
fn pour(mut stream: TcpStream, is_over: &AtomicBool) {
    let block = vec![b'x'; 256 * 1024];
    while !is_over.load(Ordering::Relaxed) && stream.write_all(&block).is_ok() {}
}

/// Reads and counts until nothing comes any more.
fn drink(mut stream: TcpStream, passed: &AtomicU64) {
    let mut block = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return,
            Ok(count) => drop(passed.fetch_add(count as u64, Ordering::Relaxed)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[test]
fn bodies_that_never_pause_keep_nobody_else_waiting() {
    for uploads in [false, true] {
        let endpoints = Endpoints::listen();
        let proxy = Proxy::before(endpoints.address());
        let (passed, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut flows = Vec::new();
        for _ in 0..4 {
            let mut client = proxy.client();
            let length = "content-length: 900000000000";
            let request = match uploads {
                false => "GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
                true => format!("POST / HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n"),
            };
            client.send(&request);
            let mut endpoint = endpoints.accept();
            endpoint.head().unwrap();
            if !uploads {
                endpoint.send(&format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n"));
                client.head().unwrap();
            }
            let (from, to) = match uploads {
                false => (endpoint.stream, client.stream),
                true => (client.stream, endpoint.stream),
            };
            let over = Arc::clone(&is_over);
            flows.push(thread::spawn(move || pour(from, &over)));
            let count = Arc::clone(&passed);
            flows.push(thread::spawn(move || drink(to, &count)));
        }
        while passed.load(Ordering::Relaxed) < MOST / 16 {
            thread::yield_now();
        }
        let before = passed.load(Ordering::Relaxed);
        let mut other = proxy.client();
        other.get("/other");
        let mut endpoint = endpoints.accept();
        endpoint.message().unwrap();
        endpoint.send(&ok("other"));
        assert_eq!(other.message().unwrap().body, b"other");
        let meanwhile = passed.load(Ordering::Relaxed) - before;
        is_over.store(true, Ordering::Relaxed);
        drop(proxy);
        flows.into_iter().for_each(|flow| flow.join().unwrap());
        assert!(meanwhile < MOST, "{meanwhile} bytes, uploads: {uploads}");
    }
}
