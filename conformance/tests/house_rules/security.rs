//! What `SECURITY.md` says is held by a test is held by one.

use crate::source::{Faults, read};

/// The pairs of a path and a name that stand in code one behind the other.
fn named(line: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = line.split('`').collect();
    let is_path = |text: &str| text.contains('/') && !text.contains(' ') && text.contains('.');
    // Every second part stands in code, and a single blank between two of them joins them.
    let code = (1..parts.len()).step_by(2);
    code.filter(|at| parts.get(at + 1) == Some(&" ") && parts.len() > at + 2)
        .map(|at| (parts[at], parts[at + 2]))
        .filter(|(path, _)| is_path(path))
        .collect()
}

/// Whether a file has a test, or a case, of this name; that a comment speaks of it is not enough.
fn holds(path: &str, name: &str) -> bool {
    let text = read(path);
    match path.rsplit('.').next() {
        Some("rs") => text.contains(&format!("fn {name}(")),
        Some("py") => text.contains(&format!("def {name}(")),
        // Titles may go on where the page is content with their beginning.
        _ => text
            .lines()
            .any(|line| line.starts_with("## ") && line[3..].starts_with(name)),
    }
}

#[test]
fn each_attack_is_answered_by_a_test() {
    let mut faults = Faults::default();
    let page = read("SECURITY.md");
    let rows = (1..)
        .zip(page.lines())
        .skip_while(|(_, line)| *line != "## Attacks and answers")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
        .filter(|(_, line)| line.starts_with("| "))
        // The head of the table.
        .skip(1);
    let mut count = 0;
    for (number, row) in rows {
        count += 1;
        if named(row).is_empty() {
            faults.text(format!("SECURITY.md:{number}: no test holds this"));
        }
    }
    assert!(count > 50, "the page has its table: {count}");
    faults.none();
}

#[test]
fn tests_that_the_page_names_exist() {
    let mut faults = Faults::default();
    let page = read("SECURITY.md");
    let mut count = 0;
    for (number, line) in (1..).zip(page.lines()) {
        for (path, name) in named(line) {
            count += 1;
            if !holds(path, name) {
                faults.text(format!("SECURITY.md:{number}: {path} has no `{name}`"));
            }
        }
    }
    assert!(count > 40, "the page names its tests: {count}");
    faults.none();
}

#[test]
fn names_are_read_as_they_are_written() {
    let line = "| a `b` c | `x/y.rs` `one`, `x/z.md` `Two words` and `w/v.rs` |";
    assert_eq!(named(line), [("x/y.rs", "one"), ("x/z.md", "Two words")]);
}
