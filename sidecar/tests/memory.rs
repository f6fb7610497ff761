//! What `outrigger run` keeps in memory when crowds of clients have come and gone, again and again.
//!
//! Takes a minute, and more descriptors than most shells give:
//! `ulimit -n 16384 && cargo test -p outrigger --test memory -- --ignored`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use proxy::{Folder, Proxy, shop};

const CLIENTS: usize = 4000;
const WAVES: usize = 5;

/// What every client of a wave says before it goes, and whether the endpoint hears of it.
const CROWDS: [(&str, &str, bool); 4] = [
    ("silent", "", false),
    ("half a head", "GET / HTTP/1.1\r\nhost: shop.exa", false),
    (
        "waiting",
        "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        true,
    ),
    (
        "half a body",
        "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 9\r\n\r\nhalf",
        true,
    ),
];

/// An endpoint that takes connections and answers nothing.
fn silent_endpoint() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, taken) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = sender.send(stream);
        }
    });
    (addr, taken)
}

fn resident_kib(proxy: &Proxy) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse().unwrap()
}

/// Waits until so many clients are connected.
fn wait_for_clients(proxy: &Proxy, count: usize) {
    let line = format!(".downstream_cx_active: {count}\n");
    while !proxy.admin("GET /stats").contains(&line) {
        thread::sleep(Duration::from_millis(20));
    }
}

fn wave(proxy: &Proxy, says: &str, endpoint: Option<&Receiver<TcpStream>>) -> usize {
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect(proxy.addr("outbound"))
                .expect("a descriptor for each client; see the top of this file");
            client.write_all(says.as_bytes()).unwrap();
            client
        })
        .collect();
    wait_for_clients(proxy, CLIENTS);
    let taken: Vec<TcpStream> = endpoint
        .iter()
        .flat_map(|endpoint| endpoint.iter().take(CLIENTS))
        .collect();
    drop(clients);
    wait_for_clients(proxy, 0);
    drop(taken);
    resident_kib(proxy)
}

#[test]
#[ignore = "takes a minute and 16384 descriptors"]
fn memory_comes_back_after_crowds() {
    for runtime in ["tokio", "auto"] {
        for (crowd, says, is_heard) in CROWDS {
            let (addr, taken) = silent_endpoint();
            let folder = Folder::new("memory");
            folder.write("shop.yaml", &shop(addr));
            let proxy = Proxy::start(&folder.0, &["--runtime", runtime]);
            let endpoint = is_heard.then_some(&taken);
            let after: Vec<usize> = (0..WAVES).map(|_| wave(&proxy, says, endpoint)).collect();
            println!("{runtime}, {crowd}: {after:?} KiB");
            // A wave that is served as it comes may need less than one that was waiting.
            let (first, last) = (after[0].max(after[1]), after[WAVES - 1]);
            assert!(2 * last <= 3 * first, "{runtime}, {crowd}: {after:?} KiB");
        }
    }
}
