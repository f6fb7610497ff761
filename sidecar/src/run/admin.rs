//! The admin endpoints, under Envoy's names, on a thread of their own.
//!
//! Owns what each answers. They read the current snapshot and counters and never touch a worker. Which there are is in
//! `routes`, what those who ask may do in `asker` and `connections`.

mod about;
mod agent;
mod answer;
mod asker;
mod certs;
mod clusters;
mod config_dump;
mod connections;
mod door;
mod dumps;
mod explained;
mod listen;
mod logging;
mod overload;
mod page;
mod parameters;
mod query;
mod requests;
mod routes;
mod stats;

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::{Method, Request, StatusCode};
use outrigger_core::overload::Marks;
use outrigger_core::worker::WorkerSettings;
use outrigger_identity::csr::Held;
use outrigger_runtime::{Direction, Handle, Stage};
use outrigger_telemetry::Telemetry;
use outrigger_telemetry::exposition::Form;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::error;

pub(super) use about::About;
pub(super) use agent::Beside;
pub(super) use door::Door;
pub(super) use listen::{Listener, bind, bind_tcp};

use super::identity;
use super::inbound_end::{self, DrainTimes};
use super::listeners;
use super::reloads::Reloads;
use super::successors;
use crate::admin_args::AdminArgs;
use agent::Agent;
use answer::{Answer, Kind};
use connections::{Answers, Counts, End, Limits, Until};
use dumps::Dumps;
use listen::Accepting;
use parameters::Parameters;
use routes::{Access, Endpoint, Route, Taken};

/// Questions whose answers take a while, at a time; more are refused with 503.
const THOUGHTS: usize = 4;

/// The addresses are listened on until this is dropped. Connections made before are answered until the program ends.
pub(super) struct Open {
    ends: Vec<End>,
}

impl Open {
    /// Returns when nobody is accepted any more: whoever connects to these sockets from now on finds another process.
    pub(super) async fn close(self) {
        for end in self.ends {
            end.come().await;
        }
    }

    /// The same on a thread that waits for nothing else.
    pub(super) fn close_now(self) {
        self.ends.into_iter().for_each(End::come_now);
    }
}

/// What is asked about, and what asks for things to be done.
pub(super) struct Sources {
    pub(super) handle: Handle,
    pub(super) telemetry: Telemetry,
    pub(super) reloads: Arc<Reloads>,
    /// What has become of listeners that come and go.
    pub(super) listeners: Arc<listeners::Counts>,
    /// What has become of processes that took over.
    pub(super) takeovers: Arc<successors::Counts>,
    pub(super) about: About,
    /// The application, as far as others ask us about it.
    pub(super) beside: Arc<Beside>,
    /// What is counted of applications that ask for names, if any may.
    pub(super) dns: Option<Arc<outrigger_dns::Counts>>,
    /// What is counted of names that clients give.
    pub(super) lookup: Arc<outrigger_dns::LookupCounts>,
    /// Who this workload is, if it is anybody.
    pub(super) identity: Option<Arc<identity::Shared>>,
    /// What an authority gives it, if one is asked.
    pub(super) given: Option<Held>,
    /// What a control plane tells, if there is one.
    pub(super) discovered: Option<Arc<super::discovery::Inbox>>,
    /// Whether the machine is full.
    pub(super) overload: Arc<super::overload::Shown>,
    /// From where on it is, in the order of resources.
    pub(super) marks: [Marks; 4],
    /// How long a drain takes.
    pub(super) times: DrainTimes,
    /// What workers go by.
    pub(super) settings: WorkerSettings,
}

/// Who asks where the admin endpoints are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Kubernetes: whether we are ready.
    Health,
    /// The pod, the kubelet and Prometheus.
    Agent,
    /// Prometheus alone.
    Prometheus,
}

impl Others {
    /// The option that says where they ask.
    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Health => "--health",
            Self::Agent => "--agent",
            Self::Prometheus => "--prometheus",
        }
    }
}

