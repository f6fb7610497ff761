//! The thread that waits: for signals, for changed files, for what the admin endpoints are asked to do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::compile::Answers;
use outrigger_core::config::{Finding, Severity};
use outrigger_core::snapshot::Snapshot;
use outrigger_runtime::Handle;
use outrigger_telemetry::Telemetry;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use tracing::{debug, error, warn};

use super::awaited::Awaited;
use super::changes;
use super::command::Command;
use super::configuration::{self, Configuration, Reading};
use super::drain::{Ending, drain};
use super::incidents::{self, Incidents, LOOK_EVERY};
use super::jwks::KeyFetcher;
use super::listeners::Listeners;
use super::proofs::Gatherer;
use super::reloads::{Reloads, first_error};
use super::resolve::{FIRST_ANSWERS, Resolver};
use super::signals::{Reason, Signals};
use super::supervisor;
use super::takeover::{Serving, Takeover};
use super::watch::Watch;

/// After a change, this much quiet is waited for, because files change in bursts.
const SETTLE: Duration = Duration::from_millis(100);

/// Longest wait for quiet.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);

/// Answers for names that change together are put to work together.
const MERGE_ANSWERS: Duration = Duration::from_millis(100);

/// Files are compared with what was read this often, in case nobody told of a change.
const POLL: Duration = Duration::from_secs(10);

/// How often it is looked whether something that a start waits for has come.
const LOOK_FOR_FIRST: Duration = Duration::from_millis(20);

/// How often it is told that it has not.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// What was waited for.
    Here,
    /// It took too long.
    Late,
    /// Somebody wants us to end.
    End,
}

/// Receives signals and commands from the moment it exists.
pub(super) struct Control {
    runtime: Runtime,
    signals: Signals,
    commands: UnboundedReceiver<Command>,
}

impl Control {
    /// From now on no signal ends the program by itself. Commands come by way of the other value.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub(super) fn new() -> io::Result<(Self, UnboundedSender<Command>)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::new() })?;
        let (sender, commands) = unbounded_channel();
        let control = Self {
            runtime,
            signals,
            commands,
        };
        Ok((control, sender))
    }

    /// Waits until a first one of something is here, for so long if that is said. Nobody is let through meanwhile: what would be by no
    /// rules at all is not.
    pub(super) fn wait_for(
        &mut self,
        awaited: &Awaited,
        is_here: impl Fn() -> bool,
        limit: Option<Duration>,
    ) -> Came {
        let Self {
            runtime,
            signals,
            commands,
        } = self;
        let came = runtime.block_on(async {
            let mut tell = interval_at(Instant::now() + TELL_EVERY, TELL_EVERY);
            let mut look = interval_at(Instant::now(), LOOK_FOR_FIRST);
            let mut extend = interval_at(Instant::now(), supervisor::EXTEND_EVERY);
            let late = async {
                match limit {
                    Some(limit) => sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let ended = ended(signals, commands);
            tokio::pin!(late, ended);
            loop {
                tokio::select! {
                    biased;
                    () = &mut ended => return Came::End,
                    _ = look.tick() => if is_here() {
                        return Came::Here;
                    },
                    () = &mut late => return Came::Late,
                    _ = tell.tick() => warn!(target: "main", "still waiting for {}; no traffic is taken", awaited.words()),
                    _ = extend.tick() => supervisor::waiting(&awaited.words()),
                }
            }
        });
        match came {
            Came::Here => awaited.over(),
            Came::Late => {}
            Came::End => supervisor::stopping(),
        }
        came
    }

    /// Asks for the names of the configuration, and waits a while for the first answers. `false`: somebody wants us to end.
    pub(super) fn resolve(
        &mut self,
        configuration: &Configuration,
        resolver: &mut Resolver,
    ) -> bool {
        let Self {
            runtime,
            signals,
            commands,
        } = self;
        runtime.block_on(async {
            resolver.watch(configuration.names());
            tokio::select! {
                () = resolver.first_answers() => true,
                () = ended(signals, commands) => false,
            }
        })
    }

    /// Runs until told to end, then drains. The admin endpoints listen until outbound listeners stop.
    pub(super) fn serve(
        mut self,
        ending: Ending,
        files: Files,
        resolver: Resolver,
        keys: KeyFetcher,
        hears: UnboundedSender<Command>,
        reloads: Arc<Reloads>,
    ) {
        // What was changed since it was read will be told again.
        let commands = self.commands;
        let mut reloader = Reloader {
            handle: ending.running.handle().clone(),
            files,
            resolver,
            keys,
            pending: Pending::Nothing,
            commands,
            reloads,
            incidents: Incidents::default(),
        };
        let served = async {
            reloader.keys.watch(&reloader.handle.snapshot());
            let takeover = std::mem::take(&mut reloader.files.takeover);
            let takeover = takeover
                .serve(&reloader.handle, hears)
                .unwrap_or_else(|error| {
                    error!(target: "takeover", "nobody can take over: {error}");
                    Serving::default()
                });
            let reason = reloader.serve(&mut self.signals, &takeover).await;
            // Whoever has news for us hears that nobody takes them any more.
            reloader.commands.close();
            // Copies of sockets that are to close are in there.
            drop(takeover);
            drain(ending, reason, &mut self.signals).await;
        };
        self.runtime.block_on(supervisor::watched(served));
    }
}

/// Returns when somebody wants us to end before anything is served. What has changed meanwhile is read afterwards anyway.
async fn ended(signals: &mut Signals, commands: &mut UnboundedReceiver<Command>) {
    let asked = async {
        loop {
            match commands.recv().await {
                Some(Command::FilesChanged) => {}
                Some(Command::Quit | Command::TakenOver(_)) | None => return,
            }
        }
    };
    tokio::select! {
        _ = signals.end() => {}
        () = asked => {}
    }
}

/// What is read again, and who tells when.
pub(super) struct Files {
    pub(super) configuration: Configuration,
    pub(super) proofs: Gatherer,
    pub(super) watch: Watch,
    pub(super) telemetry: Telemetry,
    pub(super) listeners: Listeners,
    pub(super) takeover: Takeover,
}

/// Keeps the workers' snapshot as good as the files.
struct Reloader {
    handle: Handle,
    files: Files,
    resolver: Resolver,
    keys: KeyFetcher,
    pending: Pending,
    commands: UnboundedReceiver<Command>,
    reloads: Arc<Reloads>,
    incidents: Incidents,
}

/// What is known and not yet published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    /// Names resolve to something else; others may at any moment.
    Answers {
        at: Instant,
    },
    /// A new configuration waits for the first answers of its names, until then.
    Configuration {
        until: Instant,
    },
}

