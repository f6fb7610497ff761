//! How the demo's outcome looks: lines for people as it goes, one JSON document for machines at the end.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::judge::Verdict;
use super::measured::{Figures, Measured};
use super::seen::Tally;
use super::steps::{Load, Step, Visit, steps};
use crate::options::Format;
use crate::width::{self, shortened, story_line, wrapped};

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

const PICTURE: &str = concat!(
    "  visitor ─▶ customer ─▶ preference ─┬▶ recommendation v1\n",
    "                                     ├▶ recommendation v2\n",
    "                                     └▶ another v2, at times\n",
    "  visitor ═▶ recommendation: gRPC over HTTP/2, later\n",
    "  and at last mutual TLS, policies and tokens: who may ask\n",
);

const TITLE: &str =
    "The tutorial on loopback: every service behind its own sidecar, real HTTP, real sockets";

const LEGEND: &str = "In brackets stands what a service got that passed the failure on: a status, and Envoy's response flag or who answered.";
const CHANCE: &str =
    "Ranges leave a correct proxy to fail a run by chance less than once in a million runs.";
const FILES: &str =
    "The rules are files: examples/tutorial/. How to play with them: examples/README.md.";

/// From so many columns on, what was expected stands beside who visited.
const WIDE: usize = 80;

/// Tells what happens, while it happens.
pub(super) struct Report {
    format: Format,
    columns: usize,
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
            columns: width::of_output(),
            bar,
            rows: Vec::new(),
            stories: Vec::new(),
            requests: 0,
        };
        report.prose(BOLD, "", 0, TITLE);
        report.say(format_args!("\n{PICTURE}"));
        report
    }

    /// New rules are in place.
    pub(super) fn step(&self, step: &Step) {
        self.bar.set_message(step.name);
        let (name, indent) = (step.name, step.name.len() + 2);
        for (at, line) in wrapped(step.title, self.columns, &" ".repeat(indent), 2)
            .iter()
            .enumerate()
        {
            match at {
                0 => self.say(format_args!("{BOLD}{name}{BOLD:#}{}", &line[name.len()..])),
                _ => self.say(format_args!("{line}")),
            }
        }
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
        self.check((style, word), &visit, &verdict);
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
            for line in story_line(line, self.columns, 7) {
                self.say(format_args!("{QUIET}{line}{QUIET:#}"));
            }
        }
        self.stories.push(Story {
            step: step.name,
            story,
        });
    }

    /// What was expected and observed, beside who visited or, where there is little room, below.
    fn check(&self, (style, word): (Style, &str), visit: &str, verdict: &Verdict) {
        let indent = if self.columns >= WIDE { 32 } else { 7 };
        match self.columns {
            WIDE.. => {}
            _ => self.say(format_args!("  {style}{word}{style:#} {visit}")),
        }
        let room = self.columns.saturating_sub(indent + 9);
        let observed = shown(verdict);
        let told = [("expected", &verdict.expected), ("observed", &observed)];
        for (row, (name, text)) in told.into_iter().enumerate() {
            for (at, line) in wrapped(text, room, "", 0).iter().enumerate() {
                match (row, at) {
                    (0, 0) if self.columns >= WIDE => self.say(format_args!(
                        "  {style}{word}{style:#} {visit:24} {QUIET}{name}{QUIET:#} {line}"
                    )),
                    (_, 0) => self.say(format_args!("{:indent$}{QUIET}{name}{QUIET:#} {line}", "")),
                    _ => self.say(format_args!("{:indent$}{:9}{line}", "", "")),
                }
            }
        }
    }

    /// The loads, one line each; without who served where there is little room.
    fn table(&self) {
        let is_wide = self.columns >= WIDE;
        let most = self
            .columns
            .saturating_sub(if is_wide { 52 } else { 34 })
            .min(28);
        let head = format!(
            "\n{BOLD}{:most$}{:>8}{:>9}{:>9}",
            "load", "served", "p50", "p99"
        );
        let served = match is_wide {
            true => format!("{:>5}{:>5}{:>8}", "v1", "v2", "2nd v2"),
            false => String::new(),
        };
        self.say(format_args!("{head}{served}{:>8}{BOLD:#}", "ejected"));
        for row in &self.rows {
            let Some(load) = &row.load else { continue };
            let served = match is_wide {
                true => format!("{:>5}{:>5}{:>8}", load.v1, load.v2, load.second_v2),
                false => String::new(),
            };
            self.say(format_args!(
                "{:most$}{:>6.1} %{:>6.1} ms{:>6.1} ms{served}{:>8}",
                shortened(row.step, most),
                100.0 * load.success_rate,
                load.p50_ms,
                load.p99_ms,
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
                let text = format!(
                    "{words}: {steps} steps, {checks} checks, {requests} requests in {seconds:.1} s"
                );
                self.say(format_args!(""));
                self.prose(style, "", 0, &text);
                for text in [LEGEND, CHANCE, FILES] {
                    self.prose(QUIET, "", 0, text);
                }
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

    /// Writes prose in lines that fit.
    fn prose(&self, style: Style, first: &str, hanging: usize, text: &str) {
        for line in wrapped(text, self.columns, first, hanging) {
            self.say(format_args!("{style}{line}{style:#}"));
        }
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
