//! `outrigger run` with consistent hashing where no page of cases can say it: a cookie that it makes is drawn at random, and
//! where a key leads hangs on addresses.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::net::{TcpListener, TcpStream};

use proxy::{Folder, Proxy, application};

#[test]
fn a_made_cookie_leads_back_to_where_the_first_request_went() {
    let names = ["a", "b", "c"];
    let endpoint = |name| {
        format!(
            "{{address: 127.0.0.1, ports: {{http: {}}}}}",
            application(name).port()
        )
    };
    let endpoints = names.map(endpoint).join(", ");
    let folder = Folder::new("cookies");
    let rules = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.example
  trafficPolicy: {{loadBalancer: {{consistentHash: {{httpCookie: {{name: sid, ttl: 60s}}}}}}}}
"
    );
    folder.write("rules.yaml", &rules);
    let proxy = Proxy::start(&folder.0, &[]);
    let mut cookies = Vec::new();
    for _ in 0..8 {
        let answer = proxy.get("shop.example");
        let (head, first) = answer.split_once("\r\n\r\n").unwrap();
        assert!(names.contains(&first), "{answer}");
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let (cookie, attributes) = line.unwrap().split_once("; ").unwrap();
        assert_eq!(attributes, "Max-Age=60; HttpOnly");
        for _ in 0..4 {
            let request = format!(
                "GET / HTTP/1.1\r\nhost: shop.example\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
            );
            let answer = proxy.ask("outbound", &request);
            assert!(answer.ends_with(&format!("\r\n\r\n{first}")), "{answer}");
            assert!(!answer.contains("set-cookie"), "{answer}");
        }
        cookies.push(cookie.to_owned());
    }
    cookies.sort();
    cookies.dedup();
    assert_eq!(cookies.len(), 8, "each client has its own");
}

/// Two of three endpoints refuse. Where a retry may not leave the endpoint of a key, those get an answer whose key leads to
/// the third; where it may, others do, too.
#[test]
fn a_retry_leaves_the_endpoint_of_a_key_where_istio_lets_it() {
    let third = application("c");
    // Nobody listens on the port of a client, nor can anybody else take it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let somewhere = listener.local_addr().unwrap();
    let clients = [(); 2].map(|()| TcpStream::connect(somewhere).unwrap());
    let [first, second] = clients
        .each_ref()
        .map(|client| client.local_addr().unwrap());
    let endpoints = [first, second, third]
        .map(|addr| format!("{{address: 127.0.0.1, ports: {{http: {}}}}}", addr.port()))
        .join(", ");
    let folder = Folder::new("hashed-retries");
    let rules = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.example
  trafficPolicy: {{loadBalancer: {{consistentHash: {{httpHeaderName: x-user}}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: ways}}
spec:
  hosts: [only.example]
  http: [{{route: [{{destination: {{host: shop.example}}}}]}}]
"
    );
    folder.write("rules.yaml", &rules);
    let proxy = Proxy::start(&folder.0, &[]);
    let is_served = |host: &str, user: u32| {
        let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx-user: {user}\r\n");
        let answer = proxy.ask("outbound", &format!("{head}connection: close\r\n\r\n"));
        answer.starts_with("HTTP/1.1 200 ")
    };
    let [mut left, mut kept] = [0, 0];
    for user in 0..40 {
        let is_of_third = is_served("only.example", user);
        assert_eq!(is_served("only.example", user), is_of_third);
        if !is_of_third {
            kept += 1;
            left += u32::from(is_served("shop.example", user));
        }
    }
    assert!(kept > 0, "no key leads to an endpoint that refuses");
    assert!(left > 0, "nobody was led on");
}
