//! Two policies side by side, for people: each number in both, what differs, and a verdict that says what a choice means.
//!
//! What differs, and whether for better or worse, is decided in `outrigger_sim::study`; here it gets its words.

use std::io::{self, Write};

use anstyle::Style;
use outrigger_sim::study::{
    Change, Contrast, Health, Judged, Metric, Recoveries, Recovery, RowKind, RowOutcome, Scenario,
    Trouble, Verdict, contrast,
};

use super::Run;
use super::table::{
    BAD, BOLD, GOOD, Page, QUIET, fared, number, percent, reasons, refusals, rules, span, verdict,
    write_title,
};
use crate::width::{self, wrapped};

/// Services beyond so many that differ are only summed up.
const MOST_ROWS: usize = 20;

/// Names of the two.
const NAMES: [&str; 2] = ["A", "B"];

/// Writes what came of two runs of a scenario.
pub(super) fn write(out: &mut impl Write, scenario: &Scenario, runs: [&Run; 2]) -> io::Result<()> {
    let columns = width::of_output();
    let page = &mut Page { out, columns };
    write_title(page, scenario)?;
    let outcome = &runs[0].outcome;
    let length = span(scenario.duration);
    let played = format!("{length}, seed {}, the same clients under", outcome.seed);
    page.prose(QUIET, "", 0, &played)?;
    for (name, run) in NAMES.iter().zip(runs) {
        page.prose(BOLD, &format!("  {name}  "), 5, &rules(run))?;
    }
    let trouble = scenario.trouble();
    let contrasts = contrast(&runs[0].outcome, &runs[1].outcome, trouble);
    write_line(page.out, "", ["A", "B"], "B - A", "")?;
    let (mut alike, mut shown) = (Vec::new(), 0);
    for contrast in &contrasts {
        if contrast.a.kind == RowKind::Service {
            let differs = contrast.changes.iter().any(|change| change.differs)
                || refusals(contrast.a) != refusals(contrast.b);
            if !differs || shown == MOST_ROWS {
                alike.push((contrast.a.name.as_str(), differs));
                continue;
            }
            shown += 1;
        }
        write_contrast(page, contrast, trouble)?;
    }
    write_rest(page, &alike)?;
    write_expectations(page, runs)?;
    write_verdict(page, &contrasts, trouble)
}

/// One number, in both.
fn write_line(
    out: &mut impl Write,
    label: &str,
    values: [&str; 2],
    delta: &str,
    judged: &str,
) -> io::Result<()> {
    let [a, b] = values;
    let line = format!("{label:<15}{a:>11}{b:>11}{delta:>13}");
    let style = match judged {
        "" => return writeln!(out, "{}", line.trim_end()),
        "better" => GOOD,
        _ => BAD,
    };
    writeln!(out, "{line}  {style}{judged}{style:#}")
}

fn write_contrast(
    page: &mut Page<'_, impl Write>,
    contrast: &Contrast<'_>,
    trouble: Option<Trouble>,
) -> io::Result<()> {
    let (a, b) = (contrast.a, contrast.b);
    page.prose(BOLD, "", 0, &a.name)?;
    for cell in cells(contrast) {
        let label = format!("  {}", cell.metric);
        let [x, y] = [&*cell.values[0], &*cell.values[1]];
        write_line(page.out, &label, [x, y], &cell.delta, cell.judged)?;
    }
    if let (Some(recoveries), Some(trouble)) = (contrast.recoveries, trouble) {
        write_recoveries(page.out, &recoveries, trouble)?;
    }
    for (name, row) in NAMES.iter().zip([a, b]) {
        let refusals = refusals(row);
        if row.kind == RowKind::Service && !refusals.is_empty() {
            let first = format!("  {name}  limits: ");
            page.prose(QUIET, &first, 7, &refusals.join(", "))?;
        }
    }
    for (name, row) in NAMES.iter().zip([a, b]) {
        if row.kind == RowKind::Clients && !row.reasons.is_empty() {
            page.prose(QUIET, &format!("  {name}  failed: "), 7, &reasons(row, 4))?;
        }
    }
    Ok(())
}

