//! Applications that ask over real sockets, name servers of all kinds behind, and what comes of it.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[expect(dead_code, reason = "the resolver's own tests use all of it")]
#[path = "server/mod.rs"]
mod server;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::{Source, load, load_mesh};
use outrigger_core::snapshot::Snapshot;
use outrigger_dns::{Family, Proxy, Reply, Settings, Sockets, question, reply};
use server::{Dns, Says};

/// So long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const MESH: &str = "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}";

const SHOP: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  addresses: [10.9.9.9, 'fd00::9']
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
";

fn snapshot(text: &str) -> Arc<Snapshot> {
    let source = |text: &'static str| Source {
        name: "x.yaml",
        bytes: text.as_bytes(),
    };
    let (mesh, findings) = load_mesh(source(MESH));
    assert_eq!(findings, []);
    let text: &'static str = text.to_owned().leak();
    let loaded = load(&[source(text)], "default");
    let (workload, answers) = (Workload::default(), Answers::new());
    let registry = &mut Registry::default();
    let compiled = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &answers,
        registry,
        0,
    );
    Arc::new(compiled.snapshot)
}

struct Stage {
    proxy: Proxy,
    addr: SocketAddr,
    snapshot: Arc<Mutex<Arc<Snapshot>>>,
}

impl Stage {
    fn open(servers: &[SocketAddr], most_pending: usize) -> Self {
        let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = sockets.addr();
        let settings = Settings {
            servers: servers.to_vec(),
            most_pending,
        };
        let snapshot = Arc::new(Mutex::new(snapshot(SHOP)));
        let shared = Arc::clone(&snapshot);
        let get = move || Arc::clone(&shared.lock().unwrap());
        Self {
            proxy: Proxy::start(vec![sockets], settings, get).unwrap(),
            addr,
            snapshot,
        }
    }

    fn ask(&self, name: &str, family: Family) -> Reply {
        let asked = question(7, name, family).unwrap();
        let said = self.over_udp(&asked);
        reply(&asked, family, &said).unwrap()
    }

    fn over_udp(&self, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(message, self.addr).unwrap();
        let mut room = [0; 65_535];
        let (length, from) = socket.recv_from(&mut room).unwrap();
        assert_eq!(from, self.addr);
        room[..length].to_vec()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn count(&self, name: &str) -> u64 {
        let all = self.proxy.counts().named();
        all.iter().find(|(other, _)| *other == name).unwrap().1
    }

    fn until(&self, name: &str, wanted: u64) {
        let begun = Instant::now();
        while self.count(name) != wanted {
            assert!(begun.elapsed() < PATIENCE, "{name} is {}", self.count(name));
            thread::yield_now();
        }
    }
}

fn over_tcp(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    stream
        .write_all(&(message.len() as u16).to_be_bytes())
        .unwrap();
    stream.write_all(message).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut said = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut said).unwrap();
    said
}

fn addresses(all: &[&str], ttl: u64) -> Reply {
    Reply::Addresses {
        addresses: all.iter().map(|text| text.parse().unwrap()).collect(),
        ttl: Duration::from_secs(ttl),
    }
}

#[test]
fn services_are_answered_here_and_others_by_name_servers() {
    let dns = Dns::start();
    dns.addresses("other.example", 17, &["127.0.0.3", "::3"]);
    dns.say(
        "many.example",
        Says::Cut(vec![IpAddr::from([127, 0, 0, 4])]),
    );
    let stage = Stage::open(&[dns.addr], 16);
    assert_eq!(
        stage.ask("Shop.Example.", Family::V4),
        addresses(&["10.9.9.9"], 30)
    );
    assert_eq!(
        stage.ask("shop.example", Family::V6),
        addresses(&["fd00::9"], 30)
    );
    assert_eq!(
        stage.ask("other.example", Family::V4),
        addresses(&["127.0.0.3"], 17)
    );
    assert_eq!(
        stage.ask("other.example", Family::V6),
        addresses(&["::3"], 17)
    );
    assert_eq!(stage.ask("none.example", Family::V4), Reply::NoSuchName);
    // What does not fit is to be had on a connection, from there too; which stays open for more.
    assert_eq!(stage.ask("many.example", Family::V4), Reply::Truncated);
    let mut stream = stage.connect();
    for (name, want) in [
        ("many.example", addresses(&["127.0.0.4"], 60)),
        ("shop.example", addresses(&["10.9.9.9"], 30)),
    ] {
        let asked = question(8, name, Family::V4).unwrap();
        let said = over_tcp(&mut stream, &asked);
        assert_eq!(reply(&asked, Family::V4, &said), Some(want), "{name}");
    }
    let asked = dns.asked();
    assert_eq!(asked, ["other.example", "none.example", "many.example"]);
    assert_eq!(stage.count("answered"), 3);
    assert_eq!(
        (stage.count("forwarded"), stage.count("forward_failures")),
        (5, 0)
    );
    // A configuration that comes later holds at once.
    *stage.snapshot.lock().unwrap() = snapshot(&SHOP.replace("10.9.9.9", "10.9.9.8"));
    assert_eq!(
        stage.ask("shop.example", Family::V4),
        addresses(&["10.9.9.8"], 30)
    );
}

