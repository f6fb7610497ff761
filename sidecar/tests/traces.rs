//! Traces of a running proxy, to a Zipkin of our own: from a request to a span, when the process ends, and when a collector is
//! away. Collectors that nobody here wrote are in `conformance/peers`.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use proxy::{Folder, Proxy, application, command, refused, shop};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;
use support::PATIENCE;

/// A Zipkin: the spans of each request that it gets.
fn zipkin() -> (SocketAddr, Receiver<Vec<Value>>) {
    zipkin_over(None)
}

/// The same, with TLS beneath HTTP if so.
fn zipkin_over(tls: Option<Arc<ServerConfig>>) -> (SocketAddr, Receiver<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, came) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (sender, tls) = (sender.clone(), tls.clone());
            thread::spawn(move || match tls {
                None => take(stream, &sender),
                Some(tls) => {
                    let connection = ServerConnection::new(tls).unwrap();
                    take(StreamOwned::new(connection, stream), &sender);
                }
            });
        }
    });
    (addr, came)
}

fn take(stream: impl Read + Write, sender: &Sender<Vec<Value>>) {
    let mut stream = BufReader::new(stream);
    while let Some(spans) = read(&mut stream) {
        let _ = sender.send(spans);
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).unwrap();
        stream.get_mut().flush().unwrap();
    }
}

fn read(request: &mut impl BufRead) -> Option<Vec<Value>> {
    let (mut line, mut length) = (String::new(), 0);
    request.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line, "POST /api/v2/spans HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        request.read_line(&mut line).ok()?;
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}

/// A proxy with a service behind it, and its collector's URL.
fn traced(folder: &Folder, collector: SocketAddr, more: &[&str]) -> Proxy {
    folder.write("shop.yaml", &shop(application("shop")));
    let url = format!("http://{collector}/api/v2/spans");
    let mut command = command(&folder.0, &["--trace-collector", &url]);
    command.args(["--label", "app=web", "--label", "version=v7"]);
    command.args(more).env("POD_NAME", "web-1");
    Proxy::spawn(command)
}

/// What is counted of spans: exported, dropped, failed, waiting.
fn counted(proxy: &Proxy) -> [u64; 4] {
    let stats = proxy.admin("GET /stats");
    ["exported", "dropped", "failed", "waiting"].map(|name| {
        let name = format!("outrigger.trace_spans_{name}: ");
        let count = stats.lines().find_map(|line| line.strip_prefix(&name));
        count.unwrap().parse().unwrap()
    })
}

#[test]
fn a_request_and_its_attempt_are_spans() {
    let (folder, (addr, came)) = (Folder::new("spans"), zipkin());
    let proxy = traced(&folder, addr, &["--trace-sampling", "100"]);
    let answer = proxy.ask(
        "outbound",
        "GET /cart?x=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: me\r\nconnection: close\r\n\
         b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let spans = came.recv_timeout(PATIENCE).unwrap();
    let [request, attempt] = &spans[..] else {
        panic!("{spans:#?}");
    };
    for span in &spans {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["localEndpoint"]["serviceName"], "web.default");
        assert_eq!(span["kind"], "CLIENT");
        assert!(span["duration"].as_u64().unwrap() > 0);
    }
    assert_eq!(request["parentId"], "00f067aa0ba902b7");
    assert_eq!(attempt["parentId"], request["id"]);
    assert_eq!(request["name"], "shop.example:80/*");
    assert_eq!(attempt["name"], "router outbound|80||shop.example egress");
    for (name, value) in [
        ("component", "proxy"),
        ("http.method", "GET"),
        ("http.url", "http://shop.example/cart?x=1"),
        ("http.protocol", "HTTP/1.1"),
        ("http.status_code", "200"),
        ("user_agent", "me"),
        ("request_size", "0"),
        ("response_size", "4"),
        ("response_flags", "-"),
        ("response_code_details", "via_upstream"),
        ("peer.address", "127.0.0.1"),
        ("upstream_cluster", "outbound|80||shop.example"),
        ("upstream_cluster.name", "outbound|80||shop.example"),
        ("istio.canonical_service", "web"),
        ("istio.canonical_revision", "v7"),
        ("istio.namespace", "default"),
        ("istio.mesh_id", "unknown"),
        (
            "node_id",
            "sidecar~unknown~web-1.default~default.svc.cluster.local",
        ),
    ] {
        assert_eq!(request["tags"][name], value, "{name}");
    }
    assert_eq!(attempt["tags"]["outrigger.end"], "ended with 200");
    assert!(attempt["remoteEndpoint"]["port"].is_u64());
    let id = request["tags"]["guid:x-request-id"].as_str().unwrap();
    assert_eq!(&id[14..15], "9");
}