/// Begins to answer: everything on the one listener, and what others ask on theirs.
///
/// # Errors
/// The thread cannot be started, or a socket that was taken over is not ours.
pub(super) fn start(
    mut listener: Listener,
    others: Vec<(Others, Listener)>,
    args: &AdminArgs,
    beside: Arc<Beside>,
    door: Arc<Door>,
) -> io::Result<Open> {
    listener.own()?;
    let limits = Limits {
        connections: args.admin_connections.get(),
        head_time: args.admin_head_timeout,
        connection_time: args.admin_connection_time,
    };
    let (end, until) = connections::end();
    let mut ends = vec![end];
    let others: Vec<_> = others
        .into_iter()
        .map(|(who, listener)| {
            let (end, until) = connections::end();
            ends.push(end);
            (who, listener, until)
        })
        .collect();
    thread::Builder::new().name("admin".into()).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        let served = runtime.and_then(|runtime| {
            runtime.block_on(async {
                for (who, listener, until) in others {
                    let accepting = Accepting::new(listener)?;
                    let (beside, door) = (Arc::clone(&beside), Arc::clone(&door));
                    let asked = serve_others(who, accepting, limits, (beside, door), until);
                    tokio::task::spawn_local(asked);
                }
                let counts = Arc::clone(&door.counts);
                let answers = |_| Admin {
                    door: Arc::clone(&door),
                    must_quit: Cell::new(false),
                };
                let accepting = Accepting::new(listener)?;
                connections::serve(accepting, limits, counts, until, answers).await;
                pending::<io::Result<()>>().await
            })
        });
        if let Err(error) = served {
            error!(target: "admin", "the admin endpoints are gone: {error}");
        }
    })?;
    Ok(Open { ends })
}

async fn serve_others(
    who: Others,
    accepting: Accepting,
    limits: Limits,
    (beside, door): (Arc<Beside>, Arc<Door>),
    until: Until,
) {
    let counts = Arc::clone(&door.counts);
    match who {
        Others::Health => {
            let answers = |_| Health(Arc::clone(&door));
            connections::serve(accepting, limits, counts, until, answers).await;
        }
        Others::Agent => {
            let answers = |peer| Agent::new(Arc::clone(&beside), Arc::clone(&door), peer);
            connections::serve(accepting, limits, counts, until, answers).await;
        }
        Others::Prometheus => {
            let answers = |_| agent::Metrics(Arc::clone(&door));
            connections::serve(accepting, limits, counts, until, answers).await;
        }
    }
}

/// What all connections answer from once everything is there.
struct Shared {
    sources: Sources,
    dumps: Dumps,
    /// A permit for each question whose answer is being made.
    thoughts: Arc<Semaphore>,
    counts: Arc<Counts>,
}

/// Who answers on one connection.
struct Admin {
    door: Arc<Door>,
    /// Somebody on this connection asked us to end.
    must_quit: Cell<bool>,
}

impl Answers for Admin {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if let Err(why) = asker::check(request.headers()) {
            return answer::text(StatusCode::FORBIDDEN, format!("{why}\n"));
        }
        let uri = request.uri();
        let Some(route) = routes::find(uri.path()) else {
            let text = format!("no such page; there are\n{}", routes::help());
            return answer::text(StatusCode::NOT_FOUND, text);
        };
        let is_allowed = match route.access {
            Access::Read => matches!(*request.method(), Method::GET | Method::HEAD),
            Access::Change => *request.method() == Method::POST,
        };
        if !is_allowed {
            return answer::not_allowed(route.access.methods());
        }
        if !request.body().is_end_stream() {
            // Nobody reads it, so the connection cannot go on.
            return answer::and_close(answer::bad_request("no endpoint takes a body"));
        }
        let query = uri.query().unwrap_or_default();
        self.door.settled().await;
        let asked = self.ask(route, query, request.headers()).await;
        asked.unwrap_or_else(|why| answer::bad_request(&why))
    }

    /// Whoever asked us to end gets an answer first.
    fn ended(&self) {
        if self.must_quit.get() {
            self.door.quit();
        }
    }
}

