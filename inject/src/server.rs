//! A small server of HTTP around [`answer`](crate::answer): reviews come in by streams that somebody else has made, with TLS or without.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use crate::review::{MAX_REVIEW_BYTES, answer};
use crate::settings::Settings;

/// Connections at a time; more wait. API servers keep a few each.
const MAX_CONNECTIONS: usize = 128;

/// How long a connection may take to become a stream.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long it may take for the rest: API servers wait for an answer no longer than 30 s.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Serves the connections that `accept` finds, until it finds none any more. What it finds becomes a stream in a task of its own, such as
/// by a handshake of TLS, so that who is slow there keeps nobody else waiting. Settings are asked for at each review, so that they
/// may change.
pub async fn serve<S, H, A, F>(
    settings: Arc<dyn Fn() -> Arc<Settings> + Send + Sync>,
    mut accept: A,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Future<Output = io::Result<S>> + Send + 'static,
    A: FnMut() -> F,
    F: Future<Output = Option<H>>,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Some(shaken) = accept().await else {
            return;
        };
        let settings = Arc::clone(&settings);
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME, shaken).await {
                connection(settings, stream).await;
            }
            drop(place);
        });
    }
}

async fn connection<S>(settings: Arc<dyn Fn() -> Arc<Settings> + Send + Sync>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let settings = settings();
        async move { Ok::<_, Infallible>(review(&settings, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(BODY_TIME)
        .max_concurrent_streams(64);
    // Whoever breaks the rules or goes away has no answer to get.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn review<B>(settings: &Settings, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path().to_owned();
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "reviews come by POST\n");
    }
    // Who says so beforehand need not send it.
    if request.body().size_hint().lower() > MAX_REVIEW_BYTES as u64 {
        return too_long();
    }
    let body = Limited::new(request.into_body(), MAX_REVIEW_BYTES).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Err(_) => {
            return plain(
                StatusCode::REQUEST_TIMEOUT,
                "the review did not come in time\n",
            );
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return too_long(),
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the review did not come whole\n"),
        Ok(Ok(body)) => body.to_bytes(),
    };
    let (status, body) = answer(settings, &path, &body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(status, body);
    if status == StatusCode::OK {
        let json = http::HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
    }
    response
}

fn too_long() -> Response<Full<Bytes>> {
    let told = format!("the review has more than {MAX_REVIEW_BYTES} bytes\n");
    plain(StatusCode::PAYLOAD_TOO_LARGE, told)
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
