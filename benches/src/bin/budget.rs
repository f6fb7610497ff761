//! Counts what operations cost and holds that against the budget file.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use clap::{Parser, ValueEnum};
use outrigger_benches::budget::{
    Budget, Cost, Line, TOLERANCE, Taken, Verdict, WIDE_TOLERANCE, compare, table,
};
use outrigger_benches::callgrind;
use outrigger_benches::operations::{self, Operation, performed_and_counted};
use serde_json::json;

/// The child under callgrind is told by this that it is one.
const PERFORM: &str = "--perform";

const EXAMPLES: &str = "Examples:
  cargo run --release -p outrigger-benches --bin budget                all operations, as .ci/run has it
  cargo run --release -p outrigger-benches --bin budget -- exchange/   those whose names begin so
  cargo run --release -p outrigger-benches --bin budget -- --update    what is counted now is the budget

Ends with 1 when a cost is not within its budget, and with 2 when nothing could be counted.";

/// Counts the instructions and allocations of operations, and holds them against their budget. Needs valgrind.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Only operations whose names begin like this.
    #[arg(default_value = "")]
    beginning: String,
    /// Writes what was counted into the budget file.
    #[arg(long)]
    update: bool,
    /// The budget file.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.json"))]
    file: PathBuf,
    /// How the comparison is written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Performs the operations and says nothing; what valgrind watches.
    #[arg(long, hide = true)]
    perform: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut operations = operations::all();
    operations.retain(|operation| operation.name.starts_with(&arguments.beginning));
    if arguments.perform {
        operations.iter().for_each(|operation| {
            let mut run = operation.prepare();
            performed_and_counted(&mut *run, operation.times);
        });
        return ExitCode::SUCCESS;
    }
    match check(&arguments, &operations) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn check(arguments: &Arguments, operations: &[Operation]) -> Result<ExitCode, String> {
    if operations.is_empty() {
        return Err(format!(
            "no operation begins with `{}`",
            arguments.beginning
        ));
    }
    if cfg!(debug_assertions) {
        return Err("this program is not optimised: build it with --release".into());
    }
    let taken = taken()?;
    let counted = count(operations, &arguments.beginning)?;
    let file = arguments.file.display();
    let mut budget = match fs::read_to_string(&arguments.file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Budget {
            taken: taken.clone(),
            costs: Vec::new(),
        },
        Err(error) => return Err(format!("{file}: {error}")),
    };
    let differences = taken.differences(&budget.taken);
    let tolerance = match differences.is_empty() {
        true => TOLERANCE,
        false => WIDE_TOLERANCE,
    };
    let is_all = arguments.beginning.is_empty();
    let lines = compare(&budget.costs, &counted, tolerance, is_all);
    tell(arguments.format, &taken, &differences, tolerance, &lines);
    if arguments.update {
        if !is_all && !differences.is_empty() {
            return Err(
                "a part of the budget would be of another compiler: update all of it".into(),
            );
        }
        replace(&mut budget, taken, counted, is_all);
        let text = budget.to_text().map_err(|error| error.to_string())?;
        fs::write(&arguments.file, text).map_err(|error| format!("{file}: {error}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let all_kept = lines.iter().all(|line| line.verdict == Verdict::Kept);
    Ok(if all_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Costs of both kinds. Allocations are counted without valgrind, by what stands before this program's allocator.
fn count(operations: &[Operation], beginning: &str) -> Result<Vec<Cost>, String> {
    let folder = Scratch::new()?;
    let instructions = callgrind::count(&[PERFORM, beginning], &folder.0)?;
    if instructions.len() != operations.len() {
        let (told, asked) = (instructions.len(), operations.len());
        return Err(format!(
            "callgrind told of {told} operations and not of {asked}"
        ));
    }
    let costs = operations.iter().zip(instructions).map(|(operation, all)| {
        let mut run = operation.prepare();
        let times = operation.times;
        let told = allocation_counter::measure(|| performed_and_counted(&mut *run, times));
        Cost {
            operation: operation.name.clone(),
            instructions: all.div_ceil(u64::from(times)),
            allocations: hundredths(told.count_total as f64 / f64::from(times)),
        }
    });
    Ok(costs.collect())
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Puts what was counted in the place of what was there.
fn replace(budget: &mut Budget, taken: Taken, counted: Vec<Cost>, is_all: bool) {
    budget.taken = taken;
    if is_all {
        budget.costs = counted;
        return;
    }
    for cost in counted {
        let mut costs = budget.costs.iter_mut();
        match costs.find(|before| before.operation == cost.operation) {
            Some(before) => *before = cost,
            None => budget.costs.push(cost),
        }
    }
}

fn tell(format: Format, taken: &Taken, differences: &[String], tolerance: f64, lines: &[Line]) {
    if format == Format::Json {
        let told = json!({
            "taken": taken, "differences": differences, "tolerance_percent": tolerance, "lines": lines,
        });
        println!("{told:#}");
        return;
    }
    print!("{}", table(lines));
    for difference in differences {
        println!("taken with {difference}: {tolerance} % count as kept");
    }
}

fn taken() -> Result<Taken, String> {
    let told = |program: &str| {
        let told = Command::new(program).arg("--version").output();
        let told = told.map_err(|error| format!("{program}: {error}"))?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        Ok::<_, String>(text.lines().next().unwrap_or_default().to_owned())
    };
    let valgrind = told("valgrind").map_err(|why| format!("{why}; counting takes valgrind"))?;
    Ok(Taken {
        rustc: env!("BUDGET_RUSTC").into(),
        target: env!("BUDGET_TARGET").into(),
        // Elsewhere than with glibc there may be no such program, and then the target says enough.
        libc: told("ldd").unwrap_or_default(),
        counter: format!("{valgrind}, {}", vectors()),
    })
}

/// The widest instructions that memory is searched and copied with here; valgrind has none that are wider.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "avx2";
    }
    "no avx2"
}

/// A folder that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = env::temp_dir().join(format!("outrigger-budget.{}", std::process::id()));
        let made = fs::create_dir(&path);
        made.map_err(|error| format!("{}: {error}", Path::display(&path)))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies where the system tidies up.
        let _ = fs::remove_dir_all(&self.0);
    }
}
