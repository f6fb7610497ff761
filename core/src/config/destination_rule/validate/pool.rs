//! Connection pools, of a DestinationRule or of a Sidecar.

use crate::config::checks;
use crate::config::code::Code;
use crate::config::destination_rule::{
    ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, TcpKeepalive, TcpSettings,
};
use crate::config::report::Report;

/// Checks a `connectionPool`; the report stands at it.
pub(in crate::config) fn check(pool: &ConnectionPoolSettings, report: &mut Report) {
    if pool.tcp.is_none() && pool.http.is_none() {
        report.raise(
            Code::InvalidConnectionPool,
            "the connection pool has neither `tcp` nor `http`",
            "remove it, or set a limit",
        );
    }
    if let Some(tcp) = &pool.tcp {
        report.field("tcp", |report| check_tcp(tcp, report));
    }
    if let Some(http) = &pool.http {
        report.field("http", |report| check_http(http, report));
    }
}

fn check_tcp(tcp: &TcpSettings, report: &mut Report) {
    checks::not_negative(
        "maxConnections",
        tcp.max_connections,
        Code::InvalidConnectionPool,
        report,
    );
    checks::duration_in("connectTimeout", tcp.connect_timeout, report);
    checks::duration_in("maxConnectionDuration", tcp.max_connection_duration, report);
    checks::duration_or_zero_in("idleTimeout", tcp.idle_timeout, report);
    check_keepalive(tcp.tcp_keepalive.as_ref(), report);
}

/// Of a rule or of the mesh; the report stands at what has it.
pub(in crate::config) fn check_keepalive(keepalive: Option<&TcpKeepalive>, report: &mut Report) {
    if let Some(keepalive) = keepalive {
        report.field("tcpKeepalive", |report| {
            checks::duration_in("time", keepalive.time, report);
            checks::duration_in("interval", keepalive.interval, report);
        });
    }
}

fn check_http(http: &HttpSettings, report: &mut Report) {
    for (field, limit) in [
        ("http1MaxPendingRequests", http.http1_max_pending_requests),
        ("http2MaxRequests", http.http2_max_requests),
        ("maxRequestsPerConnection", http.max_requests_per_connection),
        ("maxRetries", http.max_retries),
        ("maxConcurrentStreams", http.max_concurrent_streams),
    ] {
        checks::not_negative(field, limit, Code::InvalidConnectionPool, report);
    }
    checks::duration_or_zero_in("idleTimeout", http.idle_timeout, report);
    if http.use_client_protocol && http.h2_upgrade_policy == H2UpgradePolicy::Upgrade {
        report.raise_in(
            "useClientProtocol",
            Code::InvalidConnectionPool,
            "`useClientProtocol` and `h2UpgradePolicy: UPGRADE` exclude each other",
            "keep one of them",
        );
    }
    let Some(keep_alive) = &http.http2_keep_alive else {
        return;
    };
    report.field("http2KeepAlive", |report| {
        for (field, value) in [
            ("interval", keep_alive.interval),
            ("timeout", keep_alive.timeout),
        ] {
            if value.is_none() {
                report.raise(Code::RequiredField, format!("`{field}` is missing"), "");
            }
            checks::duration_in(field, value, report);
        }
    });
}
