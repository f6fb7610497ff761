//! A small server of HTTP around [`answer`](crate::answer): reviews come in by streams that somebody else has made, with TLS or without.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _};

use crate::counts::Counts;
use crate::review::{MAX_REVIEW_BYTES, Outcome, judged};
use crate::settings::Settings;

/// Connections at a time; more wait. API servers keep a few each.
const MAX_CONNECTIONS: usize = 128;

/// Reviews that are judged at a time; more wait. It is work without a pause, on threads of its own, so that nobody else of the program waits for it.
const JUDGED_AT_ONCE: usize = 2;

/// How long nothing is taken after a failure, as when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may be without a request, its first one included.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// The same while more than half of the places are taken: who asks nothing keeps nobody out who does.
const CROWDED_TIME: Duration = Duration::from_secs(1);

/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long it may take for the rest: API servers wait for an answer no longer than 30 s.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Serves the streams that come in, until no more do: those of a listener, or of one whose handshakes of TLS are done. Settings are
/// asked for at each review, so that they may change.
pub async fn serve<S, I>(
    settings: Arc<dyn Fn() -> Arc<Settings> + Send + Sync>,
    counts: Arc<Counts>,
    incoming: I,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    I: Stream<Item = io::Result<S>>,
{
    let mut incoming = pin!(incoming);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let judges = Arc::new(Semaphore::new(JUDGED_AT_ONCE));
    loop {
        if places.available_permits() == 0 {
            counts.waited.fetch_add(1, Ordering::Relaxed);
        }
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match incoming.next().await {
            None => return,
            Some(Err(_)) => tokio::time::sleep(PAUSE).await,
            Some(Ok(stream)) => {
                let (settings, counts) = (Arc::clone(&settings), Arc::clone(&counts));
                let (judges, places) = (Arc::clone(&judges), Arc::clone(&places));
                tokio::spawn(async move {
                    connection(settings, counts, judges, &places, stream).await;
                    drop(place);
                });
            }
        }
    }
}

async fn connection<S>(
    settings: Arc<dyn Fn() -> Arc<Settings> + Send + Sync>,
    counts: Arc<Counts>,
    judges: Arc<Semaphore>,
    places: &Semaphore,
    stream: S,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, underway) = watch::channel(0);
    let requests = Arc::new(requests);
    let service = service_fn(move |request: Request<Incoming>| {
        let (settings, counts) = (settings(), Arc::clone(&counts));
        let judges = Arc::clone(&judges);
        let one = Underway::begin(&requests);
        async move {
            let answer = review(settings, &counts, &judges, request).await;
            drop(one);
            Ok::<_, Infallible>(answer)
        }
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
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Whoever breaks the rules or goes away has no answer to get.
        _ = served => {}
        () = idle(underway, places) => {}
    }
}

/// A request that is on its way.
struct Underway(Arc<watch::Sender<usize>>);

impl Underway {
    fn begin(requests: &Arc<watch::Sender<usize>>) -> Self {
        requests.send_modify(|count| *count += 1);
        Self(Arc::clone(requests))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Comes to its end when there was no request for so long: sooner where others wait for its place.
async fn idle(mut underway: watch::Receiver<usize>, places: &Semaphore) {
    let mut since = Instant::now();
    loop {
        let is_idle = *underway.borrow_and_update() == 0;
        let changed = underway.changed();
        let changed = match is_idle {
            true => match tokio::time::timeout(CROWDED_TIME, changed).await {
                Ok(changed) => changed,
                Err(_)
                    if places.available_permits() < MAX_CONNECTIONS / 2
                        || since.elapsed() >= IDLE_TIME =>
                {
                    return;
                }
                Err(_) => continue,
            },
            false => changed.await,
        };
        since = Instant::now();
        // Without anybody who counts the connection has ended.
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn review<B>(
    settings: Arc<Settings>,
    counts: &Counts,
    judges: &Arc<Semaphore>,
    request: Request<B>,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path().to_owned();
    let refuse = |status, told: String| {
        counts.count(Outcome::NoReview);
        plain(status, told)
    };
    if request.method() != Method::POST {
        let told = "reviews come by POST\n";
        return refuse(StatusCode::METHOD_NOT_ALLOWED, told.into());
    }
    let too_long = || {
        let told = format!("the review has more than {MAX_REVIEW_BYTES} bytes\n");
        refuse(StatusCode::PAYLOAD_TOO_LARGE, told)
    };
    // Who says so beforehand need not send it.
    if request.body().size_hint().lower() > MAX_REVIEW_BYTES as u64 {
        return too_long();
    }
    let body = Limited::new(request.into_body(), MAX_REVIEW_BYTES).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Err(_) => {
            counts.late.fetch_add(1, Ordering::Relaxed);
            let told = "the review did not come in time\n";
            return plain(StatusCode::REQUEST_TIMEOUT, told);
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return too_long(),
        Ok(Err(_)) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the review did not come whole\n".into(),
            );
        }
        Ok(Ok(body)) => body.to_bytes(),
    };
    // It is never closed, and goes with the work, which goes on if the client does not wait.
    let judge = Arc::clone(judges).acquire_owned().await;
    let judging = tokio::task::spawn_blocking(move || {
        let told = judged(&settings, &path, &body);
        drop(judge);
        told
    });
    let Ok((status, body, outcome)) = judging.await else {
        let told = "the review could not be judged\n";
        return plain(StatusCode::INTERNAL_SERVER_ERROR, told);
    };
    counts.count(outcome);
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

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
