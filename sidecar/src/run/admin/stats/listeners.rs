//! What `/stats` tells of listeners, of routes that have a name, and of rate limits, under Envoy's names.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use outrigger_core::cluster::JwtEvent;
use outrigger_core::peer::TlsFaultKind;
use outrigger_core::snapshot::{RateLimit, RequestAuthentication};
use outrigger_runtime::ListenerStats;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value, label_text};
use outrigger_telemetry::metrics::{ListenerEvent, ListenerRequests, RouteRequests};

use super::clusters::add_codes;
use super::ourselves;
use crate::run::jwks;
use crate::run::listeners::Counts;

/// One listener; `prefix` says which direction it serves.
pub(super) fn add(
    sheet: &mut Sheet,
    prefix: &str,
    stats: &ListenerStats,
    requests: Option<&ListenerRequests>,
) {
    let address = address(stats.addr);
    let (text, labels) = (
        format!("listener.{address}"),
        label_text(&[("listener_address", &address)]),
    );
    let scope = Scope {
        text: &text,
        family: "envoy_listener",
        labels: &labels,
    };
    for (name, help, count) in [
        (
            "downstream_cx_total",
            "Connections accepted",
            stats.connections,
        ),
        ("accept_errors", "Failures to accept", stats.accept_errors),
        (
            "downstream_cx_overload_reject",
            "Connections turned away because something was full",
            stats.overload_rejects,
        ),
        (
            "downstream_global_cx_overflow",
            "Connections turned away because there were as many as may be",
            stats.global_overflows,
        ),
        (
            "no_filter_chain_match",
            "Captured connections to a port that no listener is for",
            stats.no_filter_chain_match,
        ),
        (
            "downstream_cx_proxy_proto_error",
            "Connections closed because no proxy said whose they are",
            stats.proxy_protocol_errors,
        ),
        (
            "downstream_cx_proxy_proto_too_long",
            "Those of them whose header of the PROXY protocol was longer than is read",
            stats.proxy_protocol_long,
        ),
        (
            "downstream_cx_proxy_proto_timeout",
            "Those of them of which no header of the PROXY protocol came in time",
            stats.proxy_protocol_late,
        ),
        (
            "downstream_cx_transport_socket_connect_timeout",
            "Connections whose TLS handshake took too long",
            stats.tls.late,
        ),
        (
            "ssl.handshake",
            "TLS handshakes that were agreed on",
            stats.tls.handshakes,
        ),
        (
            "ssl.session_reused",
            "TLS handshakes that took up an earlier session",
            stats.tls.resumed,
        ),
        (
            "ssl.no_certificate",
            "TLS handshakes without a certificate of the client",
            stats.tls.no_certificate,
        ),
        (
            "ssl.connection_error",
            "TLS handshakes that failed, but for certificates",
            stats.tls.faults(TlsFaultKind::NotTls)
                + stats.tls.faults(TlsFaultKind::HelloTooLong)
                + stats.tls.faults(TlsFaultKind::Refused)
                + stats.tls.faults(TlsFaultKind::NoIdentity)
                + stats.tls.faults(TlsFaultKind::NothingInCommon),
        ),
        (
            "tls_inspector.client_hello_too_large",
            "Those of them whose ClientHello was longer than is read",
            stats.tls.faults(TlsFaultKind::HelloTooLong),
        ),
        (
            "ssl.fail_verify_error",
            "TLS handshakes that failed because the client's certificate was not accepted",
            stats.tls.faults(TlsFaultKind::Untrusted),
        ),
        (
            "ssl.fail_verify_san",
            "TLS handshakes that failed because the client's certificate is of somebody else than is wanted",
            stats.tls.faults(TlsFaultKind::WrongName),
        ),
        (
            "ssl.fail_verify_no_cert",
            "TLS handshakes that failed because the client showed no certificate",
            stats.tls.faults(TlsFaultKind::NoCertificate),
        ),
    ] {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
    let active = Stat::new("downstream_cx_active", "Connections that are open");
    // Few enough to be exact.
    sheet.add(&scope, active, Value::Gauge(stats.active as f64));
    if let Some(requests) = requests {
        for (name, help, count) in [
            (
                "downstream_pre_cx_timeout",
                "Connections whose first bytes did not tell in time what is spoken",
                requests.silent,
            ),
            (
                "downstream_pre_cx_too_long",
                "Connections of which as many bytes as are looked at did not tell what is spoken",
                requests.long,
            ),
        ] {
            sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
        }
        let name = format!("{prefix}_{address}");
        add_requests(sheet, &name, requests);
    }
}

/// All of them, and those that come and go.
pub(super) fn add_all(sheet: &mut Sheet, listeners: &[ListenerStats], coming: &Counts) {
    let active = listeners.iter().filter(|listener| listener.is_open).count();
    let scope = Scope {
        text: "listener_manager",
        family: "envoy_listener_manager",
        labels: "",
    };
    for (name, help, count) in [
        ("total_listeners_active", "Listeners", active),
        (
            "total_listeners_draining",
            "Closed listeners with connections that have not ended",
            listeners.len() - active,
        ),
    ] {
        // Few enough to be exact.
        sheet.add(&scope, Stat::new(name, help), Value::Gauge(count as f64));
    }
    for (name, help, count) in coming.named() {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
    let missing = Stat::new(
        "listeners_not_open",
        "Listeners that the configuration asks for and that could not be opened",
    );
    let count = coming.missing().len() as f64;
    sheet.add(&ourselves::OURS, missing, Value::Gauge(count));
}

fn add_requests(sheet: &mut Sheet, name: &str, requests: &ListenerRequests) {
    let (text, labels) = (
        format!("http.{name}"),
        label_text(&[("http_conn_manager_prefix", name)]),
    );
    let scope = Scope {
        text: &text,
        family: "envoy_http",
        labels: &labels,
    };
    let codes = &requests.codes;
    for (name, help, count) in [
        ("downstream_rq_total", "Requests that ended", codes.total()),
        (
            "downstream_rq_completed",
            "Requests that were answered",
            codes.total() - codes.class(0),
        ),
        (
            "downstream_rq_no_response",
            "Requests that got no response",
            codes.class(0),
        ),
        (
            "request_body_bytes",
            "Bytes of bodies from clients",
            requests.bytes_received,
        ),
        (
            "response_body_bytes",
            "Bytes of bodies to clients",
            requests.bytes_sent,
        ),
    ] {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
    for ((_, name, help), count) in ListenerEvent::ALL.iter().zip(requests.events) {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
    let families = ("downstream_rq_xx", "downstream_rq");
    add_codes(sheet, &scope, "downstream_rq", families, codes);
    let time = Stat::new(
        "downstream_rq_time",
        "From the first byte of a request to the last of its response, in milliseconds",
    );
    sheet.add(&scope, time, Value::Micros(&requests.time));
}

/// A route that has a name, by its virtual host and that.
pub(super) fn add_route(sheet: &mut Sheet, name: &str, requests: &RouteRequests) {
    let (host, route) = name.split_once(".route.").unwrap_or((name, ""));
    let text = format!("vhost.{name}");
    let labels = label_text(&[("virtual_host", host), ("route", route)]);
    let scope = Scope {
        text: &text,
        family: "envoy_vhost_route",
        labels: &labels,
    };
    let RouteRequests {
        codes,
        retries,
        timeouts,
        time,
    } = requests;
    for (name, help, count) in [
        (
            "upstream_rq_total",
            "Requests to which the route applied",
            codes.total(),
        ),
        ("upstream_rq_retry", "Retries", *retries),
        (
            "upstream_rq_timeout",
            "Requests that took longer than the route allows",
            *timeouts,
        ),
    ] {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
    let families = ("upstream_rq_xx", "upstream_rq");
    add_codes(sheet, &scope, "upstream_rq", families, codes);
    let stat = Stat::new(
        "upstream_rq_time",
        "From the first byte of a request to the last of its response, in milliseconds",
    );
    sheet.add(&scope, stat, Value::Micros(time));
}

/// Limits with one prefix count together.
pub(super) fn add_rate_limits(sheet: &mut Sheet, limits: &[RateLimit]) {
    let mut prefixes = BTreeSet::new();
    for limit in limits {
        let prefix = &limit.stat_prefix;
        if !prefixes.insert(prefix) {
            continue;
        }
        let text = format!("{prefix}.http_local_rate_limit");
        let labels = label_text(&[("local_http_ratelimit_prefix", prefix)]);
        let scope = Scope {
            text: &text,
            family: "envoy_http_local_rate_limit",
            labels: &labels,
        };
        for (name, count) in limit.counts.named() {
            let stat = Stat::new(name, "Requests that a local rate limit looked at");
            sheet.add(&scope, stat, Value::Counter(count));
        }
    }
}

/// Tokens of the requests of all inbound listeners, which have the same rules.
pub(super) fn add_tokens(sheet: &mut Sheet, auth: &RequestAuthentication) {
    let labels = label_text(&[("http_conn_manager_prefix", "inbound")]);
    let scope = Scope {
        text: "http.inbound.jwt_authn",
        family: "envoy_http_jwt_authn",
        labels: &labels,
    };
    for (event, name) in JwtEvent::ALL {
        let stat = Stat::new(
            name,
            "Requests by what became of their tokens, and tokens by whether they were known",
        );
        sheet.add(&scope, stat, Value::Counter(auth.counts.of(event)));
    }
    for (name, count, grows) in jwks::counted() {
        let stat = Stat::new(
            name,
            "Fetches of keys of issuers, sets of keys, and those that are not there yet",
        );
        let value = match grows {
            true => Value::Counter(count),
            // Few enough to be exact.
            false => Value::Gauge(count as f64),
        };
        sheet.add(&scope, stat, value);
    }
}

/// An address as a part of a name: Envoy replaces colons.
fn address(addr: SocketAddr) -> String {
    addr.to_string().replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_telemetry::exposition::Form;

    #[test]
    fn tokens_are_told_under_envoys_names() {
        let compiled = outrigger_core::compile::from_yaml(
            "apiVersion: security.istio.io/v1\n\
             kind: RequestAuthentication\n\
             metadata: {name: a}\n\
             spec: {jwtRules: [{issuer: 'https://a'}]}\n",
        );
        let auth = compiled.snapshot.request_authentication.unwrap();
        auth.counts.count(JwtEvent::Denied);
        let mut sheet = Sheet::new(Form::Text, None, false);
        add_tokens(&mut sheet, &auth);
        let text: String = sheet.finish().collect();
        assert!(
            text.contains("http.inbound.jwt_authn.denied: 1\n"),
            "{text}"
        );
        assert!(
            text.contains("http.inbound.jwt_authn.allowed: 0\n"),
            "{text}"
        );
    }

    #[test]
    fn limits_are_told_under_envoys_names() {
        let compiled = outrigger_core::compile::from_yaml(
            "apiVersion: networking.istio.io/v1\n\
             kind: VirtualService\n\
             metadata: {name: shop, annotations: {outrigger.dev/local-rate-limit: 1/m}}\n\
             spec: {hosts: [shop.example], http: [{match: [{uri: {prefix: /a}}], redirect: {uri: /b}}, {redirect: {uri: /c}}]}\n",
        );
        let mut sheet = Sheet::new(Form::Text, None, false);
        let limits = &compiled.snapshot.rate_limits;
        limits[0]
            .counts
            .count(outrigger_core::cluster::Limited::Enforced);
        add_rate_limits(&mut sheet, limits);
        assert_eq!(
            sheet.finish().collect::<String>(),
            ["enabled: 1", "enforced: 1", "ok: 0", "rate_limited: 1"]
                .map(|line| format!("default.shop.http_local_rate_limit.{line}\n"))
                .concat()
        );
    }
}
