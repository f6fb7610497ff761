//! A running program in front of an application, and a service that keeps its rate limits: asked over gRPC on real sockets.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, Response};
use proxy::{Folder, Proxy, application, shop};

/// A service that lets everybody pass but `jo`, and sets a field of responses. It answers on this listener until its proxy is gone.
fn limits() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let mut calls = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = calls.accept().await {
                    tokio::spawn(answer(request, respond));
                }
            }
        });
    });
    address
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let path = request.uri().path().to_owned();
    let mut asked = Vec::new();
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        asked.extend_from_slice(&data);
    }
    assert_eq!(
        path,
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
    );
    let has = |text: &str| {
        asked
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(has("shop-domain") && has("user"));
    // `overall_code` OVER_LIMIT with a text, or OK with a field for the client.
    let said: &[u8] = match has("jo") {
        true => b"\0\0\0\0\x08\x08\x02\x2a\x04slow",
        false => b"\0\0\0\0\x0d\x08\x01\x1a\x09\x0a\x04x-of\x12\x01a",
    };
    let head = Response::builder().header("content-type", "application/grpc");
    let mut body = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    body.send_data(Bytes::from_static(said), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    body.send_trailers(trailers).unwrap();
}

fn rules(limits: SocketAddr) -> String {
    let port = limits.port();
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: limits}}
spec:
  hosts: [limits.example]
  resolution: STATIC
  ports: [{{number: 8081, name: grpc, protocol: GRPC, targetPort: {port}}}]
  endpoints: [{{address: 127.0.0.1}}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: limits}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_OUTBOUND
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter: {{name: envoy.filters.http.router}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.ratelimit
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
          domain: shop-domain
          timeout: 20s
          rate_limit_service:
            transport_api_version: V3
            grpc_service: {{envoy_grpc: {{cluster_name: 'outbound|8081||limits.example'}}}}
  - applyTo: VIRTUAL_HOST
    match: {{context: SIDECAR_OUTBOUND}}
    patch:
      operation: MERGE
      value: {{rate_limits: [{{actions: [{{request_headers: {{header_name: x-user, descriptor_key: user}}}}]}}]}}
"
    )
}

fn get(proxy: &Proxy, user: &str) -> String {
    let request = format!(
        "GET / HTTP/1.1\r\nhost: shop.example\r\nx-user: {user}\r\nconnection: close\r\n\r\n"
    );
    proxy.ask("outbound", &request)
}

#[test]
fn a_service_is_asked_and_what_it_says_is_told_everywhere() {
    let folder = Folder::new("limit-service");
    let files = Folder::new("limit-service-files");
    let (log, mesh) = (files.0.join("log"), files.0.join("mesh.yaml"));
    let format = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%";
    let text = format!(
        "accessLogFile: {}\naccessLogFormat: '{format}'\n",
        log.display()
    );
    fs::write(&mesh, text).unwrap();
    folder.write("shop.yaml", &shop(application("the shop")));
    folder.write("limits.yaml", &rules(limits()));
    let proxy = Proxy::start(&folder.0, &["--mesh-config", mesh.to_str().unwrap()]);
    let max = get(&proxy, "max");
    assert!(max.starts_with("HTTP/1.1 200 "), "{max}");
    assert!(
        max.contains("\r\nx-of: a\r\n") && max.ends_with("the shop"),
        "{max}"
    );
    let jo = get(&proxy, "jo");
    assert!(jo.starts_with("HTTP/1.1 429 "), "{jo}");
    assert!(jo.contains("\r\nx-envoy-ratelimited: true\r\n"), "{jo}");
    assert!(jo.ends_with("\r\n\r\nslow"), "{jo}");
    let cluster = "cluster.outbound|80||shop.example.ratelimit";
    for line in [
        "ok: 1",
        "over_limit: 1",
        "error: 0",
        "failure_mode_allowed: 0",
    ] {
        proxy.page("/stats", &format!("{cluster}.{line}\n"));
    }
    let told = proxy.page("/requests", "request_rate_limited");
    let story = "asked        the rate limits of `shop-domain`, whose service denied it with 429";
    assert!(told.contains(story), "{told}");
    let dump = proxy.admin("GET /config_dump");
    let limit = "\"cluster\": \"outbound|8081||limits.example\"";
    assert!(
        dump.contains(limit) && dump.contains("\"timeout\": \"20s\""),
        "{dump}"
    );
    // The service moves away: who cannot be asked about passes.
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    folder.write("limits.yaml", &rules(nowhere.unwrap()));
    proxy.wait_for("revision 2");
    let jo = get(&proxy, "jo");
    assert!(jo.starts_with("HTTP/1.1 200 "), "{jo}");
    for line in ["error: 1", "failure_mode_allowed: 1", "over_limit: 1"] {
        proxy.page("/stats", &format!("{cluster}.{line}\n"));
    }
    drop(proxy.end());
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        "200 - via_upstream\n429 RL request_rate_limited\n200 - via_upstream\n"
    );
}
