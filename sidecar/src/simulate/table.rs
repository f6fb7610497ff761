//! The outcome for people: a row for each kind of client and each service, why requests failed, and what was expected.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use outrigger_sim::study::{RowKind, RowOutcome, Scenario};

use super::Run;

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const FAIR: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Services beyond so many are only summed up; `--format json` has all of them.
const MOST_ROWS: usize = 50;

/// Writes what came of every run.
pub(super) fn write(out: &mut impl Write, scenario: &Scenario, runs: &[Run]) -> io::Result<()> {
    let about = scenario.about.lines().next().unwrap_or("");
    let title = if about.is_empty() {
        &scenario.file
    } else {
        about
    };
    writeln!(out, "{BOLD}{title}{BOLD:#}")?;
    for run in runs {
        let outcome = &run.outcome;
        writeln!(
            out,
            "{QUIET}{} requests in {}, seed {}, under {}{QUIET:#}\n",
            grouped(outcome.requests),
            span(scenario.duration),
            outcome.seed,
            if run.config.is_empty() {
                "no rules".to_owned()
            } else {
                run.config.join(", ")
            },
        )?;
        write_rows(out, &run.outcome.rows)?;
        write_expectations(out, run)?;
    }
    Ok(())
}

fn write_rows(out: &mut impl Write, rows: &[RowOutcome]) -> io::Result<()> {
    let width = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(8, 30);
    writeln!(
        out,
        "{BOLD}{:width$} {:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6}{BOLD:#}",
        "",
        "requests",
        "success",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "retries",
        "ejections",
        "overflow",
        "ampl."
    )?;
    for row in rows.iter().take(MOST_ROWS) {
        let style = style_of(row.success_rate());
        let ejections = match row.kind {
            RowKind::Clients => String::new(),
            RowKind::Service => grouped(row.ejections),
        };
        writeln!(
            out,
            "{:width$} {:>9} {style}{:>8}{style:#} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6}",
            row.name,
            grouped(row.requests),
            percent(row),
            time(row.percentile(0.5)),
            time(row.percentile(0.9)),
            time(row.percentile(0.99)),
            time(row.percentile(0.999)),
            grouped(row.retries),
            ejections,
            grouped(row.overflows),
            format!("{:.2}", row.amplification()),
        )?;
        if !row.reasons.is_empty() {
            let shown = row.reasons.iter().take(6);
            let shown: Vec<_> = shown
                .map(|(why, count)| format!("{} × {why}", grouped(*count)))
                .collect();
            writeln!(
                out,
                "{:width$} {QUIET}failed: {}{QUIET:#}",
                "",
                shown.join(", ")
            )?;
        }
    }
    if rows.len() > MOST_ROWS {
        writeln!(
            out,
            "{QUIET}and {} services more: --format json has them{QUIET:#}",
            rows.len() - MOST_ROWS
        )?;
    }
    writeln!(out)
}

fn write_expectations(out: &mut impl Write, run: &Run) -> io::Result<()> {
    for (expectation, holds) in &run.expectations {
        let (style, word) = if *holds {
            (GOOD, "ok  ")
        } else {
            (BAD, "FAIL")
        };
        let row = run.outcome.row(&expectation.of);
        let value = row.map_or(0.0, |row| expectation.metric.of(row));
        let value = match expectation.metric {
            outrigger_sim::study::Metric::Success => format!("{:.2} %", 100.0 * value),
            metric if metric.is_time() => time(Duration::from_secs_f64(value)),
            _ if value.fract() == 0.0 => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        };
        writeln!(out, "{style}{word}{style:#} {expectation}: {value}")?;
    }
    Ok(())
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
