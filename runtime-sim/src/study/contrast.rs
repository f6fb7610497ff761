//! Two outcomes of one scenario beside each other: what differs by more than chance would have it, and for better or worse.
//!
//! Clients are who judges. What a service went through is told, but only more or less load on it is called better or
//! worse: a service that nobody reaches any more looks fast and sound.

use outrigger_core::time::Duration;

use super::expectation::{METRICS, Metric};
use super::outcome::{RowKind, RowOutcome, StudyOutcome};
use super::recovery::{Health, Recovery};
use super::scenario::Trouble;

/// Shares that differ by more standard deviations than this do not do so by chance.
const DEVIATIONS: f64 = 3.0;

/// Times differ when they do so by this part of the longer one, and by more than can be noticed.
const LONGER: f64 = 0.2;
const NOTICED: f64 = 0.001;

/// Loads differ by so many requests for each that would have been made without retries.
const HEAVIER: f64 = 0.05;

/// What a difference is to whoever chooses between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The second is better.
    Better,
    /// The second is worse.
    Worse,
    /// Nothing, or nothing that is good or bad in itself.
    Alike,
}

/// One number, in both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Which number.
    pub metric: Metric,
    /// In the first; times in seconds, shares from 0 to 1.
    pub a: f64,
    /// In the second.
    pub b: f64,
    /// Whether they differ by more than chance would have it; counts, whether they differ.
    pub differs: bool,
    /// What the difference is.
    pub judged: Judged,
}

/// How clients came through the trouble, in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recoveries {
    /// In the first.
    pub a: Recovery,
    /// In the second.
    pub b: Recovery,
    /// What the difference is.
    pub judged: Judged,
}

/// A row, in both.
#[derive(Clone, Debug)]
pub struct Contrast<'a> {
    /// In the first.
    pub a: &'a RowOutcome,
    /// In the second.
    pub b: &'a RowOutcome,
    /// Every number, in the order in which a scenario may expect them.
    pub changes: Vec<Change>,
    /// How clients came through the trouble; `None` where there was none, and for services.
    pub recoveries: Option<Recoveries>,
}

/// What choosing the second means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Something is better, and nothing is worse.
    Better,
    /// Something is worse, and nothing is better.
    Worse,
    /// Some is better and some is worse.
    Mixed,
    /// Nothing is better or worse.
    Alike,
}

impl Verdict {
    /// The verdict over everything.
    #[must_use]
    pub fn of(contrasts: &[Contrast<'_>]) -> Self {
        let has = |what| {
            contrasts
                .iter()
                .flat_map(Contrast::judged)
                .any(|j| j == what)
        };
        match (has(Judged::Better), has(Judged::Worse)) {
            (true, false) => Self::Better,
            (false, true) => Self::Worse,
            (true, true) => Self::Mixed,
            (false, false) => Self::Alike,
        }
    }
}

/// Compares the rows of two outcomes of one scenario.
#[must_use]
pub fn contrast<'a>(
    a: &'a StudyOutcome,
    b: &'a StudyOutcome,
    trouble: Option<Trouble>,
) -> Vec<Contrast<'a>> {
    let pairs = a.rows.iter().zip(&b.rows);
    pairs
        .map(|(row_a, row_b)| Contrast {
            a: row_a,
            b: row_b,
            changes: METRICS
                .iter()
                .map(|(_, metric)| change(*metric, row_a, row_b))
                .collect(),
            recoveries: trouble.and_then(|trouble| recoveries(row_a, row_b, trouble, a.step)),
        })
        .collect()
}

impl Contrast<'_> {
    /// Everything that was judged.
    pub fn judged(&self) -> impl Iterator<Item = Judged> {
        let changes = self.changes.iter().map(|change| change.judged);
        changes.chain(self.recoveries.map(|recoveries| recoveries.judged))
    }
}

fn change(metric: Metric, a: &RowOutcome, b: &RowOutcome) -> Change {
    let (x, y) = (metric.of(a), metric.of(b));
    let differs = match metric {
        Metric::Success => is_no_chance(a, b),
        Metric::P50 | Metric::P90 | Metric::P99 | Metric::P999 => is_longer(x, y),
        Metric::Amplification => (x - y).abs() > HEAVIER,
        Metric::Requests | Metric::Retries | Metric::Ejections | Metric::Overflow => x != y,
    };
    let judged = match (a.kind, metric) {
        (RowKind::Clients | RowKind::Service, _) if !differs => Judged::Alike,
        (RowKind::Clients, Metric::Success) => lower_is_better(y, x),
        (RowKind::Clients, Metric::P50 | Metric::P90 | Metric::P99) => lower_is_better(x, y),
        // Below 1, limits keep requests from the service; that is no load to be rid of.
        (RowKind::Service, Metric::Amplification) if x.max(y) > 1.0 + HEAVIER => {
            lower_is_better(x, y)
        }
        (RowKind::Clients | RowKind::Service, _) => Judged::Alike,
    };
    Change {
        metric,
        a: x,
        b: y,
        differs,
        judged,
    }
}