/// Of services what differs is enough; of clients one wants to see what they had.
fn is_shown(change: &Change, kind: RowKind) -> bool {
    match (kind, change.metric) {
        (RowKind::Service, _) => change.differs,
        (
            RowKind::Clients,
            Metric::Success | Metric::P50 | Metric::P90 | Metric::P99 | Metric::P999,
        ) => true,
        (RowKind::Clients, Metric::Requests | Metric::Retries | Metric::Overflow) => change.differs,
        (RowKind::Clients, Metric::Ejections | Metric::Amplification) => false,
    }
}

fn heading(metric: Metric) -> String {
    match metric {
        Metric::P999 => "p99.9".to_owned(),
        other => other.to_string(),
    }
}

fn value(change: &Change, row: &RowOutcome, value: f64) -> String {
    match change.metric {
        Metric::Success => percent(row),
        metric => number(metric, value),
    }
}

fn delta(change: &Change) -> String {
    let delta = change.b - change.a;
    let sign = if delta < 0.0 { '-' } else { '+' };
    match change.metric {
        Metric::Success => format!("{:+.2} pts", 100.0 * delta),
        metric => format!("{sign}{}", number(metric, delta.abs())),
    }
}

/// For how long clients were hurt, and when they were well again: since the trouble was over or, while it lasts, since it
/// began.
fn write_recoveries(
    out: &mut impl Write,
    recoveries: &Recoveries,
    trouble: Trouble,
) -> io::Result<()> {
    let Recoveries { a, b, judged } = recoveries;
    let [x, y] = [a, b].map(|recovery| span(recovery.hurt));
    write_line(out, "  hurt for", [&x, &y], "", "")?;
    let [x, y] = [a, b].map(|recovery| well_again(*recovery, trouble));
    write_line(out, "  well again", [&x, &y], "", word(*judged))
}

/// The same in a few letters: `+2 s` is after the trouble was over, `in 2 s` after it began.
fn well_again(recovery: Recovery, trouble: Trouble) -> String {
    match recovery.health {
        Health::Unhurt => "always".to_owned(),
        Health::Unwell => "never".to_owned(),
        Health::WellSince(at) => match trouble.until.filter(|until| *until <= at) {
            Some(until) => format!("+{}", span(at.since(until))),
            None => format!("in {}", span(at.since(trouble.from))),
        },
    }
}

fn write_rest(page: &mut Page<'_, impl Write>, rest: &[(&str, bool)]) -> io::Result<()> {
    let more = rest.iter().filter(|(_, differs)| *differs).count();
    if more > 0 {
        let text = format!("and {more} services more that differ: --format json has them");
        page.prose(QUIET, "", 0, &text)?;
    }
    let same = rest.iter().filter(|(_, differs)| !differs);
    let same: Vec<&str> = same.map(|(name, _)| *name).collect();
    match same.len() {
        0 => Ok(()),
        1..=8 => page.prose(QUIET, "", 2, &format!("alike in both: {}", same.join(", "))),
        many => page.prose(QUIET, "", 2, &format!("alike in both: {many} services")),
    }
}

fn write_expectations(page: &mut Page<'_, impl Write>, runs: [&Run; 2]) -> io::Result<()> {
    let [a, b] = runs.map(|run| &run.expectations);
    if a.is_empty() {
        return Ok(());
    }
    writeln!(page.out, "\n{BOLD}A     B     expected{BOLD:#}")?;
    for ((expectation, in_a), (_, in_b)) in a.iter().zip(b) {
        let ((style_a, a), (style_b, b)) = (verdict(*in_a), verdict(*in_b));
        write!(page.out, "{style_a}{a}{style_a:#}  {style_b}{b}{style_b:#}")?;
        let narrower = page.columns - 12;
        for (at, line) in wrapped(&expectation.to_string(), narrower, "", 2)
            .iter()
            .enumerate()
        {
            let margin = if at == 0 { 2 } else { 12 };
            writeln!(page.out, "{:margin$}{line}", "")?;
        }
    }
    Ok(())
}

