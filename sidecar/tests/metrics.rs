//! What `outrigger run` counts, as somebody sees it who scrapes its admin endpoints.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Instant;

use proxy::{Folder, Proxy, application, ask, has_glommio};
use support::PATIENCE;

const NAMED: &str = "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  http:
  - name: broken
    match: [{uri: {prefix: /broken}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: shop.example}}]
  - name: all
    route: [{destination: {host: shop.example}}]
";

/// A service whose endpoint says what it is.
fn shop(endpoint: SocketAddr, version: &str) -> String {
    let (ip, port) = (endpoint.ip(), endpoint.port());
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop, namespace: mall}}
spec:
  hosts: [shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  workloadSelector: {{labels: {{app: shop}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: shop-{version}, namespace: mall, labels: {{app: shop, version: {version}}}}}
spec: {{address: {ip}, ports: {{http: {port}}}}}
"
    )
}

/// The labels of a series of this family that has these in it, and its value.
fn series<'a>(page: &'a str, family: &str, labels: &[&str]) -> Option<(&'a str, &'a str)> {
    let begins = format!("{family}{{");
    let mut all = page.lines().filter(|line| line.starts_with(&begins));
    let line = all.find(|line| labels.iter().all(|label| line.contains(label)))?;
    line.rsplit_once(' ')
}

fn value<'a>(page: &'a str, family: &str, labels: &[&str]) -> Option<&'a str> {
    series(page, family, labels).map(|(_, value)| value)
}

#[test]
fn requests_are_counted_under_istios_and_envoys_names() {
    let config = Folder::new("metrics");
    config.write("shop.yaml", &(shop(application("shop"), "v2") + NAMED));
    let labels = [
        "--label",
        "app=cart",
        "--label",
        "version=v1",
        "--namespace",
        "mall",
    ];
    let proxy = Proxy::start(&config.0, &labels);
    proxy.get("shop.example");
    for path in ["/a", "/broken"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
        proxy.ask("outbound", &request);
    }
    let page = proxy.page("/stats/prometheus", "response_code=\"418\"");
    let (line, count) = series(&page, "istio_requests_total", &["response_code=\"200\""]).unwrap();
    assert_eq!(count, "2");
    for label in [
        "reporter=\"source\"",
        "source_workload=\"unknown\"",
        "source_workload_namespace=\"mall\"",
        "source_canonical_service=\"cart\"",
        "source_canonical_revision=\"v1\"",
        "source_app=\"cart\"",
        "source_version=\"v1\"",
        "source_cluster=\"unknown\"",
        "source_principal=\"unknown\"",
        "destination_workload=\"shop-v2\"",
        "destination_workload_namespace=\"mall\"",
        "destination_canonical_service=\"shop\"",
        "destination_canonical_revision=\"v2\"",
        "destination_app=\"shop\"",
        "destination_version=\"v2\"",
        "destination_principal=\"unknown\"",
        "destination_service=\"shop.example\"",
        "destination_service_name=\"shop.example\"",
        "destination_service_namespace=\"mall\"",
        "request_protocol=\"http\"",
        "grpc_response_status=\"\"",
        "response_flags=\"-\"",
        "connection_security_policy=\"unknown\"",
    ] {
        assert!(line.contains(label), "{label} is not in {line}");
    }
    let aborted = [
        "response_code=\"418\"",
        "response_flags=\"FI\"",
        "destination_service=\"shop.example\"",
    ];
    assert_eq!(value(&page, "istio_requests_total", &aborted), Some("1"));
    let ok = ["response_code=\"200\""];
    for (family, le) in [
        (
            "istio_request_duration_milliseconds_bucket",
            "le=\"3600000\"",
        ),
        ("istio_request_bytes_bucket", "le=\"0.5\""),
        ("istio_response_bytes_bucket", "le=\"5\""),
    ] {
        assert_eq!(value(&page, family, &[ok[0], le]), Some("2"), "{family}");
    }
    assert_eq!(value(&page, "istio_response_bytes_sum", &ok), Some("8"));
    let cluster = "cluster_name=\"outbound|80||shop.example\"";
    for (family, label, want) in [
        ("envoy_cluster_upstream_rq", "response_code=\"200\"", "2"),
        (
            "envoy_cluster_upstream_rq_xx",
            "response_code_class=\"2\"",
            "2",
        ),
        ("envoy_cluster_upstream_rq_total", "", "2"),
        ("envoy_cluster_upstream_rq_time_count", "", "2"),
        ("envoy_cluster_membership_healthy", "", "1"),
        ("envoy_cluster_circuit_breakers_default_cx_open", "", "0"),
    ] {
        assert_eq!(
            value(&page, family, &[cluster, label]),
            Some(want),
            "{family}"
        );
    }
    let broken = ["virtual_host=\"shop.example:80\"", "route=\"broken\""];
    assert_eq!(
        value(&page, "envoy_vhost_route_upstream_rq_total", &broken),
        Some("1")
    );
    assert!(page.contains("istio_build{component=\"proxy\",tag=\""));
}

