//! Connections of the process's own to the application beside it.
//!
//! Owns where it is and from where it is connected to. Rules of interception send what this user sends to an address of the machine
//! that is not loopback through the proxy, except from 127.0.0.6 and `::6` (Istio), so that a probe does not have to pass the
//! workload's policies.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use outrigger_core::snapshot::{Alpn, ClientTls, Sni, Spoken, TlsParameters, Trust};
use outrigger_core::worker::Handshake;
use outrigger_tls::{ClientContexts, Identities, Proofs};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::super::listen::Stream;

/// Connections from here are left alone.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// The same of IPv6; rules of interception give it to `lo`.
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);

/// The application.
pub(in crate::run) struct Application {
    addr: IpAddr,
    /// The kernel sends connections through the proxy.
    is_captured: bool,
    contexts: ClientContexts,
}

impl Application {
    /// At the address of the pod, where that is known.
    pub(in crate::run) fn new(addr: Option<IpAddr>, is_captured: bool) -> Self {
        let nobody = Arc::new(Identities::new(Proofs::default()));
        Self {
            addr: addr.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |addr| addr.to_canonical()),
            is_captured,
            contexts: ClientContexts::new(nobody),
        }
    }

    /// As a URI names its host, without brackets.
    pub(super) fn host(&self) -> String {
        self.addr.to_string()
    }

    /// Where connections to it come from, where that is said.
    fn source(&self) -> Option<IpAddr> {
        let is_elsewhere = self.is_captured && !self.addr.is_loopback();
        is_elsewhere.then(|| match self.addr {
            IpAddr::V4(_) => SOURCE.into(),
            IpAddr::V6(_) => SOURCE_V6.into(),
        })
    }

    /// As a URI names it.
    pub(super) fn authority(&self, port: u16) -> String {
        SocketAddr::new(self.addr, port).to_string()
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let addr = SocketAddr::new(self.addr, port);
        let connected = async {
            let Some(source) = self.source() else {
                return TcpStream::connect(addr).await;
            };
            let socket = match source {
                IpAddr::V4(_) => TcpSocket::new_v4()?,
                IpAddr::V6(_) => TcpSocket::new_v6()?,
            };
            let bound = socket.bind((source, 0).into());
            // As where rules were made without IPv6: then none of them captures it.
            if let (Err(error), IpAddr::V6(_)) = (&bound, source)
                && error.kind() == io::ErrorKind::AddrNotAvailable
            {
                return TcpStream::connect(addr).await;
            }
            bound?;
            socket.connect(addr).await
        };
        connected
            .await
            .map_err(|error: io::Error| format!("cannot connect to {addr}: {error}"))
    }

    /// The same with TLS. As the kubelet does, whoever answers is taken for the application: it is in the same pod.
    ///
    /// # Errors
    /// Nobody listens there, or speaks no TLS.
    pub(super) async fn connect_tls(&self, port: u16) -> Result<Box<dyn Stream>, String> {
        let tls = Arc::new(ClientTls {
            identity: None,
            trust: Trust::Nothing,
            sni: Sni::None,
            alpn: Alpn::Plain,
            parameters: TlsParameters::default(),
        });
        let handshake = Handshake::new(&tls, "", Spoken::Http1);
        let (config, name) = self
            .contexts
            .of(&handshake)
            .map_err(|fault| fault.to_string())?;
        let stream = self.connect(port).await?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_have_a_source_of_their_own_where_others_are_captured() {
        for (addr, is_captured, want) in [
            ("10.0.0.7", true, Some("127.0.0.6")),
            ("10.0.0.7", false, None),
            ("127.0.0.1", true, None),
            ("fd00::7", true, Some("::6")),
            ("fd00::7", false, None),
            ("::1", true, None),
            ("::ffff:10.0.0.7", true, Some("127.0.0.6")),
            ("::ffff:127.0.0.1", true, None),
        ] {
            let application = Application::new(addr.parse().ok(), is_captured);
            let want = want.map(|want: &str| want.parse().unwrap());
            assert_eq!(application.source(), want, "{addr} {is_captured}");
        }
        assert_eq!(Application::new(None, true).source(), None);
    }
}
