//! The command `diff`: what changes for users between two configurations.
//!
//! Owns the exit code. What is compared, and what counts as a change, is decided in `outrigger_explain`.

mod args;

pub(crate) use args::DiffArgs;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use outrigger_core::compile::Carried;
use outrigger_explain::diff::{Budget, Comparison, text};
use outrigger_recording::each_request;

use crate::compiled::{self, Holder, Read};
use crate::options::Format;

/// Something changes.
const CHANGED: u8 = 1;

/// A path or the recording cannot be read, or `run` would not take a configuration.
const UNREADABLE: u8 = 2;

/// Runs the command and says how it went.
pub(crate) fn diff(args: &DiffArgs) -> ExitCode {
    let (Some(old), Some(new)) = (read(args, &args.old), read(args, &args.new)) else {
        return ExitCode::from(UNREADABLE);
    };
    let mut comparison = Comparison::new(&old.snapshot, &new.snapshot);
    comparison.compare_rules(Budget::UNLIMITED);
    if let Some(path) = &args.requests {
        let recorded = File::open(path).map_err(outrigger_recording::Fault::from);
        let compared = recorded.and_then(|file| {
            each_request(BufReader::new(file), |request| comparison.compare(request))
        });
        if let Err(fault) = compared {
            anstream::eprintln!("error: `{}`: {fault}", path.display());
            return ExitCode::from(UNREADABLE);
        }
    }
    let difference = comparison.finish();
    let rendered = match args.format {
        Format::Text => text::text(&difference, args.all),
        // Texts and numbers, under keys that are texts.
        Format::Json => serde_json::to_string_pretty(&difference).unwrap_or_default() + "\n",
    };
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let rendered = new.with_names(old.with_names(rendered));
    // Whoever reads may stop reading; the verdict stands in the exit code all the same.
    let _ = (out.write_all(rendered.as_bytes())).and_then(|()| out.flush());
    match difference.changed {
        0 => ExitCode::SUCCESS,
        1.. => ExitCode::from(CHANGED),
    }
}

/// One of both, with what stands beside it; tells why not.
fn read(args: &DiffArgs, path: &Path) -> Option<Read> {
    let mut paths = args.config.clone();
    paths.push(path.to_owned());
    let carries = Carried::default();
    match compiled::read(&paths, &args.whom, (&args.inbound, carries), Holder::Nobody) {
        Ok(read) => {
            let Some(first) = read.blocking.first() else {
                return Some(read);
            };
            // What it would change is what nobody will see.
            let path = path.display();
            anstream::eprintln!("error: `run` would refuse `{path}`: {first}");
            None
        }
        Err(unreadable) => {
            for path in unreadable {
                anstream::eprintln!("error: {path}");
            }
            None
        }
    }
}
