//! A client of TLS that says what it likes, and tells what it was shown.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use outrigger_identity::{read_certificates, read_key};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};

use super::anybody::Anybody;
use super::support::PATIENCE;

/// How a client shakes hands: with the identity in a folder, in these versions.
pub(crate) fn config(
    identity: &Path,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    let chain = read_certificates(&identity.join("cert-chain.pem")).unwrap();
    let key = read_key(&identity.join("key.pem")).unwrap();
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"istio".to_vec()];
    config
}

/// A client and its socket.
pub(crate) struct Client {
    pub(crate) tls: ClientConnection,
    pub(crate) socket: TcpStream,
}

impl Client {
    /// Connected, and nothing said.
    pub(crate) fn new(addr: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("cart.shop").unwrap();
        Self {
            tls: ClientConnection::new(Arc::clone(config), name).unwrap(),
            socket: connect(addr),
        }
    }

    /// Asks for something. The first line of the answer.
    pub(crate) fn ask(&mut self) -> Result<String, String> {
        let ask = b"GET / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\n\r\n";
        let mut tls = rustls::Stream::new(&mut self.tls, &mut self.socket);
        let mut answer = Vec::new();
        let read = tls
            .write_all(ask)
            .and_then(|()| tls.read_to_end(&mut answer));
        read.map_err(|error| error.to_string())?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }

    /// The certificate that it was shown.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let chain = self.tls.peer_certificates().unwrap();
        chain[0].clone().into_owned()
    }
}

pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}
/// Whatever comes until the end, or until the connection breaks; whoever waits too long has failed.
pub(crate) fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = socket.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    rest
}
