//! What lies beneath the bytes of connections over real sockets: who they are said to come from (PROXY protocol), and whether the
//! system asks if the other end is still there (`tcpKeepalive`).

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/mesh.rs"]
mod mesh;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use mesh::{Mesh, mirror};
use proxy::{Folder, Proxy, ask};
use support::PATIENCE;

const HEAD: &str = "apiVersion: networking.istio.io/v1\n";
/// Nothing that matters here.
const PLAIN: &str = "{loadBalancer: {simple: RANDOM}}";
const RUNTIMES: [&str; 2] = ["tokio", "auto"];

/// The service `shop` at an address, with this traffic policy.
fn shop(at: SocketAddr, policy: &str) -> String {
    format!(
        "{HEAD}kind: ServiceEntry\nmetadata: {{name: shop}}\nspec: {{hosts: [shop.test], resolution: STATIC, \
         ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}], endpoints: [{{address: 127.0.0.1}}]}}\n---\n\
         {HEAD}kind: DestinationRule\nmetadata: {{name: shop}}\nspec: {{host: shop.test, trafficPolicy: {policy}}}\n",
        at.port()
    )
}

/// A service that tells which bytes each of its connections begins with, up to the head of the first request. It answers as
/// many as come.
fn told() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(stream);
                let mut first = String::new();
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
                    if line.starts_with("GET ") {
                        let _ = sender.send(std::mem::take(&mut first));
                    } else if line == "\r\n" {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        let _ = lines.get_mut().write_all(answer);
                    } else if first.is_empty() && line.starts_with("PROXY") {
                        first.clone_from(&line);
                    }
                    line.clear();
                }
            });
        }
    });
    (addr, receiver)
}

/// Each client is told of as itself, so that no two of them share a connection, while requests of one do.
#[test]
fn endpoints_are_told_whose_connection_it_is() {
    for runtime in RUNTIMES {
        let folder = Folder::new(&format!("proxy-out-{runtime}"));
        let (service, told) = told();
        let policy = "{proxyProtocol: {version: V1}}";
        folder.write("shop.yaml", &shop(service, policy));
        let proxy = Proxy::start(&folder.0, &["--runtime", runtime]);
        let outbound = proxy.addr("outbound");
        for _ in 0..2 {
            let mut client = TcpStream::connect(outbound).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let from = client.local_addr().unwrap().port();
            let header = format!(
                "PROXY TCP4 127.0.0.1 127.0.0.1 {from} {}\r\n",
                outbound.port()
            );
            // The second goes over the connection of the first, which has been introduced.
            for want in [header.as_str(), ""] {
                client
                    .write_all(b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n")
                    .unwrap();
                let mut answer = [0; 12];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"HTTP/1.1 200");
                let mut rest = BufReader::new(&client);
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    rest.read_line(&mut line).unwrap();
                }
                assert_eq!(told.recv_timeout(PATIENCE).unwrap(), want, "{runtime}");
            }
        }
        assert_eq!(proxy.end().0, Some(0));
    }
}

