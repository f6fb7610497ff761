//! The command `explain`: what a configuration makes of a request or a connection, and why.
//!
//! Owns the exit code. The explanation is made in `outrigger_explain`.

mod args;

pub(crate) use args::ExplainArgs;

use std::io::{self, Write};
use std::process::ExitCode;

use outrigger_core::entropy::Entropy;
use outrigger_core::peer::ListenerKind;
use outrigger_explain::{Circumstances, Explanation, Subject, text};

use crate::compiled::{self, Holder, InboundTo, Read};
use crate::options::Format;

/// The configuration was judged bad.
const BAD: u8 = 1;

/// The request or a path cannot be read.
const USAGE: u8 = 2;

/// Runs the command and says how it went.
pub(crate) fn explain(args: &ExplainArgs) -> ExitCode {
    let (paths, request) = args.taken_apart();
    let asked = match request.map(|request| Subject::read(request, &args.headers)) {
        Some(Ok(asked)) => asked,
        Some(Err(misread)) => return usage(&misread),
        None => {
            return usage(&format!("no request is given; write {}", Subject::form()));
        }
    };
    let identity = match (&args.identity, &args.inbound) {
        (None, _) => Holder::Nobody,
        (Some(id), None) => Holder::Workload(id),
        (Some(_), Some(_)) => Holder::Both,
    };
    let read = match compiled::read(
        paths,
        &args.whom,
        (args.inbound.as_slice(), args.carried()),
        identity,
    ) {
        Ok(read) => read,
        Err(unreadable) => {
            for path in unreadable {
                anstream::eprintln!("error: {path}");
            }
            return ExitCode::from(USAGE);
        }
    };
    let mut circumstances = Circumstances {
        random: Entropy(args.random),
        ..Circumstances::default()
    };
    if let Some(InboundTo(inbound)) = args.inbound {
        if inbound.is_virtual() {
            return usage("`--inbound` needs the port of the application here, such as 8080");
        }
        circumstances = circumstances.on(ListenerKind::Inbound(0), inbound.listen);
        if let Some(client) = &args.identity {
            circumstances = circumstances.by(client);
        }
    }
    if let Some(at) = &args.gateway {
        let (listener, local) = at.listener();
        circumstances = circumstances.on(listener, local);
    }
    let mut told = asked.explain(&read.snapshot, &circumstances);
    add_refusals(&mut told, &read);
    let rendered = match args.format {
        Format::Text => text::text(&told),
        Format::Json => json(&told),
    };
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    // Whoever reads may stop reading.
    let written = out.write_all(read.with_names(rendered).as_bytes());
    let _ = written.and_then(|()| out.flush());
    match read.blocking.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(BAD),
    }
}

/// One document with a line end.
fn json(told: &Explanation) -> String {
    // Texts and numbers, under keys that are texts.
    let document = serde_json::to_string_pretty(told).unwrap_or_default();
    document + "\n"
}

/// That `run` would not start comes before everything else.
fn add_refusals(told: &mut Explanation, read: &Read) {
    let Some(first) = read.blocking.first() else {
        return;
    };
    let more = match read.blocking.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more (`outrigger check` tells them)"),
    };
    let problem = format!("`run` would refuse this configuration: {first}{more}");
    told.problems.insert(0, problem);
}

fn usage(what: &str) -> ExitCode {
    anstream::eprintln!("error: {what}");
    ExitCode::from(USAGE)
}
