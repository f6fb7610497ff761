//! The admin endpoints, under Envoy's names, on a thread of their own.
//!
//! Owns which path answers what. They read the current snapshot and counters and never touch a worker.

mod asker;
mod clusters;
mod config_dump;
mod dumps;
mod explained;
mod query;
mod requests;
mod stats;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Direction, Handle, Stage, retry_bind};
use outrigger_telemetry::Telemetry;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot};

use super::command::Command;
use super::reloads::Reloads;
use super::told::tell;
use dumps::Dumps;

/// After a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Questions whose answers take a while, at a time; more are refused with 503.
const THOUGHTS: usize = 4;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const HELP: &str = "\
GET  /ready             LIVE, or 503 while draining
GET  /healthz/ready     the same for Kubernetes
GET  /clusters          endpoints and their counters
GET  /config_dump       the configuration in use
GET  /stats             counters
GET  /requests          the last requests that failed, were slow or sampled; ?failed, ?slow, ?path=, ?host=, ?id=, ?format=json
GET  /explain           what becomes of a request, which is not sent; ?request=GET%20http://host/path, ?header=, ?format=json
POST /drain_listeners   stop accepting, finish what runs; ?inboundonly: inbound listeners, ?graceful: accept for the
                        minimum drain time first
POST /quitquitquit      drain and end
";

/// Listens; whoever connects waits until [`start`]. The other value is the address with its real port.
///
/// # Errors
/// The address cannot be listened on.
pub(super) fn bind(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = retry_bind(|| TcpListener::bind(addr))?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The address is listened on until this is dropped. Connections made before are answered until the program ends.
pub(super) struct Open {
    _until: oneshot::Sender<()>,
}

/// Begins to answer.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start(
    listener: TcpListener,
    handle: Handle,
    settings: WorkerSettings,
    telemetry: Telemetry,
    commands: UnboundedSender<Command>,
    reloads: Arc<Reloads>,
    minimum_drain_time: Duration,
) -> io::Result<Open> {
    let admin = Admin {
        handle,
        telemetry,
        commands,
        reloads,
        started: Instant::now(),
        must_quit: Cell::new(false),
        minimum_drain_time,
        dumps: Dumps::default(),
        settings,
        thoughts: Arc::new(Semaphore::new(THOUGHTS)),
    };
    let (_until, dropped) = oneshot::channel();
    thread::Builder::new().name("admin".into()).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        let served = runtime.and_then(|runtime| serve(&runtime, listener, admin, dropped));
        if let Err(error) = served {
            tell!("warning: the admin endpoints are gone: {error}");
        }
    })?;
    Ok(Open { _until })
}

fn serve(
    runtime: &LocalRuntime,
    listener: TcpListener,
    admin: Admin,
    mut dropped: oneshot::Receiver<()>,
) -> io::Result<()> {
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut dropped => break,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let admin = admin.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(async |request: Request<Incoming>| {
                    Ok::<_, Infallible>(admin.answer(&request).await)
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever asked us to end gets an answer first: the connection is over when it is sent.
                let _ = connection.await;
                if admin.must_quit.get() {
                    let _ = admin.commands.send(Command::Quit);
                }
            });
        }
        drop(listener);
        pending().await
    })
}

#[derive(Clone)]
struct Admin {
    handle: Handle,
    telemetry: Telemetry,
    commands: UnboundedSender<Command>,
    reloads: Arc<Reloads>,
    started: Instant,
    /// Somebody on this connection asked us to end.
    must_quit: Cell<bool>,
    minimum_drain_time: Duration,
    dumps: Dumps,
    /// What workers go by.
    settings: WorkerSettings,
    /// A permit for each question whose answer is being made.
    thoughts: Arc<Semaphore>,
}

