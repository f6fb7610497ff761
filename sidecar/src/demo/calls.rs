//! A small gRPC client: one connection of HTTP/2, whose streams all calls share.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::grpc;

/// Calls go to one address over one connection, made by the first of them and again if it was closed.
pub(super) struct Calls {
    addr: SocketAddr,
    connection: Mutex<Option<Connection>>,
    opened: AtomicU32,
    under_way: AtomicU32,
    most: AtomicU32,
}

type Connection = SendRequest<Full<Bytes>>;

impl Calls {
    /// A client of this address; nothing is connected yet.
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            connection: Mutex::default(),
            opened: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            most: AtomicU32::new(0),
        }
    }

    /// How many connections it took so far.
    pub(super) fn connections(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many calls were under way at the same time at most: asked for and not answered.
    pub(super) fn most_at_once(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    /// Sends a call and reads the whole answer.
    ///
    /// # Errors
    ///
    /// The connection could not be made, or the call was reset before the answer was complete.
    pub(super) async fn call(&self, call: Request<Full<Bytes>>) -> io::Result<grpc::Answer> {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(under_way, Ordering::Relaxed);
        let answer = async { send(self.connection().await?, call).await }.await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    async fn connection(&self) -> io::Result<Connection> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|kept| !kept.is_closed()) {
            return Ok(connection.clone());
        }
        let stream = TcpStream::connect(self.addr).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // How it ends is seen by whoever calls on it.
        tokio::spawn(async { drop(driver.await) });
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(kept.insert(connection).clone())
    }
}

async fn send(mut connection: Connection, call: Request<Full<Bytes>>) -> io::Result<grpc::Answer> {
    connection.ready().await.map_err(io::Error::other)?;
    let answer = connection
        .send_request(call)
        .await
        .map_err(io::Error::other)?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    let trailers = body.trailers().cloned();
    Ok(grpc::Answer {
        head,
        message: body.to_bytes(),
        trailers,
    })
}
