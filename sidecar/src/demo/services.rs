//! The tutorial's services as small real HTTP servers: customer asks preference, preference asks recommendation.
//!
//! They know nothing of routing: each asks its own sidecar for the next service by name, as programs behind a sidecar do.
//! They speak HTTP through `hyper`, so that the proxy between them meets an implementation that is not its own. Recommendation
//! is asked in gRPC over HTTP/2 too, on the same port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use super::client::Client;
use super::grpc;

/// What the tutorial carries from service to service, so that the last one can be routed by the first one's visitor.
const BAGGAGE: HeaderName = HeaderName::from_static("baggage-user-agent");

/// Before it is tried again to accept a connection.
const PAUSE: Duration = Duration::from_millis(10);

/// Which service a server is.
pub(super) enum Tier {
    /// Asks preference, and carries the visitor's user agent on. Knows one path, `/`.
    Customer(Client),
    /// Asks recommendation.
    Preference(Client),
    /// Answers by itself.
    Recommendation(Arc<Instance>),
}

/// One instance of the last service, how it is doing, and how often it was asked.
#[derive(Debug)]
pub(super) struct Instance {
    /// `v1` or `v2`.
    version: &'static str,
    /// How long it thinks before it answers, in milliseconds.
    thinks: AtomicU64,
    fails: AtomicBool,
    asked: AtomicU64,
}

impl Instance {
    /// An instance that is quick and well.
    pub(super) const fn new(version: &'static str) -> Self {
        Self {
            version,
            thinks: AtomicU64::new(0),
            fails: AtomicBool::new(false),
            asked: AtomicU64::new(0),
        }
    }

    /// From now on it thinks for so long.
    pub(super) fn think(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.thinks.store(millis, Ordering::Relaxed);
    }

    /// From now on it fails, or does not.
    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// How often it was asked so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Answers a request, or says what is wrong with this instance.
    async fn answer(&self, addr: SocketAddr) -> Result<String, String> {
        let count = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let version = self.version;
        if self.fails.load(Ordering::Relaxed) {
            return Err(format!("recommendation {version} is out of order"));
        }
        match self.thinks.load(Ordering::Relaxed) {
            0 => {}
            millis => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        Ok(format!("recommendation {version} from '{addr}': {count}\n"))
    }
}

/// Starts a server on a free port of loopback, as a task of the current runtime that ends with it.
///
/// # Errors
///
/// There is no free port or no free file descriptor.
pub(super) async fn serve(service: Tier) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let server = Arc::new(Server { service, addr });
    tokio::spawn(async move {
        loop {
            // An error of `accept`, as when no descriptor is left, would return at once again.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                // A connection that breaks is the sidecar's to notice.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    Ok(addr)
}

struct Server {
    service: Tier,
    addr: SocketAddr,
}

type Answer = Response<grpc::Body>;

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match &self.service {
            Tier::Customer(_) if request.uri().path() != "/" || request.method() != Method::GET => {
                let (method, path) = (request.method(), request.uri().path());
                text(
                    StatusCode::NOT_FOUND,
                    format_args!("customer has no {method} {path}\n"),
                )
            }
            Tier::Customer(sidecar) => {
                let agent = request.headers().get(USER_AGENT);
                let baggage = agent.map(|agent| (BAGGAGE, agent.clone())).into_iter();
                ask("customer", "preference", sidecar, baggage.collect()).await
            }
            Tier::Preference(sidecar) => {
                let agent = request.headers().get(BAGGAGE);
                let baggage = agent.map(|agent| (BAGGAGE, agent.clone())).into_iter();
                ask("preference", "recommendation", sidecar, baggage.collect()).await
            }
            Tier::Recommendation(instance) => {
                let answer = instance.answer(self.addr).await;
                match (grpc::is_call(request.headers()), answer) {
                    // It could have no trailers.
                    (true, _) if request.version() != Version::HTTP_2 => text(
                        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                        format_args!("calls come over HTTP/2\n"),
                    ),
                    (true, Ok(served)) => grpc::served(&served),
                    (true, Err(failure)) => grpc::unavailable(&failure),
                    (false, Ok(served)) => text(StatusCode::OK, format_args!("{served}")),
                    (false, Err(failure)) => {
                        text(StatusCode::SERVICE_UNAVAILABLE, format_args!("{failure}\n"))
                    }
                }
            }
        }
    }
}

/// Asks the next service through the sidecar and answers in the tutorial's words.
async fn ask(name: &str, next: &'static str, sidecar: &Client, headers: HeaderMap) -> Answer {
    let mut request = Request::get("/").body(Full::default()).unwrap_or_default();
    *request.headers_mut() = headers;
    let host = http::HeaderValue::from_static(next);
    request.headers_mut().insert(HOST, host);
    match sidecar.send(request).await {
        Ok(answer) if answer.status() == StatusCode::OK => {
            let body = String::from_utf8_lossy(answer.body());
            text(StatusCode::OK, format_args!("{name} => {body}"))
        }
        Ok(answer) => {
            let (status, body) = (
                answer.status().as_u16(),
                String::from_utf8_lossy(answer.body()),
            );
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                format_args!("{name} => Error: {status} - {body}"),
            )
        }
        Err(error) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            format_args!("{name} => Error: {error}\n"),
        ),
    }
}

fn text(status: StatusCode, body: fmt::Arguments<'_>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(body.to_string())));
    *answer.status_mut() = status;
    answer
}
