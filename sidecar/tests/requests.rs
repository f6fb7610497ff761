//! `/requests` and `/explain` of a running proxy: what is kept of requests that failed, and that what is explained is what
//! real requests do.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use proxy::{Folder, Proxy, application};
use serde_json::Value;
use support::PATIENCE;

/// Services of two programs that answer with their names, and rules that draw between them.
fn rules(apps: &[u16; 3]) -> String {
    let [one, two, three] = apps;
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {one}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{http: {two}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{http: {three}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.example
  trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  http:
  - match: [{{uri: {{prefix: /cart}}}}]
    timeout: 3s
    fault: {{abort: {{httpStatus: 418, percentage: {{value: 30}}}}}}
    route:
    - {{destination: {{host: shop.example, subset: v1}}, weight: 60}}
    - {{destination: {{host: shop.example, subset: v2}}, weight: 40}}
"
    )
}

/// Asks on one connection, one request after the other, and reads all answers. When the last one is there, all others have
/// ended, and the proxy has told of them.
fn ask_all(proxy: &Proxy, requests: &[(&str, &str)]) -> String {
    let mut client = TcpStream::connect(proxy.addr("outbound")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let last = [("shop.example", "/last")];
    for (at, (host, path)) in requests.iter().chain(&last).enumerate() {
        let close = if at == requests.len() {
            "connection: close\r\n"
        } else {
            ""
        };
        write!(
            client,
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nx-request-id: id-{at}\r\n{close}\r\n"
        )
        .unwrap();
    }
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    answers
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

fn document(proxy: &Proxy, path: &str) -> Value {
    let response = proxy.admin(&format!("GET {path}"));
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    serde_json::from_str(body(&response)).unwrap()
}

fn started(folder: &Folder, more: &[&str]) -> Proxy {
    let apps = ["one", "two", "three"].map(|name| application(name).port());
    folder.write("rules.yaml", &rules(&apps));
    folder.write(
        "mesh.yaml",
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n",
    );
    let mesh = folder.0.join("mesh.yaml");
    let mesh = ["--mesh-config", mesh.to_str().unwrap()];
    Proxy::start(&folder.0.join("rules.yaml"), &[&mesh, more].concat())
}

#[test]
fn requests_that_failed_are_kept_with_their_stories() {
    let folder = Folder::new("kept");
    let proxy = started(&folder, &[]);
    ask_all(
        &proxy,
        &[
            ("shop.example", "/else"),
            ("shpo.example", "/a?b"),
            ("shop.example", "/else/2"),
        ],
    );
    let all = document(&proxy, "/requests?failed&path=/else&format=json");
    let requests = all["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2, "{all:#}");
    let inbound = proxy.admin("GET /explain?request=http://app/&inbound=8080");
    assert!(inbound.starts_with("HTTP/1.1 400 "), "{inbound}");
    assert!(
        inbound.contains("there is no inbound listener"),
        "{inbound}"
    );
    let newest = &requests[0];
    assert_eq!(newest["why"], "failed");
    assert_eq!(newest["status"], 404);
    assert_eq!(newest["flags"], "NR");
    assert_eq!(newest["details"], "route_not_found");
    assert_eq!(newest["inbound"], false);
    assert_eq!(newest["nearest"], Value::Null, "the host is known");
    let story = newest["story"].as_str().unwrap();
    assert!(
        story.contains("none of the 1 of shop.example:80 matches"),
        "{story}"
    );
    assert!(
        story.contains("rules.yaml:28) needs path prefix `/cart`: it is `/else"),
        "{story}"
    );

    let one = document(&proxy, "/requests?id=id-0&format=json");
    assert_eq!(one["requests"][0]["path"], "/else");
    assert_eq!(one["requests"].as_array().unwrap().len(), 1);

    // The host that nobody knows, with what may have been meant.
    let unknown = proxy.admin("GET /requests?host=shpo");
    assert!(
        unknown.contains("no service answers for `shpo.example`"),
        "{unknown}"
    );
    assert!(
        unknown.contains("  nearest name shop.example\n"),
        "{unknown}"
    );

    // Bytes that are no request: what a client sends who takes the port for one that speaks TLS.
    let mut client = TcpStream::connect(proxy.addr("outbound")).unwrap();
    client.write_all(b"\x16\x03\x01\x02\x00\x01\x00").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let unread = document(&proxy, "/requests?failed&format=json");
    let unread = &unread["requests"][0];
    assert_eq!(unread["method"], "-", "{unread:#}");
    assert_eq!(unread["path"], "-");
    let story = unread["story"].as_str().unwrap();
    assert!(story.contains("a TLS handshake"), "{story}");

    assert_eq!(
        document(&proxy, "/requests?slow&format=json")["requests"],
        Value::Array(vec![])
    );
    let refused = proxy.admin("GET /requests?fialed");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(refused.contains("no parameter `fialed`"), "{refused}");
    let posted = proxy.admin("POST /requests");
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    let stats = proxy.admin("GET /stats");
    assert!(
        stats.contains("outrigger.recent_requests.passed_over: 0\n"),
        "{stats}"
    );
}

#[test]
fn nothing_is_kept_where_nobody_wants_it() {
    let folder = Folder::new("not-kept");
    let proxy = started(&folder, &["--recent-requests", "0"]);
    ask_all(&proxy, &[("shop.example", "/else")]);
    let response = proxy.admin("GET /requests");
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    assert!(!proxy.admin("GET /stats").contains("recent_requests"));
}

/// A client that may ask is told in the response what was decided; one that does not ask is not, and neither is anybody where
/// nobody may.
#[test]
fn responses_tell_who_may_ask() {
    let ask = |more: &[&str], fields: &str, path: &str| {
        let folder = Folder::new(&format!("told-{}", more.len() + fields.len() + path.len()));
        let proxy = started(&folder, more);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: shop.example\r\n{fields}connection: close\r\n\r\n"
        );
        proxy.ask("outbound", &request)
    };
    let asks = "x-outrigger-explain: 1\r\n";
    let allowed = ["--explain-to", "10.0.0.0/8", "--explain-to", "127.0.0.1"];
    let told = ask(&allowed, asks, "/else");
    for line in [
        "x-outrigger-explain: GET shop.example/else\r\n",
        "x-outrigger-explain: rule none of the 1 of shop.example:80 matches\r\n",
        "x-outrigger-explain: random number ",
    ] {
        assert!(told.contains(line), "`{line}` is not in {told}");
    }
    let told = ask(&allowed, asks, "/cart");
    assert!(
        told.contains("x-outrigger-explain: rule VirtualService default/shop"),
        "{told}"
    );
    let untold = |response: String| {
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
        assert!(!response.contains("x-outrigger-explain"), "{response}");
    };
    untold(ask(&allowed, "", "/elsewhere"));
    untold(ask(&[], asks, "/else"));
    untold(ask(&allowed[..2], asks, "/else"));
}

/// After a reload it is told what changes for users.
#[test]
fn a_reload_says_what_it_changes() {
    let folder = Folder::new("changes");
    let proxy = started(&folder, &[]);
    let file = folder.0.join("rules.yaml");
    let rules = std::fs::read_to_string(file).unwrap();
    folder.write("rules.yaml", &rules.replace("timeout: 3s", "timeout: 4s"));
    let told = proxy.wait_for("reloaded; revision 2");
    assert!(
        told.contains("requests that rules speak of change: "),
        "{told}"
    );
    assert!(told.contains("timeout 3s → 4s"), "{told}");
    folder.write(
        "rules.yaml",
        &(rules.replace("timeout: 3s", "timeout: 4s") + "# no more\n"),
    );
    let told = proxy.wait_for("reloaded; revision 3");
    assert!(told.ends_with("; nothing changes for requests"), "{told}");
}

/// The draws of a fault, a destination and an endpoint, and the times: an explanation by the number of a request that was
/// served is what that request did.
#[test]
fn an_explanation_is_what_a_request_did() {
    let folder = Folder::new("explained");
    let proxy = started(
        &folder,
        &["--recent-sample", "100", "--recent-requests", "500"],
    );
    let requests = vec![("shop.example", "/cart/7"); 60];
    ask_all(&proxy, &requests);
    let served = document(&proxy, "/requests?path=/cart&format=json");
    let served = served["requests"].as_array().unwrap();
    assert_eq!(served.len(), 60);
    let mut seen = std::collections::BTreeSet::new();
    for request in served {
        let random = request["random"].as_str().unwrap();
        let told = document(
            &proxy,
            &format!(
                "/explain?request=GET%20http://shop.example/cart/7&random={random}&format=json"
            ),
        );
        let outcome = &told["outcomes"][0];
        assert_eq!(outcome["status"], request["status"], "{told:#}");
        assert_eq!(outcome["flags"], request["flags"]);
        assert_eq!(told["request"]["random"], random);
        let endpoint = &outcome["attempts"][0]["endpoint"];
        assert_eq!(*endpoint, request["endpoint"], "{told:#}\n{request:#}");
        seen.insert(endpoint.to_string());
    }
    assert_eq!(
        seen.len(),
        4,
        "all endpoints, and none for an abort: {seen:?}"
    );

    let text = proxy.admin("GET /explain?request=http://shop.example/cart");
    assert!(text.contains("timeout         3s  ("), "{text}");
    assert!(!text.contains('\u{1b}'), "no styles: {text}");
    let refused = proxy.admin("GET /explain?request=x+y+z+w");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}
