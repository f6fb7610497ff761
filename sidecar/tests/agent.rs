//! What a sidecar answers to its pod, the kubelet and Prometheus, over real sockets.

#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use proxy::{Folder, Proxy, application, ask, command, shop};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};
use serde_json::json;
use support::PATIENCE;

/// A sidecar whose agent and page of metrics listen, with this in its environment.
fn start(test: &str, more: &[&str], environment: &[(&str, &str)]) -> (Folder, Proxy) {
    let config = Folder::new(test);
    config.write("shop.yaml", &shop(application("shop")));
    let places = ["--agent", "127.0.0.1:0", "--prometheus", "127.0.0.1:0"];
    let mut command: Command = command(&config.0, &[&places[..], more].concat());
    command.envs(environment.iter().copied());
    let proxy = Proxy::spawn(command);
    (config, proxy)
}

fn asked(proxy: &Proxy, word: &str, line: &str) -> String {
    let request = format!(
        "{line} HTTP/1.1\r\nhost: 10.0.0.1\r\nuser-agent: kube-probe/1.31\r\nconnection: close\r\n\r\n"
    );
    proxy.ask(word, &request)
}

fn agent(proxy: &Proxy, line: &str) -> String {
    asked(proxy, "agent", line)
}

/// An application that gives every request this answer, and tells the heads of requests.
fn answering(answer: String) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, heads) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = tell.send(answer_one(stream, &answer));
        }
    });
    (addr, heads)
}

fn answer_one(stream: impl Read + Write, answer: &str) -> String {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap_or(0) > 0 {}
    // Who has heard enough is gone.
    let _ = stream.get_mut().write_all(answer.as_bytes());
    let _ = stream.get_mut().flush();
    head.to_ascii_lowercase()
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\nconnection: close\r\n\r\n")
}

/// A server of HTTPS whose certificate nobody knows.
fn https(answer: String) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["app".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            answer_one(StreamOwned::new(connection, stream), &answer);
        }
    });
    addr
}

/// A server of grpc.health.v1 that says this of every service, but for `gone`, which it does not know.
fn health_server(status: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_health(stream, status));
            }
        });
    });
    addr
}

async fn answer_health(stream: tokio::net::TcpStream, status: u8) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut asked = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                asked.extend(piece);
            }
            let is_gone = asked.ends_with(b"gone");
            let head = Response::builder().header("content-type", "application/grpc");
            let mut send = respond
                .send_response(head.body(()).unwrap(), false)
                .unwrap();
            if !is_gone {
                let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, status]);
                send.send_data(message, false).unwrap();
            }
            let mut trailers = HeaderMap::new();
            let code = if is_gone { "5" } else { "0" };
            trailers.insert("grpc-status", HeaderValue::from_static(code));
            send.send_trailers(trailers).unwrap();
        });
    }
}

/// A port that nobody listens at.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn probes_of_the_application_are_asked_as_they_were_written() {
    let (http, heads) = answering(response("418 I am a teapot", "no"));
    let (away, _) = answering(redirect("http://app.example/login"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (well, ill) = (health_server(1), health_server(2));
    let mut probes = json!({
        "/app-health/app/livez": {"httpGet": {"path": "/up?x=1", "port": http.port(),
            "httpHeaders": [{"name": "Host", "value": "app.example"}, {"name": "x-probe", "value": "1"}]}},
        "/app-health/app/readyz": {"httpGet": {"path": "/", "port": https(response("200 OK", "")).port(), "scheme": "HTTPS"}},
        "/app-health/app/startupz": {"httpGet": {"port": away.port()}},
        "/app-health/tcp/livez": {"tcpSocket": {"port": http.port()}},
        "/app-health/tcp/readyz": {"tcpSocket": {"port": nobody()}},
        "/app-health/slow/livez": {"httpGet": {"path": "/", "port": silent.local_addr().unwrap().port()}, "timeoutSeconds": 1},
        "/app-health/grpc/livez": {"grpc": {"port": well.port(), "service": "s"}, "timeoutSeconds": 30},
        "/app-health/grpc/readyz": {"grpc": {"port": ill.port()}, "timeoutSeconds": 30},
        "/app-health/grpc/startupz": {"grpc": {"port": well.port(), "service": "gone"}, "timeoutSeconds": 30},
    });
    for probe in probes.as_object_mut().unwrap().values_mut() {
        if probe["timeoutSeconds"].is_null() {
            // Longer than a busy machine takes.
            probe["timeoutSeconds"] = 30.into();
        }
    }
    let (_config, proxy) = start(
        "agent-probes",
        &[],
        &[("ISTIO_KUBE_APP_PROBERS", &probes.to_string())],
    );
    for (path, status, says) in [
        ("app/livez", " 418 ", "the application: 418"),
        ("app/readyz", " 200 ", "the application: 200"),
        (
            "app/startupz",
            " 302 ",
            "302 Found, to http://app.example/login, where no probe goes",
        ),
        ("tcp/livez", " 200 ", ""),
        ("tcp/readyz", " 500 ", "cannot connect to 127.0.0.1:"),
        ("slow/livez", " 500 ", "no answer within 1 s"),
        ("grpc/livez", " 200 ", ""),
        ("grpc/readyz", " 500 ", "not SERVING"),
        ("grpc/startupz", " 500 ", "status 5 of gRPC"),
        ("app/else", " 404 ", "no probe has this path"),
    ] {
        let answer = agent(&proxy, &format!("GET /app-health/{path}"));
        assert!(answer.starts_with("HTTP/1.1"), "{path}: {answer}");
        assert!(
            answer.contains(status) && answer.contains(says),
            "{path}: {answer}"
        );
    }
    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("get /up?x=1 http/1.1\r\n"), "{head}");
    for field in [
        "host: app.example",
        "x-probe: 1",
        "user-agent: kube-probe/1.31",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{head}");
    }
    assert!(agent(&proxy, "POST /app-health/app/livez").contains(" 405 "));
}