/// Whoever the machine trusts is a collector, and nobody else: spans go to no stranger.
#[test]
fn https_collectors_prove_who_they_are() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let config = Arc::new(config);
    for is_trusted in [true, false] {
        let folder = Folder::new("https");
        let (addr, came) = zipkin_over(Some(Arc::clone(&config)));
        folder.write("shop.yaml", &shop(application("shop")));
        let roots = Folder::new("https-roots");
        let other = generate_simple_self_signed(["other.test".to_owned()]).unwrap();
        let root = if is_trusted { &cert } else { &other.cert };
        roots.write("roots.pem", &root.pem());
        let url = format!("https://localhost:{}/api/v2/spans", addr.port());
        let mut command = command(
            &folder.0,
            &["--trace-collector", &url, "--trace-sampling", "100"],
        );
        command.env("SSL_CERT_FILE", roots.0.join("roots.pem"));
        command.env_remove("SSL_CERT_DIR");
        let proxy = Proxy::spawn(command);
        proxy.get("shop.example");
        if is_trusted {
            let spans = came.recv_timeout(PATIENCE).unwrap();
            assert_eq!(spans[0]["name"], "shop.example:80/*");
        } else {
            let told = proxy.wait_for("takes no spans");
            assert!(told.contains("certificate"), "{told}");
            assert!(came.try_recv().is_err());
        }
    }
}

#[test]
fn what_is_told_last_is_sent_before_the_process_ends() {
    let (folder, (addr, came)) = (Folder::new("last"), zipkin());
    let proxy = traced(&folder, addr, &["--trace-sampling", "100"]);
    for _ in 0..3 {
        proxy.get("shop.example");
    }
    assert_eq!(proxy.end().0, Some(0));
    let spans: usize = came.try_iter().map(|spans| spans.len()).sum();
    assert_eq!(spans, 6);
}

#[test]
fn a_collector_that_is_away_costs_what_finds_no_room() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let folder = Folder::new("away");
    let more = ["--trace-sampling", "100", "--trace-queue", "5"];
    let proxy = traced(&folder, addr, &more);
    for _ in 0..4 {
        let answer = proxy.get("shop.example");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    let told = proxy.wait_for("takes no spans");
    assert!(
        told.contains(&format!("http://{addr}/api/v2/spans")),
        "{told}"
    );
    assert_eq!(counted(&proxy), [0, 4, 0, 4]);
    assert_eq!(proxy.end().0, Some(0));
}

#[test]
fn a_reload_turns_traces_on_and_gives_them_tags() {
    let (folder, (addr, came)) = (Folder::new("reload"), zipkin());
    folder.write("shop.yaml", &shop(application("shop")));
    let mesh = Folder::new("reload-mesh");
    mesh.write(
        "mesh.yaml",
        &format!(
            "extensionProviders:\n- {{name: mine, zipkin: {{service: zipkin.test, port: {}}}}}\n",
            addr.port()
        ),
    );
    // The collector is a service of the configuration, so its name is never asked for.
    folder.write(
        "zipkin.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: zipkin}}\n\
             spec: {{hosts: [zipkin.test], resolution: STATIC, ports: [{{number: {port}, name: http, protocol: HTTP}}],\n\
             \x20 endpoints: [{{address: 127.0.0.1}}]}}\n",
            port = addr.port()
        ),
    );
    let file = mesh.0.join("mesh.yaml");
    let mut command = command(&folder.0, &["--mesh-config", file.to_str().unwrap()]);
    let proxy = Proxy::spawn({
        command.env("REGION", "eu");
        command
    });
    proxy.get("shop.example");
    folder.write(
        "telemetry.yaml",
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: default}\n\
         spec: {tracing: [{providers: [{name: mine}], randomSamplingPercentage: 100, customTags: {\n\
         \x20 user: {header: {name: x-user, defaultValue: nobody}}, region: {environment: {name: REGION}},\n\
         \x20 component: {literal: {value: mine}}, none: {header: {name: x-none}}}}]}\n",
    );
    proxy.signal("-HUP");
    proxy.wait_for("revision 2");
    // The signal and the file may each make a revision.
    let before = "outrigger.config_revision_in_use: 1\n";
    while proxy.admin("GET /stats").contains(before) {}
    proxy.get("shop.example");
    let spans = came.recv_timeout(PATIENCE).unwrap();
    let tags = &spans[0]["tags"];
    assert_eq!(
        (&tags["user"], &tags["region"]),
        (&"nobody".into(), &"eu".into())
    );
    assert_eq!(
        (&tags["component"], &tags["none"]),
        (&"mine".into(), &Value::Null)
    );
    assert_eq!(counted(&proxy)[1..3], [0, 0]);
}

#[test]
fn a_collector_that_can_not_be_spoken_to_is_refused() {
    let folder = Folder::new("refused");
    folder.write("shop.yaml", &shop(application("shop")));
    for url in ["grpc://127.0.0.1:4317", "127.0.0.1:4317"] {
        let (code, told) = refused(&folder.0, &["--trace-collector", url]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("--trace-collector"), "{told}");
    }
}
