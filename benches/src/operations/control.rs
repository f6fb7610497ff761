//! What no request waits for: compiling, and being asked for metrics.

use std::hint::black_box;
use std::sync::Arc;

use outrigger_telemetry::metrics::MetricsSettings;
use outrigger_telemetry::{Settings, Telemetry};

use super::{Operation, Run};
use crate::scenario::{many_services, snapshot};
use crate::scrape::{ask_all, page};

pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::new("compile/services/1000", 1, compile),
        Operation::new("scrape/services/1000", 1, scrape),
    ]
}

/// From YAML to a snapshot.
fn compile() -> Run {
    let text = many_services(1000);
    Box::new(move || {
        let snapshot = snapshot(black_box(&text));
        assert!(snapshot.clusters.len() >= 1000, "each has one");
    })
}

/// The metrics of services that were all asked, on two workers.
fn scrape() -> Run {
    let snapshot = snapshot(&many_services(1000));
    let telemetry = Telemetry::start(Settings {
        metrics: Some(MetricsSettings::default()),
        ..Settings::default()
    });
    let sinks = telemetry.sinks().expect("metrics are on");
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let mut sink = sinks.sink(worker);
            ask_all(&mut *sink, &snapshot);
            sink
        })
        .collect();
    let sinks = Arc::clone(&sinks);
    Box::new(move || {
        let _ = (&workers, &sinks);
        let bytes: usize = page(&telemetry, &snapshot).map(|piece| piece.len()).sum();
        assert!(bytes > 1000, "there is something to tell");
    })
}
