//! The outcome for people: a row for each kind of client and each service, why requests failed, and what was expected.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use outrigger_core::time::Instant;
use outrigger_sim::study::{
    EJECTIONS, Health, Metric, Recovery, RowKind, RowOutcome, Scenario, StudyOutcome, Trouble,
};

use super::Run;
use crate::width::{self, shortened, wrapped};

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const QUIET: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
const FAIR: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Services beyond so many are only summed up; `--format json` has all of them.
const MOST_ROWS: usize = 50;

/// The width of the output, and what is written between its edges.
pub(super) struct Page<'o, W> {
    pub(super) out: &'o mut W,
    pub(super) columns: usize,
}

impl<W: Write> Page<'_, W> {
    /// Prose: its first line begins with `first`, the others with so many blanks.
    pub(super) fn prose(
        &mut self,
        style: Style,
        first: &str,
        hanging: usize,
        text: &str,
    ) -> io::Result<()> {
        for line in wrapped(text, self.columns, first, hanging) {
            writeln!(self.out, "{style}{line}{style:#}")?;
        }
        Ok(())
    }
}

/// Writes what came of a run.
pub(super) fn write(out: &mut impl Write, scenario: &Scenario, run: &Run) -> io::Result<()> {
    let columns = width::of_output();
    let page = &mut Page { out, columns };
    write_title(page, scenario)?;
    let outcome = &run.outcome;
    let played = format!(
        "{} requests in {}, seed {}, under {}",
        grouped(outcome.requests),
        span(scenario.duration),
        outcome.seed,
        rules(run),
    );
    page.prose(QUIET, "", 0, &played)?;
    writeln!(page.out)?;
    write_rows(page, scenario, outcome)?;
    write_expectations(page, run)
}

/// What the scenario shows.
pub(super) fn write_title(page: &mut Page<'_, impl Write>, scenario: &Scenario) -> io::Result<()> {
    let about = scenario.about.lines().next().unwrap_or("");
    let title = if about.is_empty() {
        &scenario.file
    } else {
        about
    };
    page.prose(BOLD, "", 0, title)
}

/// Where the rules of a run stand.
pub(super) fn rules(run: &Run) -> String {
    if run.config.is_empty() {
        return "no rules".to_owned();
    }
    run.config.join(", ")
}

/// The columns after the name, and the times of which share of requests they are. Those in the middle are the first that
/// are left out where there is little room.
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
const LEFT_OUT_FIRST: [&str; 2] = ["p99.9", "p90"];

/// The table's cells, a row each; the first holds the headings.
struct Grid {
    cells: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Grid {
    /// As many columns as there is room for, and the names of those that were left out.
    fn fit(rows: &[RowOutcome], columns: usize) -> (Self, Vec<&'static str>) {
        let mut left_out = Vec::new();
        let mut grid = Self::of(rows, &left_out);
        for name in LEFT_OUT_FIRST {
            if grid.width() <= columns {
                break;
            }
            left_out.push(name);
            grid = Self::of(rows, &left_out);
        }
        let excess = grid.width().saturating_sub(columns);
        let room = grid.widths[0].saturating_sub(excess).max(4);
        for row in &mut grid.cells {
            row[0] = shortened(&row[0], room);
        }
        grid.widths[0] = grid.widths[0].min(room);
        (grid, left_out)
    }

    fn of(rows: &[RowOutcome], left_out: &[&str]) -> Self {
        let shares = || SHARES.iter().filter(|(name, _)| !left_out.contains(name));
        let heading = ["", "requests", "success"].into_iter();
        let heading = heading.chain(shares().map(|(name, _)| *name));
        let mut cells = vec![heading.map(str::to_owned).collect::<Vec<_>>()];
        for row in rows.iter().take(MOST_ROWS) {
            let mut line = vec![row.name.clone(), grouped(row.requests)];
            match row.requests {
                // Nothing is said of how they fared.
                0 => line.resize(cells[0].len(), "-".to_owned()),
                _ => {
                    line.push(percent(row));
                    line.extend(shares().map(|(_, share)| time(row.percentile(*share))));
                }
            }
            cells.push(line);
        }
        let width = |at: usize| cells.iter().map(|row| row[at].chars().count()).max();
        let widths = (0..cells[0].len()).map(|at| width(at).unwrap_or(0));
        Self {
            widths: widths.collect(),
            cells,
        }
    }

    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + 2 * (self.widths.len() - 1)
    }

    fn write(&self, out: &mut impl Write, at: usize, styles: [Style; 2]) -> io::Result<()> {
        let [all, success] = styles;
        let (row, widths) = (&self.cells[at], &self.widths);
        write!(out, "{all}{:<1$}{all:#}", row[0], widths[0])?;
        for (column, (cell, width)) in row.iter().zip(widths).enumerate().skip(1) {
            let style = if column == 2 { success } else { all };
            write!(out, "  {style}{cell:>width$}{style:#}")?;
        }
        writeln!(out)
    }
}

fn write_rows(
    page: &mut Page<'_, impl Write>,
    scenario: &Scenario,
    outcome: &StudyOutcome,
) -> io::Result<()> {
    let rows = &outcome.rows;
    let (grid, left_out) = Grid::fit(rows, page.columns);
    grid.write(page.out, 0, [BOLD; 2])?;
    for (at, row) in rows.iter().enumerate().take(MOST_ROWS) {
        let success = style_of(row.success_rate());
        grid.write(page.out, at + 1, [Style::new(), success])?;
        let trouble = scenario.trouble();
        let recovery = trouble.and_then(|t| Some((t, row.recovery(t, outcome.step)?)));
        let mut facts = facts(row);
        facts.extend(recovery.map(|(trouble, recovery)| fared(recovery, trouble)));
        if !facts.is_empty() {
            page.prose(QUIET, "  ", 4, &facts.join(", "))?;
        }
        if !row.reasons.is_empty() {
            page.prose(QUIET, "  ", 4, &format!("failed: {}", reasons(row, 6)))?;
        }
    }
    if rows.len() > MOST_ROWS {
        let more = rows.len() - MOST_ROWS;
        let text = format!("and {more} services more: --format json has them");
        page.prose(QUIET, "", 0, &text)?;
    }
    if !left_out.is_empty() {
        let text = format!(
            "without {}, for want of room: --format json has all",
            left_out.join(" and ")
        );
        page.prose(QUIET, "", 0, &text)?;
    }
    writeln!(page.out)
}

