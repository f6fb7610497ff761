//! What is told when the proxy ends: how much of what it had to say nobody will ever read.

use outrigger_telemetry::Telemetry;
use tracing::warn;

use super::events;

/// Tells what was lost since the proxy began, if anything was.
pub(super) fn tell(telemetry: &Telemetry) {
    let lines = telemetry.log_lines_dropped();
    if lines > 0 {
        warn!(
            target: "access_log",
            lines,
            "{lines} lines of access logs were never written: files were stuck, full or away"
        );
    }
    let spans = telemetry.spans();
    // What still waits now is never sent.
    let failed = spans.failed + spans.waiting;
    if spans.dropped + failed > 0 {
        warn!(
            target: "tracing",
            dropped = spans.dropped,
            failed,
            exported = spans.exported,
            "{} spans reached no trace collector: {} found no room to wait, {failed} were not taken",
            spans.dropped + failed,
            spans.dropped,
        );
    }
    let notices = events::dropped();
    if notices > 0 {
        warn!(
            target: "main",
            lines = notices,
            "{notices} lines of this log were never written"
        );
    }
}
