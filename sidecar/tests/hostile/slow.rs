//! Clients that are slow or silent: in a head, in a body, in taking an answer, and on a connection of which they make nothing. Each
//! is waited for as long as its option says, told so where there is somebody to tell, and counted.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use crate::stage::{Stage, endpoint, honest, rest, runtimes};

const SHORT: [&str; 8] = [
    "--idle-timeout",
    "400ms",
    "--request-head-timeout",
    "300ms",
    "--request-body-timeout",
    "300ms",
    "--unread-timeout",
    "300ms",
];

fn open(test: &str, runtime: &str) -> Stage {
    let flags: Vec<&str> = ["--runtime", runtime].into_iter().chain(SHORT).collect();
    let endpoint = endpoint(|head, stream| {
        if head.contains("/large") {
            let body = "x".repeat(256 * 1024);
            let begin = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((begin + &body).as_bytes());
            return;
        }
        if !head.contains("/endless") {
            return honest(head, stream);
        }
        let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
        let mut took = stream.write_all(begin);
        while took.is_ok() {
            took = stream.write_all(&[b'x'; 4096]);
        }
    });
    Stage::open(&format!("{test}-{runtime}"), &flags, endpoint, "")
}

/// What a client does once it has sent something.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Nothing.
    Waits,
    /// It ends its own direction.
    HalfCloses,
    /// It says this again and again, a little later each time.
    Drips(&'static str),
}

#[test]
fn clients_that_say_too_little_are_answered_or_closed_and_counted() {
    const IDLE: &str = "outrigger.http1.downstream.idle_time";
    const HEAD: &str = "downstream_rq_header_timeout";
    const BODY: &str = "downstream_rq_idle_timeout";
    const OPEN: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 9\r\n\r\nab";
    const CHUNKS: &str =
        "POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n";
    for runtime in runtimes() {
        let stage = open("silent", runtime);
        let chunk = format!("{CHUNKS}5\r\nab");
        let size = format!("{CHUNKS}5");
        let trailer = format!("{CHUNKS}0\r\nx: y\r\n");
        let whole = format!("{OPEN}\r\n");
        for (sent, then, hears, counter) in [
            ("", Then::Waits, "", IDLE),
            ("", Then::HalfCloses, "", ""),
            (OPEN, Then::Waits, "HTTP/1.1 408 ", HEAD),
            (OPEN, Then::HalfCloses, "", ""),
            (OPEN, Then::Drips("x"), "HTTP/1.1 408 ", HEAD),
            (OPEN, Then::Drips("x: y\r\n"), "HTTP/1.1 408 ", HEAD),
            ("PRI * HTTP/2.0\r\n", Then::Waits, "HTTP/1.1 408 ", HEAD),
            (POST, Then::Waits, "HTTP/1.1 408 ", BODY),
            (&chunk, Then::Waits, "HTTP/1.1 408 ", BODY),
            (&size, Then::Waits, "HTTP/1.1 408 ", BODY),
            (&trailer, Then::Waits, "HTTP/1.1 408 ", BODY),
            (&whole, Then::Waits, "HTTP/1.1 200 ", IDLE),
        ] {
            let what = format!("{runtime} {sent:?} {then:?}");
            let names = [IDLE.to_owned(), stage.http(HEAD), stage.http(BODY)];
            let before = names.each_ref().map(|name| stage.stat(name));
            let mut client = stage.client();
            client.write_all(sent.as_bytes()).unwrap();
            match then {
                Then::Waits => {}
                Then::HalfCloses => client.shutdown(Shutdown::Write).unwrap(),
                Then::Drips(word) => {
                    let mut writer = client.try_clone().unwrap();
                    thread::spawn(move || {
                        while writer.write_all(word.as_bytes()).is_ok() {
                            thread::sleep(Duration::from_millis(20));
                        }
                    });
                }
            }
            let heard = rest(&mut client);
            assert!(heard.starts_with(hears), "{what}: {heard}");
            assert_eq!(heard.is_empty(), hears.is_empty(), "{what}: {heard}");
            for (name, before) in names.iter().zip(before) {
                let more = u64::from(!counter.is_empty() && name.ends_with(counter));
                stage.counts(name, before + more);
            }
        }
        stage.serves_others();
    }
}

#[test]
fn clients_that_read_nothing_are_let_go_and_counted() {
    for runtime in runtimes() {
        let stage = open("unread", runtime);
        let endless = "GET /endless HTTP/1.1\r\nhost: shop.example\r\n\r\n";
        let many = "GET /large HTTP/1.1\r\nhost: shop.example\r\n\r\n".repeat(10_000);
        for (count, sent) in (1..).zip([endless, &many]) {
            let mut client = stage.client();
            let mut writer = client.try_clone().unwrap();
            let sent = sent.to_owned();
            // A flood is not taken to its end.
            let flood = thread::spawn(move || writer.write_all(sent.as_bytes()));
            stage.counts(&stage.http("downstream_rq_idle_timeout"), count);
            stage.serves_others();
            // What had left before is still there to be read, and no more than that.
            rest(&mut client);
            let _ = flood.join().unwrap();
            stage.counts("outrigger.buffered_bytes", 0);
        }
    }
}
