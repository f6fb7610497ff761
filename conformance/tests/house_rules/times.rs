//! Which fixed times the runtimes and the running program have: `docs/times.md` lists each with what it is for. A time that
//! makes a configured one coarser would be told there or mended.

use crate::source::{Faults, Tests, read, rust_files};

/// Where times are fixed that somebody might wait for.
const FOLDERS: [&str; 7] = [
    "dns/src/",
    "runtime/src/",
    "runtime-tokio/src/",
    "runtime-glommio/src/",
    "recording/src/",
    "telemetry/src/",
    "sidecar/src/run/",
];

const PAGE: &str = "docs/times.md";

#[test]
fn fixed_times_are_listed() {
    let page = read(PAGE);
    let (_, fixed) = page
        .split_once("\n## Fixed\n")
        .expect("the page has a section of fixed times");
    let mut told: Vec<String> = fixed
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.split('|')
                .skip(1)
                .take(3)
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect();
    let mut faults = Faults::default();
    let files = rust_files();
    let running = files
        .iter()
        .filter(|file| !file.is_test() && FOLDERS.iter().any(|folder| file.is_in(folder)));
    for file in running {
        for (number, line) in file.code_lines(Tests::LeftOut) {
            let Some(row) = row(line, &file.relative) else {
                continue;
            };
            match told.iter().position(|known| *known == row) {
                Some(at) => drop(told.remove(at)),
                None => faults.add(file, number, format!("{PAGE} has no `| {row} |`")),
            }
        }
    }
    for row in told {
        faults.text(format!("{PAGE}: `| {row} |` stands for nothing"));
    }
    faults.none();
}

/// The row of a constant at the top of a module, as far as a machine can write it.
fn row(line: &str, file: &str) -> Option<String> {
    let rest = line.strip_prefix("const ").or_else(|| {
        let rest = line.strip_prefix("pub(")?;
        Some(rest.split_once(") const ")?.1)
    })?;
    let (name, value) = rest.split_once(": Duration = Duration::from_")?;
    let (unit, number) = value.trim_end_matches(");").split_once('(')?;
    let unit = match unit {
        "secs" => "s",
        "millis" => "ms",
        other => other,
    };
    Some(format!("`{name}` | {number} {unit} | `{file}`"))
}
