//! How the demo's outcome looks: lines for people as it goes, one JSON document for machines at the end.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::judge::{Tally, Verdict};
use super::load::{Figures, Measured};
use super::steps::{Load, Step, Visit, steps};
use crate::cli::Format;

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

const PICTURE: &str = concat!(
    "  visitor ─▶ customer ─▶ preference ─┬▶ recommendation v1\n",
    "                                     ├▶ recommendation v2\n",
    "                                     └▶ recommendation v2, a second one in some steps\n",
);

/// Tells what happens, while it happens.
pub(super) struct Report {
    format: Format,
    bar: ProgressBar,
    rows: Vec<Row>,
    stories: Vec<Story>,
    requests: u64,
}

#[derive(Serialize)]
struct Row {
    step: &'static str,
    visit: String,
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<Figures>,
}

#[derive(Serialize)]
struct Story {
    step: &'static str,
    story: String,
}

#[derive(Serialize)]
struct Outcome<'a> {
    ok: bool,
    requests: u64,
    seconds: f64,
    checks: &'a [Row],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stories: &'a [Story],
}

impl Report {
    /// Begins a run of this many requests.
    pub(super) fn begin(format: Format, requests: u64) -> Self {
        // Drawn only when standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(requests), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len} requests  {msg}") {
            bar.set_style(style);
        }
        let report = Self {
            format,
            bar,
            rows: Vec::new(),
            stories: Vec::new(),
            requests: 0,
        };
        report.say(format_args!(
            "{BOLD}The tutorial on loopback: every service behind its own sidecar, real HTTP, real sockets{BOLD:#}\n\n\
             {PICTURE}"
        ));
        report
    }

    /// New rules are in place.
    pub(super) fn step(&self, step: &Step) {
        self.bar.set_message(step.name);
        let (name, title) = (step.name, step.title);
        self.say(format_args!("{BOLD}{name}{BOLD:#}  {title}"));
    }

    /// A request was answered.
    pub(super) fn tick(&self) {
        self.bar.inc(1);
    }

    /// A visit is over.
    pub(super) fn visit(&mut self, step: &Step, visit: &Visit, verdict: Verdict) {
        self.row(step, visit.who.to_owned(), verdict, None);
    }

    /// A load is over.
    pub(super) fn load(&mut self, step: &Step, load: &Load, verdict: Verdict, measured: Measured) {
        let who = format!("{} at the same time", load.visitors);
        let planned = load.visitors * load.requests;
        let made: u32 = measured.answers.values().sum();
        self.bar.inc(planned.saturating_sub(made).into());
        self.row(step, who, verdict, Some(measured.figures()));
    }

    fn row(&mut self, step: &Step, visit: String, verdict: Verdict, load: Option<Figures>) {
        let requests: u32 = verdict.observed.values().sum();
        self.requests += u64::from(requests);
        let (style, word) = if verdict.ok {
            (GOOD, "ok  ")
        } else {
            (BAD, "FAIL")
        };
        self.say(format_args!(
            "  {style}{word}{style:#} {visit:24} {QUIET}expected{QUIET:#} {}\n  {:29} {QUIET}observed{QUIET:#} {}",
            verdict.expected,
            "",
            shown(&verdict),
        ));
        self.rows.push(Row {
            step: step.name,
            visit,
            verdict,
            load,
        });
    }

    /// What became of one request of a step; none told what the step shows.
    pub(super) fn story(&mut self, step: &Step, story: Option<String>) {
        let Some(story) = story else {
            let verdict = Verdict {
                expected: format!("one that tells: {}", step.tells),
                observed: Tally::new(),
                meanwhile: None,
                ok: false,
            };
            return self.row(step, "the story of a request".to_owned(), verdict, None);
        };
        for line in story.lines() {
            self.say(format_args!("       {QUIET}{line}{QUIET:#}"));
        }
        self.stories.push(Story {
            step: step.name,
            story,
        });
    }

    /// The loads, one line each.
    fn table(&self) {
        self.say(format_args!(
            "\n{BOLD}{:28} {:>8} {:>10} {:>10} {:>6} {:>6} {:>10} {:>10}{BOLD:#}",
            "load", "served", "p50", "p99", "v1", "v2", "second v2", "ejections"
        ));
        for row in &self.rows {
            let Some(load) = &row.load else { continue };
            self.say(format_args!(
                "{:28} {:>6.1} % {:>7.1} ms {:>7.1} ms {:>6} {:>6} {:>10} {:>10}",
                row.step,
                100.0 * load.success_rate,
                load.p50_ms,
                load.p99_ms,
                load.v1,
                load.v2,
                load.second_v2,
                load.ejections,
            ));
        }
    }

    /// Ends the run and says whether everything was as expected.
    pub(super) fn end(self, took: Duration) -> bool {
        self.bar.finish_and_clear();
        let failed = self.rows.iter().filter(|row| !row.verdict.ok).count();
        let seconds = took.as_secs_f64();
        match self.format {
            Format::Text => {
                let (steps, checks, requests) = (steps().count(), self.rows.len(), self.requests);
                let (style, words) = match failed {
                    0 => (GOOD, "everything as expected".to_owned()),
                    _ => (BAD, format!("{failed} of {checks} checks failed")),
                };
                self.table();
                self.say(format_args!(
                    "\n{style}{words}{style:#}: {steps} steps, {checks} checks, {requests} requests in {seconds:.1} s\n\
                     {QUIET}Ranges leave a correct proxy to fail a run by chance less than once in a million runs.\n\
                     The rules are files: examples/tutorial/. How to play with them: examples/README.md.{QUIET:#}"
                ));
            }
            Format::Json => {
                let outcome = Outcome {
                    ok: failed == 0,
                    requests: self.requests,
                    seconds,
                    checks: &self.rows,
                    stories: &self.stories,
                };
                let mut out = io::stdout().lock();
                let _ = serde_json::to_writer_pretty(&mut out, &outcome);
                let _ = writeln!(out);
            }
        }
        failed == 0
    }

    /// Writes for people, above the bar. Whoever reads may stop reading.
    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.format == Format::Text {
            self.bar.suspend(|| {
                let _ = writeln!(anstream::stdout(), "{what}");
            });
        }
    }
}

fn shown(verdict: &Verdict) -> String {
    let seen = verdict.observed.iter();
    let seen = seen.map(|(what, count)| format!("{count} × {what}"));
    let parts: Vec<_> = seen.chain(verdict.meanwhile.clone()).collect();
    if parts.is_empty() {
        "nothing".into()
    } else {
        parts.join(", ")
    }
}
