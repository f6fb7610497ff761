//! The files of a mesh without Kubernetes: read, and read again when they change.
//!
//! Owns that half a change is none: while a file cannot be read, is no YAML, or has a document of which nobody can say which object it
//! is, everything stays as it was. To leave such a document out would take an object away, and a policy is one.

use std::path::PathBuf;
use std::time::Duration;

use outrigger_control::documents;
use outrigger_control::world::mesh_in;
use outrigger_core::config::{self, Code, Finding, Severity};
use outrigger_xds::Change;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use super::{BAD, USAGE};
use crate::control_args::ControlArgs;
use crate::run::command::Command;
use crate::run::print_findings;
use crate::run::watch::Watch;
use crate::sources::{Found, Reader, Source};

/// After a change, this much quiet is waited for, because files change in bursts.
const SETTLE: Duration = Duration::from_millis(50);

/// Files are compared with what was read this often, in case nobody told of a change.
const POLL: Duration = Duration::from_secs(10);

/// Reads them again and again.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    reader: Reader,
    changes: Sender<Change>,
    hears: UnboundedReceiver<Command>,
    hang_up: Signal,
    /// What was read last, good or bad.
    last: Vec<Source>,
    objects: usize,
    /// Kept for as long as somebody listens.
    watch: Watch,
}

impl Files {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// Something cannot be read, or is no YAML: then nothing is started.
    pub(super) async fn start(
        args: &ControlArgs,
        changes: Sender<Change>,
        hang_up: Signal,
    ) -> Result<Self, (u8, String)> {
        let (tells, hears) = unbounded_channel();
        let mut files = Self {
            paths: args.config.clone(),
            reader: Reader::ignoring(&args.ignore),
            changes,
            hears,
            hang_up,
            last: Vec::new(),
            objects: 0,
            watch: Watch::start(&args.config, tells),
        };
        let found = files.read().map_err(|errors| (USAGE, errors.join("; ")))?;
        if files.take(found).await {
            Ok(files)
        } else {
            let text = "the configuration has errors; nothing was started".to_owned();
            Err((BAD, text))
        }
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        format!("{} objects in {} files", self.objects, self.last.len())
    }

    /// Takes what changes, for ever.
    pub(super) async fn serve(mut self) {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = poll.tick() => self.look().await,
                _ = self.hang_up.recv() => self.look().await,
                told = self.hears.recv() => {
                    if told.is_none() {
                        return;
                    }
                    sleep(SETTLE).await;
                    while self.hears.try_recv().is_ok() {}
                    self.look().await;
                }
            }
        }
    }

    async fn look(&mut self) {
        self.watch.renew();
        let found = match self.read() {
            Ok(found) => found,
            // Files vanish while somebody replaces them; the next change tells what came of it.
            Err(errors) => {
                for error in errors {
                    warn!(target: "config", "{error}; kept what is served");
                }
                return;
            }
        };
        if found.sources == self.last {
            return;
        }
        if self.take(found).await {
            info!(target: "config", "read {}", self.summary());
        } else {
            error!(target: "config", "of the new configuration nobody can say which objects it has; kept what is served");
        }
    }

    fn read(&mut self) -> Result<Found, Vec<String>> {
        let read = self.reader.read(&self.paths);
        read.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    /// Tells what is found in the files, and hands them on if they can be read. What is wrong with an object is told, and for
    /// sidecars to refuse.
    async fn take(&mut self, found: Found) -> bool {
        self.last = found.sources;
        let read: Vec<_> = self.last.iter().map(Source::as_config).collect();
        let (changes, unreadable) = documents::changes(&read);
        let is_bad = |finding: &Finding| finding.severity == Severity::Error;
        if unreadable.iter().any(is_bad) {
            print_findings(&unreadable);
            return false;
        }
        let loaded = config::load(&read, "default");
        print_findings(&found.findings);
        print_findings(&loaded.findings);
        if loaded.findings.iter().any(hides) {
            return false;
        }
        print_findings(&config::lint(&loaded.resources, &mesh_in(&changes)));
        self.objects = 0;
        for change in changes {
            if let Change::All(_, objects) = &change {
                self.objects += objects.len();
            }
            // Nobody takes it when the program ends.
            let _ = self.changes.send(change).await;
        }
        true
    }
}

/// Whether it is about what a document is called, so that nobody knows which object it is: of others the last good one holds.
fn hides(finding: &Finding) -> bool {
    let is_of_head = matches!(
        &*finding.path,
        "apiVersion" | "kind" | "metadata" | "metadata.name" | "metadata.namespace"
    );
    let code = finding.code;
    let is_none = code == Code::NotAResource || code == Code::DuplicateResource;
    finding.severity == Severity::Error && (is_of_head || is_none)
}

#[cfg(test)]
mod tests {
    use outrigger_core::config::Source;

    use super::*;

    #[test]
    fn what_is_no_object_that_anybody_knows_is_no_change() {
        let policy = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {}\n";
        let other = policy.replace("{}\n", "{mtls: {mode: STRICT}}\n");
        let doubled = format!("{policy}---\n{other}");
        let twice = format!("{policy}---\n{policy}");
        let with = |from: &str, to: &str| policy.replace(from, to);
        for (text, is_hidden) in [
            (policy.to_owned(), false),
            (doubled, true),
            (twice, false),
            (with("PeerAuthentication", "PeerAuthentcation"), true),
            (with("security.", "securty."), true),
            (with("/v1", "/v3"), true),
            (with("kind: PeerAuthentication\n", ""), true),
            (with("{name: a}", "{}"), true),
            (with("{name: a}", "{name: a, namespace: [shop]}"), true),
            (with("{name: a}", "default"), true),
            (with("spec: {}", "spec: {mtsl: {}}"), false),
            (
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n".to_owned(),
                false,
            ),
        ] {
            let source = Source {
                name: "a.yaml",
                bytes: text.as_bytes(),
            };
            let found = config::load(&[source], "default").findings;
            assert_eq!(found.iter().any(hides), is_hidden, "{text} {found:?}");
        }
    }
}
