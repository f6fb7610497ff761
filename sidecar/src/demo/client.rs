//! A small HTTP client that keeps its connections: what a program behind a sidecar uses to reach it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Requests go to one address; connections are kept and used again.
pub(super) struct Client {
    addr: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Client {
    /// A client of this address; nothing is connected yet.
    pub(super) const fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Sends a request and reads the whole answer. The caller sets `host`.
    ///
    /// # Errors
    ///
    /// The connection could not be made, or broke before the answer was complete.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> io::Result<Response<Bytes>> {
        let mut connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = connection
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let body = read(body).await?;
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        Ok(Response::from_parts(head, body))
    }

    /// A kept connection that the other side has not closed.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // How it ends is seen by whoever sends on it.
        tokio::spawn(async { drop(driver.await) });
        Ok(connection)
    }
}

async fn read(body: Incoming) -> io::Result<Bytes> {
    let whole = body.collect().await.map_err(io::Error::other)?;
    Ok(whole.to_bytes())
}
