//! The comparison as people read it.

use std::fmt::Write as _;

use super::{Cost, Line, Verdict};

/// A line for each operation: what it costs, how that stands to its budget, and what is to be done about it.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let widest = lines.iter().map(|line| line.operation.len()).max();
    let width = widest.unwrap_or_default().max("operation".len());
    let mut text = format!(
        "{:width$} {:>13} {:>13} {:>7} {:>12} {:>12}\n",
        "operation", "instructions", "budget", "%", "allocations", "budget"
    );
    for line in lines {
        let instructions = |cost: &Option<Cost>| {
            let cost = cost.as_ref();
            cost.map_or_else(|| "-".to_owned(), |cost| grouped(cost.instructions))
        };
        let allocations = |cost: &Option<Cost>| {
            let cost = cost.as_ref();
            cost.map_or_else(|| "-".to_owned(), |cost| cost.allocations.to_string())
        };
        let change = match (&line.budget, &line.counted) {
            (Some(budget), Some(counted)) if budget.instructions > 0 => {
                let ratio = counted.instructions as f64 / budget.instructions as f64;
                format!("{:+.1}", 100.0 * (ratio - 1.0))
            }
            _ => String::new(),
        };
        let advice = match line.verdict {
            Verdict::Kept => "",
            Verdict::Exceeded => "  costs more than its budget",
            Verdict::Undercut => "  costs less: lower the budget with --update",
            Verdict::New => "  has no budget: give it one with --update",
            Verdict::Gone => "  is no more: take it out with --update",
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{:width$} {:>13} {:>13} {change:>7} {:>12} {:>12}{advice}",
            line.operation,
            instructions(&line.counted),
            instructions(&line.budget),
            allocations(&line.counted),
            allocations(&line.budget),
        );
    }
    text
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
