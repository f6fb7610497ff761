//! Runs every case page against every subject, prints a table, and compares what the subjects decided, record by record.
//!
//! `OUTRIGGER_SUBJECT=sim|tokio|glommio|all` chooses subjects, and `OUTRIGGER_PAIRING=1-1|1-2|2-1|2-2|all` the versions of HTTP
//! of clients and services; without it all cases are played in HTTP/1, and each once more on one subject in one of the other
//! pairings. Words on the command line choose cases whose file or title has
//! one of them: `cargo test -p outrigger-conformance --test cases -- cors`.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use outrigger_conformance::alike;
use outrigger_conformance::case::Case;
use outrigger_conformance::pages;
use outrigger_conformance::pairing::Pairing;
use outrigger_conformance::subject::{Outcome, Subject};
use outrigger_conformance::table::Table;
use outrigger_recording::Decided;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let (cases, failures) = pages::read(&pages::folder());
    let cases: Vec<&Case> = cases
        .iter()
        .filter(|case| pages::is_wanted(case, &words))
        .collect();
    let (subjects, pairings) = match (subjects(), pairings()) {
        (Ok(subjects), Ok(pairings)) => (subjects, pairings),
        (Err(what), _) | (_, Err(what)) => {
            eprintln!("{what}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report {
        failures,
        ..Report::default()
    };
    for (number, case) in cases.iter().enumerate() {
        match &pairings {
            Some(all) => {
                for pairing in all {
                    report.play(&case.in_versions(*pairing), &subjects, &subjects);
                }
            }
            None => {
                report.play(case, &subjects, &subjects);
                let (pairing, subject) = sample(number, &subjects);
                report.play(&case.in_versions(pairing), &[subject], &subjects);
            }
        }
    }
    for failure in &report.failures {
        println!("FAILED {failure}\n");
    }
    for (pairing, table) in &report.tables {
        println!("{} clients and services {pairing}: {table}\n", cases.len());
    }
    let alike = report.alike;
    println!("cases whose requests were decided alike on several subjects: {alike}");
    if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What a case is played as beside HTTP/1 on both sides, and on which subject, where nobody asks for more: all pairings on
/// all subjects have their share of each page.
fn sample(number: usize, subjects: &[Subject]) -> (Pairing, Subject) {
    let others = &Pairing::ALL[1..];
    let pairing = others[number % others.len()];
    (pairing, subjects[number / others.len() % subjects.len()])
}

/// What all cases come to.
#[derive(Default)]
struct Report {
    tables: BTreeMap<Pairing, Table>,
    alike: usize,
    failures: Vec<String>,
}

impl Report {
    /// Plays a case on these subjects of all.
    fn play(&mut self, case: &Case, subjects: &[Subject], all: &[Subject]) {
        let mut played = Vec::new();
        let title = format!("{} ({})", case.title, case.pairing);
        for (subject, (outcome, decided)) in subjects.iter().zip(run_on_all(subjects, case)) {
            if outcome == Outcome::Passed && !decided.is_empty() {
                played.push((subject.name(), decided));
            }
            let names = || Table::new(all.iter().map(|s| s.name().to_owned()).collect());
            let table = self.tables.entry(case.pairing).or_insert_with(names);
            let column = all.iter().position(|other| other == subject);
            table.add(pages::area(case), column.unwrap_or_default(), &outcome);
            if let Outcome::Failed(problems) = outcome {
                let mut text = format!("{title} on {}:", subject.name());
                for problem in problems {
                    text += &format!("\n  {}", problem.to_string().replace('\n', "\n    "));
                }
                self.failures.push(text);
            }
        }
        let differences = alike::differences(case, &played);
        self.alike += usize::from(played.len() > 1 && differences.is_empty());
        let named = |problem| format!("{title} was not decided alike: {problem}");
        self.failures.extend(differences.into_iter().map(named));
    }
}

/// All at once: subjects share nothing, and each of them waits for a thread of its own most of the time.
fn run_on_all(subjects: &[Subject], case: &Case) -> Vec<(Outcome, Vec<Decided>)> {
    thread::scope(|scope| {
        let start = |subject: &Subject| {
            let subject = *subject;
            scope.spawn(move || subject.run(case))
        };
        let runs: Vec<_> = subjects.iter().map(start).collect();
        let ended = runs.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|run| run.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Those that were asked for; `None` is a sample.
fn pairings() -> Result<Option<Vec<Pairing>>, String> {
    match std::env::var("OUTRIGGER_PAIRING") {
        Err(_) => Ok(None),
        Ok(word) => match Pairing::named(&word) {
            Ok(pairings) => Ok(Some(pairings)),
            Err(what) => Err(format!("OUTRIGGER_PAIRING: {what}")),
        },
    }
}

fn subjects() -> Result<Vec<Subject>, String> {
    let wanted = std::env::var("OUTRIGGER_SUBJECT").unwrap_or_else(|_| "all".to_owned());
    let chosen = |s: &Subject| wanted == "all" || wanted == s.name();
    let subjects: Vec<Subject> = Subject::ALL.iter().copied().filter(chosen).collect();
    if subjects.is_empty() {
        return Err(format!("OUTRIGGER_SUBJECT: there is no subject `{wanted}`"));
    }
    Ok(subjects)
}
