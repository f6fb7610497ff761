//! The outcome for machines: one JSON document, whose shape `simulate --help` promises.

use std::io::{self, Write};

use outrigger_sim::study::{RowKind, RowOutcome, Step};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Run;

/// What is written. Fields may be added; none is renamed, removed or given another meaning.
#[derive(Serialize)]
struct Document<'a> {
    runs: Vec<Played<'a>>,
}

#[derive(Serialize)]
struct Played<'a> {
    config: &'a [String],
    seed: u64,
    requests: u64,
    calls: u64,
    simulated_ms: f64,
    digest: String,
    rows: Vec<Row<'a>>,
    expectations: Vec<Expected<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: &'static str,
    requests: u64,
    success_rate: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    mean_ms: f64,
    retries: u64,
    ejections: u64,
    overflow: u64,
    amplification: f64,
    reached: u64,
    turned_away: u64,
    failures: Map<String, Value>,
    replicas: Vec<Replica<'a>>,
    steps: Steps,
}

#[derive(Serialize)]
struct Replica<'a> {
    name: &'a str,
    reached: u64,
}

#[derive(Serialize)]
struct Steps {
    ms: f64,
    ended: Vec<u32>,
    failed: Vec<u32>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    retries: Vec<u32>,
    overflow: Vec<u32>,
    under_way: Vec<u32>,
    ejected: Vec<f64>,
    at_limit: Vec<f64>,
}

#[derive(Serialize)]
struct Expected<'a> {
    of: &'a str,
    metric: String,
    bound: &'a str,
    holds: bool,
}

/// Writes the outcome, with a line end.
pub(super) fn write(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let document = Document {
        runs: runs.iter().map(played).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

fn played(run: &Run) -> Played<'_> {
    let outcome = &run.outcome;
    let step = ms(outcome.step);
    Played {
        config: &run.config,
        seed: outcome.seed,
        requests: outcome.requests,
        calls: outcome.calls,
        simulated_ms: ms(outcome.simulated),
        digest: format!("{:016x}", outcome.digest),
        rows: outcome.rows.iter().map(|r| row(r, step)).collect(),
        expectations: run
            .expectations
            .iter()
            .map(|(e, holds)| Expected {
                of: &e.of,
                metric: e.metric.to_string(),
                bound: &e.text,
                holds: *holds,
            })
            .collect(),
    }
}

fn row(row: &RowOutcome, step: f64) -> Row<'_> {
    let at = |share| ms(row.percentile(share));
    let ended: u64 = row.endings.values().sum();
    Row {
        name: &row.name,
        kind: match row.kind {
            RowKind::Clients => "clients",
            RowKind::Service => "service",
        },
        requests: row.requests,
        success_rate: row.success_rate(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        mean_ms: if ended == 0 {
            0.0
        } else {
            ms(row.total_time) / ended as f64
        },
        retries: row.retries,
        ejections: row.ejections,
        overflow: row.overflows,
        amplification: row.amplification(),
        reached: row.reached,
        turned_away: row.turned_away,
        failures: row
            .reasons
            .iter()
            .map(|(why, count)| (why.clone(), (*count).into()))
            .collect(),
        replicas: row
            .replicas
            .iter()
            .map(|replica| Replica {
                name: &replica.name,
                reached: replica.reached,
            })
            .collect(),
        steps: steps(&row.steps, step),
    }
}

fn steps(steps: &[Step], step: f64) -> Steps {
    let counts = |of: fn(&Step) -> u32| steps.iter().map(of).collect();
    let numbers = |of: fn(&Step) -> f64| steps.iter().map(of).collect();
    Steps {
        ms: step,
        ended: counts(|s| s.ended),
        failed: counts(|s| s.failed),
        p50_ms: numbers(|s| ms(s.p50)),
        p99_ms: numbers(|s| ms(s.p99)),
        retries: counts(|s| s.retries),
        overflow: counts(|s| s.overflows),
        under_way: counts(|s| s.under_way),
        ejected: numbers(|s| f64::from(s.out)),
        at_limit: numbers(|s| f64::from(s.at_limit)),
    }
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
