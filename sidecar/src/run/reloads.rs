//! How reloads went: counters and the last refusal, for whoever looks at a proxy from outside.
//!
//! Owns these numbers and the lines that tell them. What a reload is and when one is made is in `control`; where the
//! numbers are shown, in `admin`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_core::config::{Finding, Severity};
use outrigger_core::decision::access_log;

use super::told::tell;

/// Shared by the thread that reloads and the one that answers.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    successes: AtomicU64,
    refusals: AtomicU64,
    last_refused: Mutex<Option<Refused>>,
}

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
    /// A new configuration is in use.
    pub(super) fn succeeded(&self, summary: &str, changes: &str) {
        self.successes.fetch_add(1, Ordering::Relaxed);
        tell!(
            "{} info: reloaded; {summary}; {changes}",
            access_log::rfc3339(since_epoch())
        );
    }

    /// The old one stays.
    pub(super) fn refused(&self, error: String, outcome: &str) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        let at = since_epoch();
        *self.lock() = Some(Refused { at, error });
        tell!("{} error: {outcome}", access_log::rfc3339(at));
    }

    /// Reloads that put something into use.
    pub(super) fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Reloads that put nothing into use.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// The last of those; stays after a later one succeeded.
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
