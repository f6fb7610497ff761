//! What the admin endpoints answer from, from the start on: before there is anything to serve by, and after that.
//!
//! Owns what is answered until everything is there ([`Sources`]): that we are not ready and what is waited for, what is counted then, and
//! that who wants an end or a drain gets it.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use outrigger_runtime::{Direction, Stage};
use outrigger_telemetry::exposition::{Form, Page};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::answer::{self, Answer};
use super::connections::Counts;
use super::dumps::Dumps;
use super::parameters::Parameters;
use super::routes::{self, Endpoint, Route};
use super::{Shared, Sources, THOUGHTS, drain_inbound, logging, ready, stats};
use crate::run::awaited::Awaited;
use crate::run::command::Command;
use crate::run::discovery::Inbox;

/// How often it is looked whether a start has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What all connections answer from.
pub(in crate::run) struct Door {
    /// What everything waits for.
    awaited: Arc<Awaited>,
    commands: UnboundedSender<Command>,
    started: Instant,
    /// A control plane that a first configuration is to come from.
    discovered: OnceLock<Arc<Inbox>>,
    pub(super) counts: Arc<Counts>,
    begun: OnceLock<Arc<Shared>>,
}

impl Door {
    /// Nothing is there yet.
    pub(in crate::run) fn new(
        awaited: Arc<Awaited>,
        commands: UnboundedSender<Command>,
    ) -> Arc<Self> {
        Arc::new(Self {
            awaited,
            commands,
            started: Instant::now(),
            discovered: OnceLock::new(),
            counts: Arc::default(),
            begun: OnceLock::new(),
        })
    }

    /// This is what a first configuration is waited for from.
    pub(in crate::run) fn discovers(&self, inbox: &Arc<Inbox>) {
        let _ = self.discovered.set(Arc::clone(inbox));
    }

    /// Everything is there: it is answered from from now on.
    pub(in crate::run) fn begin(&self, sources: Sources) {
        let handle = sources.handle.clone();
        let shared = Shared {
            sources,
            dumps: Dumps::default(),
            thoughts: Arc::new(Semaphore::new(THOUGHTS)),
            counts: Arc::clone(&self.counts),
        };
        // Nobody begins twice.
        let _ = self.begun.set(Arc::new(shared));
        // Who asked for it just now may have found nothing to drain.
        if let Some(direction) = self.awaited.drained() {
            handle.begin_drain(direction, Stage::Stopped);
        }
    }

    /// Everything, once it is there.
    pub(super) fn begun(&self) -> Option<&Arc<Shared>> {
        self.begun.get()
    }

    /// Until everything is there, or something is waited for that takes its time: nobody is told of what is half begun.
    pub(super) async fn settled(&self) {
        while self.begun().is_none() && !self.awaited.is_waiting() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether traffic is served.
    pub(super) fn ready(&self) -> Answer {
        match self.begun() {
            Some(shared) => ready(&shared.sources.handle),
            None => self.not_yet(),
        }
    }

    fn not_yet(&self) -> Answer {
        let text = format!("INITIALIZING: waiting for {}\n", self.awaited.words());
        answer::text(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// What comes from elsewhere ends, as before an end.
    pub(super) fn drain(&self) {
        match self.begun() {
            Some(shared) => drain_inbound(&shared.sources.handle, shared.sources.times),
            None => self.drain_early(Direction::Inbound),
        }
    }

    fn drain_early(&self, direction: Direction) {
        self.awaited.drain(direction);
        if let Some(shared) = self.begun() {
            shared.sources.handle.begin_drain(direction, Stage::Stopped);
        }
    }

    /// The program is to end.
    pub(super) fn quit(&self) {
        // Nobody listens when it ends already.
        let _ = self.commands.send(Command::Quit);
    }

    /// What is counted before everything is there.
    fn counted(&self) -> stats::Early<'_> {
        stats::Early {
            started: self.started,
            discovered: self.discovered.get().map(|inbox| &**inbox),
            admin: &self.counts,
        }
    }

    /// What is counted, as far as it is asked for.
    ///
    /// # Errors
    /// What is wrong with a parameter.
    pub(super) fn metrics(&self, parameters: &Parameters, form: Form) -> Result<Answer, String> {
        match self.begun() {
            Some(shared) => stats::answer(&shared.sources, &self.counts, parameters, form),
            None => stats::answer_early(&self.counted(), parameters, form),
        }
    }

    /// Everything that is counted, as Prometheus reads text.
    pub(super) fn prometheus(&self) -> Page {
        match self.begun() {
            Some(shared) => stats::prometheus(&shared.sources, &self.counts),
            None => stats::prometheus_early(&self.counted()),
        }
    }

    /// What an endpoint answers before everything is there.
    ///
    /// # Errors
    /// What is wrong with a parameter.
    pub(super) fn early(
        &self,
        route: &Route,
        query: &str,
        parameters: &Parameters,
        must_quit: &Cell<bool>,
    ) -> Result<Answer, String> {
        Ok(match route.endpoint {
            Endpoint::Help => answer::text(StatusCode::OK, routes::help()),
            Endpoint::Logging => answer::text(StatusCode::OK, logging::answer(query)?),
            Endpoint::Stats => stats::answer_early(&self.counted(), parameters, Form::Text)?,
            Endpoint::StatsPrometheus => {
                stats::answer_early(&self.counted(), parameters, Form::Prometheus)?
            }
            Endpoint::DrainListeners => {
                let direction = match parameters.flag("inboundonly")? {
                    true => Direction::Inbound,
                    false => Direction::All,
                };
                self.drain_early(direction);
                answer::text(StatusCode::OK, "OK\n")
            }
            Endpoint::Drained if self.awaited.drained().is_some() => {
                answer::text(StatusCode::OK, "DRAINED\n")
            }
            Endpoint::QuitQuitQuit => {
                must_quit.set(true);
                answer::and_close(answer::text(StatusCode::OK, "OK\n"))
            }
            Endpoint::Drained
            | Endpoint::Page
            | Endpoint::PageData
            | Endpoint::Ready
            | Endpoint::ServerInfo
            | Endpoint::Listeners
            | Endpoint::Clusters
            | Endpoint::Certs
            | Endpoint::Overload
            | Endpoint::ConfigDump
            | Endpoint::Requests
            | Endpoint::Explain => self.not_yet(),
        })
    }
}