#[test]
fn pages_come_in_the_form_and_with_the_names_that_are_asked_for() {
    let config = Folder::new("stats-forms");
    config.write("shop.yaml", &shop(application("shop"), "v2"));
    let proxy = Proxy::start(&config.0, &[]);
    proxy.get("shop.example");
    let cluster = "cluster.outbound|80||shop.example.upstream_rq_200: 1\n";
    let text = proxy.page("/stats?filter=upstream_rq_(200|time)%24&usedonly", cluster);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<_> = body
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    assert_eq!(names.len(), 2, "{body}");
    assert!(names[1].1.starts_with("P0(nan,"), "{body}");
    let json = proxy.admin("GET /stats?format=json&filter=upstream_rq_(200%7Ctime)%24&usedonly");
    let (head, body) = json.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"));
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["stats"][0]["value"], 1);
    let histogram = &json["stats"][1]["histograms"]["computed_quantiles"][0];
    assert_eq!(
        histogram["name"],
        "cluster.outbound|80||shop.example.upstream_rq_time"
    );
    let open = proxy.admin("GET /stats?format=openmetrics");
    assert!(
        open.contains("application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n")
    );
    let accept = "GET /stats/prometheus HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: \
                  application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n";
    let negotiated = ask(proxy.addr("admin"), accept);
    assert!(
        negotiated.contains("text/plain; version=0.0.4"),
        "{negotiated}"
    );
    for (path, why) in [
        (
            "/stats?type=Counters",
            "`/stats` has no parameter `type`; it takes filter, usedonly, format",
        ),
        ("/stats/prometheus?filter=(", "regex parse error"),
        ("/stats?format=html", "no format `html`"),
        ("/stats/prometheus?format=text", "has no parameter `format`"),
    ] {
        let refused = proxy.admin(&format!("GET {path}"));
        assert!(
            refused.contains("400 Bad Request") && refused.contains(why),
            "{refused}"
        );
    }
}

#[test]
fn series_end_with_what_they_are_about() {
    let config = Folder::new("series-end");
    config.write("shop.yaml", &shop(application("one"), "v1"));
    config.write(
        "other.yaml",
        &shop(application("x"), "v9").replace("shop", "other"),
    );
    let proxy = Proxy::start(&config.0, &[]);
    for host in ["shop.example", "other.example"] {
        proxy.get(host);
    }
    let v1 = "destination_workload=\"shop-v1\"";
    let before = proxy.page("/stats/prometheus", "destination_workload=\"other-v9\"");
    assert!(before.contains(v1), "{before}");
    // The version goes and its service stays; the other service goes.
    config.write("shop.yaml", &shop(application("two"), "v2"));
    std::fs::remove_file(config.0.join("other.yaml")).unwrap();
    proxy.wait_for("reloaded");
    while proxy.admin("GET /stats").contains("other.example") {
        thread::yield_now();
    }
    proxy.get("shop.example");
    let after = proxy.page("/stats/prometheus", "destination_workload=\"shop-v2\"");
    assert!(
        !after.contains(v1) && !after.contains("other-v9"),
        "{after}"
    );
}

/// An application that is spoken to in something else than HTTP: it sends back what it hears.
fn parrot() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    stream.write_all(&bytes[..count]).unwrap();
                }
            });
        }
    });
    addr
}

