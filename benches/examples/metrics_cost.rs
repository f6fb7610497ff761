//! What counting a request costs of the CPU that core takes for it, sockets and system apart: medians of alternating rounds.
//!
//! `cargo run --release -p outrigger-benches --example metrics_cost`

use std::fs;

use outrigger_benches::client::{Client, Manner};
use outrigger_benches::scenario::{one_service, snapshot};

const ROUNDS: usize = 9;
const REQUESTS: u32 = 100_000;

fn main() {
    let snapshot = snapshot(&one_service());
    let mut off = Client::warm(snapshot.clone());
    let counted = Manner {
        is_counted: true,
        ..Manner::default()
    };
    let mut on = Client::of(snapshot, counted);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(nanos(&mut off));
        with.push(nanos(&mut on));
    }
    let (without, with) = (median(without), median(with));
    println!(
        "off {without:.0} ns, on {with:.0} ns a request: {:.1} % more",
        100.0 * (with / without - 1.0)
    );
}

/// Nanoseconds of CPU for each request.
fn nanos(client: &mut Client) -> f64 {
    let before = on_cpu();
    for _ in 0..REQUESTS {
        client.request();
    }
    (on_cpu() - before) as f64 / f64::from(REQUESTS)
}

/// How long this thread has been on a CPU; what else runs on the machine does not count.
fn on_cpu() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or_default()
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
