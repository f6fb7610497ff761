//! What `control` tells of itself, to whoever asks over HTTP: whether it is ready, its counters, its clients.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use outrigger_authority::Authority;
use outrigger_control::discovery::Clients;
use outrigger_control::hub::Hub;
use outrigger_inject::Counts;
use outrigger_kubernetes::Fares;
use outrigger_xds::Kind;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::debug;

use super::telling::Telling;

/// How long nobody is accepted when there are no descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// What there is to tell of.
pub(super) struct Told {
    pub(super) hub: Arc<Hub>,
    pub(super) clients: Arc<Clients>,
    pub(super) authority: Option<Arc<Authority>>,
    /// Of reviews, where there are any.
    pub(super) reviews: Option<Arc<Counts>>,
    /// Times that connections to this had to wait.
    pub(super) waited: AtomicU64,
    /// Of a mesh in Kubernetes.
    pub(super) telling: Option<Arc<Telling>>,
}

/// How long a client may take for the head of a request, and a connection be without one.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Serves for ever, so many connections at a time; more wait.
pub(super) async fn serve(listener: TcpListener, told: Arc<Told>, most: usize) {
    let places = Arc::new(Semaphore::new(most));
    loop {
        if places.available_permits() == 0 {
            told.waited.fetch_add(1, Ordering::Relaxed);
        }
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors, for a moment.
            sleep(PAUSE).await;
            continue;
        };
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(&request, &told);
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                debug!(target: "admin", "a connection ended: {error}");
            }
        });
    }
}