/// A connection that lasts is counted before it ends, as often as Telemetry says; and one that ends at once is not missed.
#[test]
fn connections_are_counted_while_they_last() {
    let app = parrot();
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !has_glommio() {
            continue;
        }
        let config = Folder::new(&format!("metrics-tcp-{runtime}"));
        let port = app.port();
        config.write(
            "db.yaml",
            &format!(
                "kind: Service
apiVersion: v1
metadata: {{ name: db }}
spec: {{ selector: {{ app: db }}, ports: [{{ port: {port}, name: tcp }}] }}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{ name: often }}
spec: {{ metrics: [{{ reportingInterval: 20ms }}] }}
"
            ),
        );
        let inbound = format!("127.0.0.1:0={app}");
        let args = [
            "--label",
            "app=db",
            "--inbound",
            &inbound,
            "--runtime",
            runtime,
        ];
        let proxy = Proxy::start(&config.0, &args);
        let mut lasting = std::net::TcpStream::connect(proxy.addr("inbound")).unwrap();
        lasting.write_all(b"hello").unwrap();
        lasting.read_exact(&mut [0; 5]).unwrap();
        // What is sent is counted last.
        let sent = |count: u64| {
            let prefix = format!("tcp_prefix=\"inbound|{port}||\"");
            format!("envoy_tcp_downstream_cx_tx_bytes_total{{{prefix}}} {count}\n")
        };
        let page = proxy.page("/stats/prometheus", &sent(5));
        let of = |page: &str, what: &str| {
            let labels = ["reporter=\"destination\"", "request_protocol=\"tcp\""];
            let (line, count) = series(page, &format!("istio_tcp_{what}_total"), &labels).unwrap();
            assert!(line.contains("destination_service_name=\"db\""), "{line}");
            assert!(
                line.contains("connection_security_policy=\"none\""),
                "{line}"
            );
            count.to_owned()
        };
        assert_eq!(of(&page, "connections_opened"), "1", "{runtime}");
        assert_eq!(of(&page, "connections_closed"), "0", "{runtime}");
        assert_eq!(of(&page, "received_bytes"), "5", "{runtime}");
        assert_eq!(of(&page, "sent_bytes"), "5", "{runtime}");
        drop(lasting);
        let mut short = std::net::TcpStream::connect(proxy.addr("inbound")).unwrap();
        short.write_all(b"bye").unwrap();
        short.read_exact(&mut [0; 3]).unwrap();
        drop(short);
        let begun = Instant::now();
        let page = loop {
            let page = proxy.page("/stats/prometheus", &sent(8));
            if of(&page, "connections_closed") == "2" {
                break page;
            }
            assert!(begun.elapsed() < PATIENCE, "{page}");
        };
        assert_eq!(of(&page, "connections_opened"), "2", "{runtime}");
        assert_eq!(of(&page, "sent_bytes"), "8", "{runtime}");
        assert!(!page.contains("istio_requests_total{"), "{page}");
    }
}

/// An application that answers every request with its head.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.extend(byte);
            }
            let length = head.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let answer = [answer.as_bytes(), &head].concat();
            stream.write_all(&answer).unwrap();
        }
    });
    addr
}

/// A service of gRPC (in HTTP/1.1, which says the same) that reads a call and answers it with three messages.
fn grpc_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut byte = [0];
            // The request ends with its only `!`.
            while byte != *b"!" && stream.read_exact(&mut byte).is_ok() {
                request.extend(byte);
            }
            let body = "\0\0\0\0\x02hi\0\0\0\0\0\0\0\0\0\x01!";
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    addr
}

