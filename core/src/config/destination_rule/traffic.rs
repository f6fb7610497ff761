//! Traffic policy: connection limits, ejection, TLS and tunnels, as written.

use super::balancer::LoadBalancerSettings;
use crate::config::protocol::Protocol;
use crate::time::Duration;

/// `trafficPolicy` of a rule or a subset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficPolicy {
    /// How endpoints are picked.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts of connections.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Which endpoints are ejected.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the upstream.
    pub tls: Option<ClientTlsSettings>,
    /// Replaces the four above for one port, as a whole.
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// Tunnel TCP through a proxy; exclusive with `proxy_protocol`.
    pub tunnel: Option<TunnelSettings>,
    /// PROXY protocol to the upstream.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Limit of concurrent retries.
    pub retry_budget: Option<RetryBudget>,
}

/// One entry of `portLevelSettings`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortTrafficPolicy {
    /// The service port.
    pub port: Option<u32>,
    /// How endpoints are picked.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts of connections.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Which endpoints are ejected.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the upstream.
    pub tls: Option<ClientTlsSettings>,
}

/// Limits and timeouts of connections. Zero means the default everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPoolSettings {
    /// For every connection.
    pub tcp: Option<TcpSettings>,
    /// For HTTP.
    pub http: Option<HttpSettings>,
}

/// `connectionPool.tcp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpSettings {
    /// Per cluster and proxy.
    pub max_connections: i32,
    /// Absent is 10 s.
    pub connect_timeout: Option<Duration>,
    /// SO_KEEPALIVE.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// A connection is drained after this long.
    pub max_connection_duration: Option<Duration>,
    /// Absent is 1 h, zero turns it off.
    pub idle_timeout: Option<Duration>,
}

/// `connectionPool.tcp.tcpKeepalive`; absent parts are the system's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepalive {
    /// Probes without answer before the connection is dead.
    pub probes: u32,
    /// Idle time before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// `connectionPool.http`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// Requests waiting for a connection.
    pub http1_max_pending_requests: i32,
    /// Requests in flight.
    pub http2_max_requests: i32,
    /// One turns keep-alive off.
    pub max_requests_per_connection: i32,
    /// Retries in flight.
    pub max_retries: i32,
    /// Of an unused upstream connection; absent is `tcp.idleTimeout` or 1 h.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 ports are spoken to in HTTP/2.
    pub h2_upgrade_policy: H2UpgradePolicy,
    /// Speak upstream what the client speaks.
    pub use_client_protocol: bool,
    /// Per HTTP/2 connection.
    pub max_concurrent_streams: i32,
    /// HTTP/2 pings.
    pub http2_keep_alive: Option<Http2KeepAlive>,
}

/// `connectionPool.http.http2KeepAlive`; both are required.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http2KeepAlive {
    /// Time between pings.
    pub interval: Option<Duration>,
    /// How long to wait for the answer.
    pub timeout: Option<Duration>,
}

/// Whether HTTP/1.1 ports are spoken to in HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum H2UpgradePolicy {
    /// As the mesh says.
    #[default]
    Default,
    /// No.
    DoNotUpgrade,
    /// Yes.
    Upgrade,
}

impl H2UpgradePolicy {
    /// Whether a port is spoken to in HTTP/2 for this, or for what the mesh says, whatever it says of itself. The rule's
    /// owner knows what a port is that does not say; the mesh leaves such ones alone.
    #[must_use]
    pub fn upgrades(self, port: Protocol, mesh_upgrades: bool) -> bool {
        match self {
            Self::Upgrade => port.may_be_http(),
            Self::DoNotUpgrade => false,
            Self::Default => port.is_http() && mesh_upgrades,
        }
    }
}

/// Which endpoints are ejected, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Deprecated, without effect.
    pub consecutive_errors: i32,
    /// Count failures to connect apart from answers.
    pub split_external_local_origin_errors: bool,
    /// Failures to connect in a row; only with the split.
    pub consecutive_local_origin_failures: Option<u32>,
    /// 502, 503 and 504 in a row.
    pub consecutive_gateway_errors: Option<u32>,
    /// Answers of 500 and above in a row; absent is 5, zero turns it off.
    pub consecutive_5xx_errors: Option<u32>,
    /// Between sweeps; absent is 10 s.
    pub interval: Option<Duration>,
    /// Of the first ejection; absent is 30 s.
    pub base_ejection_time: Option<Duration>,
    /// Share of endpoints that may be out; zero is 10.
    pub max_ejection_percent: i32,
    /// Below this share of healthy endpoints all are used.
    pub min_health_percent: i32,
    /// Statuses that count as errors, instead of 5xx.
    pub http_error_codes: Vec<u32>,
}

/// TLS to the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsSettings {
    /// Whether and how.
    pub mode: ClientTlsMode,
    /// File with the client's certificate.
    pub client_certificate: String,
    /// File with the client's key.
    pub private_key: String,
    /// File with the authorities; empty is the system's.
    pub ca_certificates: String,
    /// Secret with the above.
    pub credential_name: String,
    /// Names the server may have.
    pub subject_alt_names: Vec<String>,
    /// Server name to ask for; empty is from the host.
    pub sni: String,
    /// Do not verify the server.
    pub insecure_skip_verify: Option<bool>,
    /// File with the revocation list.
    pub ca_crl: String,
}

/// Whether and how TLS is spoken to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientTlsMode {
    /// No TLS.
    #[default]
    Disable,
    /// Server certificate only.
    Simple,
    /// Both, with the files given.
    Mutual,
    /// Both, with the mesh identity.
    IstioMutual,
}

/// Tunnel TCP through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelSettings {
    /// `CONNECT` (also when empty) or `POST`.
    pub protocol: String,
    /// Where the tunnel ends.
    pub target_host: String,
    /// Where the tunnel ends.
    pub target_port: u32,
}

/// PROXY protocol to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Which version.
    pub version: ProxyProtocolVersion,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocolVersion {
    /// Text.
    #[default]
    V1,
    /// Binary.
    V2,
}

/// Limit of concurrent retries as a share of requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetryBudget {
    /// Share of active and pending requests; absent is 20.
    pub percent: Option<f64>,
    /// Always allowed; zero is 3.
    pub min_retry_concurrency: u32,
    /// Above zero: requests are counted over this window.
    pub budget_interval: Option<Duration>,
}
