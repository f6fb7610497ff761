//! Connections of the process's own to the application beside it.
//!
//! Owns where it is and from where it is connected to. Rules of interception send what this user sends to an address of the machine
//! that is not loopback through the proxy, except from 127.0.0.6 (Istio), so that a probe does not have to pass the workload's policies.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use outrigger_core::snapshot::{Alpn, ClientTls, Sni, Spoken, TlsParameters, Trust};
use outrigger_core::worker::Handshake;
use outrigger_tls::{ClientContexts, Identities, Proofs};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::super::listen::Stream;

/// Connections from here are left alone.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

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
            addr: addr.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            is_captured,
            contexts: ClientContexts::new(nobody),
        }
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
            let is_elsewhere = addr.is_ipv4() && !addr.ip().is_loopback();
            if !(self.is_captured && is_elsewhere) {
                return TcpStream::connect(addr).await;
            }
            let socket = TcpSocket::new_v4()?;
            socket.bind((SOURCE, 0).into())?;
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
