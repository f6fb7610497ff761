//! `outrigger run` with endpoints that are names, and a name server that changes its mind.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[expect(dead_code, reason = "the resolver's own tests use all of it")]
#[path = "../../dns/tests/server/mod.rs"]
mod dns;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use dns::{Dns, Says};
use support::{PATIENCE, Told};

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: PORT}]
  resolution: RESOLUTION
  endpoints: [{address: pair.test}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.example
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 2, interval: 60s, baseEjectionTime: 600s, maxEjectionPercent: 100}
";

/// A proxy, its name server, and three addresses with one port: the third one fails.
struct Stage {
    dns: Dns,
    port: u16,
    folder: PathBuf,
    child: Child,
    told: Told,
    outbound: SocketAddr,
    admin: SocketAddr,
}

impl Stage {
    fn open(test: &str, resolution: &str, prepare: impl FnOnce(&Dns)) -> Self {
        let (port, listeners) = listeners();
        for (last, listener) in (1..).zip(listeners) {
            // A logical host moves with new connections alone.
            let end = match resolution {
                "DNS_ROUND_ROBIN" => "connection: close\r\n",
                _ => "",
            };
            serve(listener, last, end);
        }
        let dns = Dns::start();
        prepare(&dns);
        let name = format!("outrigger-names-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let rules = RULES
            .replace("PORT", &port.to_string())
            .replace("RESOLUTION", resolution);
        fs::write(folder.join("rules.yaml"), rules).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args(["run", "--workers", "1", "--access-log", "text"])
            .args(["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--dns-server", &dns.addr.to_string()])
            .arg("--config")
            .arg(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Told::by(child.stderr.take().unwrap());
        let greeting = told.wait_for("outbound ");
        let addr = |word: &str| {
            let (_, rest) = greeting.split_once(&format!(" {word} ")).unwrap();
            rest.split([',', ';']).next().unwrap().parse().unwrap()
        };
        Self {
            dns,
            port,
            folder,
            told,
            outbound: addr("outbound"),
            admin: addr("admin"),
            child,
        }
    }

    /// The status, and which address answered.
    fn get(&self) -> String {
        let answer = ask(self.outbound, "GET / HTTP/1.1\r\nhost: shop.example");
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        match answer.rsplit_once("\r\n\r\n") {
            Some((_, body)) => format!("{status} {body}"),
            None => answer,
        }
    }

    /// Asks until this is the answer.
    fn get_until(&self, want: &str) {
        let until = Instant::now() + PATIENCE;
        while self.get() != want {
            assert!(Instant::now() < until, "`{want}` never came");
        }
    }

    fn stats(&self) -> String {
        ask(self.admin, "GET /stats HTTP/1.1\r\nhost: localhost")
    }

    /// Ends it, and returns its access log.
    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut log = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        log
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// 127.0.0.1 to 127.0.0.3, with the same port.
fn listeners() -> (u16, Vec<TcpListener>) {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = [2, 3].map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)));
        if let [Ok(second), Ok(third)] = others {
            return (port, vec![first, second, third]);
        }
    }
}

