//! What is spoken to the endpoints of a port: by what the port says of itself, then by connection pools and the mesh.
//!
//! Owns the precedence, which is Istio's: `useClientProtocol`, then `h2UpgradePolicy` of the pool that holds, then that of
//! the mesh, then the port. Which pool holds is `traffic_policy`'s and `inbound`'s business.

use crate::config::destination_rule::{ConnectionPoolSettings, HttpSettings};
use crate::config::mesh::MeshConfig;
use crate::config::protocol::Protocol;
use crate::snapshot::{Http2KeepAlive, Http2Options, UpstreamProtocol};

/// What a client's side speaks to the endpoints of a service port.
#[must_use]
pub(super) fn outbound(
    port: Protocol,
    pool: Option<&ConnectionPoolSettings>,
    mesh: &MeshConfig,
) -> UpstreamProtocol {
    let http = pool.and_then(|pool| pool.http.as_ref());
    let policy = http.map(|http| http.h2_upgrade_policy).unwrap_or_default();
    let is_upgraded = policy.upgrades(port, mesh.h2_upgrade);
    let speaks = if is_upgraded { Protocol::Http2 } else { port };
    inbound(speaks, pool)
}

/// What a server's side speaks to the application on a port: nothing is upgraded there.
#[must_use]
pub(super) fn inbound(port: Protocol, pool: Option<&ConnectionPoolSettings>) -> UpstreamProtocol {
    let http = pool.and_then(|pool| pool.http.as_ref());
    if http.is_some_and(|http| http.use_client_protocol) {
        return UpstreamProtocol::AsClient;
    }
    match port {
        Protocol::Http => UpstreamProtocol::Http1,
        Protocol::Http2 | Protocol::Grpc | Protocol::GrpcWeb => {
            UpstreamProtocol::Http2(http.map(options).unwrap_or_default())
        }
        // Nobody knows what is spoken, or it is bytes to us: they arrive as they were sent.
        Protocol::Sniff
        | Protocol::Https
        | Protocol::Tls
        | Protocol::Tcp
        | Protocol::Mongo
        | Protocol::Mysql
        | Protocol::Redis
        | Protocol::Udp => UpstreamProtocol::AsClient,
    }
}

fn options(http: &HttpSettings) -> Http2Options {
    let streams = u32::try_from(http.max_concurrent_streams).ok();
    let pings = http.http2_keep_alive.as_ref();
    Http2Options {
        max_concurrent_streams: streams.filter(|streams| *streams > 0),
        keepalive: pings.and_then(|pings| {
            Some(Http2KeepAlive {
                interval: pings.interval?,
                timeout: pings.timeout?,
            })
        }),
    }
}

#[cfg(test)]
mod tests;
