//! The thread that waits: for signals, for changed files, for what the admin endpoints are asked to do.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::config::{Finding, Severity};
use outrigger_runtime::{Handle, Running};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::configuration::{self, Configuration, Reading};
use super::told::{self, tell};

/// After a change, this much quiet is waited for, because files change in bursts.
const SETTLE: Duration = Duration::from_millis(100);

/// Longest wait for quiet.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);

/// Files are compared with what was read this often, in case nobody told of a change.
const POLL: Duration = Duration::from_secs(10);

/// What others ask of the control thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Something happened where the configuration is.
    FilesChanged,
    /// Drain and end.
    Quit,
}

/// Receives signals from the moment it exists.
pub(super) struct Control {
    runtime: Runtime,
    signals: Signals,
}

impl Control {
    /// From now on no signal ends the program by itself.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = runtime.block_on(async { Signals::new() })?;
        Ok(Self { runtime, signals })
    }

    /// Runs until told to end, then drains.
    pub(super) fn serve(
        mut self,
        running: Running,
        configuration: Configuration,
        commands: UnboundedReceiver<Command>,
        drain_time: Duration,
    ) {
        let mut reloader = Reloader {
            handle: running.handle().clone(),
            configuration,
            commands,
        };
        self.runtime.block_on(async {
            reloader.serve(&mut self.signals).await;
            drain(running, drain_time, &mut self.signals).await;
        });
    }
}

async fn drain(running: Running, drain_time: Duration, signals: &mut Signals) {
    tell!("draining, for at most {} s", drain_time.as_secs_f64());
    let drained = tokio::task::spawn_blocking(move || running.drain(drain_time));
    tokio::select! {
        drained = drained => {
            let cut_off = drained.map_or(0, |drained| drained.cut_off);
            if cut_off > 0 {
                tell!("cut off {cut_off} connections that did not end in time");
            }
        }
        () = signals.end() => {
            tell!("ended by a second signal");
            told::flush();
            process::exit(0);
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Somebody wants us to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Keeps the workers' snapshot as good as the files.
struct Reloader {
    handle: Handle,
    configuration: Configuration,
    commands: UnboundedReceiver<Command>,
}

impl Reloader {
    /// Reloads as often as there is reason to; returns when it is time to end.
    async fn serve(&mut self, signals: &mut Signals) {
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hang_up.recv() => self.reload(),
                _ = poll.tick() => self.reload_if_changed(),
                command = self.commands.recv() => match command {
                    Some(Command::FilesChanged) => {
                        if self.settle().await == Some(Command::Quit) {
                            return;
                        }
                        self.reload_if_changed();
                    }
                    Some(Command::Quit) | None => return,
                },
            }
        }
    }

    /// Waits until no more changes come, or something else does.
    async fn settle(&mut self) -> Option<Command> {
        let until = Instant::now() + SETTLE_AT_MOST;
        while Instant::now() < until {
            tokio::select! {
                () = sleep(SETTLE) => return None,
                command = self.commands.recv() => match command {
                    Some(Command::FilesChanged) => {}
                    other @ (Some(Command::Quit) | None) => return other,
                },
            }
        }
        None
    }

    fn reload(&mut self) {
        let reading = self.configuration.read();
        self.use_reading(reading);
    }

    fn reload_if_changed(&mut self) {
        if let Some(reading) = self.configuration.read_if_changed() {
            self.use_reading(reading);
        }
    }

    /// A good configuration replaces the current one; a bad one changes nothing and is told.
    fn use_reading(&self, reading: Reading) {
        let kept = || format!("kept revision {}", self.handle.snapshot().revision);
        match reading {
            Reading::Good { snapshot, findings } => {
                print_findings(&findings);
                let summary = configuration::summary(&snapshot);
                self.handle.publish(Arc::new(snapshot));
                tell!("reloaded; {summary}");
            }
            Reading::Bad { findings } => {
                print_findings(&findings);
                tell!("error: the new configuration has errors; {}", kept());
            }
            Reading::Unreadable { errors } => {
                for error in errors {
                    tell!("error: {error}");
                }
                tell!("error: the new configuration cannot be read; {}", kept());
            }
        }
    }
}

/// Writes findings that somebody should act on, a line each.
pub(super) fn print_findings(findings: &[Finding]) {
    for finding in findings.iter().filter(|f| f.severity != Severity::Info) {
        tell!("{finding}");
    }
}
