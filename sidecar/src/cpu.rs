//! Whether this CPU has what the program was compiled for (`-C target-cpu`): a CPU that lacks it ends the program with SIGILL and without a word.
//!
//! Owns the question, for Linux on x86-64, where the kernel answers it. Packages are built for CPUs with AVX2 (`benches/pgo`).

use std::fs::File;
use std::io::{BufRead as _, BufReader};

/// What the compiler may use, by the kernel's names (`/proc/cpuinfo`).
const COMPILED_FOR: [(&str, bool); 5] = [
    ("avx2", cfg!(target_feature = "avx2")),
    ("bmi2", cfg!(target_feature = "bmi2")),
    ("fma", cfg!(target_feature = "fma")),
    ("movbe", cfg!(target_feature = "movbe")),
    ("avx512f", cfg!(target_feature = "avx512f")),
];

/// Asked before anything else is done: what comes first was compiled with the standard library, which runs everywhere.
///
/// # Errors
/// Something is missing. Where nobody says what there is, nothing is.
pub(crate) fn check() -> Result<(), String> {
    let wanted: Vec<&str> = COMPILED_FOR
        .iter()
        .filter_map(|(name, is_used)| is_used.then_some(*name))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let lines = File::open("/proc/cpuinfo").map(|file| BufReader::new(file).lines());
    let mut lines = lines.into_iter().flatten().map_while(Result::ok);
    let flags = lines.find(|line| line.starts_with("flags"));
    flags.map_or(Ok(()), |flags| has_all(&flags, &wanted))
}

fn has_all(flags: &str, wanted: &[&str]) -> Result<(), String> {
    let has = |name: &&&str| flags.split_ascii_whitespace().any(|flag| flag == **name);
    let missing: Vec<&str> = wanted.iter().filter(|name| !has(name)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this CPU has no {}, for which this program was built: take one that was built for all CPUs (OUTRIGGER_CPU=x86-64 benches/pgo, or cargo \
         build --release)",
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let flags = "flags\t\t: fpu vme avx avx2 fma";
        assert_eq!(has_all(flags, &["avx2", "fma"]), Ok(()));
        let missing = has_all(flags, &["avx2", "bmi2", "av"]).unwrap_err();
        assert!(
            missing.starts_with("this CPU has no bmi2, av,"),
            "{missing}"
        );
    }

    #[test]
    fn these_tests_run_where_they_were_compiled_for() {
        assert_eq!(check(), Ok(()));
    }
}
