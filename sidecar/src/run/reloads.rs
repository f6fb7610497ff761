//! How reloads went: counters and the last refusal, for whoever looks at a proxy from outside.
//!
//! Owns these numbers and the lines that tell them. What a reload is and when one is made is in `control`; where the
//! numbers are shown, in `admin`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_core::config::{Finding, Severity};
use outrigger_core::decision::access_log;
use tracing::{error, info};

use super::history::History;
use super::supervisor;

/// Shared by the thread that reloads and the one that answers.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    successes: AtomicU64,
    refusals: AtomicU64,
    /// The refusal of what was read last; that of one that was mended is in the history.
    last_refused: Mutex<Option<Refused>>,
    /// What was read last was refused.
    is_refused: AtomicBool,
    /// When what is in use was taken, in microseconds since 1970-01-01 UTC.
    last_success: AtomicU64,
    findings: Mutex<Findings>,
    history: History,
}

/// How many there are, by code and severity.
pub(super) type Findings = BTreeMap<(&'static str, &'static str), u64>;

/// A configuration that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// When, since 1970-01-01 UTC.
    at: Duration,
    /// The first error that was found, on one line.
    error: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", access_log::rfc3339(self.at), self.error)
    }
}

impl Reloads {
    /// The first configuration is in use.
    pub(super) fn began(&self, summary: &str) {
        self.took(summary, None);
    }

    fn took(&self, summary: &str, changes: Option<&str>) {
        let at = since_epoch();
        self.history.taken(at, summary, changes);
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.last_success.store(micros, Ordering::Relaxed);
        self.is_refused.store(false, Ordering::Relaxed);
        *self.lock() = None;
    }

    /// What was read has these.
    pub(super) fn found(&self, findings: &[Finding]) {
        self.history.found(findings);
        let mut counts = Findings::new();
        for finding in findings {
            let key = (finding.code.as_str(), finding.severity.as_str());
            *counts.entry(key).or_default() += 1;
        }
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// A new configuration is in use.
    pub(super) fn succeeded(&self, summary: &str, changes: &str) {
        self.successes.fetch_add(1, Ordering::Relaxed);
        self.took(summary, Some(changes));
        supervisor::ready(summary);
        info!(target: "config", changes, "reloaded; {summary}; {changes}");
    }

    /// The old one stays.
    pub(super) fn refused(&self, error: String, outcome: &str) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.is_refused.store(true, Ordering::Relaxed);
        let at = since_epoch();
        self.history.refused(at, &error);
        supervisor::refused(&error);
        *self.lock() = Some(Refused { at, error });
        error!(target: "config", "{outcome}");
    }

    /// What is remembered of all of them.
    pub(super) const fn history(&self) -> &History {
        &self.history
    }

    /// Reloads that put something into use.
    pub(super) fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Reloads that put nothing into use.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Whether what was read last was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// When what is in use was taken, since 1970-01-01 UTC.
    pub(super) fn last_success(&self) -> Duration {
        Duration::from_micros(self.last_success.load(Ordering::Relaxed))
    }

    /// What was found in what was read last.
    pub(super) fn findings(&self) -> Findings {
        let findings = self.findings.lock();
        findings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why what was read last was refused, if it was.
    pub(super) fn last_refused(&self) -> Option<Refused> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        // What is in it is replaced in one step, so a panic elsewhere leaves it whole.
        self.last_refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The finding for which a configuration was refused, as it was told.
pub(super) fn first_error(findings: &[Finding]) -> String {
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let blocking = findings.iter().find(|finding| finding.blocks());
    let first = blocking.or_else(|| findings.iter().find(is_error));
    first.map(ToString::to_string).unwrap_or_default()
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
