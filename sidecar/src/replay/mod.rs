//! The command `replay`: decides again what a run recorded, and says whether everything came out the same.
//!
//! Owns the exit code. What is compared is in `outrigger_recording`; how the result looks is in `text` and `json`. Recorded
//! requests under other rules are the business of `what_if`.

mod args;
mod json;
mod stories;
mod text;
mod what_if;

pub(crate) use args::ReplayArgs;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use outrigger_recording::replay::{Outcome, Stop, replay as feed};
use outrigger_recording::{End, Fault};

use crate::options::Format;
use crate::width;

/// Something is decided otherwise.
const CHANGED: u8 = 1;

/// The file cannot be read, or not to its end.
const UNREADABLE: u8 = 2;

/// Runs the command and says how it went.
pub(crate) fn replay(args: &ReplayArgs) -> ExitCode {
    if !args.config.is_empty() {
        return what_if::what_if(args);
    }
    if let Some(filter) = &args.story {
        return stories::stories(args, filter);
    }
    let outcome = match File::open(&args.file) {
        Ok(file) => feed(BufReader::new(file)),
        Err(error) => Outcome {
            stop: Some(Fault::from(error).into()),
            ..Outcome::default()
        },
    };
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let written = match args.format {
        Format::Text => fitted(&mut out, |out| text::write(out, &args.file, &outcome)),
        Format::Json => json::write(&mut out, &outcome),
    };
    // Whoever reads may stop reading; the verdict stands in the exit code all the same.
    let _ = written.and_then(|()| out.flush());
    match outcome.stop {
        None => ExitCode::SUCCESS,
        Some(Stop::Changed(_)) => ExitCode::from(CHANGED),
        Some(Stop::Fault(_)) => ExitCode::from(UNREADABLE),
    }
}

/// Writes what is written in lines that fit a terminal.
fn fitted(
    out: &mut dyn Write,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let columns = width::of_terminal();
    let mut text = Vec::new();
    write(&mut text)?;
    for line in String::from_utf8_lossy(&text).lines() {
        for line in width::story_line(line, columns, 0) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Why a recording ends, in a word.
const fn end_word(end: Option<&End>) -> &'static str {
    match end {
        Some(End::Finished) => "finished",
        Some(End::Full { .. }) => "full",
        Some(End::Slow) => "slow",
        Some(End::Panicked) => "panicked",
        None => "cut",
    }
}
