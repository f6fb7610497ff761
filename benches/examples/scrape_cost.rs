//! What it costs to add up and write the metrics of a thousand services that were all asked, on two workers: CPU of the thread
//! that does it. The stats of clusters are as many as the program tells.
//!
//! `cargo run --release -p outrigger-benches --example scrape_cost`

use std::fs;

use outrigger_benches::scenario::{many_services, snapshot};
use outrigger_benches::scrape::{ask_all, page};
use outrigger_telemetry::metrics::MetricsSettings;
use outrigger_telemetry::{Settings, Telemetry};

const ROUNDS: usize = 9;

fn main() {
    let snapshot = snapshot(&many_services(1000));
    let telemetry = Telemetry::start(Settings {
        metrics: Some(MetricsSettings::default()),
        ..Settings::default()
    });
    let sinks = telemetry.sinks();
    let sinks = sinks.as_ref();
    let workers = (0..2).filter_map(|worker| Some(sinks?.sink(worker)));
    for mut worker in workers.collect::<Vec<_>>() {
        ask_all(&mut *worker, &snapshot);
    }
    let mut rounds: Vec<(u64, usize)> = (0..ROUNDS)
        .map(|_| {
            let before = on_cpu();
            let page = page(&telemetry, &snapshot);
            let bytes = page.map(|piece| piece.len()).sum();
            (on_cpu() - before, bytes)
        })
        .collect();
    rounds.sort_unstable();
    let (nanos, bytes) = rounds[ROUNDS / 2];
    println!("{:.1} ms of CPU, {bytes} bytes", nanos as f64 / 1e6);
}

/// How long this thread has been on a CPU; what else runs on the machine does not count.
fn on_cpu() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or_default()
}
