//! `outrigger replay FILE --story FILTER`: the stories of recorded requests that a filter takes in.
//!
//! Owns how they are shown. They are told by a replay, so what is told is what was decided, as far as the recording is good;
//! which requests a filter takes in is decided in `outrigger_explain`.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use outrigger_core::time::Instant;
use outrigger_core::worker::Exchange;
use outrigger_explain::filter::Filter;
use outrigger_explain::told::Told;
use outrigger_recording::replay::{Outcome, Stop, replay_telling};
use serde::Serialize;

use super::text::Seconds;
use super::{CHANGED, ReplayArgs, UNREADABLE};
use crate::options::Format;

/// Stories in one document; text is written as it comes.
const MOST: usize = 10_000;

/// A request in the document.
#[derive(Serialize)]
struct Story {
    seconds: f64,
    /// `null` for a copy for a mirror, which has no client.
    connection: Option<u64>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Serialize)]
struct Document {
    requests: u64,
    told: u64,
    /// Of these, so many are not among `stories`.
    left_out: u64,
    stories: Vec<Story>,
    error: Option<String>,
}

/// Tells them, and says how that went.
pub(super) fn stories(args: &ReplayArgs, filter: &Filter) -> ExitCode {
    let file = match File::open(&args.file) {
        Ok(file) => file,
        Err(error) => {
            anstream::eprintln!("error: `{}`: {error}", args.file.display());
            return ExitCode::from(UNREADABLE);
        }
    };
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let (mut requests, mut told, mut stories) = (0, 0, Vec::new());
    // Whoever reads may stop reading; the verdict stands in the exit code all the same.
    let mut written = Ok(());
    let outcome = replay_telling(BufReader::new(file), |exchange, connection| {
        requests += 1;
        let (record, snapshot) = (exchange.record(), exchange.snapshot());
        if !filter.takes(record, snapshot) {
            return;
        }
        told += 1;
        match args.format {
            Format::Json if stories.len() < MOST => stories.push(Story {
                seconds: record.began.since(Instant::ZERO).as_secs_f64(),
                connection,
                told: Told::new(record, snapshot),
            }),
            Format::Json => {}
            Format::Text if written.is_ok() => {
                written = super::fitted(&mut out, |out| write_story(out, exchange, connection));
            }
            Format::Text => {}
        }
    });
    let error = error(args, &outcome);
    let _ = written.and_then(|()| match args.format {
        Format::Text => writeln!(
            out,
            "{told} of {requests} requests, copies for mirrors counted too"
        ),
        Format::Json => {
            let document = Document {
                requests,
                told,
                left_out: told - stories.len() as u64,
                stories,
                error: error.clone(),
            };
            serde_json::to_writer_pretty(&mut out, &document)?;
            writeln!(out)
        }
    });
    let _ = out.flush();
    if let Some(error) = &error {
        anstream::eprintln!("error: {error}");
    }
    match outcome.stop {
        None => ExitCode::SUCCESS,
        Some(Stop::Changed(_)) => ExitCode::from(CHANGED),
        Some(Stop::Fault(_)) => ExitCode::from(UNREADABLE),
    }
}

fn write_story(
    out: &mut dyn Write,
    exchange: &Exchange,
    connection: Option<u64>,
) -> io::Result<()> {
    let record = exchange.record();
    let at = Seconds(record.began);
    let whose = connection.map_or_else(
        || "a copy for a mirror".to_owned(),
        |number| format!("connection {number}"),
    );
    let random = record.entropy.0;
    writeln!(out, "{at} into the run, {whose}, random number {random}")?;
    writeln!(out, "{}", exchange.story())
}

/// Why not everything was told.
fn error(args: &ReplayArgs, outcome: &Outcome) -> Option<String> {
    let path = args.file.display();
    match &outcome.stop {
        None => None,
        Some(Stop::Fault(fault)) => Some(format!("`{path}`: {fault}")),
        Some(Stop::Changed(_)) => Some(format!(
            "`{path}`: this program decides otherwise from here on, so nothing more is told; `outrigger replay` without \
             --story says what"
        )),
    }
}
