//! `outrigger run` with consistent hashing by a cookie that it makes: which one is drawn at random, so that no page of
//! cases can say it.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

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
