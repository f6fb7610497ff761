//! A connection to a control plane or an authority: over TLS, with roots and an identity that may change, or in clear text to
//! this machine.
//!
//! Owns how one connection is made, and how long to wait before the next is tried ([`Backoff`]). Both are asked for anew each
//! time, so that a root or an identity that was renewed is used from the next connection on.

mod address;
mod backoff;
mod tls;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

pub use address::Address;
pub use backoff::Backoff;

/// Longest wait for a connection, the handshake of TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that says nothing for so long is asked whether it is still there.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// And this is how long it may take to say so.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where authorities come from, asked at each connection: their certificates, or why there are none.
pub type Roots = Arc<dyn Fn() -> Result<Vec<CertificateDer<'static>>, String> + Send + Sync>;

/// Where our own certificates come from, the leaf first, with its key; asked at each connection. Without one the server learns
/// nothing of us by TLS.
pub type OwnIdentity =
    Arc<dyn Fn() -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> + Send + Sync>;

/// Where to, and by what it is believed.
#[derive(Clone)]
pub struct Target {
    /// The address.
    pub address: Address,
    /// Who vouches for the server; not asked for clear text.
    pub roots: Roots,
    /// Who we are.
    pub identity: Option<OwnIdentity>,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.address).finish()
    }
}

impl Target {
    /// One with ordinary times and no identity.
    #[must_use]
    pub const fn new(address: Address, roots: Roots) -> Self {
        Self {
            address,
            roots,
            identity: None,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// Connects once. The channel ends with its connection: whoever needs another one asks again, after [`Backoff::pause`].
    ///
    /// # Errors
    /// Why not, in words: nobody listens there, or it is not who it should be.
    pub async fn connect(&self) -> Result<Channel, String> {
        // Clear text and TLS alike: the connector knows which, and `https` would have tonic ask for TLS of its own.
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address.authority()))
            .map_err(|error| error.to_string())?
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let connector = Connector(self.clone());
        let connected = endpoint.connect_with_connector(connector).await;
        connected.map_err(|error| chain(&error))
    }
}

/// The authorities of a file in PEM, read anew each time.
#[must_use]
pub fn roots_of_file(path: PathBuf) -> Roots {
    Arc::new(move || read_roots(&path))
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = path.display();
    let text = std::fs::read(path).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) => Err(format!("`{file}` holds no certificate in PEM")),
        Err(_) => Err(format!("`{file}` is not PEM")),
    }
}

/// An error and what it came from. What TLS or the system said stands last.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}

/// A socket, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections for tonic.
struct Connector(Target);

type Made = Result<TokioIo<Box<dyn Stream>>, std::io::Error>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Made> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let target = self.0.clone();
        Box::pin(async move {
            let limit = target.connect_timeout;
            let made = tokio::time::timeout(limit, open(&target)).await;
            let stream = made.map_err(|_| {
                let why = format!("no connection within {} ms", limit.as_millis());
                std::io::Error::new(std::io::ErrorKind::TimedOut, why)
            })??;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn open(target: &Target) -> std::io::Result<Box<dyn Stream>> {
    let address = &target.address;
    let socket = TcpStream::connect((address.host(), address.port())).await?;
    socket.set_nodelay(true)?;
    if address.is_plain() {
        // By what the name has become, too.
        if !socket.peer_addr()?.ip().is_loopback() {
            let why = "clear text stays on this machine";
            return Err(std::io::Error::other(why));
        }
        return Ok(Box::new(socket));
    }
    let stream = tls::connector(target).map_err(std::io::Error::other)?;
    let name = address.server_name().map_err(std::io::Error::other)?;
    Ok(Box::new(stream.connect(name, socket).await?))
}

#[cfg(test)]
mod tests;
