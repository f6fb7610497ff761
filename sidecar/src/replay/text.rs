//! The result of a replay for people.

use std::io::{self, Write};
use std::path::Path;

use outrigger_core::time::Instant;
use outrigger_recording::End;
use outrigger_recording::replay::{Outcome, Replayed, Stop};

/// Writes it.
pub(super) fn write(out: &mut dyn Write, path: &Path, outcome: &Outcome) -> io::Result<()> {
    let replayed = &outcome.replayed;
    if replayed.workers > 0 {
        told(out, replayed)?;
    }
    match &outcome.stop {
        None => {
            writeln!(out, "same: every decision and every byte is what it was")?;
            writeln!(out, "{}", end(replayed))
        }
        Some(Stop::Fault(fault)) => {
            // It goes where errors go; what was replayed before it is told all the same.
            anstream::eprintln!("error: `{}`: {fault}", path.display());
            Ok(())
        }
        Some(Stop::Changed(changed)) => {
            write!(out, "different at byte {}, ", changed.offset)?;
            if let Some(connection) = changed.connection {
                write!(out, "on connection {connection}, ")?;
            }
            let at = Seconds(changed.at);
            writeln!(out, "{at} into the run: {}", changed.what)
        }
    }
}

fn told(out: &mut dyn Write, replayed: &Replayed) -> io::Result<()> {
    let Replayed {
        program,
        workers,
        configurations,
        connections,
        requests,
        copies,
        inputs,
        bytes,
        until,
        without_bodies,
        ..
    } = replayed;
    write!(
        out,
        "replayed {requests} requests on {connections} connections"
    )?;
    if *copies > 0 {
        write!(out, ", {copies} copies for mirrors")?;
    }
    let bodies = match without_bodies {
        true => " without bodies",
        false => "",
    };
    writeln!(
        out,
        ": {inputs} inputs with {bytes} bytes, {configurations} configuration{}, {workers} worker{}, {}; recorded by outrigger {program}{bodies}",
        plural(*configurations),
        plural(*workers as u64),
        Seconds(*until)
    )
}

const fn plural(count: u64) -> &'static str {
    match count {
        1 => "",
        _ => "s",
    }
}

/// Why nothing more was compared.
fn end(replayed: &Replayed) -> String {
    match &replayed.end {
        Some(End::Finished) => "the recording ends with the run".to_owned(),
        Some(End::Full { limit }) => {
            format!("the recording ends because it reached its limit of {limit} bytes")
        }
        Some(End::Slow) => "the recording ends because its file was written too slowly".to_owned(),
        Some(End::Panicked) => {
            "the recording ends because the last input made the program panic, and it did not now"
                .to_owned()
        }
        None => format!(
            "the recording was cut off after byte {}; it was replayed up to there",
            replayed.offset
        ),
    }
}

/// An instant as seconds of the run.
pub(super) struct Seconds(pub(super) Instant);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.since(Instant::ZERO).as_secs_f64();
        write!(f, "{seconds:.3} s")
    }
}
