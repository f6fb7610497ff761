//! What a reload changes for users, in a line.
//!
//! Owns how much time may be spent on that. It is spent by the thread that waits, after the new configuration is in use: no
//! request waits for it, and it holds the old configuration no longer than that.

use std::time::{Duration, Instant};

use outrigger_core::snapshot::Snapshot;
use outrigger_explain::diff::{Budget, Comparison, text};

/// A signal that comes meanwhile is heard so much later.
const LONGEST: Duration = Duration::from_millis(200);

/// Requests that are compared.
const MOST_REQUESTS: usize = 10_000;

/// What the new configuration changes.
pub(super) fn told(before: &Snapshot, after: &Snapshot) -> String {
    let until = Instant::now() + LONGEST;
    let mut comparison = Comparison::new(before, after);
    comparison.compare_rules(Budget {
        requests: MOST_REQUESTS,
        is_over: &|| Instant::now() >= until,
    });
    text::summary(&comparison.finish())
}
