//! Zero-loss restarts: a process takes over from another one while clients ask without pause, on every runtime.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/load.rs"]
mod load;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use load::{Load, endpoint, sidecar_at};
use proxy::{Folder, Proxy, application, has_glommio, refused, shop};
use serde_json::{Value, json};
use support::PATIENCE;

/// Where runs of one test meet, and what they read.
struct Stage {
    folder: Folder,
    door: PathBuf,
}

impl Stage {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        std::fs::create_dir(folder.0.join("rules")).unwrap();
        let door = folder.0.join("door.sock");
        Self { folder, door }
    }

    fn rules(&self) -> PathBuf {
        self.folder.0.join("rules")
    }

    fn write(&self, text: &str) {
        self.folder.write("rules/shop.yaml", text);
    }

    /// The words that every run has.
    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let door = self.door.to_str().unwrap();
        [&["--takeover", door, "--minimum-drain-time", "0"], more].concat()
    }

    fn run(&self, more: &[&str]) -> Proxy {
        Proxy::start(&self.rules(), &self.words(more))
    }
}

/// A new process by hand: it says what it likes, and goes when it likes.
struct Stranger(UnixStream);

impl Stranger {
    fn comes(stage: &Stage) -> Self {
        let stream = UnixStream::connect(&stage.door).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Greets, and returns the offer. Its descriptors are thrown away.
    fn greets(stage: &Stage) -> (Self, Value) {
        let mut stranger = Self::comes(stage);
        let offer = stranger.says(&hello(1));
        let mut marks = vec![0; 1];
        stranger.0.read_exact(&mut marks).unwrap();
        (stranger, offer)
    }

    fn says(&mut self, word: &Value) -> Value {
        let text = word.to_string();
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        self.0.write_all(&length).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

fn hello(protocol: u32) -> Value {
    json!({ "hello": { "protocol": protocol, "version": "7.7", "pid": 77 } })
}

/// The places of an offer that workers listen at.
fn places(offer: &Value) -> Vec<Value> {
    let places = offer["offer"]["places"].as_array().unwrap().iter();
    let listeners = places.filter(|place| place["what"] == "listener");
    listeners.map(|place| place["at"].clone()).collect()
}

/// The addresses of a run, as the next one is told them.
fn addresses(of: &Proxy, words: &[&'static str]) -> Vec<String> {
    let word = |word: &&'static str| [format!("--{word}"), of.addr(word).to_string()];
    words.iter().flat_map(word).collect()
}

/// Ten in a row, each with another number of workers; `runtimes` take turns.
fn ten_takeovers_lose_nothing(test: &str, runtimes: &[&str]) {
    let stage = Stage::new(test);
    stage.write(&shop(endpoint()));
    let mut old = stage.run(&["--runtime", runtimes[0], "--workers", "2"]);
    let addresses = addresses(&old, &["outbound", "admin"]);
    let mut load = Load::begin(old.addr("outbound"), "shop.example", (6, 3));
    let mut gone = Vec::new();
    for round in 1..=10_usize {
        load.goes_on();
        let workers = (round % 3 + 1).to_string();
        let mut words = vec!["--runtime", runtimes[round % runtimes.len()]];
        words.extend(["--workers", &workers]);
        words.extend(addresses.iter().map(String::as_str));
        let new = stage.run(&words);
        let generation = format!("server.hot_restart_generation: {round}\n");
        assert!(new.admin("GET /stats").contains(&generation));
        gone.push(std::mem::replace(&mut old, new));
    }
    load.goes_on();
    for old in &mut gone {
        assert_eq!(old.wait().0, Some(0), "it ends by itself");
    }
    load.end().expect_nothing_lost();
    assert_eq!(old.end().0, Some(0));
    assert!(!stage.door.exists(), "the last one takes its socket away");
}

#[test]
fn ten_takeovers_on_tokio() {
    ten_takeovers_lose_nothing("ten-tokio", &["tokio"]);
}

#[test]
fn ten_takeovers_on_glommio() {
    if has_glommio() {
        ten_takeovers_lose_nothing("ten-glommio", &["glommio"]);
    }
}

#[test]
fn ten_takeovers_from_runtime_to_runtime() {
    if has_glommio() {
        ten_takeovers_lose_nothing("ten-both", &["tokio", "glommio"]);
    }
}

/// Asks over HTTP/2 without pause, on on one connection after the other: when one says that it ends (GOAWAY), what was
/// sent before is answered on it, or was not looked at.
async fn ask_over_h2(
    to: SocketAddr,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> Result<(), h2::Error> {
    while !stop.load(Ordering::Relaxed) {
        let stream = tokio::net::TcpStream::connect(to).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        while let Ok(ready) = client.clone().ready().await
            && !stop.load(Ordering::Relaxed)
        {
            client = ready;
            let request = http::Request::get("http://shop.example/");
            let Ok((response, _)) = client.send_request(request.body(()).unwrap(), true) else {
                break;
            };
            match response.await {
                Ok(response) => {
                    assert_eq!(response.status(), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                // It began behind the last stream that GOAWAY names: it was not looked at.
                Err(error)
                    if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        drop(client);
        let _ = connection.await;
    }
    Ok(())
}

#[test]
fn clients_of_http2_are_told_and_lose_nothing() {
    let stage = Stage::new("h2");
    stage.write(&shop(endpoint()));
    let mut old = stage.run(&["--workers", "2"]);
    let addresses = addresses(&old, &["outbound", "admin"]);
    let outbound = old.addr("outbound");
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let (of_thread, count) = (Arc::clone(&stop), Arc::clone(&answered));
    let clients = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let clients = (0..4).map(|_| ask_over_h2(outbound, &of_thread, &count));
            let [one, two, three, four]: [_; 4] =
                clients.collect::<Vec<_>>().try_into().ok().unwrap();
            tokio::try_join!(one, two, three, four)
        })
    });
    let goes_on = || {
        let (begun, before) = (Instant::now(), answered.load(Ordering::Relaxed));
        while answered.load(Ordering::Relaxed) < before + 50 && !clients.is_finished() {
            assert!(begun.elapsed() < PATIENCE, "the clients get no answers");
            std::thread::yield_now();
        }
    };
    for _ in 0..3 {
        goes_on();
        let words: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let new = stage.run(&words);
        assert_eq!(old.wait().0, Some(0));
        old = new;
    }
    goes_on();
    stop.store(true, Ordering::Relaxed);
    clients.join().unwrap().unwrap();
    assert_eq!(old.end().0, Some(0));
}

/// Nothing was configured twice: what a new process does wrong costs the old one nothing, at whatever point it does.
#[test]
fn whoever_fails_before_he_begins_costs_nothing() {
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !has_glommio() {
            continue;
        }
        let stage = Stage::new(&format!("fails-{runtime}"));
        stage.write(&shop(endpoint()));
        let old = stage.run(&["--runtime", runtime, "--workers", "2"]);
        let mode = std::fs::metadata(&stage.door).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let outbound = old.addr("outbound");
        let mut load = Load::begin(outbound, "shop.example", (4, 2));

        // Its configuration is bad.
        let bad = stage.folder.0.join("bad");
        std::fs::create_dir(&bad).unwrap();
        std::fs::write(bad.join("bad.yaml"), "kind: [").unwrap();
        let addresses = addresses(&old, &["outbound", "admin"]);
        let words: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let (code, told) = refused(&bad, &stage.words(&words));
        assert_eq!(code, Some(1), "{told}");
        old.wait_for("does not take over: it has ended, or hung up; this one goes on");
        load.goes_on();

        // It ends when it has been offered everything.
        drop(Stranger::greets(&stage));
        old.wait_for("process 77 of version 7.7 does not take over: it has ended");
        load.goes_on();

        // It ends when nobody accepts any more; who connects meanwhile waits, and is served.
        let (mut stranger, offer) = Stranger::greets(&stage);
        let ready = json!({ "ready": { "places": places(&offer) } });
        assert_eq!(stranger.says(&ready), "rested");
        let mut waits = TcpStream::connect(outbound).unwrap();
        waits
            .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
            .unwrap();
        waits.set_nonblocking(true).unwrap();
        let read = waits.read(&mut [0]).unwrap_err();
        assert_eq!(read.kind(), ErrorKind::WouldBlock);
        waits.set_nonblocking(false).unwrap();
        drop(stranger);
        let mut answer = String::new();
        waits.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("ok"), "{answer}");
        old.wait_for("does not take over: it has ended");
        load.goes_on();
        load.end().expect_nothing_lost();
        old.page("/stats", "outrigger.takeovers_failed: 3\n");
        assert_eq!(old.end().0, Some(0));
    }
}

#[test]
fn whoever_is_not_understood_or_comes_second_is_told() {
    let stage = Stage::new("told");
    stage.write(&shop(application("shop")));
    let old = stage.run(&[]);
    let told = Stranger::comes(&stage).says(&hello(9));
    let told = told["refused"]["why"].as_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        told,
        format!(
            "outrigger 7.7 takes over by protocol 9, and outrigger {version}, which runs, hands over by protocol 1: stop it, then \
             start the new one"
        )
    );
    let mut rude = Stranger::comes(&stage);
    let told = rude.says(&json!("begun"));
    assert_eq!(told["refused"]["why"], "it does not greet");

    let stage = Stage::new("second");
    stage.write(&shop(application("shop")));
    let waits = stage.run(&[]);
    let (first, _) = Stranger::greets(&stage);
    let (code, told) = refused(&stage.rules(), &stage.words(&[]));
    assert_eq!(code, Some(1));
    assert!(
        told.contains("(--takeover): another process is taking over; it goes on"),
        "{told}"
    );
    drop(first);
    waits.wait_for("it has ended");

    assert_eq!(old.end().0, Some(0));
    assert_eq!(waits.end().0, Some(0));
}

#[test]
fn whoever_is_not_ready_in_time_is_not_waited_for() {
    let stage = Stage::new("late");
    stage.write(&shop(application("shop")));
    let old = stage.run(&["--takeover-time", "100ms"]);
    let (mut late, _) = Stranger::greets(&stage);
    old.wait_for("does not take over: it has not answered within 0.1 s");
    let mut told = String::new();
    late.0.read_to_string(&mut told).unwrap();
    assert!(told.contains("within 0.1 s"), "{told}");
    assert!(old.get("shop.example").ends_with("shop"));
}

/// What was killed left its socket behind.
#[test]
fn nobody_at_the_socket_is_nobody_to_take_over_from() {
    let stage = Stage::new("killed");
    stage.write(&shop(application("shop")));
    let old = stage.run(&[]);
    let addresses = addresses(&old, &["outbound", "admin"]);
    old.signal("-KILL");
    drop(old);
    assert!(stage.door.exists());
    let words: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let new = stage.run(&words);
    assert!(new.get("shop.example").ends_with("shop"));
    std::fs::remove_file(&stage.door).unwrap();
    std::fs::write(&stage.door, "a file").unwrap();
    let (code, told) = refused(&stage.rules(), &stage.words(&[]));
    assert_eq!(code, Some(1));
    assert!(
        told.contains("(--takeover): Address already in use"),
        "{told}"
    );
}

/// Asks a name server for `shop.example`; whether it answers.
fn is_answered(to: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";
    socket.send_to(question, to).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    answer[..length].starts_with(b"\0\x07")
}

/// Listeners that only one of both wants, and those beside the workers: for the admin endpoints, for health, for names.
#[test]
fn what_either_process_wants_alone_comes_and_goes() {
    let stage = Stage::new("either");
    stage.write(&shop(application("shop")));
    let admin_file = stage.folder.0.join("admin.sock");
    let admin = format!("unix:{}", admin_file.display());
    let inbound = |at: &str| format!("{at}={}", application("app"));
    let (first, second) = (inbound("127.0.0.1:0"), inbound("127.0.0.1:0"));
    let common = ["--admin", &admin];
    let mut old = stage.run(
        &[
            &common[..],
            &[
                "--inbound",
                &first,
                "--dns",
                "127.0.0.1:0",
                "--health",
                "127.0.0.1:0",
            ],
        ]
        .concat(),
    );
    let old_inbound = old.addr("inbound");
    let (dns, health) = (old.addr("dns"), old.addr("health"));
    let mut kept = TcpStream::connect(old_inbound).unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").unwrap();
    assert!(is_answered(dns));

    let addresses = addresses(&old, &["outbound", "dns", "health"]);
    let mut words: Vec<&str> = addresses.iter().map(String::as_str).collect();
    words.extend(common);
    words.extend(["--inbound", &second]);
    let new = stage.run(&words);
    old.wait_for("serves from now on");
    // A request that had begun is finished by the old one, which says that it ends.
    kept.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("connection: close") && answer.ends_with("app"),
        "{answer}"
    );
    assert_eq!(old.wait().0, Some(0));
    assert_eq!(
        TcpStream::connect(old_inbound).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let app = proxy::ask(
        new.addr("inbound"),
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    assert!(app.ends_with("app"), "{app}");
    assert!(is_answered(dns));
    let ready = "GET /healthz/ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert!(proxy::ask(health, ready).contains(" 200 "));
    let mut asks = UnixStream::connect(&admin_file).unwrap();
    asks.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut said = String::new();
    asks.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("LIVE\n"), "{said}");
    assert_eq!(new.end().0, Some(0));
    assert!(!admin_file.exists() && !stage.door.exists());
}

/// The address of a process that hands over is not free for one that does not ask.
#[test]
fn whoever_does_not_ask_is_told_that_the_address_is_in_use() {
    let stage = Stage::new("unasked");
    stage.write(&shop(application("shop")));
    let old = stage.run(&[]);
    let addresses = addresses(&old, &["outbound"]);
    let words: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let (code, told) = refused(&stage.rules(), &words);
    assert_eq!(code, Some(1));
    assert!(told.contains("Address already in use"), "{told}");
    drop(TcpListener::bind(old.addr("outbound")).unwrap_err());
    assert!(old.get("shop.example").ends_with("shop"));
}

fn asked_at(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A Unix socket of a Sidecar, which the first process opens when it reads its configuration again: the next ones have the same, whatever
/// the runtime and however many workers share it.
#[test]
fn what_a_reload_has_opened_is_handed_over() {
    let stage = Stage::new("reloaded");
    stage.write(&shop(endpoint()));
    let path = stage.folder.0.join("out.sock");
    let mut old = stage.run(&["--workers", "2"]);
    stage.folder.write("rules/sidecar.yaml", &sidecar_at(&path));
    old.wait_for("opened the Sidecar's listener");
    assert!(asked_at(&path).ends_with("ok"));
    let file = || std::fs::metadata(&path).unwrap().ino();
    let (before, addresses) = (file(), addresses(&old, &["outbound", "admin"]));
    let runtimes = ["tokio", "glommio", "tokio"];
    for (at, runtime) in runtimes.into_iter().enumerate() {
        if runtime == "glommio" && !has_glommio() {
            continue;
        }
        let workers = (3 - at).to_string();
        let mut words = vec!["--runtime", runtime, "--workers", &workers];
        words.extend(addresses.iter().map(String::as_str));
        let new = stage.run(&words);
        assert_eq!(old.wait().0, Some(0));
        for _ in 0..10 {
            assert!(asked_at(&path).ends_with("ok"), "{runtime}");
        }
        assert_eq!(file(), before, "it is the same socket");
        old = new;
    }
    assert_eq!(old.end().0, Some(0));
}

/// An application that is slow to answer holds up the old process's end. Nobody who asks how things are finds that one any more.
#[test]
fn whoever_asks_after_a_takeover_asks_the_new_process() {
    let stage = Stage::new("asks");
    stage.write(&shop(application("shop")));
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let application = slow.local_addr().unwrap();
    let mut old = stage.run(&[
        "--health",
        "127.0.0.1:0",
        "--inbound",
        &format!("127.0.0.1:0={application}"),
    ]);
    let inbound = format!("{}={application}", old.addr("inbound"));
    let mut addresses = addresses(&old, &["outbound", "admin", "health"]);
    addresses.extend(["--inbound".into(), inbound]);
    let mut client = TcpStream::connect(old.addr("inbound")).unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    client.write_all(request).unwrap();
    let (mut asked, _) = slow.accept().unwrap();
    let new = stage.run(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for _ in 0..20 {
        let stats = new.admin("GET /stats");
        assert!(
            stats.contains("server.hot_restart_generation: 1\n"),
            "{stats}"
        );
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow";
    asked.write_all(answer).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    assert_eq!(old.wait().0, Some(0));
    assert_eq!(new.end().0, Some(0));
}

/// Its sockets, and who waits in them, live on with the process that has them.
#[test]
fn an_old_process_that_dies_is_no_reason_not_to_begin() {
    // Who ends in good order has the kernel turn away who connects to sockets that he is about to close.
    for signal in ["-KILL", "-TERM"] {
        the_old_process_ends_before_the_new_one_is_ready(signal);
    }
}

fn the_old_process_ends_before_the_new_one_is_ready(signal: &str) {
    let stage = Stage::new("dies");
    stage.write(&shop(endpoint()));
    let mut old = stage.run(&[]);
    let outbound = old.addr("outbound");
    let addresses = addresses(&old, &["outbound", "admin"]);
    // The next process asks for a name, and nobody answers: it is not ready for a while.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let later = stage.folder.0.join("later");
    std::fs::create_dir(&later).unwrap();
    let named = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: named}
spec: {hosts: [named.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
";
    std::fs::write(later.join("named.yaml"), named).unwrap();
    std::fs::copy(stage.rules().join("shop.yaml"), later.join("shop.yaml")).unwrap();
    let mut words: Vec<&str> = addresses.iter().map(String::as_str).collect();
    words.extend(["--dns-server", &server]);
    let new = proxy::command(&later, &stage.words(&words));
    let new = std::thread::spawn(move || Proxy::spawn(new));
    old.wait_for("is about to take over");
    let (_, _) = silent.recv_from(&mut [0; 512]).unwrap();
    old.signal(signal);
    old.child.wait().unwrap();
    // Nobody accepts now.
    let mut waits = TcpStream::connect(outbound).unwrap();
    waits
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
    let new = new.join().unwrap();
    assert!(new.get("shop.example").ends_with("ok"));
    assert_eq!(new.end().0, Some(0));
}

/// The socket's mode keeps others out, and where somebody changes that the kernel says who comes.
#[test]
fn another_user_is_refused_by_both_sides() {
    use std::os::unix::process::CommandExt;
    let stage = Stage::new("user");
    stage.write(&shop(application("shop")));
    let old = stage.run(&[]);
    let comes = || {
        let mut command = proxy::command(&stage.rules(), &stage.words(&[]));
        command.uid(65_534).gid(65_534).output()
    };
    let Some(first) = comes().ok().filter(|first| first.status.code() == Some(1)) else {
        eprintln!(
            "not tried: only root may run a program as somebody else, who must be able to reach it"
        );
        return;
    };
    let told = String::from_utf8(first.stderr).unwrap();
    assert!(told.contains("(--takeover): Permission denied"), "{told}");
    std::fs::set_permissions(&stage.door, std::fs::Permissions::from_mode(0o666)).unwrap();
    let told = String::from_utf8(comes().unwrap().stderr).unwrap();
    assert!(
        told.contains("it runs as another user; it goes on"),
        "{told}"
    );
    let told = old.wait_for("does not take over");
    assert!(
        told.contains("it runs as another user") || told.contains("hung up"),
        "{told}"
    );
    assert!(old.get("shop.example").ends_with("shop"));
}
