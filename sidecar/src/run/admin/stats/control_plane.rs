//! What `/stats` tells of the control plane, where the configuration comes from one: whether it is heard, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};

use crate::run::discovery::Inbox;

/// As Envoy calls it.
const CONTROL_PLANE: Scope<'static> = Scope {
    text: "control_plane",
    family: "envoy_control_plane",
    labels: "",
};

/// Where there is one.
pub(super) fn add(sheet: &mut Sheet, of: Option<&Inbox>) {
    let Some(inbox) = of else {
        return;
    };
    let counts = &inbox.counts;
    let connected = Stat::new(
        "connected_state",
        "1 if the control plane is listened to, 0 if what it said last is in use",
    );
    let is_connected = f64::from(u8::from(counts.connected.load(Ordering::Relaxed)));
    sheet.add(&CONTROL_PLANE, connected, Value::Gauge(is_connected));
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (text, family, help, count) in [
        (
            "streams",
            "streams_total",
            "Streams that were opened to the control plane",
            load(&counts.opened),
        ),
        (
            "streams_failed",
            "streams_failed_total",
            "Streams that could not be opened, or broke",
            load(&counts.failed),
        ),
        (
            "responses",
            "responses_total",
            "Responses of the control plane",
            load(&counts.responses),
        ),
        (
            "objects_refused",
            "objects_refused_total",
            "Objects in them that were refused",
            load(&counts.refused),
        ),
    ] {
        let stat = Stat {
            text,
            family,
            label: None,
            help,
        };
        sheet.add(&CONTROL_PLANE, stat, Value::Counter(count));
    }
}
