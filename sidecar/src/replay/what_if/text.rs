//! What would be decided otherwise, for people: a table, and an example of each line of it.

use std::io::{self, Write};

use outrigger_recording::what_if::{Change, Compared, Way};

use super::super::text::Seconds;

/// Lines of the table, and examples; `--format json` has them all.
const MOST: usize = 12;

/// Writes it.
pub(super) fn write(out: &mut dyn Write, compared: &Compared) -> io::Result<()> {
    let Compared {
        program,
        connections,
        requests,
        otherwise,
        ways,
        in_further_ways,
        until,
    } = compared;
    writeln!(
        out,
        "decided {requests} requests on {connections} connections twice, {}; recorded by outrigger {program}",
        Seconds(*until)
    )?;
    if *otherwise == 0 {
        return writeln!(out, "same: no request would be decided otherwise");
    }
    writeln!(out, "otherwise: {otherwise} of {requests} requests\n")?;
    let shown = &ways[..ways.len().min(MOST)];
    let width = shown.iter().map(|way| way.recorded.len()).max();
    let width = width.unwrap_or(0).max("BY THE RECORDED RULES".len());
    writeln!(
        out,
        "{:>8}  {:<width$}  BY THESE",
        "REQUESTS", "BY THE RECORDED RULES"
    )?;
    for way in shown {
        let (requests, recorded, now) = (way.requests, &way.recorded, now(way));
        writeln!(out, "{requests:>8}  {recorded:<width$}  {now}")?;
    }
    let rest: u64 = ways[shown.len()..].iter().map(|way| way.requests).sum();
    let rest = rest + in_further_ways;
    if rest > 0 {
        writeln!(
            out,
            "{rest:>8}  in other ways, of which --format json tells more"
        )?;
    }
    for way in shown {
        example(out, way)?;
    }
    writeln!(
        out,
        "\nHow endpoints would answer is not known, so nothing is said about what follows from there."
    )
}

/// Where requests go, and what else is otherwise.
fn now(way: &Way) -> String {
    let mut told = match way.recorded == way.now {
        true => "the same".to_owned(),
        false => way.now.clone(),
    };
    for Change { what, values } in &way.changes {
        told += &match values {
            Some((recorded, now)) => format!("; {what} {recorded} → {now}"),
            None => format!("; other {what}"),
        };
    }
    told
}

fn example(out: &mut dyn Write, way: &Way) -> io::Result<()> {
    let example = &way.example;
    let (connection, at) = (example.connection, Seconds(example.at));
    writeln!(out, "\n{} → {}", way.recorded, now(way))?;
    writeln!(
        out,
        "first on connection {connection}, {at} into the run: {}",
        example.request
    )?;
    write!(out, "by the recorded rules\n{}", example.recorded)?;
    write!(out, "by these\n{}", example.now)?;
    if !example.fields.is_empty() {
        write!(out, "fields\n{}", example.fields)?;
    }
    Ok(())
}
