//! What operations may cost: the budget file, and how counts are held against it.
//!
//! A count above its budget is a slow-down that nobody meant. One far below says that the budget is no longer one, and is to be
//! lowered in the change that gained it.

mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use table::table;

/// How far counts may be from their budget, in percent.
pub const TOLERANCE: f64 = 2.0;

/// The same where something else compiled or ran them than what the budget was taken with.
pub const WIDE_TOLERANCE: f64 = 10.0;

/// Instructions that are too few to matter, whatever they are in percent: a change elsewhere has the compiler put code together otherwise,
/// and small operations are some dozens of instructions more or fewer for that.
const FEW_INSTRUCTIONS: f64 = 100.0;

/// Allocations of an operation that are too few to matter, whatever they are in percent.
const FEW_ALLOCATIONS: f64 = 0.02;

/// What counts depend on besides the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What `rustc --version` says.
    pub rustc: String,
    /// The target that it compiled for.
    pub target: String,
    /// What copies memory and hands it out.
    pub libc: String,
    /// What ran and counted, with the instructions for vectors that it has.
    pub counter: String,
}

impl Taken {
    /// In what this differs from what the budget was taken with, in words.
    #[must_use]
    pub fn differences(&self, budget: &Self) -> Vec<String> {
        let fields = [
            (&self.rustc, &budget.rustc),
            (&self.target, &budget.target),
            (&self.libc, &budget.libc),
            (&self.counter, &budget.counter),
        ];
        let differing = fields.into_iter().filter(|(here, there)| here != there);
        let words = differing.map(|(here, there)| format!("{here}, and the budget with {there}"));
        words.collect()
    }
}

/// What an operation costs each time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Its name.
    pub operation: String,
    /// Instructions in user mode of the thread that performs it.
    pub instructions: u64,
    /// How often it asks for memory; a part of one where that is not each time.
    pub allocations: f64,
}

/// A budget file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What it was taken with.
    pub taken: Taken,
    /// In the order of the operations.
    pub costs: Vec<Cost>,
}

impl Budget {
    /// The file: JSON with a line for each operation, so that a change of one is a change of its line.
    ///
    /// # Errors
    /// A number cannot be written, which no count is.
    pub fn to_text(&self) -> serde_json::Result<String> {
        let lines = self.costs.iter().map(serde_json::to_string);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        let taken = serde_json::to_string_pretty(&self.taken)?.replace('\n', "\n  ");
        let lines = lines.join(",\n    ");
        Ok(format!(
            "{{\n  \"taken\": {taken},\n  \"costs\": [\n    {lines}\n  ]\n}}\n"
        ))
    }
}

/// How a count stands to its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As near as it is to be.
    Kept,
    /// It costs more.
    Exceeded,
    /// It costs so much less that the budget is to be lowered.
    Undercut,
    /// The file has no such operation.
    New,
    /// There is no such operation any more.
    Gone,
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The operation.
    pub operation: String,
    /// What the budget says.
    pub budget: Option<Cost>,
    /// What was counted.
    pub counted: Option<Cost>,
    /// The worse of what is said of instructions and of allocations.
    pub verdict: Verdict,
}

/// Holds counts against a budget, with a tolerance in percent. `all_were_counted`: what the file has besides is gone.
#[must_use]
pub fn compare(
    budget: &[Cost],
    counted: &[Cost],
    tolerance: f64,
    all_were_counted: bool,
) -> Vec<Line> {
    let mut budgets: BTreeMap<&str, &Cost> = BTreeMap::new();
    budgets.extend(budget.iter().map(|cost| (&*cost.operation, cost)));
    let mut lines: Vec<Line> = Vec::with_capacity(counted.len());
    for cost in counted {
        let budget = budgets.remove(&*cost.operation);
        lines.push(Line {
            operation: cost.operation.clone(),
            budget: budget.cloned(),
            counted: Some(cost.clone()),
            verdict: budget.map_or(Verdict::New, |budget| verdict(budget, cost, tolerance)),
        });
    }
    if all_were_counted {
        lines.extend(budgets.into_values().map(|budget| Line {
            operation: budget.operation.clone(),
            budget: Some(budget.clone()),
            counted: None,
            verdict: Verdict::Gone,
        }));
    }
    lines
}

fn verdict(budget: &Cost, counted: &Cost, tolerance: f64) -> Verdict {
    let instructions = (budget.instructions as f64, counted.instructions as f64);
    let allocations = (budget.allocations, counted.allocations);
    let both = [
        of(instructions, tolerance, FEW_INSTRUCTIONS),
        of(allocations, tolerance, FEW_ALLOCATIONS),
    ];
    let either = |verdict| both.contains(&verdict).then_some(verdict);
    let found = either(Verdict::Exceeded).or_else(|| either(Verdict::Undercut));
    found.unwrap_or(Verdict::Kept)
}

/// `few`: a difference that does not matter.
fn of((budget, counted): (f64, f64), tolerance: f64, few: f64) -> Verdict {
    let room = (budget * tolerance / 100.0).max(few);
    match counted - budget {
        more if more > room => Verdict::Exceeded,
        less if less < -room => Verdict::Undercut,
        _ => Verdict::Kept,
    }
}

#[cfg(test)]
mod tests;
