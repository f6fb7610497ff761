//! The protocol of a service port: `appProtocol`, then the port's name, then well-known ports (Istio's protocol
//! selection).

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// gRPC, which is HTTP/2.
    Grpc,
    /// gRPC-Web, which goes upstream as HTTP/2.
    GrpcWeb,
    /// TLS that is not terminated, with HTTP inside.
    Https,
    /// TLS that is not terminated.
    Tls,
    /// Bytes.
    Tcp,
    /// MongoDB, bytes to us.
    Mongo,
    /// MySQL, bytes to us; the server speaks first.
    Mysql,
    /// Redis, bytes to us.
    Redis,
    /// Datagrams, which no sidecar carries.
    Udp,
    /// Nobody said: find out from the first bytes.
    #[default]
    Sniff,
}

impl Protocol {
    /// Reads the name of a protocol, whatever its case: `HTTP`, `grpc-web`. `None` when there is no such protocol.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "http" | "http_proxy" => Self::Http,
            "http2" => Self::Http2,
            "grpc" => Self::Grpc,
            "grpc-web" => Self::GrpcWeb,
            "https" => Self::Https,
            "tls" => Self::Tls,
            "tcp" => Self::Tcp,
            "mongo" => Self::Mongo,
            "mysql" => Self::Mysql,
            "redis" => Self::Redis,
            "udp" => Self::Udp,
            _ => return None,
        })
    }

    /// Whether requests on it are routed by VirtualService `http` rules.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Whether requests are routed that come to it. A port without a declared protocol is HTTP when a request comes.
    #[must_use]
    pub const fn may_be_http(self) -> bool {
        self.is_http() || matches!(self, Self::Sniff)
    }

    /// Whether its upstream side is HTTP/2.
    #[must_use]
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Whether connections on it are TLS that the sidecar does not terminate.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// The name in Istio's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
            Self::GrpcWeb => "GRPC-WEB",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
            Self::Mongo => "MONGO",
            Self::Mysql => "MYSQL",
            Self::Redis => "REDIS",
            Self::Udp => "UDP",
            Self::Sniff => "unspecified",
        }
    }
}

/// The protocol that a Kubernetes `appProtocol` names, if it names one we know. Kubernetes' own names are case-sensitive;
/// all others are read like the name of a port.
#[must_use]
pub fn from_app_protocol(app_protocol: &str) -> Option<Protocol> {
    match app_protocol {
        "kubernetes.io/h2c" => Some(Protocol::Http2),
        "kubernetes.io/ws" => Some(Protocol::Http),
        "kubernetes.io/wss" => Some(Protocol::Https),
        other => from_port_name(other),
    }
}

/// The protocol that a port's name begins with: `http`, `http-admin`, `grpc-web-api`.
#[must_use]
pub fn from_port_name(name: &str) -> Option<Protocol> {
    let name = name.to_ascii_lowercase();
    // The only protocol with a hyphen goes by its letters alone, whatever follows.
    if name.starts_with("grpc-web") {
        return Some(Protocol::GrpcWeb);
    }
    let prefix = name.split('-').next().unwrap_or(&name);
    Protocol::parse(prefix)
}

/// Ports on which the server speaks first, so that waiting for the client's bytes would hang.
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// The protocol of a Kubernetes service port. Beside an `appProtocol` the name is not asked, even if nobody knows it.
#[must_use]
pub fn of_service_port(app_protocol: Option<&str>, name: &str, port: u16) -> Protocol {
    let named = app_protocol.map_or_else(|| from_port_name(name), from_app_protocol);
    named.unwrap_or_else(|| {
        if SERVER_FIRST.contains(&port) {
            Protocol::Tcp
        } else {
            Protocol::Sniff
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection() {
        for (app, name, port, want) in [
            (None, "http", 80, Protocol::Http),
            (None, "http-admin", 80, Protocol::Http),
            (None, "HTTP-Admin", 80, Protocol::Http),
            (None, "http2-x", 80, Protocol::Http2),
            (None, "grpc-web", 80, Protocol::GrpcWeb),
            (None, "grpc-web-x", 80, Protocol::GrpcWeb),
            (None, "grpc-webx", 80, Protocol::GrpcWeb),
            (None, "httpx", 80, Protocol::Sniff),
            (None, "https", 443, Protocol::Https),
            (None, "web", 80, Protocol::Sniff),
            (None, "", 80, Protocol::Sniff),
            (None, "db", 3306, Protocol::Tcp),
            (None, "mail", 25, Protocol::Tcp),
            (None, "http", 25, Protocol::Http),
            (Some("https"), "http", 80, Protocol::Https),
            (Some("kubernetes.io/h2c"), "tcp", 80, Protocol::Http2),
            (Some("kubernetes.io/ws"), "", 80, Protocol::Http),
            (Some("kubernetes.io/wss"), "", 80, Protocol::Https),
            (Some("grpc-x"), "http", 80, Protocol::Grpc),
            (Some("gRPC-Web"), "http", 80, Protocol::GrpcWeb),
            (Some("Kubernetes.io/h2c"), "http", 80, Protocol::Sniff),
            (Some("example.com/own"), "http", 80, Protocol::Sniff),
            (Some(""), "http", 80, Protocol::Sniff),
            (Some("example.com/own"), "http", 3306, Protocol::Tcp),
        ] {
            assert_eq!(
                of_service_port(app, name, port),
                want,
                "{app:?} {name} {port}"
            );
        }
    }
}