fn answer<B>(request: &Request<B>, told: &Told) -> Response<Full<Bytes>> {
    let hub = &*told.hub;
    if request.method() != Method::GET {
        return response(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET\n".into(),
        );
    }
    let ok = |kind, text| response(StatusCode::OK, kind, text);
    match request.uri().path() {
        "/ready" | "/healthz/ready" => match hub.pushed() {
            0 => {
                let text = missing(told);
                response(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
            }
            _ => ok("text/plain", "LIVE\n".into()),
        },
        "/stats/prometheus" | "/metrics" => ok("text/plain; version=0.0.4", metrics(told)),
        "/clients" => ok("application/json", listed(hub, &told.clients)),
        "/" => {
            let of_cluster = told.telling.as_ref().map(|_| "/kinds\n/findings\n");
            let all = "/ready\n/stats/prometheus\n/clients\n".to_owned();
            ok("text/plain", all + of_cluster.unwrap_or_default())
        }
        path => of_cluster(path, told),
    }
}

/// Pages that only a mesh in Kubernetes has.
fn of_cluster(path: &str, told: &Told) -> Response<Full<Bytes>> {
    let json =
        |json: serde_json::Value| response(StatusCode::OK, "application/json", format!("{json}\n"));
    match (path, &told.telling) {
        ("/kinds", Some(telling)) => json(telling.board.kinds().iter().map(fares).collect()),
        ("/findings", Some(telling)) => {
            let verdicts = telling.verdicts();
            let of_objects = verdicts.findings.values().flatten().cloned();
            let findings: Vec<_> = telling.left_out().into_iter().chain(of_objects).collect();
            json(
                json!({"errors": verdicts.errors, "warnings": verdicts.warnings, "findings": findings}),
            )
        }
        _ => response(
            StatusCode::NOT_FOUND,
            "text/plain",
            "there is no such page\n".into(),
        ),
    }
}

/// How a kind fares, and what the API says of it if it does not fare well.
fn fares((kind, fares): &(&'static Kind, Fares)) -> serde_json::Value {
    let (state, why) = match fares {
        Fares::Awaited => ("awaited", None),
        Fares::Followed => ("followed", None),
        Fares::Absent => ("absent", None),
        Fares::LeftOut(why) => ("left-out", Some(why)),
        Fares::Failing(why) => ("failing", Some(why)),
    };
    json!({"group": kind.group, "kind": kind.kind, "state": state, "why": why})
}

/// What is waited for before anything is served.
fn missing(told: &Told) -> String {
    let kinds = told.telling.as_ref().map(|telling| telling.board.kinds());
    let failing = kinds
        .iter()
        .flatten()
        .filter_map(|(kind, fares)| match fares {
            Fares::Failing(why) => Some(format!("{} of {}: {why}\n", kind.plural, kind.group)),
            _ => None,
        });
    let failing: String = failing.collect();
    format!("the configuration was not read yet\n{failing}")
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Each client, the push that it has, and what it refused.
fn listed(hub: &Hub, clients: &Clients) -> String {
    let all = clients.all();
    let clients: Vec<_> = all
        .iter()
        .map(|client| {
            let refused = client.refused.words().into_iter();
            let refused: serde_json::Map<_, _> = refused
                .map(|(kind, why)| (kind.type_url(), why.into()))
                .collect();
            json!({
                "id": client.viewer.id, "namespace": client.viewer.namespace, "labels": client.viewer.labels,
                "gateway": client.viewer.is_gateway, "proven": client.viewer.is_proven,
                "push": client.push, "refused": refused,
            })
        })
        .collect();
    let mut text = json!({"push": hub.pushed(), "clients": clients}).to_string();
    text.push('\n');
    text
}

fn metrics(told: &Told) -> String {
    let hub = &*told.hub;
    let counts = &hub.counts;
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (objects, bytes) = hub.ask(|world| (world.len() as u64, world.bytes() as u64));
    let rows: [(&str, &str, &str, u64); 16] = [
        ("objects", "gauge", "objects of the mesh", objects),
        ("object_bytes", "gauge", "bytes of them on their way", bytes),
        (
            "pushes",
            "counter",
            "times that clients were told of changes",
            hub.pushed(),
        ),
        (
            "changes",
            "counter",
            "changes that the source told of",
            of(&counts.changes),
        ),
        (
            "clients",
            "gauge",
            "streams of clients",
            of(&counts.streams),
        ),
        (
            "clients_opened",
            "counter",
            "streams that were opened",
            of(&counts.opened),
        ),
        (
            "clients_strange",
            "counter",
            "clients sent away for who they say they are",
            of(&counts.strangers),
        ),
        (
            "clients_too_many",
            "counter",
            "clients sent away by --max-clients",
            of(&counts.too_many),
        ),
        (
            "clients_over",
            "counter",
            "streams ended because what was proved there was over",
            of(&counts.over),
        ),
        (
            "admin_connections_waited",
            "counter",
            "times that connections to --admin waited by --max-admin-connections",
            of(&told.waited),
        ),
        (
            "responses",
            "counter",
            "responses to clients",
            of(&counts.responses),
        ),
        (
            "response_objects",
            "counter",
            "objects in them",
            of(&counts.objects),
        ),
        (
            "response_bytes",
            "counter",
            "bytes of those",
            of(&counts.bytes),
        ),
        (
            "responses_taken",
            "counter",
            "responses that clients took",
            of(&counts.taken),
        ),
        (
            "responses_refused",
            "counter",
            "responses of which clients refused something",
            of(&counts.refused),
        ),
        (
            "unanswered",
            "gauge",
            "responses that clients have not answered",
            of(&counts.responses).saturating_sub(of(&counts.taken) + of(&counts.refused)),
        ),
    ];
    let of_authority = told
        .authority
        .as_ref()
        .map(|authority| authority.counts().all());
    let of_authority = of_authority.iter().flatten();
    let of_reviews = told.reviews.as_ref().map(|counts| counts.all());
    let of_reviews = of_reviews.iter().flatten();
    let of_others = of_authority
        .chain(of_reviews)
        .map(|(name, value, help)| (*name, "counter", *help, *value));
    let of_cluster = told.telling.as_ref().map(|telling| telling.rows());
    let of_cluster = of_cluster.into_iter().flatten();
    let of_others = of_others.chain(of_cluster);
    let mut text = String::new();
    for (name, kind, help, value) in rows.into_iter().chain(of_others) {
        let is_named = kind != "counter" || name.ends_with("_total");
        let total = if is_named { "" } else { "_total" };
        let name = format!("outrigger_control_{name}{total}");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
    text
}
