//! The result of a replay for machines. Fields may be added; none is renamed or removed.

use std::io::{self, Write};

use outrigger_core::time::Instant;
use outrigger_recording::replay::{Outcome, Stop, What};
use serde::Serialize;

use super::end_word;

#[derive(Serialize)]
struct Document<'a> {
    same: Option<bool>,
    replayed: Replayed<'a>,
    difference: Option<Difference<'a>>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Replayed<'a> {
    program: &'a str,
    workers: usize,
    configurations: u64,
    connections: u64,
    requests: u64,
    copies: u64,
    inputs: u64,
    bytes: u64,
    without_bodies: bool,
    seconds: f64,
    end: &'static str,
}

#[derive(Serialize)]
struct Difference<'a> {
    offset: u64,
    connection: Option<u64>,
    seconds: f64,
    what: String,
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    recorded: &'a str,
    now: &'a str,
}

/// Writes one document.
pub(super) fn write(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let replayed = &outcome.replayed;
    let (changed, fault) = match &outcome.stop {
        None => (None, None),
        Some(Stop::Changed(changed)) => (Some(changed), None),
        Some(Stop::Fault(fault)) => (None, Some(fault)),
    };
    let document = Document {
        same: fault.is_none().then_some(changed.is_none()),
        replayed: Replayed {
            program: &replayed.program,
            workers: replayed.workers,
            configurations: replayed.configurations,
            connections: replayed.connections,
            requests: replayed.requests,
            copies: replayed.copies,
            inputs: replayed.inputs,
            bytes: replayed.bytes,
            without_bodies: replayed.without_bodies,
            seconds: seconds(replayed.until),
            end: end_word(replayed.end.as_ref()),
        },
        difference: changed.map(|changed| Difference {
            offset: changed.offset,
            connection: changed.connection,
            seconds: seconds(changed.at),
            what: changed.what.to_string(),
            fields: fields(&changed.what),
        }),
        error: fault.map(ToString::to_string),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn fields(what: &What) -> Vec<Field<'_>> {
    let What::Decision { fields, .. } = what else {
        return Vec::new();
    };
    let fields = fields.iter();
    fields
        .map(|f| Field {
            field: &f.field,
            recorded: &f.recorded,
            now: &f.now,
        })
        .collect()
}

fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}
