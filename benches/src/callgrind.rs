//! Instructions of operations, counted by callgrind: one run of this program under it, of which it tells what each operation took.
//!
//! What is prepared does not count: counters are zero when [`performed_and_counted`](crate::operations::performed_and_counted)
//! begins, and are told when it ends. Nor do other threads.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Within which function instructions count. Callgrind knows it by its path, without what mangling adds.
const COUNTED: &str = "*performed_and_counted";

/// Runs this program with these arguments under valgrind, and returns how many instructions were executed in each of its calls
/// of the function that counts. `folder` is empty.
///
/// # Errors
/// In words: valgrind cannot be run, or the program failed in it.
pub fn count(arguments: &[&str], folder: &Path) -> Result<Vec<u64>, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let out = folder.join("out");
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(format!("--zero-before={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null());
    let status = command
        .status()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !status.success() {
        return Err(format!("valgrind ended with {status}"));
    }
    let mut counts = Vec::new();
    // Of each part there is a file for each thread, and the first thread is the one that performs.
    while let Ok(text) = fs::read_to_string(folder.join(format!("out.{}-01", counts.len() + 1))) {
        // The rest of the program, after the last operation, is told too.
        let is_operation = text.contains("Trigger: --dump-after");
        let Some(total) = total(&text).filter(|_| is_operation) else {
            break;
        };
        counts.push(total);
    }
    Ok(counts)
}

/// The instructions of one part.
fn total(text: &str) -> Option<u64> {
    let lines = text.lines();
    let mut totals = lines.filter_map(|line| {
        let rest = line
            .strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))?;
        rest.trim().parse().ok()
    });
    totals.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_read() {
        for (text, want) in [
            ("version: 1\nevents: Ir\ntotals: 1234\n", Some(1234)),
            ("summary: 77\nfn=(1)\n", Some(77)),
            ("fn=(1)\n", None),
        ] {
            assert_eq!(total(text), want, "{text}");
        }
    }
}