#[test]
fn messages_of_grpc_are_counted_under_istios_names() {
    let config = Folder::new("grpc-messages");
    config.write("shop.yaml", &shop(grpc_service(), "v2"));
    config.write(
        "telemetry.yaml",
        "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t}
spec:
  metrics:
  - overrides:
    - match: {metric: GRPC_RESPONSE_MESSAGES}
      tagOverrides: {team: {value: \"'mall'\"}}
",
    );
    let proxy = Proxy::start(&config.0, &["--label", "app=cart"]);
    for _ in 0..2 {
        let call = "POST /shop.Cart/Get HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\
                    content-type: application/grpc\r\ncontent-length: 11\r\n\r\n\0\0\0\0\0\0\0\0\0\x01!";
        proxy.ask("outbound", call);
    }
    let other =
        "POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ncontent-length: 1\r\n\r\n!";
    proxy.ask("outbound", other);
    let page = proxy.page("/stats/prometheus", "grpc_response_status=\"\"");
    let labels = [
        "reporter=\"source\"",
        "source_app=\"cart\"",
        "destination_workload=\"shop-v2\"",
    ];
    let (sent, count) = series(&page, "istio_request_messages_total", &labels).unwrap();
    assert_eq!(count, "4", "{page}");
    // Nothing of how a call ended, as in Istio.
    assert!(
        !sent.contains("response_code") && !sent.contains("team"),
        "{sent}"
    );
    let (received, count) = series(&page, "istio_response_messages_total", &labels).unwrap();
    assert_eq!(count, "6", "{page}");
    assert!(received.contains("team=\"mall\""), "{received}");
    let all = |family: &str| page.lines().filter(|line| line.starts_with(family)).count();
    assert_eq!(all("istio_request_messages_total{"), 1, "{page}");
    assert_eq!(all("istio_response_messages_total{"), 1, "{page}");
}

/// Two sidecars, as in a mesh: each hears from the other what its configuration does not say.
#[test]
fn sidecars_tell_each_other_who_they_are() {
    let (of_client, of_service) = (Folder::new("tells-client"), Folder::new("tells-service"));
    let inbound = format!("127.0.0.1:0={}", echo());
    let named = |name: &str, version: &str| {
        [
            "app=".to_owned() + name,
            "version=".to_owned() + version,
            "service.istio.io/workload-name=".to_owned() + name,
        ]
    };
    let labels = named("shop", "v3");
    let mut more = vec!["--inbound", &inbound, "--namespace", "mall"];
    labels
        .iter()
        .for_each(|label| more.extend(["--label", label]));
    let service = Proxy::start(&of_service.0, &more);
    let address = service.addr("inbound");
    // Nothing is said of who stands behind the address.
    of_client.write(
        "shop.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop, namespace: mall}}
spec:
  hosts: [shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {}, ports: {{http: {}}}}}]
",
            address.ip(),
            address.port()
        ),
    );
    let labels = named("web", "v1");
    let mut more = vec!["--namespace", "front"];
    labels
        .iter()
        .for_each(|label| more.extend(["--label", label]));
    let client = Proxy::start(&of_client.0, &more);
    let answer = client.get("shop.example");
    assert!(
        answer.contains("200 OK") && answer.contains("GET / HTTP/1.1"),
        "{answer}"
    );
    // Neither application has seen anything of it.
    assert!(!answer.contains("x-envoy-peer-metadata"), "{answer}");
    for (proxy, reporter) in [(&client, "source"), (&service, "destination")] {
        let page = proxy.page("/stats/prometheus", "istio_requests_total{");
        let reporter = format!("reporter=\"{reporter}\"");
        let (line, _) = series(&page, "istio_requests_total", &[&reporter]).unwrap();
        for label in [
            "source_workload=\"web\"",
            "source_canonical_service=\"web\"",
            "source_canonical_revision=\"v1\"",
            "source_workload_namespace=\"front\"",
            "source_app=\"web\"",
            "source_version=\"v1\"",
            "destination_workload=\"shop\"",
            "destination_canonical_service=\"shop\"",
            "destination_canonical_revision=\"v3\"",
            "destination_workload_namespace=\"mall\"",
            "destination_app=\"shop\"",
            "destination_version=\"v3\"",
        ] {
            assert!(line.contains(label), "{label} is not in {line}");
        }
    }
}

#[test]
fn what_has_no_room_is_counted_apart() {
    let config = Folder::new("overflow");
    config.write("shop.yaml", &(shop(application("shop"), "v2") + NAMED));
    let proxy = Proxy::start(&config.0, &["--max-metric-series", "1"]);
    proxy.get("shop.example");
    proxy.page("/stats/prometheus", "response_code=\"200\"");
    for _ in 0..2 {
        let request = "GET /broken HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        proxy.ask("outbound", request);
    }
    let page = proxy.page(
        "/stats/prometheus",
        "outrigger_metric_series_overflow_requests_total 2\n",
    );
    let labels = [
        "reporter=\"source\"",
        "destination_service=\"overflow\"",
        "response_code=\"overflow\"",
    ];
    assert_eq!(value(&page, "istio_requests_total", &labels), Some("2"));
    assert!(!page.contains("response_code=\"418\",grpc"), "{page}");
}

#[test]
fn series_that_are_idle_end() {
    let config = Folder::new("idle-series");
    config.write("shop.yaml", &(shop(application("shop"), "v2") + NAMED));
    let proxy = Proxy::start(&config.0, &["--metric-series-idle", "100ms"]);
    proxy.get("shop.example");
    proxy.page(
        "/stats/prometheus",
        "outrigger_metric_series_ended_total 1\n",
    );
    let page_now = proxy.admin("GET /stats/prometheus");
    assert!(!page_now.contains("istio_requests_total"), "{page_now}");
    // Another request begins it anew, and that ends as well.
    proxy.get("shop.example");
    proxy.page(
        "/stats/prometheus",
        "outrigger_metric_series_ended_total 2\n",
    );
}

