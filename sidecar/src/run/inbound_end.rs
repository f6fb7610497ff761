//! The end of the side that others reach: who is told, and what is waited for. It comes before the end of a run, or when somebody asks.

use std::time::Duration;

use outrigger_runtime::{Direction, Handle, ListenerStats, Stage};
use tokio::time::{Instant, sleep};

use crate::cli::RunArgs;
use crate::proxy_config;

/// How long a drain may take, and what it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrainTimes {
    /// Inbound listeners accept at least this long.
    pub(super) minimum: Duration,
    /// After this long what still runs is cut off.
    pub(super) longest: Duration,
    /// Inbound listeners accept until no inbound connection is left.
    pub(super) exit_on_zero: bool,
}

impl DrainTimes {
    /// As the command line and Istio's variable say.
    pub(super) fn of(args: &RunArgs) -> Self {
        Self {
            minimum: args.minimum_drain_time,
            longest: args.drain_time,
            exit_on_zero: args.exit_on_zero_active_connections
                || proxy_config::text("EXIT_ON_ZERO_ACTIVE_CONNECTIONS")
                    .is_some_and(|set| matches!(&*set, "1" | "t" | "T" | "true" | "TRUE" | "True")),
        }
    }
}

/// How often inbound connections are counted while their end is waited for.
const COUNT_EVERY: Duration = Duration::from_millis(20);

/// Inbound listeners tell that they end, and do.
pub(super) async fn drain_inbound(handle: &Handle, times: DrainTimes, until: Instant) {
    // Somebody may have had it drained before.
    if handle.inbound_stage() < Stage::Stopped {
        handle.begin_drain(Direction::Inbound, Stage::Graceful);
        sleep(times.minimum.min(times.longest)).await;
        if times.exit_on_zero {
            // A client that only keeps its connection would hold up the end.
            handle.begin_drain(Direction::Inbound, Stage::Ending);
            inbound_ended(handle, until).await;
        }
        handle.begin_drain(Direction::Inbound, Stage::Stopped);
    }
    inbound_ended(handle, until).await;
}

/// Waits until no inbound connection is left, or until then.
async fn inbound_ended(handle: &Handle, until: Instant) {
    while from_others(handle) > 0 && Instant::now() < until {
        sleep(COUNT_EVERY).await;
    }
}

/// Connections from elsewhere that are open.
pub(super) fn from_others(handle: &Handle) -> u64 {
    let is_for_others = |listener: &&ListenerStats| listener.kind.is_for_others();
    let stats = handle.stats();
    let listeners = stats.listeners.iter().filter(is_for_others);
    listeners.map(|listener| listener.active).sum()
}

/// Whether somebody elsewhere would notice that we end.
pub(super) fn is_for_others(handle: &Handle) -> bool {
    let mut listeners = handle.located().into_iter();
    listeners.any(|listener| listener.kind.is_for_others())
}