fn lower_is_better(a: f64, b: f64) -> Judged {
    match b < a {
        true => Judged::Better,
        false => Judged::Worse,
    }
}

/// Whether as many would hardly be served in the one and not in the other if both served the same share.
fn is_no_chance(a: &RowOutcome, b: &RowOutcome) -> bool {
    let (count_a, count_b) = (a.requests as f64, b.requests as f64);
    let share = (a.good() + b.good()) as f64 / (count_a + count_b).max(1.0);
    let deviation = share * (1.0 - share) * (1.0 / count_a.max(1.0) + 1.0 / count_b.max(1.0));
    let differ = (a.success_rate() - b.success_rate()).abs();
    differ > DEVIATIONS * deviation.sqrt()
}

fn is_longer(a: f64, b: f64) -> bool {
    let differ = (a - b).abs();
    differ > LONGER * a.max(b) && differ > NOTICED
}

fn recoveries(
    a: &RowOutcome,
    b: &RowOutcome,
    trouble: Trouble,
    step: Duration,
) -> Option<Recoveries> {
    let (a, b) = (a.recovery(trouble, step)?, b.recovery(trouble, step)?);
    let judged = match (a.health, b.health) {
        (Health::WellSince(x), Health::WellSince(y)) if x.since(y).max(y.since(x)) <= step => {
            Judged::Alike
        }
        (x, y) if x == y => Judged::Alike,
        (x, y) if y < x => Judged::Better,
        _ => Judged::Worse,
    };
    Some(Recoveries { a, b, judged })
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;
    use crate::load::Outcome;

    /// So many requests that took so many milliseconds, and so many that failed.
    fn row(kind: RowKind, made: u64, millis: u64, failed: u64) -> RowOutcome {
        let mut row = Row::new("u", kind, Duration::from_secs(1))
            .borrow_mut()
            .finish();
        (row.requests, row.firsts) = (made, made);
        row.endings.insert(Outcome::Answered(200), made - failed);
        row.endings.insert(Outcome::Answered(503), failed);
        (0..made).for_each(|_| row.times.add(Duration::from_millis(millis)));
        row
    }

    #[test]
    fn what_chance_does_is_no_difference() {
        use Judged::{Alike, Better, Worse};
        for (metric, (made, millis, failed), judged) in [
            (Metric::Success, (1000, 10, 100), Alike),
            // One in ten of a thousand: ± 13 in each, so 40 more are no chance.
            (Metric::Success, (1000, 10, 130), Alike),
            (Metric::Success, (1000, 10, 150), Worse),
            (Metric::Success, (1000, 10, 50), Better),
            (Metric::P99, (1000, 12, 100), Alike),
            (Metric::P99, (1000, 13, 100), Worse),
            (Metric::P50, (1000, 7, 100), Better),
            (Metric::P999, (1000, 99, 100), Alike),
            (Metric::Requests, (2000, 10, 200), Alike),
        ] {
            let a = row(RowKind::Clients, 1000, 10, 100);
            let b = row(RowKind::Clients, made, millis, failed);
            let got = change(metric, &a, &b).judged;
            assert_eq!(got, judged, "{metric} {made} {millis} {failed}");
        }
    }

    #[test]
    fn a_service_is_judged_by_its_load_alone() {
        use Judged::{Alike, Better, Worse};
        for (reached, instead, judged) in [
            (1000, 1000, Alike),
            (3000, 1000, Better),
            (1000, 1100, Worse),
            // Fewer reach it because they are refused.
            (1000, 500, Alike),
            (500, 1500, Worse),
        ] {
            let [mut a, mut b] = [0, 900].map(|failed| row(RowKind::Service, 1000, 10, failed));
            (a.reached, b.reached) = (reached, instead);
            assert_eq!(change(Metric::Success, &a, &b).judged, Alike);
            let got = change(Metric::Amplification, &a, &b).judged;
            assert_eq!(got, judged, "{reached} {instead}");
        }
    }
}
