//! What is spoken to the endpoints of a cluster: HTTP/1.1, HTTP/2, or what the client speaks.
//!
//! Owns the choice as data, and what an HTTP/2 connection of the cluster keeps to; `compile` chooses, codecs and pools obey.

use crate::time::Duration;

/// What is spoken to the endpoints of a cluster (Envoy's `HttpProtocolOptions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1, whatever the client speaks (`explicit_http_config`).
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 §3.3), whatever the client speaks.
    Http2(Http2Options),
    /// What the client speaks (`use_downstream_protocol_config`). Where a client wanted to go to a host that no service has,
    /// there is no cluster, and this holds as well (Istio's `PassthroughCluster`).
    AsClient,
}

/// What an HTTP/2 connection to an endpoint keeps to (DestinationRule `connectionPool.http`). In Istio these hold for
/// clusters that are always HTTP/2 and not where the client decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Options {
    /// Streams at a time, at least 1, as far as the endpoint allows them; `None` leaves it to the endpoint
    /// (`maxConcurrentStreams`).
    pub max_concurrent_streams: Option<u32>,
    /// When the endpoint is asked for a sign of life; `None` never (`http2KeepAlive`).
    pub keepalive: Option<Http2KeepAlive>,
}

/// Pings that show whether an endpoint is alive (Envoy's `connection_keepalive`, RFC 9113 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2KeepAlive {
    /// Time between pings. At least a millisecond.
    pub interval: Duration,
    /// How long an answer may take until the connection is given up. At least a millisecond.
    pub timeout: Duration,
}

impl UpstreamProtocol {
    /// What a connection for a request of a client keeps to if HTTP/2 is spoken on it; `None` is HTTP/1.1.
    #[must_use]
    pub fn http2_for(self, client_speaks_http2: bool) -> Option<Http2Options> {
        match self {
            Self::Http1 => None,
            Self::Http2(options) => Some(options),
            Self::AsClient => client_speaks_http2.then(Http2Options::default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_decides_where_nobody_else_did() {
        let options = Http2Options {
            max_concurrent_streams: Some(7),
            keepalive: None,
        };
        let (one, two) = (UpstreamProtocol::Http1, UpstreamProtocol::Http2(options));
        let none = Some(Http2Options::default());
        for (protocol, client_speaks_http2, want) in [
            (one, false, None),
            (one, true, None),
            (two, false, Some(options)),
            (two, true, Some(options)),
            (UpstreamProtocol::AsClient, false, None),
            (UpstreamProtocol::AsClient, true, none),
        ] {
            let got = protocol.http2_for(client_speaks_http2);
            assert_eq!(got, want, "{protocol:?} {client_speaks_http2}");
        }
    }
}
