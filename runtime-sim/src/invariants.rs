//! What must hold after every step (`ARCHITECTURE.md`, invariants 3, 6 and 7), checked from outside.

use std::collections::BTreeMap;

use outrigger_core::exchange::Side;
use outrigger_core::outbox::HIGH_WATER;

use crate::sidecar::Sidecar;

/// An outbox may pass its mark by what one piece can add: an inbox as full as it gets while no connection is there
/// (64 KiB, and the room of one more read) and its framing.
const SLACK: usize = 192 * 1024;

/// Gauges of a sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Requests in flight.
    pub active: u32,
    /// Open connections, idle ones included.
    pub connections: u32,
    /// Connections kept idle.
    pub idle: usize,
}

impl Gauges {
    pub(crate) fn of(sidecar: &Sidecar) -> Self {
        let snapshot = &sidecar.worker.view().snapshot;
        let mut states = BTreeMap::new();
        for endpoint in snapshot.clusters.iter().flat_map(|c| &*c.endpoints) {
            states.insert(endpoint.state.id(), &endpoint.state);
        }
        Self {
            active: states.values().map(|s| s.active()).sum(),
            connections: states.values().map(|s| s.connections()).sum(),
            idle: sidecar.worker.idle_connections(),
        }
    }
}

/// Says which invariant is broken.
pub(crate) fn check(sidecar: &Sidecar) -> Result<(), String> {
    for (number, running) in &sidecar.running {
        for side in [Side::Downstream, Side::Upstream] {
            let len = running.exchange.outbox(side).len();
            if len > HIGH_WATER + SLACK {
                return Err(format!(
                    "exchange {number} holds {len} unsent bytes for its {side:?} side"
                ));
            }
        }
    }
    let gauges = Gauges::of(sidecar);
    let running = sidecar.running.len();
    if gauges.active as usize > running {
        return Err(format!(
            "{} attempts are in flight for {running} exchanges",
            gauges.active
        ));
    }
    if gauges.idle != sidecar.idle.len() {
        return Err(format!(
            "the worker counts {} idle connections, the runtime keeps {}",
            gauges.idle,
            sidecar.idle.len()
        ));
    }
    if gauges.connections as usize > running + gauges.idle {
        return Err(format!(
            "{} connections are open for {running} exchanges and {} idle ones",
            gauges.connections, gauges.idle
        ));
    }
    Ok(())
}
