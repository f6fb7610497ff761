//! Reading a DestinationRule, and the connection pool that a Sidecar has too.

use super::balancer_decode::load_balancer;
use super::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, DestinationRule, Extensions,
    H2UpgradePolicy, Http2KeepAlive, HttpSettings, OutlierDetection, PortTrafficPolicy,
    ProxyProtocol, ProxyProtocolVersion, RetryBudget, Subset, TcpKeepalive, TcpSettings,
    TrafficPolicy, TunnelSettings, WorkloadSelector,
};
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::scalar;

const UPGRADE_POLICIES: &[(&str, i32, H2UpgradePolicy)] = &[
    ("DEFAULT", 0, H2UpgradePolicy::Default),
    ("DO_NOT_UPGRADE", 1, H2UpgradePolicy::DoNotUpgrade),
    ("UPGRADE", 2, H2UpgradePolicy::Upgrade),
];

const TLS_MODES: &[(&str, i32, ClientTlsMode)] = &[
    ("DISABLE", 0, ClientTlsMode::Disable),
    ("SIMPLE", 1, ClientTlsMode::Simple),
    ("MUTUAL", 2, ClientTlsMode::Mutual),
    ("ISTIO_MUTUAL", 3, ClientTlsMode::IstioMutual),
];

const PROXY_VERSIONS: &[(&str, i32, ProxyProtocolVersion)] = &[
    ("V1", 0, ProxyProtocolVersion::V1),
    ("V2", 1, ProxyProtocolVersion::V2),
];

/// Reads the `spec`.
pub(super) fn decode(
    meta: Meta,
    extensions: Extensions,
    spec: &mut Object<'_, '_>,
) -> DestinationRule {
    DestinationRule {
        meta,
        extensions,
        host: spec.string("host"),
        traffic_policy: spec.message("trafficPolicy", traffic_policy),
        subsets: spec.messages("subsets", |o| Subset {
            name: o.string("name"),
            labels: o.string_map("labels"),
            traffic_policy: o.message("trafficPolicy", traffic_policy),
        }),
        export_to: spec.strings("exportTo"),
        workload_selector: spec.message("workloadSelector", |o| WorkloadSelector {
            match_labels: o.string_map("matchLabels"),
        }),
    }
}

fn traffic_policy(o: &mut Object<'_, '_>) -> TrafficPolicy {
    TrafficPolicy {
        load_balancer: o.message("loadBalancer", load_balancer),
        connection_pool: o.message("connectionPool", connection_pool),
        outlier_detection: o.message("outlierDetection", outlier_detection),
        tls: o.message("tls", client_tls),
        port_level_settings: o.messages("portLevelSettings", port_policy),
        tunnel: o.message("tunnel", |o| TunnelSettings {
            protocol: o.string("protocol"),
            target_host: o.string("targetHost"),
            target_port: o.integer("targetPort"),
        }),
        proxy_protocol: o.message("proxyProtocol", |o| ProxyProtocol {
            version: o.symbol("version", PROXY_VERSIONS).unwrap_or_default(),
        }),
        retry_budget: o.message("retryBudget", |o| RetryBudget {
            percent: o.number("percent"),
            min_retry_concurrency: o.integer("minRetryConcurrency"),
            budget_interval: o.duration("budgetInterval"),
        }),
    }
}

fn port_policy(o: &mut Object<'_, '_>) -> PortTrafficPolicy {
    PortTrafficPolicy {
        port: o.message("port", |o| {
            o.removed("name", "use `number`");
            o.integer("number")
        }),
        load_balancer: o.message("loadBalancer", load_balancer),
        connection_pool: o.message("connectionPool", connection_pool),
        outlier_detection: o.message("outlierDetection", outlier_detection),
        tls: o.message("tls", client_tls),
    }
}

/// Reads a `connectionPool`, of a DestinationRule or of a Sidecar.
pub(in crate::config) fn connection_pool(o: &mut Object<'_, '_>) -> ConnectionPoolSettings {
    ConnectionPoolSettings {
        tcp: o.message("tcp", tcp),
        http: o.message("http", http),
    }
}

/// `tcpKeepalive`, of a rule or of the mesh.
pub(super) fn tcp_keepalive(o: &mut Object<'_, '_>) -> Option<TcpKeepalive> {
    o.message("tcpKeepalive", |o| TcpKeepalive {
        probes: o.integer("probes"),
        time: o.duration("time"),
        interval: o.duration("interval"),
    })
}

fn tcp(o: &mut Object<'_, '_>) -> TcpSettings {
    TcpSettings {
        max_connections: o.integer("maxConnections"),
        connect_timeout: o.duration("connectTimeout"),
        tcp_keepalive: tcp_keepalive(o),
        max_connection_duration: o.duration("maxConnectionDuration"),
        idle_timeout: o.duration("idleTimeout"),
    }
}

fn http(o: &mut Object<'_, '_>) -> HttpSettings {
    HttpSettings {
        http1_max_pending_requests: o.integer("http1MaxPendingRequests"),
        http2_max_requests: o.integer("http2MaxRequests"),
        max_requests_per_connection: o.integer("maxRequestsPerConnection"),
        max_retries: o.integer("maxRetries"),
        idle_timeout: o.duration("idleTimeout"),
        h2_upgrade_policy: o
            .symbol("h2UpgradePolicy", UPGRADE_POLICIES)
            .unwrap_or_default(),
        use_client_protocol: o.boolean("useClientProtocol"),
        max_concurrent_streams: o.integer("maxConcurrentStreams"),
        http2_keep_alive: o.message("http2KeepAlive", |o| Http2KeepAlive {
            interval: o.duration("interval"),
            timeout: o.duration("timeout"),
        }),
    }
}

fn outlier_detection(o: &mut Object<'_, '_>) -> OutlierDetection {
    o.deprecated(
        "consecutiveErrors",
        "it has no effect: use `consecutive5xxErrors` or `consecutiveGatewayErrors`",
    );
    OutlierDetection {
        consecutive_errors: o.integer("consecutiveErrors"),
        split_external_local_origin_errors: o.boolean("splitExternalLocalOriginErrors"),
        consecutive_local_origin_failures: o.optional_integer("consecutiveLocalOriginFailures"),
        consecutive_gateway_errors: o.optional_integer("consecutiveGatewayErrors"),
        consecutive_5xx_errors: o.optional_integer("consecutive5xxErrors"),
        interval: o.duration("interval"),
        base_ejection_time: o.duration("baseEjectionTime"),
        max_ejection_percent: o.integer("maxEjectionPercent"),
        min_health_percent: o.integer("minHealthPercent"),
        http_error_codes: o.list("outlierDetectionHttpErrorCodes", scalar::integer),
    }
}

fn client_tls(o: &mut Object<'_, '_>) -> ClientTlsSettings {
    ClientTlsSettings {
        mode: o.symbol("mode", TLS_MODES).unwrap_or_default(),
        client_certificate: o.string("clientCertificate"),
        private_key: o.string("privateKey"),
        ca_certificates: o.string("caCertificates"),
        credential_name: o.string("credentialName"),
        subject_alt_names: o.strings("subjectAltNames"),
        sni: o.string("sni"),
        insecure_skip_verify: o.optional_boolean("insecureSkipVerify"),
        ca_crl: o.string("caCrl"),
    }
}
