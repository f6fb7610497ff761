//! What is shown of requests, as the command line asks for it. What each part makes of them is in the package `telemetry`.

use std::io;

use outrigger_core::decision::access_log;
use outrigger_telemetry::{RecentSettings, Settings, Telemetry};

use super::workers;
use crate::cli::{AccessLog, RunArgs};

/// Begins, before there are workers.
///
/// # Errors
/// A thread cannot be started.
pub(super) fn start(args: &RunArgs) -> io::Result<Telemetry> {
    Telemetry::start(Settings {
        counts: true,
        access_log: access_log(args.access_log),
        recent: recent(args),
    })
}

fn recent(args: &RunArgs) -> Option<RecentSettings> {
    let asked = &args.recent;
    let keep = usize::try_from(asked.recent_requests).ok()?;
    let bytes = asked.recent_bytes / workers(args).get() as u64;
    (keep > 0).then(|| RecentSettings {
        keep,
        slow: Some(asked.recent_slow).filter(|slow| !slow.is_zero()),
        sample: asked.recent_sample,
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
    })
}

fn access_log(form: AccessLog) -> Option<outrigger_telemetry::AccessLog> {
    Some(outrigger_telemetry::AccessLog {
        format: match form {
            AccessLog::Off => return None,
            AccessLog::Text => |ended, out| {
                access_log::text(ended.record, ended.snapshot, &ended.surroundings(), out);
            },
            AccessLog::Json => |ended, out| {
                access_log::json(ended.record, ended.snapshot, &ended.surroundings(), out);
            },
        },
        writer: stdout(),
    })
}

/// Standard output without the standard library's buffer, which keeps the rest of a line that is not written whole and calls
/// it written, so that it is lost and not counted.
fn stdout() -> Box<dyn io::Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        if let Ok(file) = io::stdout().as_fd().try_clone_to_owned() {
            return Box::new(std::fs::File::from(file));
        }
    }
    Box::new(io::stdout())
}
