//! Runs every case page against every subject, prints a table, and compares what the subjects decided, record by record.
//!
//! `OUTRIGGER_SUBJECT=sim|tokio|glommio|all` chooses subjects; words on the command line choose cases whose file or title has
//! one of them: `cargo test -p outrigger-conformance --test cases -- cors`.

use std::process::ExitCode;

use outrigger_conformance::alike;
use outrigger_conformance::case::Case;
use outrigger_conformance::pages;
use outrigger_conformance::subject::{Outcome, Subject};
use outrigger_conformance::table::Table;

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
    let (mut alike, mut apart) = (0, 0);
    let mut table = Table::new(subjects.iter().map(|s| s.name().to_owned()).collect());
    for case in &cases {
        let mut played = Vec::new();
        for (column, subject) in subjects.iter().enumerate() {
            let (outcome, decided) = subject.run(case);
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
        if played.len() < 2 {
            continue;
        }
        if !case.is_decided_alike() {
            apart += 1;
            continue;
        }
        let differences = alike::differences(case, &played);
        alike += usize::from(differences.is_empty());
        let named = |problem| format!("{} was not decided alike: {problem}", case.title);
        failures.extend(differences.into_iter().map(named));
    }
    for failure in &failures {
        println!("FAILED {failure}\n");
    }
    println!("{} {table}", cases.len());
    println!("decided alike by all that played them: {alike}; need not be: {apart}");
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
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
