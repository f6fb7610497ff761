//! The end of a run: what drains in which order, and what is waited for.
//!
//! Inbound listeners go first, because clients elsewhere must hear of the end while they are still served; outbound ones
//! serve the application for as long as it is asked itself. What a stage means to connections is in the runtime.

use std::process;
use std::time::Duration;

use outrigger_dns::Proxy;
use outrigger_runtime::Running;
use outrigger_telemetry::Telemetry;
use tokio::time::Instant;
use tracing::{info, warn};

use super::admin::Open;
use super::inbound_end::{DrainTimes, drain_inbound, is_for_others};
use super::signals::{Reason, Signals};
use super::{events, last_words, supervisor};

/// What will end, and how.
pub(super) struct Ending {
    pub(super) running: Running,
    /// Where it is asked for; the admin endpoints listen until outbound listeners stop.
    pub(super) admin: Option<Open>,
    /// Applications that ask for names are answered until the end.
    pub(super) names: Option<Proxy>,
    pub(super) times: DrainTimes,
    pub(super) telemetry: Telemetry,
}

/// Those that hold for this reason: nobody elsewhere is waited for at a terminal, or where somebody else accepts already, only what
/// is in flight.
fn at(times: DrainTimes, reason: &Reason) -> DrainTimes {
    match reason {
        Reason::Asked => times,
        Reason::Interrupted | Reason::TakenOver(_) => DrainTimes {
            minimum: Duration::ZERO,
            exit_on_zero: false,
            ..times
        },
    }
}

/// Drains and ends the workers. A successor may take all our addresses as soon as outbound listeners have stopped, while
/// the last requests still run.
pub(super) async fn drain(ending: Ending, reason: Reason, signals: &mut Signals) {
    let Ending {
        running,
        admin,
        names,
        times,
        telemetry,
    } = ending;
    let times = at(times, &reason);
    let longest = times.longest.as_secs_f64();
    let admin = match reason {
        Reason::Asked | Reason::Interrupted => admin,
        Reason::TakenOver(by) => {
            // Its sockets are the same, and it has our questions as soon as nobody here takes them.
            if let Some(names) = &names {
                names.rest();
            }
            if let Some(admin) = admin {
                admin.close().await;
            }
            let pid = by.serves();
            info!(target: "takeover", pid, "process {pid} serves from now on");
            None
        }
    };
    supervisor::stopping();
    info!(target: "drain", seconds = longest, "draining, for at most {longest} s");
    let until = Instant::now() + times.longest;
    let handle = running.handle().clone();
    let drained = async {
        if is_for_others(&handle) {
            drain_inbound(&handle, times, until).await;
        }
        drop(admin);
        let left = until.saturating_duration_since(Instant::now());
        tokio::task::spawn_blocking(move || running.drain(left)).await
    };
    tokio::select! {
        drained = drained => {
            let cut_off = drained.map_or(0, |drained| drained.cut_off);
            if cut_off > 0 {
                warn!(
                    target: "drain",
                    connections = cut_off,
                    "cut off {cut_off} connections that did not end in time"
                );
            }
            last_words::tell(&telemetry);
        }
        _ = signals.end() => {
            warn!(target: "drain", "ended by a second signal");
            last_words::tell(&telemetry);
            events::flush();
            process::exit(0);
        }
    }
}
