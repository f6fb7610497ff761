//! Runs every case page against every subject and prints a table.
//!
//! `OUTRIGGER_SUBJECT=sim|tokio|glommio|all` chooses subjects; words on the command line choose cases whose file or title has
//! one of them: `cargo test -p outrigger-conformance --test cases -- cors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use outrigger_conformance::case::Case;
use outrigger_conformance::subject::{Outcome, Subject};

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let (cases, mut failures) = read_all();
    let wanted = |case: &&Case| {
        let hit = |w: &String| case.file.contains(w.as_str()) || case.title.contains(w.as_str());
        words.is_empty() || words.iter().any(hit)
    };
    let cases: Vec<&Case> = cases.iter().filter(wanted).collect();
    let subjects = match subjects() {
        Ok(subjects) => subjects,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::FAILURE;
        }
    };
    let mut table: BTreeMap<String, Vec<Count>> = BTreeMap::new();
    for case in &cases {
        let area = area(&case.file);
        let row = table.entry(area).or_default();
        row.resize_with(subjects.len(), Count::default);
        for (subject, count) in subjects.iter().zip(row) {
            match subject.run(case) {
                Outcome::Passed => count.passed += 1,
                Outcome::Skipped(_) => count.skipped += 1,
                Outcome::Failed(problems) => {
                    count.failed += 1;
                    let mut text = format!("{} on {}:", case.title, subject.name());
                    for problem in problems {
                        text += &format!("\n  {}", problem.to_string().replace('\n', "\n    "));
                    }
                    failures.push(text);
                }
            }
        }
    }
    for failure in &failures {
        println!("FAILED {failure}\n");
    }
    print_table(&subjects, &table, cases.len());
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

/// All cases, and the pages that cannot be read.
fn read_all() -> (Vec<Case>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    collect(&root.join("cases"), &mut pages);
    pages.sort();
    let (mut cases, mut failures) = (Vec::new(), Vec::new());
    for page in pages {
        let name = page
            .strip_prefix(root)
            .unwrap_or(&page)
            .display()
            .to_string();
        match std::fs::read_to_string(&page) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(text) => match Case::parse_file(&name, &text) {
                Ok(read) => cases.extend(read),
                Err(problem) => failures.push(problem.to_string()),
            },
        }
    }
    (cases, failures)
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|e| e == "md")
            && path.file_name().is_some_and(|n| n != "README.md")
        {
            pages.push(path);
        }
    }
}

/// The folder under `cases/`.
fn area(file: &str) -> String {
    file.split('/').nth(1).unwrap_or(file).to_owned()
}

fn print_table(subjects: &[Subject], table: &BTreeMap<String, Vec<Count>>, cases: usize) {
    println!("{cases} cases: passed/failed/skipped");
    print!("{:16}", "area");
    for subject in subjects {
        print!("{:>12}", subject.name());
    }
    println!();
    let mut sums: Vec<Count> = subjects.iter().map(|_| Count::default()).collect();
    for (area, row) in table {
        print!("{area:16}");
        for (count, sum) in row.iter().zip(&mut sums) {
            print!("{:>12}", show(count));
            sum.passed += count.passed;
            sum.failed += count.failed;
            sum.skipped += count.skipped;
        }
        println!();
    }
    print!("{:16}", "all");
    for sum in &sums {
        print!("{:>12}", show(sum));
    }
    println!();
}

fn show(count: &Count) -> String {
    format!("{}/{}/{}", count.passed, count.failed, count.skipped)
}
