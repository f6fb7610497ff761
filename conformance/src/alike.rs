//! Whether subjects decided alike: every field of every record, but for what a clock says.
//!
//! Requests are told by their random number, which stands for their connection and their place on it: in which order
//! requests of different connections end is not compared.

use std::collections::BTreeMap;

use outrigger_core::decision::Record;
use outrigger_core::time::{Duration, Instant};
use outrigger_recording::{self as recorded, Decided};

use crate::Problem;
use crate::case::Case;

/// What a subject of this name decided in a case.
pub type Decisions = (&'static str, Vec<Decided>);

/// Every field in which another subject's decisions differ from the first one's.
#[must_use]
pub fn differences(case: &Case, subjects: &[Decisions]) -> Vec<Problem> {
    let Some((first, others)) = subjects.split_first() else {
        return Vec::new();
    };
    let differ = |other| between(case, first, other);
    others.iter().flat_map(differ).collect()
}

fn between(case: &Case, (one, first): &Decisions, (other, second): &Decisions) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut differ = |number: usize, field: &str, first: &str, second: &str| {
        let what = format!("request {number}: {field}\n{one}: {first}\n{other}: {second}");
        problems.push(Problem::new(&case.file, case.line, what));
    };
    let numbered = (1..).zip(second);
    let mut left: BTreeMap<u64, (usize, &Decided)> =
        numbered.map(|(n, d)| (d.entropy.0, (n, d))).collect();
    for (number, decided) in (1..).zip(first) {
        let Some((_, found)) = left.remove(&decided.entropy.0) else {
            differ(number, "decided", "yes", "no");
            continue;
        };
        for difference in recorded::differences(decided, found) {
            let (first, second) = (&difference.recorded, &difference.now);
            differ(number, &difference.field, first, second);
        }
    }
    for (number, _) in left.into_values() {
        differ(number, "decided", "no", "yes");
    }
    problems
}

/// A record as JSON on one line.
#[must_use]
pub fn to_json(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// Reads what [`to_json`] wrote, but for what a clock said.
///
/// # Errors
/// It is no record.
pub fn from_json(text: &str) -> serde_json::Result<Decided> {
    let mut decided: Decided = serde_json::from_str(text)?;
    decided.began = Instant::ZERO;
    decided.ended = Instant::ZERO;
    decided.upstream_service_ms = None;
    for attempt in &mut decided.attempts {
        attempt.began = Instant::ZERO;
    }
    if let Some(seen) = &mut decided.rate_limit {
        seen.next_token = Duration::ZERO;
    }
    for checked in &mut decided.checks {
        checked.took = Duration::ZERO;
    }
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::entropy::Entropy;

    #[test]
    fn differs_in_what_was_decided_and_not_in_when() {
        let decided = |entropy, status, began| {
            let mut record = Record::default();
            record.restart(Instant::from_millis(began), Entropy(entropy));
            record.status = status;
            from_json(&to_json(&record)).unwrap()
        };
        let sim = || vec![decided(1, 200, 0), decided(2, 404, 0)];
        let cases: [(Vec<Decided>, &[&str]); 4] = [
            (vec![decided(2, 404, 7), decided(1, 200, 9)], &[]),
            (
                vec![decided(1, 200, 0), decided(2, 503, 0)],
                &["request 2: status\nsim: 404\ntokio: 503"],
            ),
            (
                vec![decided(2, 404, 0)],
                &["request 1: decided\nsim: yes\ntokio: no"],
            ),
            (
                vec![decided(1, 200, 0), decided(2, 404, 0), decided(3, 200, 0)],
                &["request 3: decided\nsim: no\ntokio: yes"],
            ),
        ];
        for (tokio, want) in cases {
            let played = [("sim", sim()), ("tokio", tokio)];
            let got = differences(&Case::default(), &played);
            let got: Vec<&str> = got.iter().map(|problem| &*problem.what).collect();
            assert_eq!(got, want);
        }
    }
}