impl Admin {
    /// The answer, or what is wrong with the parameters.
    async fn ask(&self, route: &Route, query: &str, headers: &HeaderMap) -> Result<Answer, String> {
        let parameters = match route.parameters {
            Taken::These(known) => Parameters::read(route.path, query, known)?,
            Taken::AsItSays => Parameters::default(),
        };
        let Some(shared) = self.door.begun() else {
            return self.door.early(route, query, &parameters, &self.must_quit);
        };
        let Shared {
            sources,
            dumps,
            counts,
            ..
        } = &**shared;
        let handle = &sources.handle;
        let is_json = || Ok::<_, String>(parameters.one_of("format", &["text", "json"])? == "json");
        Ok(match route.endpoint {
            Endpoint::Page => {
                let (page, policy) = page::page();
                answer::html(page, &policy)
            }
            Endpoint::PageData => {
                let looks = page::data::Looks::new(&parameters)?;
                let all = Arc::clone(shared);
                let make = move || page::data::json(&all.sources, &looks);
                shared.thinking(Kind::Json, make).await
            }
            Endpoint::Help => answer::text(StatusCode::OK, routes::help()),
            Endpoint::Ready => ready(handle),
            Endpoint::ServerInfo => answer::json(about::server_info(&sources.about, handle)),
            Endpoint::Listeners if is_json()? => {
                answer::json(about::listeners_json(handle, &sources.listeners))
            }
            Endpoint::Listeners => answer::text(StatusCode::OK, about::listeners(handle)),
            Endpoint::Clusters => {
                let (snapshot, now) = (handle.snapshot(), handle.now());
                if is_json()? {
                    answer::json(clusters::json(&snapshot, now))
                } else {
                    answer::text(StatusCode::OK, clusters::text(&snapshot, now))
                }
            }
            Endpoint::Certs => {
                let known = sources.identity.as_ref().map(|shared| shared.known());
                let not_renewed = sources.given.as_ref().and_then(Held::fault);
                answer::json(certs::certs(known.as_ref(), not_renewed, SystemTime::now()))
            }
            Endpoint::Overload => {
                let (found, stats) = (sources.overload.found(), handle.stats());
                if is_json()? {
                    answer::json(overload::json(&found, &sources.marks, &stats))
                } else {
                    let text = overload::text(&found, &sources.marks, &stats);
                    answer::text(StatusCode::OK, text)
                }
            }
            Endpoint::ConfigDump => match dumps.of(handle).await {
                Some(text) => answer::json(text),
                None => {
                    let most = dumps::AT_ONCE;
                    let text = format!("{most} dumps are being read; try again later\n");
                    answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
                }
            },
            Endpoint::Stats => stats::answer(sources, counts, &parameters, Form::Text)?,
            Endpoint::StatsPrometheus => {
                let form = stats::prometheus_form(headers);
                stats::answer(sources, counts, &parameters, form)?
            }
            Endpoint::Requests => shared.requests(query).await?,
            Endpoint::Explain => shared.explain(query).await?,
            Endpoint::Logging => answer::text(StatusCode::OK, logging::answer(query)?),
            Endpoint::DrainListeners => {
                let is_inbound = parameters.flag("inboundonly")?;
                let is_graceful = parameters.flag("graceful")?;
                shared.drain_listeners(is_inbound, is_graceful)
            }
            Endpoint::Drained => drained(handle),
            Endpoint::QuitQuitQuit => {
                self.must_quit.set(true);
                answer::and_close(answer::text(StatusCode::OK, "OK\n"))
            }
        })
    }
}

