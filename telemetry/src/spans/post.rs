//! One batch to one collector: a request over HTTP/1.1, or a call of gRPC over HTTP/2, on a connection that is kept.
//!
//! What is sent is made elsewhere, and so is the decision to try again.

use std::env;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger_core::snapshot::{
    Address, Collector, CollectorAddress, CollectorProtocol, HeaderSource, Spoken,
};
use outrigger_core::worker::Handshake;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use super::otlp;

/// Longer answers are not read: they say how many spans were refused, and why.
const MAX_ANSWER: usize = 64 * 1024;

/// Where OTLP is sent over gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Why a collector has not taken a batch.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It may take the batch later.
    Later(String),
    /// It will never take the batch.
    Never(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(why) | Self::Never(why) => f.write_str(why),
        }
    }
}

/// A connection to a collector, whatever lies beneath HTTP on it.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that is being protected.
pub type Protecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send>>;

/// Puts TLS beneath connections to collectors; what it is, is not known here.
pub trait Protect: Send + Sync {
    /// As the client of whoever this connection leads to.
    fn protect(&self, wire: Box<dyn Wire>, handshake: Handshake) -> Protecting;
}

/// The way to a collector.
pub(crate) struct Line {
    collector: Arc<Collector>,
    protect: Arc<dyn Protect>,
    kept: Option<Sender>,
    /// Which of its addresses is next.
    next: usize,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }
}

impl Line {
    pub(crate) fn new(collector: Arc<Collector>, protect: Arc<dyn Protect>) -> Self {
        Self {
            collector,
            protect,
            kept: None,
            next: 0,
        }
    }

    /// Sends a batch. How many of its spans were refused.
    pub(crate) async fn post(&mut self, batch: Bytes) -> Result<u64, Failed> {
        let within = self.collector.timeout;
        let posted = tokio::time::timeout(within, self.try_post(batch)).await;
        let result = posted.unwrap_or_else(|_| {
            let why = format!("no answer within {} ms", within.as_millis());
            Err(Failed::Later(why))
        });
        if result.is_err() {
            // Whatever state its connection is in, the next one is new.
            self.kept = None;
        }
        result
    }

    async fn try_post(&mut self, batch: Bytes) -> Result<u64, Failed> {
        let kept = self.kept.take().filter(|kept| !kept.is_closed());
        let is_kept = kept.is_some();
        let mut sender = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let answer = match sender.send(self.request(batch.clone())?).await {
            // It may have been closed while nobody looked.
            Err(_) if is_kept => {
                sender = self.connect().await?;
                sender.send(self.request(batch)?).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|error| Failed::Later(error.to_string()))?;
        let refused = self.read(answer).await?;
        self.kept = Some(sender);
        Ok(refused)
    }

    async fn connect(&mut self) -> Result<Sender, Failed> {
        let addresses = &self.collector.addresses;
        let address = addresses.get(self.next % addresses.len().max(1));
        self.next = self.next.wrapping_add(1);
        let Some(to) = address else {
            return Err(Failed::Later("it has no address".into()));
        };
        let wire = self.reach(to).await;
        let wire = wire.map_err(|error| Failed::Later(format!("{}: {error}", to.address)))?;
        self.speak(wire).await
    }

    async fn reach(&self, to: &CollectorAddress) -> io::Result<Box<dyn Wire>> {
        let wire: Box<dyn Wire> = match &to.address {
            Address::Socket(addr) | Address::Local(addr, _) => {
                Box::new(TcpStream::connect(addr).await?)
            }
            Address::Name(name, port) => {
                let found: Vec<_> = lookup_host((&**name, *port)).await?.collect();
                Box::new(TcpStream::connect(&*found).await?)
            }
            Address::Unix(path) => Box::new(UnixStream::connect(&**path).await?),
        };
        let Some(tls) = &to.tls else {
            return Ok(wire);
        };
        let spoken = match self.collector.protocol {
            CollectorProtocol::OtlpGrpc => Spoken::Http2,
            CollectorProtocol::OtlpHttp { .. } | CollectorProtocol::Zipkin { .. } => Spoken::Http1,
        };
        // It has a port, see `Collector::authority`.
        let host = self.collector.authority.rsplit_once(':');
        let host = host.map_or(&*self.collector.authority, |(host, _)| host);
        let handshake = Handshake::new(tls, host, spoken);
        self.protect.protect(wire, handshake).await
    }

    async fn speak(&self, wire: Box<dyn Wire>) -> Result<Sender, Failed> {
        let failed = |error: hyper::Error| Failed::Later(error.to_string());
        let io = TokioIo::new(wire);
        Ok(match self.collector.protocol {
            CollectorProtocol::OtlpGrpc => {
                let made = http2::handshake(TokioExecutor::new(), io).await;
                let (sender, connection) = made.map_err(failed)?;
                drive(connection);
                Sender::Http2(sender)
            }
            CollectorProtocol::OtlpHttp { .. } | CollectorProtocol::Zipkin { .. } => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                drive(connection);
                Sender::Http1(sender)
            }
        })
    }

