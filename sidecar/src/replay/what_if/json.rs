//! What would be decided otherwise, for machines. Fields may be added; none is renamed or removed.

use std::io::{self, Write};

use outrigger_core::time::Instant;
use outrigger_recording::what_if::{Compared, Way};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    same: Option<bool>,
    requests: u64,
    otherwise: u64,
    in_further_ways: u64,
    program: &'a str,
    connections: u64,
    seconds: f64,
    ways: Vec<WayTold<'a>>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct WayTold<'a> {
    requests: u64,
    recorded: &'a str,
    now: &'a str,
    changes: Vec<ChangeTold<'a>>,
    example: ExampleTold<'a>,
}

#[derive(Serialize)]
struct ChangeTold<'a> {
    what: &'a str,
    recorded: Option<&'a str>,
    now: Option<&'a str>,
}

#[derive(Serialize)]
struct ExampleTold<'a> {
    offset: u64,
    connection: u64,
    seconds: f64,
    request: &'a str,
    recorded: &'a str,
    now: &'a str,
    fields: &'a str,
}

/// Writes one document.
pub(super) fn write(
    out: &mut dyn Write,
    compared: &Compared,
    error: Option<&str>,
) -> io::Result<()> {
    let document = Document {
        same: error.is_none().then_some(compared.otherwise == 0),
        requests: compared.requests,
        otherwise: compared.otherwise,
        in_further_ways: compared.in_further_ways,
        program: &compared.program,
        connections: compared.connections,
        seconds: seconds(compared.until),
        ways: compared.ways.iter().map(way).collect(),
        error,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn way(way: &Way) -> WayTold<'_> {
    let changes = way.changes.iter().map(|change| {
        let values = change.values.as_ref();
        ChangeTold {
            what: change.what,
            recorded: values.map(|(recorded, _)| &**recorded),
            now: values.map(|(_, now)| &**now),
        }
    });
    let example = &way.example;
    WayTold {
        requests: way.requests,
        recorded: &way.recorded,
        now: &way.now,
        changes: changes.collect(),
        example: ExampleTold {
            offset: example.offset,
            connection: example.connection,
            seconds: seconds(example.at),
            request: &example.request,
            recorded: &example.recorded,
            now: &example.now,
            fields: &example.fields,
        },
    }
}

fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}