impl Shared {
    async fn requests(&self, query: &str) -> Result<Answer, String> {
        let asked = requests::Asked::new(query)?;
        let sources = &self.sources;
        let Some(recent) = sources.telemetry.recent() else {
            let text = "no requests are kept (--recent-requests 0)\n";
            return Ok(answer::text(StatusCode::NOT_FOUND, text));
        };
        let (kind, snapshot) = (Kind::new(asked.is_json), sources.handle.snapshot());
        let make = move || requests::page(&asked, &recent, &snapshot);
        Ok(self.thinking(kind, make).await)
    }

    async fn explain(&self, query: &str) -> Result<Answer, String> {
        let asked = explained::Asked::new(query)?;
        let sources = &self.sources;
        let (handle, snapshot) = (&sources.handle, sources.handle.snapshot());
        let circumstances = asked.circumstances(handle, &snapshot, sources.settings)?;
        let kind = Kind::new(asked.is_json);
        let make = move || asked.page(&snapshot, &circumstances);
        Ok(self.thinking(kind, make).await)
    }

    /// Answers with a text that takes a while to be made, away from the thread that answers `/ready`.
    async fn thinking(&self, kind: Kind, make: impl FnOnce() -> String + Send + 'static) -> Answer {
        let Ok(place) = self.thoughts.clone().try_acquire_owned() else {
            let text = format!("{THOUGHTS} such questions are being answered; try again later\n");
            return answer::text(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let made = tokio::task::spawn_blocking(move || {
            let text = make();
            drop(place);
            text
        });
        match (made.await, kind) {
            (Ok(text), Kind::Json) => answer::json(text),
            (Ok(text), Kind::Text) => answer::text(StatusCode::OK, text),
            (Err(_), Kind::Json | Kind::Text) => answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "it cannot be answered; a bug that is told on standard error\n",
            ),
        }
    }

    fn drain_listeners(&self, is_inbound: bool, is_graceful: bool) -> Answer {
        let Sources { handle, times, .. } = &self.sources;
        let direction = if is_inbound {
            Direction::Inbound
        } else {
            Direction::All
        };
        if is_graceful && is_inbound {
            drain_inbound(handle, *times);
        } else if is_graceful {
            handle.begin_drain(direction, Stage::Graceful);
            let (handle, minimum) = (handle.clone(), times.minimum);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(minimum).await;
                handle.begin_drain(direction, Stage::Stopped);
            });
        } else {
            handle.begin_drain(direction, Stage::Stopped);
        }
        answer::text(StatusCode::OK, "OK\n")
    }
}

/// Who answers where only our health is asked for: whoever may connect may know it, under whatever name he found us.
struct Health(Arc<Door>);

impl Answers for Health {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        self.0.settled().await;
        match request.uri().path() {
            "/healthz/ready" if is_read => self.0.ready(),
            "/healthz/ready" => answer::not_allowed(Access::Read.methods()),
            _ => answer::text(StatusCode::NOT_FOUND, "there is only /healthz/ready\n"),
        }
    }

    fn ended(&self) {}
}

/// As before an end, and in the same order; where nobody elsewhere has to hear of it, at once.
fn drain_inbound(handle: &Handle, times: DrainTimes) {
    if !inbound_end::is_for_others(handle) {
        return handle.begin_drain(Direction::Inbound, Stage::Stopped);
    }
    handle.begin_drain(Direction::Inbound, Stage::Graceful);
    let (handle, until) = (handle.clone(), Instant::now() + times.longest);
    tokio::task::spawn_local(
        async move { inbound_end::drain_inbound(&handle, times, until).await },
    );
}

fn drained(handle: &Handle) -> Answer {
    let left = inbound_end::from_others(handle);
    match handle.inbound_stage() {
        Stage::Stopped if left == 0 => answer::text(StatusCode::OK, "DRAINED\n"),
        stage => {
            let accepts = if stage == Stage::Stopped {
                "none are"
            } else {
                "more are"
            };
            let text =
                format!("{left} connections from elsewhere are open, and {accepts} accepted\n");
            answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

fn ready(handle: &Handle) -> Answer {
    let status = if handle.is_draining() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    answer::text(status, format!("{}\n", about::state(handle)))
}