    fn request(&self, batch: Bytes) -> Result<Request<Full<Bytes>>, Failed> {
        let collector = &*self.collector;
        let (path, content_type, body) = match &collector.protocol {
            CollectorProtocol::OtlpGrpc => (EXPORT, "application/grpc", framed(&batch)),
            CollectorProtocol::OtlpHttp { path } => (&**path, "application/x-protobuf", batch),
            CollectorProtocol::Zipkin { path } => (&**path, "application/json", batch),
        };
        let is_grpc = matches!(collector.protocol, CollectorProtocol::OtlpGrpc);
        let target = match is_grpc {
            true => format!("http://{}{path}", collector.authority),
            false => path.to_owned(),
        };
        let mut request = Request::post(target)
            .header(CONTENT_TYPE, content_type)
            .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")));
        if is_grpc {
            request = request.version(Version::HTTP_2).header(TE, "trailers");
        } else {
            request = request.header(HOST, &*collector.authority);
        }
        let request = request.body(Full::new(body));
        let mut request = request.map_err(|error| Failed::Never(error.to_string()))?;
        add_headers(collector, request.headers_mut());
        Ok(request)
    }

    /// How many spans were refused.
    async fn read(&self, answer: Response<Incoming>) -> Result<u64, Failed> {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| Failed::Later(error.to_string()))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let bytes = body.to_bytes();
        if !head.status.is_success() {
            let text = String::from_utf8_lossy(&bytes);
            let why = format!(
                "{} {}",
                head.status,
                text.chars().take(200).collect::<String>()
            );
            return Err(match head.status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => Failed::Later(why),
                _ => Failed::Never(why),
            });
        }
        match self.collector.protocol {
            CollectorProtocol::Zipkin { .. } => Ok(0),
            // What it says beside the status is a courtesy, and some say nothing.
            CollectorProtocol::OtlpHttp { .. } => Ok(otlp::rejected(&bytes).unwrap_or(0)),
            CollectorProtocol::OtlpGrpc => {
                judge_call(&head.headers, &trailers)?;
                Ok(bytes.get(5..).and_then(otlp::rejected).unwrap_or(0))
            }
        }
    }
}

/// The status of a call stands in its trailers, or in its head where there is no message.
fn judge_call(head: &HeaderMap, trailers: &HeaderMap) -> Result<(), Failed> {
    let of = |name: &str| trailers.get(name).or_else(|| head.get(name));
    let text = |name| of(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let why = || {
        format!(
            "grpc-status {} {}",
            text("grpc-status"),
            text("grpc-message")
        )
    };
    match text("grpc-status") {
        "0" => Ok(()),
        // Those that the specification of OTLP has clients try again: cancelled, deadline exceeded, resource exhausted,
        // aborted, out of range, unavailable, data loss.
        "1" | "4" | "8" | "10" | "11" | "14" | "15" => Err(Failed::Later(why())),
        _ => Err(Failed::Never(why())),
    }
}

fn add_headers(collector: &Collector, headers: &mut HeaderMap) {
    for header in &collector.headers {
        let value = match &header.value {
            HeaderSource::Literal(value) => value.to_string(),
            HeaderSource::Environment(name) => env::var(&**name).unwrap_or_default(),
        };
        let name = HeaderName::from_bytes(header.name.as_str().as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(&value)) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// A message of gRPC: not compressed, and its length.
fn framed(message: &Bytes) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(message.len() + 5);
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// Moves a connection's bytes until it ends. Whoever sends on it hears why.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        let _ = pin!(connection).await;
    });
}