#[test]
fn where_requests_are_not_counted_the_rest_is() {
    let config = Folder::new("metrics-off");
    config.write("shop.yaml", &shop(application("shop"), "v2"));
    let proxy = Proxy::start(&config.0, &["--metrics", "off"]);
    proxy.get("shop.example");
    let total = "envoy_cluster_upstream_rq_total{cluster_name=\"outbound|80||shop.example\"} 1\n";
    let page = proxy.page("/stats/prometheus", total);
    assert!(
        !page.contains("istio_requests_total") && !page.contains("downstream_rq_total"),
        "{page}"
    );
}

#[test]
fn a_refused_reload_is_seen_until_it_is_mended() {
    let config = Folder::new("refused-gauge");
    config.write("shop.yaml", &shop(application("shop"), "v2"));
    let proxy = Proxy::start(&config.0, &[]);
    let value_of = |name: &str| {
        let page = proxy.admin("GET /stats/prometheus");
        let line = page.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(' ')
                .map(str::to_owned)
        });
        line.unwrap()
    };
    let taken = || value_of("outrigger_config_last_reload_success_timestamp_seconds");
    assert_eq!(value_of("outrigger_config_refused"), "0");
    let first = taken();
    config.write("bad.yaml", "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {name: x}\nspec: {hosts: 5}\n");
    proxy.wait_for("kept revision 1");
    assert_eq!(value_of("outrigger_config_refused"), "1");
    assert_eq!(value_of("outrigger_config_reload_refused_total"), "1");
    assert_eq!(taken(), first);
    let page = proxy.admin("GET /stats/prometheus?filter=config_findings");
    assert!(page.contains("outrigger_config_findings{code=\""), "{page}");
    assert!(page.contains("severity=\"error\"} 1"), "{page}");
    std::fs::remove_file(config.0.join("bad.yaml")).unwrap();
    config.write(
        "good.yaml",
        &shop(application("x"), "v9").replace("shop", "other"),
    );
    proxy.wait_for("reloaded");
    assert_eq!(value_of("outrigger_config_refused"), "0");
    assert_eq!(value_of("outrigger_config_reload_refused_total"), "1");
    assert_ne!(taken(), first);
}

#[test]
fn telemetry_resources_change_metrics_and_labels() {
    let config = Folder::new("telemetry-metrics");
    config.write("shop.yaml", &(shop(application("shop"), "v2") + NAMED));
    config.write(
        "telemetry.yaml",
        "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t}
spec:
  metrics:
  - overrides:
    - {match: {metric: REQUEST_SIZE}, disabled: true}
    - match: {metric: REQUEST_COUNT, mode: CLIENT}
      tagOverrides:
        response_code: {operation: REMOVE}
        response_flags: {operation: REMOVE}
        method: {value: request.method}
        team: {value: \"'mall'\"}
",
    );
    let proxy = Proxy::start(&config.0, &[]);
    for path in ["/a", "/broken"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
        proxy.ask("outbound", &request);
    }
    let page = proxy.page("/stats/prometheus", "istio_response_bytes_count{");
    let page = match page.contains("response_code=\"418\"") {
        true => page,
        false => proxy.page("/stats/prometheus", "response_code=\"418\""),
    };
    let tags = [
        "method=\"GET\"",
        "team=\"mall\"",
        "destination_service=\"shop.example\"",
    ];
    let all = page
        .lines()
        .filter(|line| line.starts_with("istio_requests_total{"));
    assert!(
        all.clone().all(|line| !line.contains("response_code")),
        "{page}"
    );
    // The endpoint of the one is known, and the other had none.
    assert_eq!(all.count(), 2, "{page}");
    assert_eq!(value(&page, "istio_requests_total", &tags), Some("1"));
    assert!(!page.contains("istio_request_bytes"), "{page}");
    let ok = ["response_code=\"200\"", "response_flags=\"-\""];
    assert_eq!(
        value(&page, "istio_request_duration_milliseconds_count", &ok),
        Some("1")
    );
    // They change, and series begin anew.
    std::fs::remove_file(config.0.join("telemetry.yaml")).unwrap();
    proxy.wait_for("reloaded");
    proxy.get("shop.example");
    let begun = Instant::now();
    loop {
        let page = proxy.admin("GET /stats/prometheus");
        let is_plain = page.contains("istio_request_bytes_count{") && !page.contains("team=");
        if is_plain && value(&page, "istio_requests_total", &ok) == Some("1") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{page}");
        thread::yield_now();
    }
}
