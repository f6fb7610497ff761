//! The outcome for machines: one JSON document, whose shape `simulate --help` promises.

mod comparison;

use std::io::{self, Write};
use std::time::Duration;

use outrigger_core::time::Instant;
use outrigger_sim::study::{Health, Recovery, RowOutcome, Scenario, Step, Trouble, contrast};
use serde::Serialize;
use serde_json::{Map, Value};

use self::comparison::{Comparison, kind};
use super::Run;

/// What is written. Fields may be added; none is renamed, removed or given another meaning.
#[derive(Serialize)]
struct Document<'a> {
    trouble: Option<Window>,
    runs: Vec<Played<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison<'a>>,
}

/// When something was out of the ordinary.
#[derive(Serialize)]
struct Window {
    from_ms: f64,
    until_ms: Option<f64>,
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
    limits: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovered>,
    replicas: Vec<Replica<'a>>,
    steps: Steps,
}

#[derive(Serialize)]
struct Recovered {
    health: &'static str,
    hurt_ms: f64,
    well_since_ms: Option<f64>,
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
pub(super) fn write(out: &mut impl Write, scenario: &Scenario, runs: &[Run]) -> io::Result<()> {
    let trouble = scenario.trouble();
    let comparison = match runs {
        [a, b] => Some(Comparison::of(&contrast(&a.outcome, &b.outcome, trouble))),
        _ => None,
    };
    let since_start = |at: Instant| ms(at.since(Instant::ZERO));
    let document = Document {
        trouble: trouble.map(|trouble| Window {
            from_ms: since_start(trouble.from),
            until_ms: trouble.until.map(since_start),
        }),
        runs: runs.iter().map(|run| played(run, trouble)).collect(),
        comparison,
    };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}

fn played(run: &Run, trouble: Option<Trouble>) -> Played<'_> {
    let outcome = &run.outcome;
    Played {
        config: &run.config,
        seed: outcome.seed,
        requests: outcome.requests,
        calls: outcome.calls,
        simulated_ms: ms(outcome.simulated),
        digest: format!("{:016x}", outcome.digest),
        rows: outcome
            .rows
            .iter()
            .map(|r| row(r, outcome.step, trouble))
            .collect(),
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

fn row(row: &RowOutcome, step: Duration, trouble: Option<Trouble>) -> Row<'_> {
    let at = |share| ms(row.percentile(share));
    let ended: u64 = row.endings.values().sum();
    Row {
        name: &row.name,
        kind: kind(row.kind),
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
        limits: row
            .limits
            .iter()
            .map(|(name, count)| ((*name).to_owned(), (*count).into()))
            .collect(),
        recovery: trouble
            .and_then(|trouble| row.recovery(trouble, step))
            .map(recovered),
        replicas: row
            .replicas
            .iter()
            .map(|replica| Replica {
                name: &replica.name,
                reached: replica.reached,
            })
            .collect(),
        steps: steps(&row.steps, ms(step)),
    }
}

fn recovered(recovery: Recovery) -> Recovered {
    let (health, since) = match recovery.health {
        Health::Unhurt => ("unhurt", None),
        Health::WellSince(at) => ("well", Some(at)),
        Health::Unwell => ("unwell", None),
    };
    Recovered {
        health,
        hurt_ms: ms(recovery.hurt),
        well_since_ms: since.map(|at| ms(at.since(Instant::ZERO))),
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

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
