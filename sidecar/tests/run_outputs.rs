//! What `outrigger run` writes to, when nobody reads it or it fails: no request and no signal waits for it.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use proxy::{Folder, Proxy, refused};

/// Some of what a pipe, the queue and its last block hold together, several times over.
const REQUESTS: usize = 4000;

/// Answered by the proxy itself.
const NOBODY: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: nobody}\n\
                      spec: {hosts: [nobody.example], http: [{directResponse: {status: 404}}]}\n";

/// Asks so many times, with a long path, and reads all answers.
fn many_requests(proxy: &Proxy) {
    let client = TcpStream::connect(proxy.addr("outbound")).unwrap();
    let mut answers = BufReader::new(client.try_clone().unwrap());
    let path = "long".repeat(500);
    let asking = thread::spawn(move || {
        let request = format!("GET /{path} HTTP/1.1\r\nhost: nobody.example\r\n\r\n");
        for _ in 0..REQUESTS {
            (&client).write_all(request.as_bytes()).unwrap();
        }
    });
    let mut line = String::new();
    for _ in 0..REQUESTS {
        line.clear();
        answers.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 404 "), "{line}");
        while line != "\r\n" {
            line.clear();
            assert_ne!(answers.read_line(&mut line).unwrap(), 0);
        }
    }
    asking.join().unwrap();
}

fn dropped(proxy: &Proxy) -> usize {
    let stats = proxy.admin("GET /stats");
    let mut lines = stats.lines();
    let count = lines.find_map(|line| line.strip_prefix("outrigger.access_log_lines_dropped: "));
    count.unwrap().parse().unwrap()
}

/// A stdout whose reader has gone fails every write; one whose reader has stopped takes no more when the pipe is full.
#[test]
fn an_access_log_that_nobody_reads_stops_nothing() {
    let folder = Folder::new("stdout");
    folder.write("nobody.yaml", NOBODY);
    for is_closed in [true, false] {
        let mut proxy = Proxy::start(&folder.0, &["--access-log", "text"]);
        let unread = proxy.child.stdout.take().filter(|_| !is_closed);
        many_requests(&proxy);
        // Of the last lines it is known a moment later.
        let expected = if is_closed { REQUESTS } else { 1 };
        while dropped(&proxy) < expected {
            thread::yield_now();
        }
        proxy.signal("-TERM");
        let status = proxy.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "closed: {is_closed}");
        drop(unread);
    }
}

/// Whoever restarts a proxy that crashed wants the recording of the crash, however often the start fails.
#[test]
fn a_start_that_fails_moves_no_recording() {
    let folder = Folder::new("record-kept");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    folder.write("good.yaml", "");
    folder.write("bad.yaml", "kind: [");
    folder.write("run.rec", "of the crash");
    let path = folder.0.join("run.rec");
    let record = ["--record", path.to_str().unwrap()];
    for (file, more) in [
        ("bad.yaml", [].as_slice()),
        ("good.yaml", &["--outbound", &taken]),
        ("good.yaml", &["--admin", &taken]),
        ("good.yaml", &["--record-limit", "35"]),
    ] {
        let (code, told) = refused(&folder.0.join(file), &[&record, more].concat());
        assert!(code.is_some_and(|code| code != 0), "{told}");
        assert!(!told.contains("recording ended"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the crash", "{told}");
    }
    let proxy = Proxy::start(&folder.0.join("good.yaml"), &record);
    let previous = fs::read_to_string(folder.0.join("run.rec.previous"));
    assert_eq!(previous.unwrap(), "of the crash");
    assert_eq!(proxy.end().0, Some(0));
    assert!(fs::read(&path).unwrap().starts_with(b"OUTRIGGR"));
}
