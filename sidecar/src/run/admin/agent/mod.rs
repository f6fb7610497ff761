//! What a sidecar answers to its pod, the kubelet and Prometheus (`--agent`, Istio's port 15020), and to Prometheus alone
//! (`--prometheus`, 15090).
//!
//! Owns who may ask what. Anybody may ask whether we and the application are well; only who is on this machine ends us.

mod application;
mod probes;
mod redirects;
mod scrape;

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::{Method, Request, StatusCode};
use outrigger_telemetry::exposition::Form;
use tracing::debug;

use super::answer::{self, Answer};
use super::connections::Answers;
use super::parameters::Parameters;
use super::routes::Access;
use super::{Door, asker, stats};
use crate::admin_args::AdminArgs;
use crate::intercept::ModeArg;
use crate::proxy_config;
use application::Application;
use probes::{Answered, Probes};
use scrape::{Limits, Scrape};

/// What of the application can be asked for.
pub(in crate::run) struct Beside {
    application: Application,
    probes: Probes,
    /// Its metrics.
    pub(super) scrape: Scrape,
}

impl Beside {
    /// As the environment says it, in Istio's variables.
    ///
    /// # Errors
    /// Which variable cannot be understood, and why.
    pub(in crate::run) fn new(
        args: &AdminArgs,
        addr: Option<IpAddr>,
        interception: ModeArg,
    ) -> Result<Self, String> {
        let said = proxy_config::text;
        let probes = said(probes::VARIABLE);
        let probes = probes.map_or_else(|| Ok(Probes::default()), |text| Probes::read(&text));
        let limits = Limits {
            time: args.agent_scrape_time,
            bytes: usize::try_from(args.agent_scrape_bytes).unwrap_or(usize::MAX),
            pages: args.agent_scrapes.get(),
        };
        let scrape = Scrape::read(said(scrape::VARIABLE).as_deref(), limits);
        Ok(Self {
            application: Application::new(addr, interception != ModeArg::None),
            probes: probes.map_err(|why| format!("{}: {why}", probes::VARIABLE))?,
            scrape: scrape.map_err(|why| format!("{}: {why}", scrape::VARIABLE))?,
        })
    }
}

const PLACES: &str = "there are /healthz/ready, /app-health/CONTAINER/livez, readyz and startupz, /stats/prometheus, and for POST from \
     this machine /drain and /quitquitquit\n";

/// Who answers on one connection of the agent.
pub(super) struct Agent {
    beside: Arc<Beside>,
    door: Arc<Door>,
    /// Whoever asks is on this machine.
    is_here: bool,
    /// Somebody on this connection asked us to end.
    must_quit: Cell<bool>,
}

impl Agent {
    pub(super) fn new(beside: Arc<Beside>, door: Arc<Door>, peer: Option<SocketAddr>) -> Self {
        Self {
            beside,
            door,
            is_here: peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback()),
            must_quit: Cell::new(false),
        }
    }

    async fn app_health(&self, path: &str, request: &Request<Incoming>) -> Answer {
        let Beside {
            application,
            probes,
            ..
        } = &*self.beside;
        match probes.ask(path, application, request.headers()).await {
            None => answer::text(StatusCode::NOT_FOUND, "no probe has this path\n"),
            Some(Ok(Answered { status, away })) => {
                let away = away.map(|to| format!(", to {to}, where no probe goes"));
                let text = format!("the application: {status}{}\n", away.unwrap_or_default());
                answer::text(status, text)
            }
            Some(Err(why)) => {
                debug!(target: "admin", "{path}: {why}");
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n"))
            }
        }
    }

    /// Our metrics and the application's.
    async fn merged(&self) -> Answer {
        let Beside {
            application,
            scrape,
            ..
        } = &*self.beside;
        let theirs = scrape.ask(application).await;
        let ours = self.door.prometheus();
        let kind = Form::Prometheus.content_type();
        match theirs {
            None => answer::page(kind, ours),
            Some(theirs) => answer::page(kind, theirs.merged(ours)),
        }
    }

    /// What is asked of us by who is here.
    fn change(&self, path: &str, request: &Request<Incoming>) -> Answer {
        if *request.method() != Method::POST {
            return answer::not_allowed(Access::Change.methods());
        }
        if !self.is_here {
            let why = "only who is on this machine may ask for that\n";
            return answer::text(StatusCode::FORBIDDEN, why);
        }
        if let Err(why) = asker::check(request.headers()) {
            return answer::text(StatusCode::FORBIDDEN, format!("{why}\n"));
        }
        if !request.body().is_end_stream() {
            return answer::and_close(answer::bad_request("no endpoint takes a body"));
        }
        match path {
            "/drain" => {
                self.door.drain();
                answer::text(StatusCode::OK, "OK\n")
            }
            _ => {
                self.must_quit.set(true);
                answer::and_close(answer::text(StatusCode::OK, "OK\n"))
            }
        }
    }
}

impl Answers for Agent {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        self.door.settled().await;
        if matches!(path, "/drain" | "/quitquitquit") {
            return self.change(path, request);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer::not_allowed(Access::Read.methods());
        }
        match path {
            "/healthz/ready" => self.door.ready(),
            "/stats/prometheus" | "/metrics" => self.merged().await,
            path if path.starts_with("/app-health/") => self.app_health(path, request).await,
            _ => answer::text(StatusCode::NOT_FOUND, PLACES),
        }
    }

    /// Whoever asked us to end gets an answer first.
    fn ended(&self) {
        if self.must_quit.get() {
            self.door.quit();
        }
    }
}

/// Who answers where only our metrics are asked for.
pub(super) struct Metrics(pub(super) Arc<Door>);

impl Answers for Metrics {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        self.0.settled().await;
        if request.uri().path() != "/stats/prometheus" {
            return answer::text(StatusCode::NOT_FOUND, "there is only /stats/prometheus\n");
        }
        if !is_read {
            return answer::not_allowed(Access::Read.methods());
        }
        let form = stats::prometheus_form(request.headers());
        let asked = Parameters::read(
            "/stats/prometheus",
            request.uri().query().unwrap_or_default(),
            &["filter", "usedonly"],
        );
        let answered = asked.and_then(|parameters| self.0.metrics(&parameters, form));
        answered.unwrap_or_else(|why| answer::bad_request(&why))
    }

    fn ended(&self) {}
}