fn write_verdict(
    page: &mut Page<'_, impl Write>,
    contrasts: &[Contrast<'_>],
    trouble: Option<Trouble>,
) -> io::Result<()> {
    let style = match Verdict::of(contrasts) {
        Verdict::Better => GOOD,
        Verdict::Worse => BAD,
        Verdict::Mixed | Verdict::Alike => BOLD,
    };
    let told = Told::of(contrasts, trouble);
    writeln!(page.out)?;
    page.prose(style, "", 0, told.verdict)?;
    for reason in &told.reasons {
        page.prose(Style::new(), "- ", 2, reason)?;
    }
    Ok(())
}

/// What a choice means, in words.
pub(super) struct Told {
    pub(super) verdict: &'static str,
    /// What is better or worse, who recovered after how long, which limits overflowed.
    pub(super) reasons: Vec<String>,
}

impl Told {
    pub(super) fn of(contrasts: &[Contrast<'_>], trouble: Option<Trouble>) -> Self {
        let verdict = match Verdict::of(contrasts) {
            Verdict::Better => "B is better than A",
            Verdict::Worse => "B is worse than A",
            Verdict::Mixed => "B is better than A in some, and worse in other things",
            Verdict::Alike => "A and B make no difference to clients",
        };
        let mut reasons = Vec::new();
        for contrast in contrasts {
            for (judged, word) in [(Judged::Better, "better"), (Judged::Worse, "worse")] {
                let changes = contrast.changes.iter().filter(|c| c.judged == judged);
                let told: Vec<String> = changes.map(|change| told(change, contrast)).collect();
                if !told.is_empty() {
                    let name = &contrast.a.name;
                    reasons.push(format!("{word} for {name}: {}", told.join(", ")));
                }
            }
            let (Some(recoveries), Some(trouble)) = (contrast.recoveries, trouble) else {
                continue;
            };
            if recoveries.judged != Judged::Alike {
                let [a, b] = [recoveries.a, recoveries.b].map(|r| fared(r, trouble));
                let name = &contrast.a.name;
                reasons.push(format!("{name} recovered: in A {a}; in B {b}"));
            }
        }
        reasons.extend(limits(contrasts));
        Self { verdict, reasons }
    }
}

/// A number of both, as a table has it.
pub(super) struct Cell {
    pub(super) metric: String,
    pub(super) values: [String; 2],
    /// Empty where both are written alike.
    pub(super) delta: String,
    /// `better`, `worse` or nothing.
    pub(super) judged: &'static str,
}

const fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Better => "better",
        Judged::Worse => "worse",
        Judged::Alike => "",
    }
}

/// The numbers of a row that are worth showing.
pub(super) fn cells(contrast: &Contrast<'_>) -> Vec<Cell> {
    let shown = contrast
        .changes
        .iter()
        .filter(|c| is_shown(c, contrast.a.kind));
    let cell = |change: &Change| {
        let (a, b) = (contrast.a, contrast.b);
        let values = [value(change, a, change.a), value(change, b, change.b)];
        let delta = match values[0] == values[1] {
            true => String::new(),
            false => delta(change),
        };
        Cell {
            metric: heading(change.metric),
            values,
            delta,
            judged: word(change.judged),
        }
    };
    shown.map(cell).collect()
}

/// A change in words.
fn told(change: &Change, contrast: &Contrast<'_>) -> String {
    let (a, b) = (
        value(change, contrast.a, change.a),
        value(change, contrast.b, change.b),
    );
    let what = match change.metric {
        Metric::Amplification => "load".to_owned(),
        metric => heading(metric),
    };
    format!("{what} {a} → {b}")
}

/// Which limits overflowed, in which of both.
fn limits(contrasts: &[Contrast<'_>]) -> impl Iterator<Item = String> {
    let of = |row: &RowOutcome| (row.kind == RowKind::Service).then(|| refusals(row));
    NAMES.iter().enumerate().map(move |(at, name)| {
        let rows = contrasts.iter().map(|c| [c.a, c.b][at]);
        let told: Vec<String> = rows
            .filter_map(|row| Some((row, of(row).filter(|told| !told.is_empty())?)))
            .map(|(row, told)| format!("{} of {}", told.join(", "), row.name))
            .collect();
        match told.is_empty() {
            true => format!("in {name} no limit overflowed"),
            false => format!("in {name} limits overflowed: {}", told.join("; ")),
        }
    })
}
