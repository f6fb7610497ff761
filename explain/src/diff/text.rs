//! What changes, for people.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::{Difference, Example, Way};
use crate::explanation::Place;

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();

/// Ways that are shown, unless all are wanted.
const MOST_SHOWN: usize = 20;

/// Ways in a summary, and how long each may be.
const MOST_SUMMED_UP: usize = 3;
const MOST_BYTES: usize = 300;

/// The whole of it.
#[must_use]
pub fn text(difference: &Difference, all: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, difference, all);
    out
}

fn write_all(out: &mut String, difference: &Difference, all: bool) -> fmt::Result {
    let Difference {
        requests,
        changed,
        ways,
        in_further_ways,
        incomplete,
    } = difference;
    let shown = if all { ways.len() } else { MOST_SHOWN };
    for way in ways.iter().take(shown) {
        write_way(out, way)?;
        writeln!(out)?;
    }
    let rest = ways.len().saturating_sub(shown);
    if rest > 0 || *in_further_ways > 0 {
        let hidden: u64 = ways.iter().skip(shown).map(|way| way.requests).sum();
        let more = hidden + in_further_ways;
        writeln!(
            out,
            "… and {more} requests in other ways (--all shows more)\n"
        )?;
    }
    match changed {
        0 => write!(
            out,
            "nothing changes for the {requests} requests that were compared"
        )?,
        changed => write!(
            out,
            "{changed} of {requests} requests that were compared change"
        )?,
    }
    match incomplete {
        true => writeln!(out, "; there are more to compare"),
        false => writeln!(out),
    }
}

fn write_way(out: &mut String, way: &Way) -> fmt::Result {
    let Way {
        requests,
        before,
        after,
        changes,
        examples,
    } = way;
    let plural = if *requests == 1 {
        "request"
    } else {
        "requests"
    };
    write!(out, "{BOLD}{requests} {plural}{BOLD:#}")?;
    match before == after {
        true => writeln!(out, " to {before}")?,
        false => writeln!(out, "\n  {OLD}- {before}{OLD:#}\n  {NEW}+ {after}{NEW:#}")?,
    }
    for change in changes {
        let (what, before, after) = (change.what, &change.before, &change.after);
        writeln!(
            out,
            "  {what}\n    {OLD}- {before}{OLD:#}\n    {NEW}+ {after}{NEW:#}"
        )?;
    }
    for example in examples {
        write_example(out, example)?;
    }
    Ok(())
}

fn write_example(out: &mut String, example: &Example) -> fmt::Result {
    let place = |place: &Option<Place>| {
        place.as_ref().map_or_else(
            || "no rule".to_owned(),
            |place| format!("{}:{}", place.file, place.line),
        )
    };
    let (before, after) = (place(&example.before), place(&example.after));
    let request = &example.request;
    match before == after {
        true => writeln!(out, "  {request}  {QUIET}({before}){QUIET:#}"),
        false => writeln!(out, "  {request}  {QUIET}({before}, now {after}){QUIET:#}"),
    }
}

/// One line, of bounded length, for a log.
#[must_use]
pub fn summary(difference: &Difference) -> String {
    let Difference {
        requests,
        changed,
        ways,
        in_further_ways,
        incomplete,
    } = difference;
    let bound = if *incomplete { "at least " } else { "" };
    if *changed == 0 {
        return match incomplete {
            true => format!(
                "nothing changes for the {requests} requests that were compared, and there are more"
            ),
            false => "nothing changes for requests".to_owned(),
        };
    }
    let mut told = format!("{bound}{changed} of {requests} requests that rules speak of change: ");
    let ways_told = ways.iter().take(MOST_SUMMED_UP).map(sum_up);
    told += &ways_told.collect::<Vec<_>>().join("; ");
    let more = ways.len().saturating_sub(MOST_SUMMED_UP) as u64 + u64::from(*in_further_ways > 0);
    if more > 0 {
        told += &format!("; and in {more} other ways");
    }
    told
}

fn sum_up(way: &Way) -> String {
    let mut told = match way.before == way.after {
        true => way.before.clone(),
        false => format!("{} → {}", way.before, way.after),
    };
    for change in &way.changes {
        told += &format!(", {} {} → {}", change.what, change.before, change.after);
    }
    if let Some(example) = way.examples.first() {
        told = format!("{} ({told})", example.request);
    }
    if told.len() > MOST_BYTES {
        let end = (0..=MOST_BYTES).rev().find(|at| told.is_char_boundary(*at));
        told.truncate(end.unwrap_or(0));
        told.push('…');
    }
    told
}
