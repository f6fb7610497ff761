//! Names of endpoints, resolved in the background: each is asked for again when its answer expires, and the last good
//! answer is kept.
//!
//! Owns which names are asked for and what is known of each. What an answer means for endpoints is core's business, when
//! it is put to work `control`'s. All of it runs on the control thread; no worker waits for a name.

mod counts;
mod watched;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use outrigger_core::compile::{NameAnswers, Uses};
use outrigger_dns::{Answer, Failure, Schedule, System, ask, random};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

pub(super) use counts::counted;
use counts::{COUNTS, count};
use tracing::{info, warn};
use watched::Watched;

/// So long a start, and a reload that brings new names, wait for their first answers.
pub(super) const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// The names of the configuration in force.
pub(super) struct Resolver {
    names: BTreeMap<Box<str>, Name>,
    heard: UnboundedReceiver<Heard>,
    /// For the tasks that ask.
    sender: UnboundedSender<Heard>,
    /// Asked in the place of the machine's name servers, if there are any.
    servers: Arc<[SocketAddr]>,
}

/// A name, and the task that asks for it until this is dropped.
struct Name {
    uses: Uses,
    watched: Watched,
    task: AbortHandle,
}

impl Drop for Name {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of a question.
struct Heard {
    name: Box<str>,
    outcome: Result<Answer, Failure>,
}

impl Resolver {
    /// `servers` are asked in the place of the machine's name servers, if there are any.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let (sender, heard) = unbounded_channel();
        Self {
            names: BTreeMap::new(),
            heard,
            sender,
            servers: servers.into(),
        }
    }

    /// Asks for these names and no others from now on. Those that were asked for before keep what is known of them.
    /// Called within the control thread's runtime.
    pub(super) fn watch(&mut self, names: &BTreeMap<Box<str>, Uses>) {
        self.names.retain(|name, _| names.contains_key(name));
        for (name, uses) in names {
            let known = self.names.entry(name.clone()).or_insert_with(|| {
                let asking =
                    keep_asking(name.clone(), Arc::clone(&self.servers), self.sender.clone());
                Name {
                    uses: *uses,
                    watched: Watched::default(),
                    task: tokio::spawn(asking).abort_handle(),
                }
            });
            known.uses = *uses;
        }
        self.count_names();
    }

    /// The last good answers.
    pub(super) fn answers(&self) -> NameAnswers {
        let good = self.names.iter().filter_map(|(name, known)| {
            let addresses = known.watched.good()?;
            Some((name.clone(), addresses.to_vec()))
        });
        good.collect()
    }

    /// Nothing has come yet of some name: neither an answer nor a failure.
    pub(super) fn is_waiting(&self) -> bool {
        let mut names = self.names.values();
        names.any(|name| name.watched.is_waited_for())
    }

    /// Waits until something has come of a name, and says whether endpoints are elsewhere now. Whoever stops waiting
    /// loses nothing.
    pub(super) async fn hear(&mut self) -> bool {
        match self.heard.recv().await {
            Some(heard) => self.take(heard),
            // Not while we hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// Waits until something has come of every name, but not for ever.
    pub(super) async fn first_answers(&mut self) {
        let heard = async {
            while self.is_waiting() {
                self.hear().await;
            }
        };
        // What is missing comes later, as an answer that changed.
        let _ = timeout(FIRST_ANSWERS, heard).await;
        for (name, _) in self.names.iter().filter(|(_, n)| n.watched.is_waited_for()) {
            warn!(
                target: "dns",
                "`{name}` has no answer after {} s and no endpoints until it has one",
                FIRST_ANSWERS.as_secs()
            );
        }
    }

    fn take(&mut self, heard: Heard) -> bool {
        let Heard { name, outcome } = heard;
        // An answer may come after nobody asks any more.
        let Some(known) = self.names.get_mut(&name) else {
            return false;
        };
        let is_success = outcome.is_ok();
        let now = Instant::now();
        let news = known.watched.hear(&name, known.uses, outcome, now);
        match (is_success, news.changed) {
            (true, true) => count(&COUNTS.success),
            (true, false) => {
                count(&COUNTS.success);
                count(&COUNTS.no_rebuild);
            }
            (false, _) => count(&COUNTS.failure),
        }
        // Who reads the words finds the numbers.
        self.count_names();
        if let Some(line) = news.line {
            match is_success {
                true => info!(target: "dns", "{line}"),
                false => warn!(target: "dns", "{line}"),
            }
        }
        news.changed
    }

    fn count_names(&self) {
        let names = self.names.values();
        let unresolved = names.filter(|name| name.watched.is_unresolved()).count();
        COUNTS.names.store(self.names.len() as u64, Relaxed);
        COUNTS.unresolved.store(unresolved as u64, Relaxed);
    }
}

/// Asks for a name again and again.
async fn keep_asking(name: Box<str>, servers: Arc<[SocketAddr]>, sender: UnboundedSender<Heard>) {
    let mut schedule = Schedule::default();
    loop {
        count(&COUNTS.attempt);
        let outcome = ask(&name, &System::read(&servers)).await;
        let random = random();
        let wait = match &outcome {
            Ok(answer) => schedule.answered(answer.ttl, random),
            Err(_) => schedule.failed(random),
        };
        let name = name.clone();
        if sender.send(Heard { name, outcome }).is_err() {
            return;
        }
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
