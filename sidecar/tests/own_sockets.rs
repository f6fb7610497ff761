//! Listeners of its own that a Sidecar has: Unix sockets and ports, for applications that come by themselves, on every runtime.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use proxy::{Folder, Proxy, application, ask, has_glommio};

#[path = "support/proxy.rs"]
mod proxy;
mod support;

/// An address of loopback that no other run of this test has.
fn own_address(last: u8) -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{high}.{low}.{last}")
}

/// Answers each request with a name.
fn serve(listener: UnixListener, name: &'static str) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let length = name.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all((head + name).as_bytes());
        }
    });
}

/// Speaks first to everybody, then says again what it hears.
fn serve_first(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"ready ");
            let mut heard = Vec::new();
            if stream.read_to_end(&mut heard).is_ok() {
                let _ = stream.write_all(&heard);
            }
        }
    });
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// What is answered at a Unix socket; where no request is made, nothing follows the words.
fn ask_at(path: &Path, words: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    if !words.starts_with("GET") {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_sidecar_listens_where_its_resource_says() {
    let folder = Folder::new("own-sockets");
    let rules = folder.0.join("rules");
    std::fs::create_dir(&rules).unwrap();
    let at = |name: &str| folder.0.join(name);
    let (out, db, app) = (at("out.sock"), at("db.sock"), at("app.sock"));
    serve(UnixListener::bind(&app).unwrap(), "application");
    let shop = application("shop");
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let first_addr = first.local_addr().unwrap();
    serve_first(first);
    let (egress, ingress) = (own_address(2), own_address(3));
    let text = format!(
        "{}---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: db}}
spec:
  hosts: [db.example]
  resolution: STATIC
  ports: [{{number: 5432, name: tcp, protocol: TCP}}]
  endpoints: [{{address: {}, ports: {{tcp: {}}}}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: s}}
spec:
  egress:
  - {{port: {{number: 0, protocol: HTTP, name: http}}, bind: 'unix://{}', hosts: ['*/*']}}
  - {{port: {{number: 0, protocol: TCP, name: tcp}}, bind: 'unix://{}', hosts: ['*/db.example']}}
  - {{port: {{number: 80, protocol: HTTP, name: http-port}}, bind: {egress}, captureMode: NONE, hosts: ['*/*']}}
  ingress:
  - {{port: {{number: 9080, protocol: HTTP, name: http}}, bind: {ingress}, captureMode: NONE, defaultEndpoint: 'unix://{}'}}
",
        proxy::shop(shop),
        first_addr.ip(),
        first_addr.port(),
        out.display(),
        db.display(),
        app.display(),
    );
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !has_glommio() {
            eprintln!("glommio is not tried: this machine does not let us");
            continue;
        }
        std::fs::write(rules.join("rules.yaml"), &text).unwrap();
        // What the run before has left behind is in nobody's way.
        let drains = ["--drain-time", "1", "--minimum-drain-time", "0"];
        let options = [&["--runtime", runtime][..], &drains].concat();
        let sidecar = Proxy::start(&rules, &options);
        let answer = ask_at(&out, &get("shop.example"));
        assert_eq!(body(&answer), "shop", "{runtime}");
        assert_eq!(ask_at(&db, "hello"), "ready hello", "{runtime}");
        let answer = ask(
            format!("{egress}:80").parse().unwrap(),
            &get("shop.example"),
        );
        assert_eq!(body(&answer), "shop", "{runtime}");
        let answer = ask(format!("{ingress}:9080").parse().unwrap(), &get("any"));
        assert_eq!(body(&answer), "application", "{runtime}");
        // It ends as any other does, whoever is still connected there.
        let idle = UnixStream::connect(&out).unwrap();
        let (code, _) = sidecar.end();
        assert_eq!(code, Some(0), "{runtime}");
        drop(idle);
    }
}