impl Admin {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Err(why) = asker::check(request.headers()) {
            return response(StatusCode::FORBIDDEN, TEXT, format!("{why}\n"));
        }
        let (method, uri) = (request.method(), request.uri());
        let path = uri.path();
        let changes = matches!(path, "/drain_listeners" | "/quitquitquit");
        let allowed: &[Method] = if changes {
            &[Method::POST]
        } else {
            &[Method::GET, Method::HEAD]
        };
        if !allowed.contains(method) {
            return not_allowed(if changes { "POST" } else { "GET, HEAD" });
        }
        let query = uri.query().unwrap_or_default();
        let takes_some = matches!(path, "/drain_listeners" | "/requests" | "/explain");
        if !takes_some && !query.is_empty() {
            let text = format!("`{path}` takes no parameters, and `{query}` was given\n");
            return response(StatusCode::BAD_REQUEST, TEXT, text);
        }
        match path {
            "/" | "/help" => response(StatusCode::OK, TEXT, HELP),
            "/ready" | "/healthz/ready" => self.ready(),
            "/clusters" => {
                let text = clusters::text(&self.handle.snapshot(), self.handle.now());
                response(StatusCode::OK, TEXT, text)
            }
            "/config_dump" => self.config_dump().await,
            "/stats" => response(
                StatusCode::OK,
                TEXT,
                stats::text(&self.handle, &self.telemetry, &self.reloads, self.started),
            ),
            "/requests" => self.requests(query).await,
            "/explain" => self.explain(query).await,
            "/drain_listeners" => self.drain_listeners(query),
            "/quitquitquit" => {
                self.must_quit.set(true);
                let mut response = response(StatusCode::OK, TEXT, "OK\n");
                let headers = response.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
            _ => response(
                StatusCode::NOT_FOUND,
                TEXT,
                format!("no such page; there are\n{HELP}"),
            ),
        }
    }

    fn drain_listeners(&self, query: &str) -> Response<Full<Bytes>> {
        let (mut direction, mut stage) = (Direction::All, Stage::Stopped);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter
                .split_once('=')
                .map_or(parameter, |(name, _)| name)
            {
                "inboundonly" => direction = Direction::Inbound,
                "graceful" => stage = Stage::Graceful,
                other => {
                    let text = format!("no parameter `{other}`; use inboundonly and graceful\n");
                    return response(StatusCode::BAD_REQUEST, TEXT, text);
                }
            }
        }
        self.handle.begin_drain(direction, stage);
        if stage == Stage::Graceful {
            let (handle, minimum) = (self.handle.clone(), self.minimum_drain_time);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(minimum).await;
                handle.begin_drain(direction, Stage::Stopped);
            });
        }
        response(StatusCode::OK, TEXT, "OK\n")
    }

    async fn requests(&self, query: &str) -> Response<Full<Bytes>> {
        let asked = match requests::Asked::new(query) {
            Ok(asked) => asked,
            Err(why) => return response(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")),
        };
        let Some(recent) = self.telemetry.recent() else {
            let text = "no requests are kept (--recent-requests 0)\n";
            return response(StatusCode::NOT_FOUND, TEXT, text);
        };
        let (kind, snapshot) = (
            if asked.is_json { JSON } else { TEXT },
            self.handle.snapshot(),
        );
        self.thinking(kind, move || requests::page(&asked, &recent, &snapshot))
            .await
    }

    async fn explain(&self, query: &str) -> Response<Full<Bytes>> {
        let asked = match explained::Asked::new(query) {
            Ok(asked) => asked,
            Err(why) => return response(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")),
        };
        let kind = if asked.is_json { JSON } else { TEXT };
        let (handle, settings) = (self.handle.clone(), self.settings);
        self.thinking(kind, move || asked.page(&handle, settings))
            .await
    }

    /// Answers with a text that takes a while to be made, away from the thread that answers `/ready`.
    async fn thinking(
        &self,
        kind: &'static str,
        make: impl FnOnce() -> String + Send + 'static,
    ) -> Response<Full<Bytes>> {
        let Ok(place) = self.thoughts.clone().try_acquire_owned() else {
            let text = format!("{THOUGHTS} such questions are being answered; try again later\n");
            return response(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
        };
        let made = tokio::task::spawn_blocking(move || {
            let text = make();
            drop(place);
            text
        });
        match made.await {
            Ok(text) => response(StatusCode::OK, kind, text),
            Err(_) => response(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                "it cannot be answered; a bug that is told on standard error\n",
            ),
        }
    }

    async fn config_dump(&self) -> Response<Full<Bytes>> {
        match self.dumps.of(&self.handle).await {
            Some(text) => response(StatusCode::OK, JSON, text),
            None => response(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                format!("{} dumps are being read; try again later\n", dumps::AT_ONCE),
            ),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        if self.handle.is_draining() {
            response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "DRAINING\n")
        } else {
            response(StatusCode::OK, TEXT, "LIVE\n")
        }
    }
}

fn response(
    status: StatusCode,
    kind: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let text = format!("use {allowed}\n");
    let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