/// Answers with the last number of its address, on connections that stay or end.
fn serve(listener: TcpListener, last: u8, end: &'static str) {
    let status = if last == 3 { "500 Broken" } else { "200 OK" };
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut room = [0; 4096];
                // A head comes in one piece on loopback.
                while stream.read(&mut room).is_ok_and(|count| count > 0) {
                    let answer =
                        format!("HTTP/1.1 {status}\r\ncontent-length: 1\r\n{end}\r\n{last}");
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
}

fn ask(addr: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn each_address_gets_requests_and_a_changed_answer_is_followed() {
    let stage = Stage::open("follow", "DNS", |dns| {
        dns.addresses("pair.test", 1, &["127.0.0.1", "127.0.0.2"]);
    });
    let answers: Vec<_> = (0..20).map(|_| stage.get()).collect();
    for want in ["200 1", "200 2"] {
        assert_eq!(
            answers.iter().filter(|a| *a == want).count(),
            10,
            "{answers:?}"
        );
    }
    // The connections to the one that goes are kept, and not used any more.
    stage.dns.addresses("pair.test", 1, &["127.0.0.2"]);
    let until = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 4 {
        in_a_row = if stage.get() == "200 2" {
            in_a_row + 1
        } else {
            0
        };
        assert!(
            Instant::now() < until,
            "the address that went is still used"
        );
    }
    // A failure keeps the last good answer and is told.
    stage.dns.say("pair.test", Says::Fails(2));
    let told = stage.told.wait_for("is not resolved");
    assert!(
        told.contains("`pair.test`") && told.contains("SERVFAIL"),
        "{told}"
    );
    assert_eq!(stage.get(), "200 2");
    let stats = stage.stats();
    assert!(
        stats.contains("outrigger.dns.names_unresolved: 1"),
        "{stats}"
    );
    let port = stage.port;
    let log = stage.end();
    for last in [1, 2] {
        let address = format!("\"127.0.0.{last}:{port}\"");
        assert!(log.contains(&address), "UPSTREAM_HOST {address} in {log}");
    }
}

#[test]
fn a_client_that_stays_connected_is_led_to_the_changed_address() {
    let stage = Stage::open("stay", "DNS", |dns| {
        dns.addresses("pair.test", 1, &["127.0.0.1"]);
    });
    let mut stream = TcpStream::connect(stage.outbound).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut get = || {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        while answer
            .split_once("\r\n\r\n")
            .is_none_or(|(_, body)| body.is_empty())
        {
            let mut room = [0; 4096];
            let count = stream.read(&mut room).unwrap();
            assert!(count > 0, "closed after {answer}");
            answer += str::from_utf8(&room[..count]).unwrap();
        }
        answer.pop()
    };
    assert_eq!((get(), get()), (Some('1'), Some('1')));
    stage.dns.addresses("pair.test", 1, &["127.0.0.2"]);
    let until = Instant::now() + PATIENCE;
    while get() != Some('2') {
        assert!(
            Instant::now() < until,
            "the address that went is still used"
        );
    }
    assert_eq!(get(), Some('2'));
}

#[test]
fn a_name_that_fails_is_told_once_and_when_it_is_good_again() {
    let stage = Stage::open("once", "DNS", |dns| {
        dns.addresses("pair.test", 1, &["127.0.0.1"]);
    });
    stage.dns.say("pair.test", Says::Fails(2));
    let until = Instant::now() + PATIENCE;
    while !(2..9).any(|n| stage.stats().contains(&format!("dns.update_failure: {n}"))) {
        assert!(Instant::now() < until, "it is not asked for again");
        assert_eq!(stage.get(), "200 1");
    }
    stage.dns.addresses("pair.test", 60, &["127.0.0.1"]);
    let told = stage.told.until("`pair.test` is resolved again");
    let failures = told.iter().filter(|line| line.contains("is not resolved"));
    assert_eq!(failures.count(), 1, "{told:#?}");
    assert!(stage.stats().contains("outrigger.dns.names_unresolved: 0"));
}

#[test]
fn an_address_that_fails_is_ejected() {
    let stage = Stage::open("eject", "DNS", |dns| {
        dns.addresses("pair.test", 60, &["127.0.0.1", "127.0.0.3"]);
    });
    let answers: Vec<_> = (0..20).map(|_| stage.get()).collect();
    let failed = answers.iter().filter(|a| *a == "500 3").count();
    assert_eq!(failed, 2, "{answers:?}");
    assert_eq!(answers.iter().filter(|a| *a == "200 1").count(), 18);
}

#[test]
fn a_name_without_an_answer_has_no_endpoints_until_it_has_one() {
    let stage = Stage::open("late", "DNS", |_| {});
    assert_eq!(stage.get(), "503 no healthy upstream");
    stage.dns.addresses("pair.test", 60, &["127.0.0.1"]);
    stage.get_until("200 1");
    stage.told.wait_for("is resolved again");
}

#[test]
fn round_robin_goes_to_the_first_address() {
    let stage = Stage::open("first", "DNS_ROUND_ROBIN", |dns| {
        dns.addresses("pair.test", 1, &["127.0.0.2", "127.0.0.1"]);
    });
    for _ in 0..6 {
        assert_eq!(stage.get(), "200 2");
    }
    stage
        .dns
        .addresses("pair.test", 1, &["127.0.0.1", "127.0.0.2"]);
    stage.get_until("200 1");
}

/// Where the endpoints of the service do not matter, or there are none.
#[test]
fn a_name_that_a_client_gives_leads_where_the_system_says() {
    let port = proxy::application("dialled").port();
    for (test, rules) in [
        ("none", "resolution: NONE}"),
        (
            "passthrough",
            "resolution: STATIC, endpoints: [{address: 127.0.0.2, ports: {http: 1}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: \"*\", trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}",
        ),
    ] {
        let folder = proxy::Folder::new(test);
        let entry = format!(
            "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec: {{hosts: [localhost], ports: [{{number: {port}, name: http, protocol: HTTP}}], {rules}
"
        );
        folder.write("rules.yaml", &entry);
        let proxy = proxy::Proxy::start(&folder.0, &["--access-log", "text"]);
        let answer = proxy.get(&format!("localhost:{port}"));
        assert!(answer.ends_with("\r\n\r\ndialled"), "{test}: {answer}");
        let (_, log) = proxy.end();
        let cluster = format!("outbound|{port}||localhost");
        assert!(log.contains(&cluster), "{test}: {log}");
    }
}
