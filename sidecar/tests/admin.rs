//! The admin endpoints over real sockets: what each answers, who is refused, and what holds of those who ask too much.

#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use proxy::{Folder, Proxy, application, ask, shop};
use serde_json::Value;
use support::PATIENCE;

fn start(test: &str, more: &[&str]) -> (Folder, Proxy) {
    let config = Folder::new(test);
    config.write("shop.yaml", &shop(application("shop")));
    let proxy = Proxy::start(&config.0, more);
    (config, proxy)
}

/// The document behind the head.
fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

fn json(proxy: &Proxy, path: &str) -> Value {
    let response = proxy.admin(&format!("GET {path}"));
    assert!(
        response.contains("content-type: application/json\r\n"),
        "{response}"
    );
    serde_json::from_str(body(&response)).unwrap()
}

/// The number that `/stats` has behind this name.
fn counted(proxy: &Proxy, name: &str) -> u64 {
    let stats = proxy.admin("GET /stats");
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_proxy_says_what_it_is() {
    let more = [
        "--label",
        "app=cart",
        "--label",
        "version=v2",
        "--health",
        "127.0.0.1:0",
    ];
    let (_config, proxy) = start("about", &more);
    let outbound = proxy.addr("outbound");
    let info = json(&proxy, "/server_info");
    assert_eq!(info["state"], "LIVE");
    assert_eq!(info["node"]["cluster"], "cart.default");
    assert_eq!(info["node"]["metadata"]["LABELS"]["version"], "v2");
    assert_eq!(info["command_line_options"]["concurrency"], 1);
    assert_eq!(info["command_line_options"]["runtime"], "tokio");

    let name = format!("outbound_127.0.0.1_{}", outbound.port());
    let listeners = proxy.admin("GET /listeners");
    assert!(
        body(&listeners).contains(&format!("{name}::{outbound}\n")),
        "{listeners}"
    );
    let listeners = json(&proxy, "/listeners?format=json");
    let listener = &listeners["listener_statuses"][0];
    assert_eq!(listener["name"], *name);
    let addr = &listener["local_address"]["socket_address"];
    assert_eq!(addr["port_value"], outbound.port());

    assert_eq!(
        json(&proxy, "/certs")["certificates"],
        Value::Array(Vec::new())
    );
    proxy.get("shop.example");
    let clusters = json(&proxy, "/clusters?format=json");
    let clusters = clusters["cluster_statuses"].as_array().unwrap();
    let shop = clusters
        .iter()
        .find(|c| c["name"] == "outbound|80||shop.example");
    let stats = shop.unwrap()["host_statuses"][0]["stats"]
        .as_array()
        .unwrap();
    let total = stats
        .iter()
        .find(|stat| stat["name"] == "rq_total")
        .unwrap();
    assert_eq!(total["value"], "1");
}

/// What is hostile in names stays text in the data, and the page's policy lets no text become anything else.
#[test]
fn the_page_stands_alone_and_its_data_is_whole() {
    let hostile = "note=</script><script>alert(1)</script>";
    let (config, proxy) = start("page", &["--label", "app=<b>cart", "--label", hostile]);
    let page = proxy.admin("GET /");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    let policy = head
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.unwrap();
    for word in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "trusted-types 'none'",
    ] {
        assert!(policy.contains(word), "{policy}");
    }
    let nonce = policy
        .split("script-src 'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert_eq!(body.matches("<script").count(), 1);
    assert!(
        body.contains(&format!("<script nonce=\"{nonce}\">")),
        "{policy}"
    );
    assert!(!body.contains("cart"), "the page is the same for everybody");

    proxy.get("shop.example");
    let data = json(&proxy, "/page.json");
    assert_eq!(data["workload"], "<b>cart");
    assert_eq!(data["labels"]["note"], "</script><script>alert(1)</script>");
    assert_eq!(data["state"], "LIVE");
    assert_eq!(data["listeners"][0]["requests"], 1);
    let services = data["services"].as_array().unwrap();
    let shop = services
        .iter()
        .find(|s| s["host"] == "shop.example")
        .unwrap();
    assert_eq!(
        (&shop["requests"], &shop["failures"], &shop["members"]),
        (&1.into(), &0.into(), &1.into())
    );
    let times = shop["times"].as_array().unwrap();
    let bounds = data["bounds_ms"].as_array().unwrap();
    assert_eq!(times.len(), bounds.len() + 1);
    assert_eq!(times.iter().filter_map(Value::as_u64).sum::<u64>(), 1);
    assert_eq!(data["reloads"][0]["taken"], true);

    config.write("bad.yaml", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {host: a}\n");
    proxy.wait_for("kept revision 1");
    let data = json(&proxy, "/page.json");
    assert_eq!(data["reloads"][0]["taken"], false);
    assert_eq!(data["findings"][0]["severity"], "error");
    assert!(
        data["findings"][0]["place"]
            .as_str()
            .unwrap()
            .contains("bad.yaml:"),
        "{data}"
    );
}

#[test]
fn health_is_all_that_is_told_at_the_health_address() {
    let (_config, proxy) = start("health", &["--health", "127.0.0.1:0"]);
    for (line, want) in [
        ("GET /healthz/ready", "200 OK"),
        ("GET /config_dump", "404 Not Found"),
        ("POST /healthz/ready", "405 Method Not Allowed"),
        ("POST /quitquitquit", "404 Not Found"),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nhost: cart.pods.example\r\nconnection: close\r\n\r\n");
        let response = proxy.ask("health", &request);
        assert!(response.contains(want), "{line}: {response}");
    }
    proxy.admin("POST /drain_listeners");
    let request = "GET /healthz/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let response = proxy.ask("health", request);
    assert!(
        response.contains(" 503 ") && response.ends_with("DRAINING\n"),
        "{response}"
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    let (_config, proxy) = start("refused", &[]);
    let long = format!(
        "GET /ready HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(20_000)
    );
    let many = format!(
        "GET /ready HTTP/1.1\r\nhost: localhost{}",
        "\r\nx: y".repeat(100)
    );
    for (request, status, words) in [
        (
            "GET /ready?verbose HTTP/1.1\r\nhost: localhost",
            400,
            "`verbose` was given",
        ),
        (
            "GET /clusters?format=xml HTTP/1.1\r\nhost: localhost",
            400,
            "use text or json",
        ),
        (
            "GET /clusters?Format=json HTTP/1.1\r\nhost: localhost",
            400,
            "no parameter `Format`",
        ),
        (
            "GET /listeners?format=json&format=text HTTP/1.1\r\nhost: localhost",
            400,
            "stands twice",
        ),
        (
            "POST /drain_listeners?inboundonly=no HTTP/1.1\r\nhost: localhost",
            400,
            "takes no value",
        ),
        (
            "POST /drain_listeners HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000",
            400,
            "takes a body",
        ),
        (
            "GET /ready HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked",
            400,
            "takes a body",
        ),
        (
            "GET /drain_listeners HTTP/1.1\r\nhost: localhost",
            405,
            "allow: POST",
        ),
        (
            "HEAD /quitquitquit HTTP/1.1\r\nhost: localhost",
            405,
            "allow: POST",
        ),
        (
            "PUT /quitquitquit HTTP/1.1\r\nhost: localhost",
            405,
            "allow: POST",
        ),
        (
            "POST /stats HTTP/1.1\r\nhost: localhost",
            405,
            "allow: GET, HEAD",
        ),
        (
            "GET /nothing HTTP/1.1\r\nhost: localhost",
            404,
            "/server_info",
        ),
        // A page elsewhere whose name leads here.
        (
            "GET /config_dump HTTP/1.1\r\nhost: evil.example:15000",
            403,
            "foreign host",
        ),
        (
            "POST /quitquitquit HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example",
            403,
            "no business",
        ),
        (
            "POST /quitquitquit HTTP/1.1\r\nhost: localhost\r\norigin: null",
            403,
            "no business",
        ),
        (&*long, 431, ""),
        (&*many, 431, ""),
    ] {
        let request = format!("{request}\r\nconnection: close\r\n\r\n");
        let response = proxy.ask("admin", &request);
        let shown = &request[..request.len().min(100)];
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown}: {response}"
        );
        assert!(response.contains(words), "{shown}: {response}");
    }
    assert_eq!(counted(&proxy, "outrigger.admin_cx_head_too_long"), 2);
    let ready = proxy.admin("GET /ready");
    assert!(ready.ends_with("LIVE\n"), "nothing was changed: {ready}");
    assert!(
        ready.contains("content-security-policy: default-src 'none'"),
        "{ready}"
    );
    assert!(
        ready.contains("x-content-type-options: nosniff\r\n"),
        "{ready}"
    );
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let (_config, proxy) = start("slow", &["--admin-head-timeout", "50ms"]);
    for sent in [
        "GET /ready HTTP/1.1\r\nhost: local",
        "",
        "GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ] {
        // Its connection is over though the client says nothing more.
        let _ = ask(proxy.addr("admin"), sent);
    }
    assert!(counted(&proxy, "outrigger.admin_cx_head_timeout") >= 1);
}

#[test]
fn one_more_connection_gets_in_when_all_places_are_taken() {
    let (_config, proxy) = start("greedy", &["--admin-connections", "2"]);
    let mut greedy: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(proxy.addr("admin")).unwrap())
        .collect();
    assert!(proxy.admin("GET /ready").ends_with("LIVE\n"));
    for stream in &mut greedy[..18] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let heard = stream.read(&mut [0]);
        assert!(!matches!(heard, Ok(1..)), "it made room: {heard:?}");
    }
    assert!(counted(&proxy, "outrigger.admin_cx_made_room") >= 18);
}

#[test]
fn a_connection_whose_answers_nobody_reads_grows_no_older_than_it_may() {
    let (_config, proxy) = start("unread", &["--admin-connection-time", "100ms"]);
    let mut stream = TcpStream::connect(proxy.addr("admin")).unwrap();
    let asked = "GET /help HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // It ends although more is asked for all the time and nothing is read.
    while stream.write_all(asked.as_bytes()).is_ok() {}
    assert!(counted(&proxy, "outrigger.admin_cx_too_old") >= 1);
}

#[test]
fn a_socket_that_only_its_owner_may_open() {
    let folder = Folder::new("unix-socket");
    let path = folder.0.join("admin.sock");
    let addr = format!("unix:{}", path.display());
    let (_config, mut proxy) = start("unix", &["--admin", &addr]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |line: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    assert!(ask("GET /ready").ends_with("LIVE\n"));
    let info = ask("GET /server_info");
    assert!(info.contains(&addr), "{info}");
    assert!(ask("POST /quitquitquit").ends_with("OK\n"));
    assert_eq!(proxy.wait().0, Some(0));
    assert!(!path.exists(), "the socket goes with its program");
}
