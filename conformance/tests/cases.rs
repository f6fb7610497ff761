//! Runs every case page against every subject, prints a table, and compares what the subjects decided, record by record.
//!
//! `OUTRIGGER_SUBJECT=sim|tokio|glommio|all` chooses subjects; words on the command line choose cases whose file or title has
//! one of them: `cargo test -p outrigger-conformance --test cases -- cors`.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use outrigger_conformance::alike;
use outrigger_conformance::case::Case;
use outrigger_conformance::pages;
use outrigger_conformance::subject::{Outcome, Subject};
use outrigger_conformance::table::Table;
use outrigger_recording::Decided;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let (cases, mut failures) = pages::read(&pages::folder());
    let cases: Vec<&Case> = cases
        .iter()
        .filter(|case| pages::is_wanted(case, &words))
        .collect();
    let subjects = match subjects() {
        Ok(subjects) => subjects,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::FAILURE;
        }
    };
    let mut alike = 0;
    let mut table = Table::new(subjects.iter().map(|s| s.name().to_owned()).collect());
    for case in &cases {
        let mut played = Vec::new();
        let runs = run_on_all(&subjects, case);
        for (column, (subject, (outcome, decided))) in subjects.iter().zip(runs).enumerate() {
            if outcome == Outcome::Passed && !decided.is_empty() {
                played.push((subject.name(), decided));
            }
            table.add(pages::area(case), column, &outcome);
            if let Outcome::Failed(problems) = outcome {
                let mut text = format!("{} on {}:", case.title, subject.name());
                for problem in problems {
                    text += &format!("\n  {}", problem.to_string().replace('\n', "\n    "));
                }
                failures.push(text);
            }
        }
        let differences = alike::differences(case, &played);
        alike += usize::from(played.len() > 1 && differences.is_empty());
        let named = |problem| format!("{} was not decided alike: {problem}", case.title);
        failures.extend(differences.into_iter().map(named));
    }
    for failure in &failures {
        println!("FAILED {failure}\n");
    }
    println!("{} {table}", cases.len());
    println!("cases whose requests were decided alike on several subjects: {alike}");
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
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

fn subjects() -> Result<Vec<Subject>, String> {
    let wanted = std::env::var("OUTRIGGER_SUBJECT").unwrap_or_else(|_| "all".to_owned());
    let chosen = |s: &Subject| wanted == "all" || wanted == s.name();
    let subjects: Vec<Subject> = Subject::ALL.iter().copied().filter(chosen).collect();
    if subjects.is_empty() {
        return Err(format!("OUTRIGGER_SUBJECT: there is no subject `{wanted}`"));
    }
    Ok(subjects)
}
