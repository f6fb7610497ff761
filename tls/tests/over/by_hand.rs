//! Clients of TLS whose bytes a test sends itself.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::anybody::Anybody;
use super::authority::Signed;
use super::mesh::{PATIENCE, Sidecar};

/// A client by hand, with this identity and these protocols.
pub(crate) fn by_hand(identity: Option<Signed>, protocols: &[&str], old: bool) -> ClientConnection {
    Hand::new(identity, protocols, old).client()
}

/// Makes clients that take up each other's sessions.
pub(crate) struct Hand(RefCell<Arc<ClientConfig>>);

impl Hand {
    pub(crate) fn new(identity: Option<Signed>, protocols: &[&str], old: bool) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = match old {
            true => &[&rustls::version::TLS12][..],
            false => rustls::DEFAULT_VERSIONS,
        };
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Self(RefCell::new(Arc::new(config)))
    }

    pub(crate) fn client(&self) -> ClientConnection {
        self.client_of("cart.shop")
    }

    /// One that asks for this name.
    pub(crate) fn client_of(&self, name: &str) -> ClientConnection {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        ClientConnection::new(Arc::clone(&self.0.borrow()), name).unwrap()
    }

    /// Sessions so far are not taken up again.
    pub(crate) fn forget(&self) {
        let mut config = (**self.0.borrow()).clone();
        config.resumption = Resumption::in_memory_sessions(8);
        *self.0.borrow_mut() = Arc::new(config);
    }
}

/// Sends what a client has to say, in pieces of so many bytes, and at most so many. Whether its handshake is over.
pub(crate) fn shake(
    client: &mut ClientConnection,
    stream: &mut TcpStream,
    piece: usize,
    mut most: usize,
) -> Result<bool, String> {
    loop {
        let mut said = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut said).unwrap();
        }
        for part in said.chunks(piece) {
            let part = &part[..part.len().min(most)];
            stream.write_all(part).map_err(|error| error.to_string())?;
            most -= part.len();
            if most == 0 {
                return Ok(false);
            }
        }
        if !client.is_handshaking() {
            return Ok(true);
        }
        let read = loop {
            match client.read_tls(stream) {
                // Executors in this process have signals.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| error.to_string())?,
            }
        };
        if read == 0 {
            return Err("the end".into());
        }
        client
            .process_new_packets()
            .map_err(|error| error.to_string())?;
    }
}

pub(crate) fn connect(sidecar: &Sidecar) -> TcpStream {
    let stream = TcpStream::connect(sidecar.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) const ASK: &[u8] = b"GET /10 HTTP/1.1\r\nhost: cart\r\n\r\n";

/// Asks over a connection whose handshake is over. The answer's first line.
pub(crate) fn ask(client: &mut ClientConnection, stream: &mut TcpStream) -> Result<String, String> {
    client.writer().write_all(ASK).unwrap();
    let mut tls = rustls::Stream::new(client, stream);
    let mut answer = [0; 15];
    let read = tls.flush().and_then(|()| tls.read_exact(&mut answer));
    read.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