#[test]
fn messages_that_are_no_questions_cost_nobody_an_answer() {
    let stage = Stage::open(&[], 16);
    let good = question(7, "shop.example", Family::V4).unwrap();
    let mut update = good.clone();
    update[2] |= 5 << 3;
    assert_eq!(stage.over_udp(&update)[3] & 0xf, 4, "NOTIMP");
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(stage.over_udp(&two)[3] & 0xf, 1, "FORMERR");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut response = good;
    response[2] |= 0x80;
    for junk in [&b""[..], b"\0", &[0xff; 4096], &response] {
        socket.send_to(junk, stage.addr).unwrap();
    }
    // A connection that says such a thing is closed, and so is one that ends in the middle.
    let mut stream = stage.connect();
    stream
        .write_all(&(response.len() as u16).to_be_bytes())
        .unwrap();
    stream.write_all(&response).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    stage.connect().write_all(&[0, 40, 1]).unwrap();
    assert_eq!(
        stage.ask("shop.example", Family::V4),
        addresses(&["10.9.9.9"], 30)
    );
    stage.until("refused", 7);
    stage.until("pending", 0);
}

/// A server of datagrams that answers each question with what is made of it.
fn answering(make: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            for said in make(&room[..length]) {
                let _ = socket.send_to(&said, from);
            }
        }
    });
    addr
}

/// The answer to a question, with an address.
fn with_address(asked: &[u8], last: u8) -> Vec<u8> {
    let mut said = asked.to_vec();
    said[2] |= 0x80;
    said[7] = 1;
    said.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, last]);
    said
}

#[test]
fn answers_to_what_was_not_asked_are_not_passed_on() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let hostile = answering(move |asked| {
        kept.lock().unwrap().push(asked[..2].to_vec());
        let mut all = vec![Vec::new(), vec![0; 11], asked.to_vec()];
        let changes: [fn(&mut Vec<u8>); 5] = [
            |m| m[0] ^= 1,
            |m| m[13] ^= 2,     // another name
            |m| m[5] = 2,       // two questions
            |m| m[2] |= 4 << 3, // another operation
            |m| m[2] &= !0x80,  // a question
        ];
        for change in changes {
            let mut said = with_address(asked, 66);
            change(&mut said);
            all.push(said);
        }
        all.push(with_address(asked, 1));
        all
    });
    let stage = Stage::open(&[hostile], 16);
    for _ in 0..8 {
        assert_eq!(
            stage.ask("real.example", Family::V4),
            addresses(&["10.0.0.1"], 9)
        );
    }
    // Applications choose numbers that can be guessed; ours cannot.
    let mut numbers = seen.lock().unwrap().clone();
    numbers.sort();
    numbers.dedup();
    assert!(numbers.len() > 4, "{numbers:?}");
}

#[test]
fn answers_that_nobody_has_room_for_are_to_be_had_on_a_connection() {
    let endless = answering(|asked| {
        let mut said = with_address(asked, 1);
        said.resize(4000, 0);
        vec![said]
    });
    let stage = Stage::open(&[endless], 16);
    assert_eq!(stage.ask("long.example", Family::V4), Reply::Truncated);
}

#[test]
fn the_next_server_is_asked_and_a_failure_is_an_answer() {
    let failing = Dns::start();
    failing.say("real.example", Says::Fails(5));
    let good = Dns::start();
    good.addresses("real.example", 9, &["127.0.0.1"]);
    let stage = Stage::open(&[failing.addr, good.addr], 16);
    assert_eq!(
        stage.ask("real.example", Family::V4),
        addresses(&["127.0.0.1"], 9)
    );
    // What the server says is passed on, if no other says more.
    let stage = Stage::open(&[failing.addr], 16);
    assert_eq!(stage.ask("real.example", Family::V4), Reply::Failed(5));
    assert_eq!(stage.count("forward_failures"), 1);
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let stage = Stage::open(&[nobody], 16);
    assert_eq!(stage.ask("real.example", Family::V4), Reply::Failed(2));
    assert_eq!(
        stage.ask("shop.example", Family::V4),
        addresses(&["10.9.9.9"], 30)
    );
}

#[test]
fn no_more_wait_than_may() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stage = Stage::open(&[silent.local_addr().unwrap()], 2);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for id in [1, 2] {
        let asked = question(id, "slow.example", Family::V4).unwrap();
        socket.send_to(&asked, stage.addr).unwrap();
    }
    stage.until("pending", 2);
    assert_eq!(stage.ask("slow.example", Family::V4), Reply::Failed(2));
    // A connection is closed at once; what is known here needs nobody to wait.
    assert_eq!(stage.connect().read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(
        stage.ask("shop.example", Family::V4),
        addresses(&["10.9.9.9"], 30)
    );
    assert_eq!((stage.count("overflow"), stage.count("pending")), (2, 2));
    // Once the server answers, there is room again.
    let mut room = [0; 512];
    for _ in 0..2 {
        let (length, from) = silent.recv_from(&mut room).unwrap();
        silent
            .send_to(&with_address(&room[..length], 1), from)
            .unwrap();
    }
    stage.until("pending", 0);
}