/// Before TLS, on both sides: a sidecar tells a gateway who its client is, and the gateway tells the application.
#[test]
fn a_gateway_is_told_before_tls() {
    for (mesh, runtime) in Mesh::each("proxy-in").zip(RUNTIMES) {
        fs::create_dir_all(mesh.path("edge")).unwrap();
        let application = mirror();
        let part = |file: &str| mesh.text(&format!("cart/{file}.pem"));
        let (chain, key) = (part("cert-chain"), part("key"));
        let edge = format!(
            "{HEAD}kind: Gateway\nmetadata: {{name: public}}\nspec:\n  selector: {{istio: edge}}\n  servers:\n  \
             - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [shop.test]}}\n  \
             - {{port: {{number: 443, name: shop, protocol: HTTPS}}, hosts: [shop.test], \
             tls: {{mode: SIMPLE, serverCertificate: {chain}, privateKey: {key}}}}}\n\
             ---\n{HEAD}kind: VirtualService\nmetadata: {{name: shop}}\nspec: {{hosts: [shop.test], gateways: [public], \
             http: [{{route: [{{destination: {{host: shop.test}}}}]}}]}}\n---\n{}",
            shop(application, PLAIN)
        );
        mesh.folder.write("edge/edge.yaml", &edge);
        let settings = "defaultConfig: {gatewayTopology: {proxyProtocol: {}}}\n";
        mesh.folder.write("mesh-config", settings);
        let config = mesh.text("mesh-config");
        let more = [
            "--runtime",
            runtime,
            "--label",
            "istio=edge",
            "--gateway",
            "80=127.0.0.1:0",
            "--gateway",
            "443=127.0.0.1:0",
            "--mesh-config",
            &config,
            "--tls-handshake-timeout",
            "1s",
            "--max-proxy-header-bytes",
            "256",
        ];
        let gateway = Proxy::start(&mesh.path("edge"), &more);
        let roots = mesh.text("web/root-cert.pem");
        for (version, protocol, tls) in [
            ("V1", "80", String::new()),
            ("V2", "80", String::new()),
            ("V1", "443", "SIMPLE".into()),
            ("V2", "443", "SIMPLE".into()),
        ] {
            let names = "subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/cart']";
            let tls = match tls.as_str() {
                "" => String::new(),
                mode => {
                    format!(
                        ", tls: {{mode: {mode}, sni: shop.test, caCertificates: {roots}, {names}}}"
                    )
                }
            };
            let at = gateway.addr(&format!("gateway {protocol} at"));
            let policy = format!("{{proxyProtocol: {{version: {version}}}{tls}}}");
            let folder = Folder::new(&format!("proxy-client-{runtime}-{version}-{protocol}"));
            folder.write("shop.yaml", &shop(at, &policy));
            let client = Proxy::start(&folder.0, &["--runtime", runtime]);
            // A proxy before the client's sidecar is not believed there, so this is who it is told of.
            let seen = client.get("shop.test");
            assert!(
                seen.starts_with("HTTP/1.1 200"),
                "{version} {protocol}: {seen}"
            );
            assert!(seen.contains("x-forwarded-for: 127.0.0.1"), "{seen}");
        }
        let plain = gateway.addr("gateway 80 at");
        let named = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
        let request = "GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n";
        let seen = ask(plain, &format!("{named}{request}"));
        assert!(seen.contains("x-forwarded-for: 192.0.2.1"), "{seen}");
        // Who says nothing, or nothing that is understood, is closed and counted.
        assert_eq!(ask(plain, request), "");
        let mut silent = TcpStream::connect(plain).unwrap();
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(silent.read(&mut [0]).unwrap(), 0);
        let address = format!("127.0.0.1_{}", plain.port());
        let counter = format!("listener.{address}.downstream_cx_proxy_proto_error");
        gateway.page("/stats?filter=proxy_proto", &format!("{counter}: 2"));
        // So is who says more than is read.
        let mut long = TcpStream::connect(plain).unwrap();
        long.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = [b"\r\n\r\n\0\r\nQUIT\n" as &[u8], &[0x21, 0x11, 0x01, 0x01]].concat();
        long.write_all(&header).unwrap();
        assert_eq!(long.read(&mut [0]).unwrap(), 0);
        let stats = gateway.page("/stats?filter=proxy_proto", &format!("{counter}: 3"));
        for (name, count) in [("too_long", 1), ("timeout", 1)] {
            let counter = format!("listener.{address}.downstream_cx_proxy_proto_{name}: {count}");
            assert!(stats.contains(&counter), "{counter} is not in {stats}");
        }
        assert_eq!(gateway.end().0, Some(0));
    }
}

/// When the system will ask, in hundredths of a second, as it says itself of the connection to an address.
fn keepalive_timer(to: SocketAddr) -> Option<u64> {
    let remote = format!("0100007F:{:04X}", to.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect());
    let row: Vec<&str> = rows.find(|row: &Vec<&str>| row[2] == remote && row[3] == "01")?;
    let (kind, when) = row[5].split_once(':').unwrap();
    (kind == "02").then(|| u64::from_str_radix(when, 16).unwrap())
}

/// As the service's rule says, field by field before the mesh's, and nothing where nobody says.
#[test]
fn the_system_asks_as_it_is_told() {
    let of_rule = "{connectionPool: {tcp: {tcpKeepalive: {time: 1000s, interval: 10s}}}}";
    let of_mesh = "tcpKeepalive: {time: 500s, probes: 3}\n";
    for (rule, of_mesh, want) in [
        (PLAIN, "", None),
        (of_rule, "", Some(1000)),
        (of_rule, of_mesh, Some(1000)),
        (
            "{connectionPool: {tcp: {tcpKeepalive: {probes: 5}}}}",
            of_mesh,
            Some(500),
        ),
        (PLAIN, of_mesh, Some(500)),
    ] {
        for runtime in RUNTIMES {
            let folder = Folder::new(&format!("keepalive-{runtime}"));
            let (service, _told) = told();
            folder.write("shop.yaml", &shop(service, rule));
            let settings = Folder::new(&format!("keepalive-mesh-{runtime}"));
            settings.write("mesh", of_mesh);
            let config = settings.0.join("mesh");
            let mut more = vec!["--runtime", runtime];
            if !of_mesh.is_empty() {
                more.extend(["--mesh-config", config.to_str().unwrap()]);
            }
            let proxy = Proxy::start(&folder.0, &more);
            assert!(proxy.get("shop.test").starts_with("HTTP/1.1 200"));
            let begun = Instant::now();
            let is_as_wanted = || {
                let left = keepalive_timer(service);
                match want {
                    None => left.is_none(),
                    Some(seconds) => left.is_some_and(|left| {
                        let all = seconds * 100;
                        left <= all && left > all - 100 * PATIENCE.as_secs()
                    }),
                }
            };
            // What was written may wait for its acknowledgement for a moment.
            while !is_as_wanted() {
                assert!(begun.elapsed() < PATIENCE, "{runtime} {rule} {of_mesh}");
                thread::yield_now();
            }
            assert_eq!(proxy.end().0, Some(0));
        }
    }
}