impl Pending {
    /// Until it has to be published.
    async fn due(self) {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Answers { at } => sleep_until(at).await,
            Self::Configuration { until } => sleep_until(until).await,
        }
    }
}

impl Reloader {
    /// Reloads as often as there is reason to; returns when it is time to end.
    async fn serve(&mut self, signals: &mut Signals, takeover: &Serving) -> Reason {
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return Reason::Asked,
                _ = signals.interrupt.recv() => return Reason::Interrupted,
                _ = signals.hang_up.recv() => {
                    supervisor::reloading();
                    self.reload();
                }
                _ = signals.reopen.recv() => self.files.telemetry.reopen_logs(),
                _ = poll.tick() => self.reload_if_changed(),
                _ = look.tick() => {
                    self.files.listeners.retry(&self.handle);
                    self.look_at_clusters();
                }
                changed = self.resolver.hear() => self.heard(changed),
                changed = self.keys.hear() => self.heard(changed),
                () = self.pending.due() => self.publish(),
                stream = takeover.comes() => takeover.talk(stream),
                command = self.commands.recv() => match command {
                    Some(Command::FilesChanged) => match self.settle().await {
                        Some(reason) => return reason,
                        None => self.reload_if_changed(),
                    },
                    Some(Command::Quit) | None => return Reason::Asked,
                    Some(Command::TakenOver(by)) => return Reason::TakenOver(by),
                },
            }
        }
    }

    /// Tells what has begun or ended since the last time.
    fn look_at_clusters(&mut self) {
        self.files.configuration.tell_time_of_identity();
        let refused = self.files.telemetry.take_refusals();
        let now = self.handle.now();
        let news = self.incidents.look(&self.handle.snapshot(), refused, now);
        news.iter().for_each(incidents::tell);
    }

    /// Waits until no more changes come, or it is time to end.
    async fn settle(&mut self) -> Option<Reason> {
        let until = Instant::now() + SETTLE_AT_MOST;
        while Instant::now() < until {
            tokio::select! {
                () = sleep(SETTLE) => return None,
                command = self.commands.recv() => match command {
                    Some(Command::FilesChanged) => {}
                    Some(Command::Quit) | None => return Some(Reason::Asked),
                    Some(Command::TakenOver(by)) => return Some(Reason::TakenOver(by)),
                },
            }
        }
        None
    }

    fn reload(&mut self) {
        let reading = self.files.configuration.read();
        self.use_reading(reading);
    }

    fn reload_if_changed(&mut self) {
        // Before reading: what happens from here on is seen then or told.
        self.files.watch.renew();
        match self.files.configuration.renew_identity() {
            Some(snapshot) => self.put_to_use(Arc::new(snapshot)),
            // Files that rules name may have changed.
            None => self.gather(&self.handle.snapshot()),
        }
        if self.files.configuration.renew_labels() {
            self.reload();
        } else if let Some(reading) = self.files.configuration.read_if_changed() {
            self.use_reading(reading);
        }
    }

    /// Something came of a name.
    fn heard(&mut self, changed: bool) {
        match self.pending {
            Pending::Nothing if changed => {
                let at = Instant::now() + MERGE_ANSWERS;
                self.pending = Pending::Answers { at };
            }
            Pending::Nothing | Pending::Answers { .. } => {}
            Pending::Configuration { .. } => {
                if !self.resolver.is_waiting() {
                    self.publish();
                }
            }
        }
    }

    /// Publishes what waits to be.
    fn publish(&mut self) {
        let pending = std::mem::replace(&mut self.pending, Pending::Nothing);
        let answers = Answers {
            names: self.resolver.answers(),
            keys: self.keys.answers(),
        };
        let Some(snapshot) = self.files.configuration.answered(answers) else {
            return;
        };
        match pending {
            Pending::Configuration { .. } => self.reloaded(Arc::new(snapshot)),
            Pending::Nothing | Pending::Answers { .. } => self.put_to_use(Arc::new(snapshot)),
        }
    }

    fn reloaded(&mut self, snapshot: Arc<Snapshot>) {
        let summary = configuration::summary(&snapshot);
        let before = self.handle.snapshot();
        self.put_to_use(Arc::clone(&snapshot));
        self.reloads
            .succeeded(&summary, &changes::told(&before, &snapshot));
    }

    /// Connections find what they are to prove before somebody asks for them.
    fn gather(&mut self, snapshot: &Snapshot) {
        let Files {
            configuration,
            proofs,
            watch,
            ..
        } = &mut self.files;
        configuration.gather(proofs, snapshot);
        watch.also(&proofs.files());
    }

    fn put_to_use(&mut self, snapshot: Arc<Snapshot>) {
        self.gather(&snapshot);
        self.files.telemetry.prepare(&snapshot);
        let Self { handle, files, .. } = self;
        let inbound = files.configuration.virtual_inbound();
        files.listeners.close(handle, &snapshot, inbound);
        handle.publish(Arc::clone(&snapshot));
        files.listeners.open(handle, &snapshot, inbound);
    }

    /// A good configuration replaces the current one; a bad one changes nothing and is told.
    fn use_reading(&mut self, reading: Reading) {
        let kept = || format!("kept revision {}", self.handle.snapshot().revision);
        match reading {
            Reading::Good { snapshot, findings } => {
                print_findings(&findings);
                self.reloads.found(&findings);
                self.resolver.watch(self.files.configuration.names());
                self.keys.watch(&snapshot);
                if self.resolver.is_waiting() {
                    // Requests for a new name would find no endpoints.
                    let until = Instant::now() + FIRST_ANSWERS;
                    self.pending = Pending::Configuration { until };
                } else {
                    self.pending = Pending::Nothing;
                    self.reloaded(snapshot);
                }
            }
            Reading::Bad { findings } => {
                print_findings(&findings);
                self.reloads.found(&findings);
                let outcome = format!("the new configuration has errors; {}", kept());
                self.reloads.refused(first_error(&findings), &outcome);
            }
            Reading::NoIdentity { fault } => {
                let outcome = format!("{fault}; {}", kept());
                self.reloads.refused(fault, &outcome);
            }
            Reading::Unreadable { errors } => {
                for error in &errors {
                    error!(target: "config", "{error}");
                }
                let outcome = format!("the new configuration cannot be read; {}", kept());
                let first = errors.into_iter().next().unwrap_or_default();
                self.reloads.refused(first, &outcome);
            }
        }
    }
}

/// Tells findings, a line each; those that nobody has to act on only to who wants to know everything.
pub(crate) fn print_findings(findings: &[Finding]) {
    for finding in findings {
        let (code, file, line) = (finding.code.as_str(), &*finding.file, finding.line);
        let told = finding.unrated();
        match finding.severity {
            Severity::Error => error!(target: "config", code, file, line, "{told}"),
            Severity::Warning => warn!(target: "config", code, file, line, "{told}"),
            Severity::Info => debug!(target: "config", code, file, line, "{told}"),
        }
    }
}
