//! Broken networks: each row of `docs/faults.md` is played to the program over real sockets, on each runtime that this machine has.
//! What clients see, what is counted and what is logged must be what the page says, and then nothing is left of it.
//!
//! `UPDATE_DOCS=1 cargo test -p outrigger --test faults` writes what came of each row into the page, for a review of the difference;
//! `OUTRIGGER_FAULTS=WORDS` plays only rows with these words.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod endpoints;
mod envoy;
mod frames;
mod leaks;
mod page;
mod peer;
mod script;
mod stage;

use std::thread;

use page::{Outcome, Row};
use proxy::has_glommio;
use stage::Stage;

#[test]
fn faults_end_as_the_page_says_on_tokio() {
    faults_end_as_the_page_says("tokio");
}

#[test]
fn faults_end_as_the_page_says_on_glommio() {
    match has_glommio() {
        true => faults_end_as_the_page_says("glommio"),
        false => eprintln!("glommio is not tried: this machine does not let us"),
    }
}

fn faults_end_as_the_page_says(runtime: &str) {
    let mut rows = page::rows();
    assert!(rows.len() > 100, "the page has its tables: {}", rows.len());
    if let Ok(words) = std::env::var("OUTRIGGER_FAULTS") {
        rows.retain(|row| row.fault.contains(&words));
    }
    // A proxy for a few rows each, side by side: many rows wait for a time to be up.
    let (found, faults): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let parts = (0..).zip(rows.chunks(16));
        let parts = parts.map(|(part, rows)| scope.spawn(move || played(rows, runtime, part)));
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        parts.unzip()
    });
    let (found, mut faults) = (found.concat(), faults.concat());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        page::write(&found);
    } else {
        faults.extend(
            found
                .iter()
                .filter(|(row, outcome)| !outcome.is_one_of(&row.outcome))
                .map(|(row, outcome)| {
                    format!(
                        "docs/faults.md:{}: {}: {:#?}, but {outcome:#?}",
                        row.line, row.fault, row.outcome
                    )
                }),
        );
    }
    assert!(faults.is_empty(), "{runtime}: {}", faults.join("\n"));
}

/// What came of each row, and what should not have happened at all.
fn played(rows: &[Row], runtime: &str, part: usize) -> (Vec<(Row, Outcome)>, Vec<String>) {
    let stage = Stage::new(runtime, rows, &format!("matrix-{part}"));
    let (rest, mut came) = stage.warm();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for row in rows {
        let fault = |what: String| format!("docs/faults.md:{}: {}: {what}", row.line, row.fault);
        let sees = stage.sides.play(row).unwrap_or_else(|why| {
            faults.push(fault(why));
            Default::default()
        });
        if stage.sides.has_more(row) {
            faults.push(fault("the endpoint is connected to once more".to_owned()));
        }
        match stage.rests(&rest, came + u64::from(row.is_seen())) {
            Ok(clients) => came = clients,
            Err(why) => faults.push(fault(why)),
        }
        let counted = stage.counted(row);
        found.push((
            row.clone(),
            Outcome {
                sees,
                counted,
                ..Outcome::default()
            },
        ));
    }
    stage.logged(&mut found);
    (found, faults)
}
