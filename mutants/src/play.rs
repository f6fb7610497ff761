//! Tries mutants, each with the tests that reach it, until one fails.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::find::Mutant;
use crate::programs::{Program, Test, wait};

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Caught,
    /// Caught too: it does not come to an end.
    TimedOut,
    Survived,
    /// No test gets there.
    Unreached,
    /// It does not compile, and is no mutant.
    Refused,
}

/// So much longer than alone may tests take: other work may run beside them.
const PATIENCE: u64 = 10;
const LEAST: Duration = Duration::from_secs(20);
/// How much time the tests of one process take that are tried next, as long as all have passed.
const PARTS: [u64; 4] = [200, 1_000, 4_000, 20_000];

/// Its fate, and the program that decided it.
pub fn play(
    number: u32,
    mutant: &Mutant,
    programs: &[Program],
    tests: &[Test],
) -> io::Result<(Fate, String)> {
    let mut reaching: Vec<&Test> = tests
        .iter()
        .filter(|test| test.reaches.contains(&number))
        .collect();
    if reaching.is_empty() {
        return Ok((Fate::Unreached, String::new()));
    }
    let module = module(&mutant.file);
    // By rank, the module's own tests first, then the quickest.
    reaching.sort_by_key(|test| {
        (
            programs[test.program].rank,
            test.program,
            Reverse(shared(&module, &test.name)),
            test.millis,
        )
    });
    let mut at = 0;
    while at < reaching.len() {
        let program = reaching[at].program;
        let own = reaching[at..]
            .iter()
            .take_while(|test| test.program == program)
            .count();
        let group = &reaching[at..at + own];
        if let Some(fate) = in_parts(number, &programs[program], group)? {
            return Ok((fate, programs[program].name.clone()));
        }
        at += own;
    }
    Ok((Fate::Survived, String::new()))
}

fn in_parts(number: u32, program: &Program, group: &[&Test]) -> io::Result<Option<Fate>> {
    let mut at = 0;
    for part in PARTS.into_iter().chain(std::iter::repeat(60_000)) {
        if at == group.len() {
            break;
        }
        let mut millis = 0;
        let from = at;
        while at < group.len() && (at == from || millis + group[at].millis <= part) {
            millis += group[at].millis;
            at += 1;
        }
        let names: Vec<&str> = group[from..at]
            .iter()
            .map(|test| test.name.as_str())
            .collect();
        let child = program
            .command(&names)
            .env("OUTRIGGER_MUTANT", number.to_string())
            .spawn()?;
        let most = Duration::from_millis(millis * PATIENCE).max(LEAST);
        match wait(child, most)? {
            None => return Ok(Some(Fate::TimedOut)),
            Some(false) => return Ok(Some(Fate::Caught)),
            Some(true) => {}
        }
    }
    Ok(None)
}

/// `core/src/policy/edf.rs` is `policy::edf`.
fn module(file: &str) -> Vec<String> {
    let path = Path::new(file).with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let skipped = parts
        .iter()
        .position(|part| part == "src")
        .map_or(0, |at| at + 1);
    parts.drain(..skipped);
    parts.retain(|part| part != "mod");
    parts
}

/// How many of the first parts are the same.
fn shared(module: &[String], test: &str) -> usize {
    let parts: Vec<&str> = test.split("::").collect();
    module.iter().zip(parts).take_while(|(a, b)| a == b).count()
}
