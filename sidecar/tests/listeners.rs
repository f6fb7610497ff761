//! Listeners that come and go while the program runs: ports of Gateways and sockets of a Sidecar, on every runtime.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use proxy::{Folder, Proxy, application, ask, has_glommio};
use support::PATIENCE;

#[path = "support/proxy.rs"]
mod proxy;
mod support;

/// The runtimes that this machine lets us try.
fn runtimes() -> Vec<&'static str> {
    if has_glommio() {
        return vec!["tokio", "glommio"];
    }
    eprintln!("glommio is not tried: this machine does not let us");
    vec!["tokio"]
}

/// A Gateway with one server, whose requests are answered with a status of its own.
fn gateway(port: u16, status: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g{port}}}\n\
         spec: {{selector: {{}}, servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: [a.test]}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{port}}}\n\
         spec: {{hosts: [a.test], gateways: [g{port}], http: [{{directResponse: {{status: {status}}}}}]}}\n---\n"
    )
}

fn get(connection: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a.test\r\nconnection: {connection}\r\n\r\n")
}

/// The address at the end of what was told.
fn told_at(line: &str) -> SocketAddr {
    let (_, at) = line.rsplit_once(" at ").unwrap();
    at.trim().parse().unwrap()
}

/// Everything that comes until the end.
fn rest(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8(rest).unwrap()
}

#[test]
fn ports_of_gateways_come_and_go() {
    for runtime in runtimes() {
        let folder = Folder::new("listeners-gateway");
        folder.write("a.yaml", &gateway(80, 201));
        let more = [
            "--gateway",
            "127.0.0.1:0",
            "--minimum-drain-time",
            "0",
            "--runtime",
            runtime,
        ];
        let proxy = Proxy::start(&folder.0, &more);
        let first = proxy.addr("gateway 80 at");
        let mut kept = TcpStream::connect(first).unwrap();
        kept.write_all(get("keep-alive").as_bytes()).unwrap();
        let mut head = [0; 12];
        kept.read_exact(&mut head).unwrap();

        folder.write("a.yaml", &(gateway(80, 202) + &gateway(81, 203)));
        let second = told_at(&proxy.wait_for("opened port 81 of Gateways"));
        assert!(ask(second, &get("close")).starts_with("HTTP/1.1 203"));
        assert!(ask(first, &get("close")).starts_with("HTTP/1.1 202"));
        let stats = proxy.page("/stats", "listener_manager.listener_added: 1");
        assert!(
            stats.contains("listener_manager.total_listeners_active: 3"),
            "{stats}"
        );

        folder.write("a.yaml", &gateway(81, 204));
        proxy.wait_for("closed port 80 of Gateways");
        // Who was connected and has nothing in flight is let go, and nobody else gets in.
        assert!(!rest(&mut kept).contains("HTTP/1.1 4"), "{runtime}");
        let begun = std::time::Instant::now();
        while TcpStream::connect(first).is_ok() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{runtime}: {first} is still open"
            );
        }
        assert!(ask(second, &get("close")).starts_with("HTTP/1.1 204"));
        let stats = proxy.page("/stats", "listener_manager.listener_removed: 1");
        let gone = first.to_string().replace(':', "_");
        assert!(!stats.contains(&format!("listener.{gone}")), "{stats}");
        assert_eq!(proxy.end().0, Some(0), "{runtime}");
    }
}

