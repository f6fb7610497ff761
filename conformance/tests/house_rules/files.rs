//! How a source file looks: its first line, its length, its name, nothing unfinished in it.

use crate::source::{Faults, Tests, rust_files};

/// Names that say a pattern and not a purpose.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "manager", "helpers", "helper", "misc",
];

/// Longer files have more than one reason to exist.
const MAX_LINES: usize = 500;

#[test]
fn files_are_small_and_say_what_they_own() {
    let mut faults = Faults::default();
    for file in &rust_files() {
        if !file.text.starts_with("//!") {
            faults.add(
                file,
                1,
                "open the file with `//!`: what it owns, and what it leaves to others".into(),
            );
        }
        let lines = file.text.lines().count();
        if lines > MAX_LINES && !file.is_test() {
            faults.add(
                file,
                lines,
                format!(
                    "{lines} lines, more than {MAX_LINES}: split where a reason to change falls out"
                ),
            );
        }
        let stem = file
            .path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        let folders = file
            .relative
            .split('/')
            .map(|part| part.trim_end_matches(".rs"));
        if folders.clone().any(|part| EMPTY_NAMES.contains(&part)) {
            faults.add(
                file,
                1,
                format!("`{stem}` says a pattern: name the file for what it decides"),
            );
        }
        for (line, code) in file.code_lines(Tests::Included) {
            for stub in [
                concat!("todo", "!("),
                concat!("unimplemented", "!("),
                concat!("dbg", "!("),
            ] {
                if code.contains(stub) {
                    faults.add(file, line, format!("`{stub}` is unfinished work"));
                }
            }
        }
    }
    faults.none();
}

#[test]
fn properties_keep_the_seeds_of_their_failures() {
    let mut faults = Faults::default();
    for file in &rust_files() {
        for (line, code) in file.code_lines(Tests::Included) {
            if code.contains(concat!("failure_", "persistence")) {
                let what = "let proptest write the seed of a failure where it does by itself";
                faults.add(file, line, what.into());
            }
        }
    }
    faults.none();
}
