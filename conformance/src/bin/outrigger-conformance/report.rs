//! What is printed: the list of cases, and what came of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use outrigger_conformance::case::Case;
use outrigger_conformance::pages::area;
use outrigger_conformance::pairing::Pairing;
use outrigger_conformance::subject::Outcome;
use outrigger_conformance::table::Table;
use serde_json::{Value, json};

use crate::run::Played;

/// Every case on a line.
pub(crate) fn list(cases: &[Case]) -> String {
    let line = |case: &Case| format!("{}:{}: {}", case.file, case.line, case.title);
    cases.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for machines.
pub(crate) fn list_json(cases: &[Case]) -> String {
    let cases: Vec<Value> = cases.iter().map(named).collect();
    pretty(&json!({ "cases": cases }))
}

/// Failures, why cases were skipped, and the table.
pub(crate) fn text(cases: &[Case], played: &Played) -> String {
    let mut text = String::new();
    let mut skips: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(played) {
        match outcome {
            Some(Outcome::Passed) | None => {}
            Some(Outcome::Skipped(why)) => *skips.entry(why).or_default() += 1,
            Some(Outcome::Differs(why)) => *differences.entry(why).or_default() += 1,
            Some(Outcome::Failed(problems)) => {
                // Writing to a string can not fail.
                let Case {
                    file, line, title, ..
                } = case;
                let versions = match case.pairing {
                    Pairing::ONE => String::new(),
                    pairing => format!(" ({pairing})"),
                };
                let _ = writeln!(text, "FAILED {file}:{line}: {title}{versions}");
                for problem in problems {
                    let what = problem.to_string().replace('\n', "\n    ");
                    let _ = writeln!(text, "  {what}");
                }
                text.push('\n');
            }
        }
    }
    for (why, count) in skips {
        let _ = writeln!(text, "{count:>4} skipped: {why}");
    }
    for (why, count) in differences {
        let _ = writeln!(text, "{count:>4} differ, as is known: {why}");
    }
    let reached = played.iter().flatten().count();
    if reached < cases.len() {
        let _ = writeln!(text, "{:>4} not reached", cases.len() - reached);
    }
    let _ = write!(text, "\n{} {}", cases.len(), table(cases, played));
    text
}

/// One document for machines.
pub(crate) fn json(cases: &[Case], played: &Played) -> String {
    let judged = |(case, outcome): (&Case, &Option<Outcome>)| {
        let mut value = named(case);
        match outcome {
            None => return None,
            Some(Outcome::Passed) => value["outcome"] = "passed".into(),
            Some(Outcome::Skipped(why)) => {
                value["outcome"] = "skipped".into();
                value["why"] = why.as_str().into();
            }
            Some(Outcome::Differs(why)) => {
                value["outcome"] = "differs".into();
                value["why"] = why.as_str().into();
            }
            Some(Outcome::Failed(problems)) => {
                let problem =
                    |p: &outrigger_conformance::Problem| json!({ "line": p.line, "what": p.what });
                value["outcome"] = "failed".into();
                value["problems"] = problems.iter().map(problem).collect();
            }
        }
        Some(value)
    };
    let judged: Vec<Value> = cases.iter().zip(played).filter_map(judged).collect();
    let sum = table(cases, played).sum(0);
    let summary = json!({
        "passed": sum.passed,
        "differs": sum.differs,
        "failed": sum.failed,
        "skipped": sum.skipped,
    });
    pretty(&json!({ "cases": judged, "summary": summary }))
}

/// Every case was reached, and none failed.
pub(crate) fn all_passed(played: &Played) -> bool {
    let failed = |outcome: &Option<Outcome>| matches!(outcome, None | Some(Outcome::Failed(_)));
    !played.iter().any(failed)
}

fn table(cases: &[Case], played: &Played) -> Table {
    let mut table = Table::new(vec!["subject".to_owned()]);
    for (case, outcome) in cases.iter().zip(played) {
        if let Some(outcome) = outcome {
            table.add(area(case), 0, outcome);
        }
    }
    table
}

fn named(case: &Case) -> Value {
    json!({
        "file": case.file,
        "line": case.line,
        "title": case.title,
        "area": area(case),
        "pairing": case.pairing.to_string(),
    })
}

fn pretty(value: &Value) -> String {
    // Keys are text, so this can not fail.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_conformance::Problem;

    #[test]
    fn both_forms_tell_the_same() {
        let page = "## One\n```ask\nGET a/ => a\n```\n## Two\n```ask\nGET a/ => a\n```\n## Three\n```ask\nGET a/ => a\n```\n## Four\n```ask\nGET a/ => a\n```\n## Five\n```ask\nGET a/ => a\n```\n";
        let cases = Case::parse_file("cases/area/page.md", page).unwrap();
        let problem = Problem::new("cases/area/page.md", 7, "a\nb");
        let played = vec![
            Some(Outcome::Passed),
            Some(Outcome::Failed(vec![problem])),
            Some(Outcome::Skipped("slow".to_owned())),
            Some(Outcome::Differs("known".to_owned())),
            None,
        ];
        let text = text(&cases, &played);
        for line in [
            "FAILED cases/area/page.md:5: Two\n  cases/area/page.md:7: a\n    b\n",
            "   1 skipped: slow\n",
            "   1 differ, as is known: known\n",
            "   1 not reached\n",
            "1/1/1/1",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        let json: Value = serde_json::from_str(&json(&cases, &played)).unwrap();
        assert_eq!(
            json["summary"],
            json!({ "passed": 1, "differs": 1, "failed": 1, "skipped": 1 })
        );
        assert_eq!(json["cases"].as_array().unwrap().len(), 4);
        assert_eq!(
            json["cases"][1]["problems"][0],
            json!({ "line": 7, "what": "a\nb" })
        );
        assert!(!all_passed(&played) && all_passed(&vec![Some(Outcome::Passed)]));
    }
}