#[test]
fn a_port_in_use_is_told_and_opened_when_it_is_free() {
    for runtime in runtimes() {
        let folder = Folder::new("listeners-in-use");
        folder.write("a.yaml", &gateway(80, 201));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        // What Gateways call it is the port itself here, as in a pod.
        let proxy = Proxy::start(
            &folder.0,
            &[
                "--gateway",
                "80=127.0.0.1:0",
                "--gateway",
                "127.0.0.1",
                "--runtime",
                runtime,
            ],
        );
        folder.write("a.yaml", &(gateway(80, 202) + &gateway(at.port(), 203)));
        let told = proxy.wait_for("is not open");
        assert!(told.contains(&format!("cannot listen on {at}")), "{told}");
        let listeners = proxy.admin("GET /listeners?format=json");
        assert!(
            listeners.contains(&format!("\"name\": \"port {} of Gateways", at.port())),
            "{listeners}"
        );
        proxy.page("/stats", "outrigger.listeners_not_open: 1");
        assert!(ask(proxy.addr("gateway 80 at"), &get("close")).starts_with("HTTP/1.1 202"));
        drop(taken);
        proxy.wait_for("opened port");
        assert!(ask(at, &get("close")).starts_with("HTTP/1.1 203"));
        proxy.page("/stats", "outrigger.listeners_not_open: 0");
        assert_eq!(proxy.end().0, Some(0), "{runtime}");
    }
}

#[test]
fn servers_of_gateways_are_where_they_say() {
    for runtime in runtimes() {
        let folder = Folder::new("listeners-bind");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let [.., high, low] = std::process::id().to_be_bytes();
        let own: SocketAddr = ([127, high, low, 14], port).into();
        let unix = folder.0.join("gateway.sock");
        let server = |name: &str, port: u16, bind: &str, status: u16| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
                 spec: {{selector: {{}}, servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, bind: '{bind}', hosts: [a.test]}}]}}\n---\n\
                 apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
                 spec: {{hosts: [a.test], gateways: [{name}], http: [{{directResponse: {{status: {status}}}}}]}}\n---\n"
            )
        };
        let all = server("all", port, "", 201);
        let socket = server("unix", 0, &format!("unix://{}", unix.display()), 203);
        folder.write("a.yaml", &(all.clone() + &socket));
        let more = [
            "--gateway",
            "0.0.0.0",
            "--minimum-drain-time",
            "0",
            "--runtime",
            runtime,
        ];
        let proxy = Proxy::start(&folder.0, &more);
        let everywhere = ([127, 0, 0, 1], port).into();
        assert!(
            ask(everywhere, &get("close")).starts_with("HTTP/1.1 201"),
            "{runtime}"
        );
        assert!(
            ask(own, &get("close")).starts_with("HTTP/1.1 201"),
            "{runtime}"
        );
        // One address of a port that is listened on at all.
        let bound = server("bound", port, &own.ip().to_string(), 202);
        folder.write("a.yaml", &(all + &socket + &bound));
        proxy.wait_for("opened port");
        assert!(
            ask(own, &get("close")).starts_with("HTTP/1.1 202"),
            "{runtime}"
        );
        assert!(
            ask(everywhere, &get("close")).starts_with("HTTP/1.1 201"),
            "{runtime}"
        );
        let mut stream = UnixStream::connect(&unix).unwrap();
        stream.write_all(get("close").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 203"), "{runtime}: {answer}");
        let ask_why =
            |at: &str| proxy.admin(&format!("GET /explain?request=http://a.test/&gateway={at}"));
        for (at, status) in [
            (port.to_string(), 201),
            (own.to_string(), 202),
            (format!("unix://{}", unix.display()), 203),
        ] {
            let told = ask_why(&at);
            assert!(told.contains(&status.to_string()), "{runtime} {at}: {told}");
        }
        assert_eq!(proxy.end().0, Some(0), "{runtime}");
    }
}

/// Passes on what one client says, and tells it so.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut heard = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut heard) {
                    let _ = stream.write_all(&heard[..count]);
                }
            });
        }
    });
    addr
}