#[test]
fn redirects_of_the_application_are_followed_as_the_kubelet_does() {
    let (well, heads) = answering(response("200 OK", ""));
    let secure = https(response("204 No Content", "")).port();
    let (there, _) = answering(redirect(&format!("http://{well}/up?x=1")));
    let (upgrade, _) = answering(redirect(&format!("https://127.0.0.1:{secure}/")));
    let (round, rounds) = answering(redirect("again"));
    let (nowhere, _) = answering(redirect(&format!("http://127.0.0.1:{}/", nobody())));
    let probe = |port: u16| {
        json!({"httpGet": {"path": "/a/b", "port": port,
        "httpHeaders": [{"name": "host", "value": "app.example"}]}, "timeoutSeconds": 30})
    };
    let probes = json!({
        "/app-health/there/livez": probe(there.port()),
        "/app-health/secure/livez": probe(upgrade.port()),
        "/app-health/round/livez": probe(round.port()),
        "/app-health/nowhere/livez": probe(nowhere.port()),
    });
    let (_config, proxy) = start(
        "agent-redirects",
        &[],
        &[("ISTIO_KUBE_APP_PROBERS", &probes.to_string())],
    );
    for (path, status, says) in [
        ("there", " 200 ", "the application: 200 OK\n"),
        ("secure", " 204 ", ""),
        ("round", " 500 ", "stopped after 10 redirects"),
        ("nowhere", " 500 ", "cannot connect to 127.0.0.1:"),
    ] {
        let answer = agent(&proxy, &format!("GET /app-health/{path}/livez"));
        assert!(
            answer.contains(status) && answer.contains(says),
            "{path}: {answer}"
        );
    }
    // A host that the redirect names goes before the probe's, one of a path alone does not.
    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("get /up?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {well}\r\n")), "{head}");
    let asked: Vec<String> = (0..10)
        .map(|_| rounds.recv_timeout(PATIENCE).unwrap())
        .collect();
    assert!(asked[0].starts_with("get /a/b http"), "{asked:?}");
    for head in &asked[1..] {
        assert!(head.starts_with("get /a/again http"), "{head}");
        assert!(head.contains("\r\nhost: app.example\r\n"), "{head}");
    }
    assert!(rounds.try_recv().is_err(), "no more than ten are asked");
}

#[test]
fn the_agent_says_whether_it_is_ready_and_nothing_of_the_configuration() {
    let (_config, proxy) = start("agent-ready", &[], &[]);
    assert!(agent(&proxy, "GET /healthz/ready").contains(" 200 "));
    for line in ["GET /config_dump", "GET /", "GET /stats"] {
        assert!(agent(&proxy, line).contains(" 404 "), "{line}");
    }
    assert!(agent(&proxy, "GET /drain").contains(" 405 "));
    assert!(agent(&proxy, "POST /healthz/ready").contains(" 405 "));
    assert!(agent(&proxy, "POST /drain").contains(" 200 "));
    assert!(agent(&proxy, "GET /healthz/ready").contains(" 503 "));
}

#[test]
fn a_job_that_is_done_ends_its_sidecar() {
    let (_config, mut proxy) = start("agent-quit", &[], &[]);
    assert!(agent(&proxy, "POST /quitquitquit").contains(" 200 "));
    assert_eq!(proxy.wait().0, Some(0));
}

/// The address by which this machine reaches others, where it has one: nothing is sent.
fn other_address() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let addr = socket.local_addr().ok()?;
    (!addr.ip().is_loopback() && !addr.ip().is_unspecified()).then_some(addr)
}

#[test]
fn who_is_elsewhere_ends_nothing() {
    let Some(here) = other_address() else {
        return eprintln!("not tried: this machine has no address but loopback");
    };
    let place = format!("{}:0", here.ip());
    let config = Folder::new("agent-elsewhere");
    config.write("shop.yaml", &shop(application("shop")));
    let proxy = Proxy::start(&config.0, &["--agent", &place]);
    for line in ["POST /quitquitquit", "POST /drain"] {
        let answer = agent(&proxy, line);
        assert!(
            answer.contains(" 403 ") && answer.contains("on this machine"),
            "{answer}"
        );
    }
    assert!(agent(&proxy, "GET /healthz/ready").contains(" 200 "));
}

