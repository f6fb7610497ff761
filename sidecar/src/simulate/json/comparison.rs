//! What two policies differ in, for machines.

use outrigger_sim::study::{Change, Contrast, Judged, Metric, Recoveries, RowKind, Verdict};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The second run beside the first.
#[derive(Serialize)]
pub(super) struct Comparison<'a> {
    verdict: &'static str,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: &'static str,
    changes: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<&'static str>,
}

impl<'a> Comparison<'a> {
    pub(super) fn of(contrasts: &[Contrast<'a>]) -> Self {
        let row = |contrast: &Contrast<'a>| Row {
            name: &contrast.a.name,
            kind: kind(contrast.a.kind),
            changes: contrast.changes.iter().map(change).collect(),
            recovery: contrast
                .recoveries
                .map(|Recoveries { judged, .. }| word(judged)),
        };
        Self {
            verdict: match Verdict::of(contrasts) {
                Verdict::Better => "better",
                Verdict::Worse => "worse",
                Verdict::Mixed => "mixed",
                Verdict::Alike => "alike",
            },
            rows: contrasts.iter().map(row).collect(),
        }
    }
}

pub(super) const fn kind(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Clients => "clients",
        RowKind::Service => "service",
    }
}

const fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Better => "better",
        Judged::Worse => "worse",
        Judged::Alike => "alike",
    }
}

/// By the name and in the unit that the number has in its row.
fn change(change: &Change) -> (String, Value) {
    let (name, unit) = match change.metric {
        Metric::Success => ("success_rate".to_owned(), 1.0),
        metric if metric.is_time() => (format!("{metric}_ms"), 1000.0),
        metric => (metric.to_string(), 1.0),
    };
    let (a, b) = (unit * change.a, unit * change.b);
    let judged = word(change.judged);
    let differs = change.differs;
    let told = json!({"a": a, "b": b, "delta": b - a, "differs": differs, "judged": judged});
    (name, told)
}