#[test]
fn connections_of_a_closed_port_have_the_drain_time_to_end() {
    for runtime in runtimes() {
        let folder = Folder::new("listeners-drain");
        let echo = echo();
        let tcp = format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g}}\n\
             spec: {{selector: {{}}, servers: [{{port: {{number: 9000, name: tcp, protocol: TCP}}, hosts: ['*']}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v}}\n\
             spec: {{hosts: ['*'], gateways: [g], tcp: [{{route: [{{destination: {{host: echo.test}}}}]}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: e}}\nspec: {{hosts: [echo.test], resolution: STATIC, \
             ports: [{{number: 9000, name: tcp, protocol: TCP, targetPort: {}}}], endpoints: [{{address: 127.0.0.1}}]}}\n---\n",
            echo.port()
        );
        folder.write("a.yaml", &(gateway(80, 201) + &tcp));
        let more = [
            "--gateway",
            "127.0.0.1:0",
            "--drain-time",
            "2",
            "--runtime",
            runtime,
        ];
        let proxy = Proxy::start(&folder.0, &more);
        let at = proxy.addr("gateway 9000 at");
        let mut stream = TcpStream::connect(at).unwrap();
        let mut say = |words: &str| {
            stream.write_all(words.as_bytes()).unwrap();
            let mut heard = vec![0; words.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, words.as_bytes(), "{runtime}");
        };
        say("before");
        folder.write("a.yaml", &gateway(80, 202));
        proxy.wait_for("closed port 9000 of Gateways");
        // It is in flight, and goes on.
        say("after");
        let stats = proxy.page("/stats", "listener_manager.total_listeners_draining: 1");
        let drains = format!(
            "listener.{}.downstream_cx_active: 1",
            at.to_string().replace(':', "_")
        );
        assert!(stats.contains(&drains), "{stats}");
        proxy.wait_for(&format!(
            "cut off 1 connections of the closed listener {at}"
        ));
        assert_eq!(rest(&mut stream), "", "{runtime}");
        proxy.page("/stats", "listener_manager.total_listeners_draining: 0");
        assert_eq!(proxy.end().0, Some(0), "{runtime}");
    }
}

#[test]
fn sockets_of_a_sidecar_come_and_go() {
    for runtime in runtimes() {
        let folder = Folder::new("listeners-sidecar");
        let rules = folder.0.join("rules");
        std::fs::create_dir(&rules).unwrap();
        let (out, app) = (folder.0.join("out.sock"), application("application"));
        let shop = proxy::shop(application("shop"));
        let [.., high, low] = std::process::id().to_be_bytes();
        let (egress, ingress) = (
            format!("127.{high}.{low}.12"),
            format!("127.{high}.{low}.13"),
        );
        let own = format!(
            "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\nspec:\n  egress:\n  \
             - {{port: {{number: 0, protocol: HTTP, name: http}}, bind: 'unix://{}', hosts: ['*/*']}}\n  \
             - {{port: {{number: 80, protocol: HTTP, name: http-port}}, bind: {egress}, captureMode: NONE, hosts: ['*/*']}}\n  \
             - {{hosts: ['*/*']}}\n  ingress:\n  \
             - {{port: {{number: 9080, protocol: HTTP, name: http}}, bind: {ingress}, captureMode: NONE, defaultEndpoint: '127.0.0.1:{}'}}\n",
            out.display(),
            app.port(),
        );
        let write = |text: &str| {
            std::fs::write(rules.join("new"), text).unwrap();
            std::fs::rename(rules.join("new"), rules.join("rules.yaml")).unwrap();
        };
        write(&shop);
        let more = ["--runtime", runtime, "--minimum-drain-time", "0"];
        let proxy = Proxy::start(&rules, &more);
        let request = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        let at = |addr: &str| addr.parse::<SocketAddr>().unwrap();
        for round in 0..2 {
            write(&(shop.clone() + &own));
            for _ in 0..3 {
                proxy.wait_for("opened the Sidecar's listener");
            }
            let mut stream = UnixStream::connect(&out).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("shop"), "{runtime} {round}: {answer}");
            let answer = ask(at(&format!("{egress}:80")), request);
            assert!(answer.ends_with("shop"), "{runtime} {round}: {answer}");
            let answer = ask(at(&format!("{ingress}:9080")), request);
            assert!(
                answer.ends_with("application"),
                "{runtime} {round}: {answer}"
            );
            write(&shop);
            for _ in 0..3 {
                proxy.wait_for("closed the Sidecar's listener");
            }
        }
        assert_eq!(proxy.end().0, Some(0), "{runtime}");
    }
}