/// A page of the agent that says this, in one piece.
fn metrics(proxy: &Proxy) -> String {
    page(proxy.addr("agent"))
}

fn page(agent: SocketAddr) -> String {
    ask(agent, "GET /stats/prometheus HTTP/1.0\r\n\r\n")
}

#[test]
fn metrics_of_the_application_stand_beside_ours() {
    let theirs = "# TYPE orders_total counter\norders_total 7\n# TYPE process_open_fds gauge\nprocess_open_fds 1234567\n";
    let (app, heads) = answering(response("200 OK", theirs));
    let places =
        json!({"scrape": "true", "port": app.port().to_string(), "path": "/m"}).to_string();
    let (_config, proxy) = start(
        "agent-metrics",
        &[],
        &[("ISTIO_PROMETHEUS_ANNOTATIONS", &places)],
    );
    let page = metrics(&proxy);
    assert!(page.contains("\norders_total 7\n"), "{page}");
    assert!(page.contains("envoy_server_live"), "{page}");
    let fds: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("process_open_fds "))
        .collect();
    assert_eq!(fds, ["process_open_fds 1234567"], "one name is told once");
    let head = heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("get /m http/1.1\r\n"), "{head}");

    let ours = asked(&proxy, "prometheus", "GET /stats/prometheus");
    assert!(
        ours.contains("envoy_server_live") && !ours.contains("orders_total"),
        "{ours}"
    );
    for (line, status) in [
        ("GET /stats/prometheus?filter=(", " 400 "),
        ("GET /metrics", " 404 "),
        ("POST /stats/prometheus", " 405 "),
        ("GET /healthz/ready", " 404 "),
    ] {
        let answer = asked(&proxy, "prometheus", line);
        assert!(answer.contains(status), "{line}: {answer}");
    }
}

#[test]
fn an_application_that_tells_no_metrics_takes_nothing_from_ours() {
    let long = response("200 OK", &"a 1\n".repeat(1000));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, port, more, why) in [
        ("refused", nobody(), &[][..], "cannot connect"),
        (
            "status",
            answering(response("404 Not Found", "")).0.port(),
            &[],
            "404 Not Found",
        ),
        (
            "long",
            answering(long).0.port(),
            &["--agent-scrape-bytes", "1KiB"],
            "longer than 1024 bytes",
        ),
        (
            "slow",
            silent.local_addr().unwrap().port(),
            &["--agent-scrape-time", "100ms"],
            "no page within 0.1 s",
        ),
    ] {
        let places = json!({"scrape": "true", "port": port.to_string()}).to_string();
        let test = format!("agent-{name}");
        let (_config, proxy) = start(&test, more, &[("ISTIO_PROMETHEUS_ANNOTATIONS", &places)]);
        assert!(metrics(&proxy).contains("envoy_server_live"), "{name}");
        let told = proxy.wait_for("the application's metrics");
        assert!(told.contains(why), "{name}: {told}");
        let stats = proxy.page("/stats", "outrigger.agent_scrapes_failed: 1");
        assert!(stats.contains("outrigger.agent_scrapes: 1"), "{stats}");
    }
}

/// An application that takes requests and answers none until it is told to: then with its page.
fn waiting(page: &'static str) -> (SocketAddr, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let ((came, comes), (go, goes)) = (channel(), channel());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = came.send(());
            if goes.recv().is_err() {
                return;
            }
            let _ = stream.write_all(response("200 OK", page).as_bytes());
        }
    });
    (addr, comes, go)
}

#[test]
fn so_many_pages_of_the_application_are_asked_for_at_a_time() {
    let (app, comes, go) = waiting("orders_total 7\n");
    let places = json!({"scrape": "true", "port": app.port().to_string()}).to_string();
    let more = ["--agent-scrapes", "1", "--agent-scrape-time", "60s"];
    let (_config, proxy) = start(
        "agent-scrapes",
        &more,
        &[("ISTIO_PROMETHEUS_ANNOTATIONS", &places)],
    );
    thread::scope(|scope| {
        let place = proxy.addr("agent");
        let first = scope.spawn(move || page(place));
        comes.recv_timeout(PATIENCE).unwrap();
        let second = metrics(&proxy);
        assert!(!second.contains("orders_total"), "{second}");
        go.send(()).unwrap();
        assert!(first.join().unwrap().contains("\norders_total 7\n"));
    });
    let told = proxy.wait_for("the application's metrics");
    assert!(
        told.contains("1 being asked for already (--agent-scrapes)"),
        "{told}"
    );
    proxy.page("/stats", "outrigger.agent_scrapes_refused: 1");
}

#[test]
fn variables_that_make_no_sense_are_told() {
    let config = Folder::new("agent-nonsense");
    config.write("shop.yaml", &shop(application("shop")));
    for name in ["ISTIO_KUBE_APP_PROBERS", "ISTIO_PROMETHEUS_ANNOTATIONS"] {
        let mut command = command(&config.0, &[]);
        let output = command.env(name, "{").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains(name));
    }
}