/// What is not so in every row.
fn facts(row: &RowOutcome) -> Vec<String> {
    let counted =
        |count: u64, what: &str| (count > 0).then(|| format!("{} {what}", grouped(count)));
    let amplification = format!("{:.2}", row.amplification());
    let is_loaded = row.kind == RowKind::Service && amplification != "1.00";
    let mut facts: Vec<String> = [
        counted(row.retries, "retries"),
        counted(row.ejections, "ejections"),
    ]
    .into_iter()
    .flatten()
    .collect();
    facts.extend(refusals(row));
    if row.requests == 0 && row.reached > 0 {
        facts.push(format!("{} copies for mirrors", grouped(row.reached)));
    }
    facts.extend(is_loaded.then(|| format!("{amplification} times the load")));
    facts
}

/// What limits refused, by their names.
pub(super) fn refusals(row: &RowOutcome) -> Vec<String> {
    let limits = row.limits.iter();
    let limits = limits.map(|(name, count)| match *name {
        EJECTIONS => format!("{} ejections refused by {name}", grouped(*count)),
        name => format!("{} over {name}", grouped(*count)),
    });
    let own = row.turned_away;
    let own = (own > 0).then(|| format!("{} over its own queue", grouped(own)));
    limits.chain(own).collect()
}

/// Why requests failed, the most frequent first.
pub(super) fn reasons(row: &RowOutcome, most: usize) -> String {
    let shown = row.reasons.iter().take(most);
    let shown: Vec<_> = shown
        .map(|(why, count)| format!("{} × {why}", grouped(*count)))
        .collect();
    shown.join(", ")
}

/// How clients came through the trouble, in words.
pub(super) fn fared(recovery: Recovery, trouble: Trouble) -> String {
    match recovery.health {
        Health::Unhurt => "not hurt by the trouble".to_owned(),
        Health::Unwell => format!(
            "hurt for {}, not well again by the end",
            span(recovery.hurt)
        ),
        Health::WellSince(at) => {
            let since = well_again(at, trouble);
            format!("hurt for {}, well again {since}", span(recovery.hurt))
        }
    }
}

/// When clients were well again, told from the trouble.
pub(super) fn well_again(at: Instant, trouble: Trouble) -> String {
    match trouble.until.filter(|until| *until <= at) {
        Some(until) if until == at => "when it was over".to_owned(),
        Some(until) => format!("{} after it was over", span(at.since(until))),
        None => format!("{} after it began", span(at.since(trouble.from))),
    }
}

fn write_expectations(page: &mut Page<'_, impl Write>, run: &Run) -> io::Result<()> {
    for (expectation, holds) in &run.expectations {
        let (style, word) = verdict(*holds);
        write!(page.out, "{style}{word}{style:#}")?;
        let row = run.outcome.row(&expectation.of);
        let value = row.map_or_else(String::new, |row| value(expectation.metric, row));
        let text = format!("{expectation}: {value}");
        let narrower = page.columns - 5;
        for (at, line) in wrapped(&text, narrower, "", 2).iter().enumerate() {
            let margin = if at == 0 { 1 } else { 5 };
            writeln!(page.out, "{:margin$}{line}", "")?;
        }
    }
    Ok(())
}

/// The word for whether an expectation held.
pub(super) const fn verdict(holds: bool) -> (Style, &'static str) {
    if holds { (GOOD, "ok  ") } else { (BAD, "FAIL") }
}

/// A number of a row.
fn value(metric: Metric, row: &RowOutcome) -> String {
    if row.requests == 0 && metric.is_of_requests() {
        return "no requests".to_owned();
    }
    number(metric, metric.of(row))
}

/// A number as people read it.
pub(super) fn number(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Success => format!("{:.2} %", 100.0 * value),
        metric if metric.is_time() => time(Duration::from_secs_f64(value)),
        Metric::Amplification => format!("{value:.2}"),
        _ => grouped(value as u64),
    }
}

fn style_of(success: f64) -> Style {
    match success {
        s if s >= 0.999 => GOOD,
        s if s >= 0.95 => FAIR,
        _ => BAD,
    }
}

/// A share that is not whole never looks whole.
pub(super) fn percent(row: &RowOutcome) -> String {
    let percent = 100.0 * row.success_rate();
    if row.good() < row.requests && percent > 99.99 {
        return ">99.99 %".to_owned();
    }
    format!("{percent:.2} %")
}

/// A time in the unit that suits it.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.2} s"),
        s => format!("{s:.0} s"),
    }
}

/// How long something lasts, as people say it.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        0.0 => "0 s".to_owned(),
        s if s < 1.0 => self::time(time),
        s if s < 120.0 => format!("{s} s"),
        s if s < 7200.0 => format!("{} min", s / 60.0),
        s => format!("{} h", s / 3600.0),
    }
}

/// A number whose thousands are set apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (micros, text) in [
            (0, "0 µs"),
            (250, "250 µs"),
            (5_250, "5.2 ms"),
            (250_000, "250 ms"),
            (3_004_000, "3.00 s"),
            (125_000_000, "125 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }
}
