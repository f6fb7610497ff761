//! DestinationRule and Sidecar `connectionPool`: circuit limits and the life of connections, put into a cluster.

use crate::cluster::RetryLimit;
use crate::config::destination_rule::{ConnectionPoolSettings, TcpKeepalive};
use crate::config::mesh::MeshConfig;
use crate::snapshot::{Cluster, Keepalive, Limits};
use crate::time::Duration;

/// How long an idle upstream connection is kept, and one that is not HTTP may be silent, when nobody says (Istio, Envoy).
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Puts a pool's settings, or the defaults where it says nothing, into a cluster.
pub(super) fn apply(
    pool: Option<&ConnectionPoolSettings>,
    mesh: &MeshConfig,
    cluster: &mut Cluster,
) {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let idle_timeout = http
        .and_then(|http| http.idle_timeout)
        .or_else(|| tcp.and_then(|tcp| tcp.idle_timeout))
        .unwrap_or(IDLE_TIMEOUT);
    cluster.connect_timeout = tcp
        .and_then(|tcp| tcp.connect_timeout)
        .filter(|timeout| !timeout.is_zero())
        .unwrap_or(mesh.connect_timeout);
    cluster.keepalive = keepalive(tcp.and_then(|tcp| tcp.tcp_keepalive.as_ref()), mesh);
    cluster.idle_timeout = Some(idle_timeout).filter(|timeout| !timeout.is_zero());
    cluster.tcp_idle_timeout = Some(tcp.and_then(|tcp| tcp.idle_timeout).unwrap_or(IDLE_TIMEOUT))
        .filter(|timeout| !timeout.is_zero());
    cluster.max_connection_duration = tcp
        .and_then(|tcp| tcp.max_connection_duration)
        .filter(|duration| !duration.is_zero());
    cluster.max_requests_per_connection = http
        .and_then(|http| u32::try_from(http.max_requests_per_connection).ok())
        .filter(|max| *max > 0);
    cluster.limits = limits(pool);
}

/// The system's probes. Of a rule's only what it says goes before the mesh's.
pub(super) fn keepalive(written: Option<&TcpKeepalive>, mesh: &MeshConfig) -> Option<Keepalive> {
    let of = |one: &TcpKeepalive| Keepalive::new(one.probes, one.time, one.interval);
    match (written.map(of), mesh.tcp_keepalive.as_ref().map(of)) {
        (Some(own), Some(mesh)) => Some(own.or(mesh)),
        (own, mesh) => own.or(mesh),
    }
}

/// What is limited. Zero is no limit, as in Istio.
fn limits(pool: Option<&ConnectionPoolSettings>) -> Option<Limits> {
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let limit = |written: Option<i32>| {
        let max = written.and_then(|max| u32::try_from(max).ok());
        max.filter(|max| *max > 0).unwrap_or(u32::MAX)
    };
    let limits = Limits {
        connections: limit(tcp.map(|tcp| tcp.max_connections)),
        pending: limit(http.map(|http| http.http1_max_pending_requests)),
        requests: limit(http.map(|http| http.http2_max_requests)),
        retries: RetryLimit::Count(limit(http.map(|http| http.max_retries))),
    };
    (limits != Limits::NONE).then_some(limits)
}
