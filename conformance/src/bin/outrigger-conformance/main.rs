//! The program `outrigger-conformance`: the cases against any program.
//!
//! Owns the way from the command line to the report, and the exit code.

mod cli;
mod report;
mod run;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Format};
use outrigger_conformance::case::Case;
use outrigger_conformance::pages;
use outrigger_conformance::pairing::Pairing;
use outrigger_conformance::program::{Launch, Program};

/// Nothing was judged: what was asked for can not be done.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let cases = match cases(&cli) {
        Ok(cases) => cases,
        Err(what) => return refuse(&what),
    };
    let launch = match (cli.subject, cli.envoy) {
        (Some(command), _) => Some(Launch::Command(command)),
        (None, path) => path.map(Launch::Envoy),
    };
    let Some(launch) = launch else {
        print(&match cli.format {
            Format::Text => report::list(&cases),
            Format::Json => report::list_json(&cases),
        });
        return ExitCode::SUCCESS;
    };
    let program = Program {
        launch,
        drain: cli.drain,
        reload: cli.reload,
        patience: cli.patience,
        longest: cli.longest,
        own_addresses: cli.own_addresses,
    };
    let played = match run::run(&program, &cases, cli.jobs) {
        Ok(played) => played,
        Err(error) => return refuse(&error.to_string()),
    };
    print(&match cli.format {
        Format::Text => report::text(&cases, &played),
        Format::Json => report::json(&cases, &played),
    });
    match report::all_passed(&played) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The cases that are wanted, and at least one.
fn cases(cli: &Cli) -> Result<Vec<Case>, String> {
    let folder = cli.cases.clone().unwrap_or_else(pages::folder);
    let (mut cases, failures) = pages::read(&folder);
    if !failures.is_empty() {
        return Err(failures.join("\n"));
    }
    cases.retain(|case| pages::is_wanted(case, &cli.words));
    if cases.is_empty() {
        return Err(format!("no case has any of: {}", cli.words.join(" ")));
    }
    let paired = |pairing: &Pairing| {
        cases
            .iter()
            .map(|case| case.in_versions(*pairing))
            .collect::<Vec<_>>()
    };
    Ok(cli.pairing.0.iter().flat_map(paired).collect())
}

fn refuse(what: &str) -> ExitCode {
    anstream::eprintln!("error: {what}");
    USAGE.into()
}

/// Whoever reads may have gone away, and then nobody is left to tell.
fn print(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}
