//! Costs against budgets, both ways, the file that is written and read, and what the table says.

use std::slice;

use super::*;

fn cost(operation: &str, instructions: u64, allocations: f64) -> Cost {
    Cost {
        operation: operation.into(),
        instructions,
        allocations,
    }
}

#[test]
fn counts_are_held_against_their_budget_both_ways() {
    use Verdict::{Exceeded, Kept, Undercut};
    for (budget, counted, tolerance, want) in [
        ((50_000, 3.0), (50_000, 3.0), TOLERANCE, Kept),
        ((50_000, 3.0), (51_000, 3.0), TOLERANCE, Kept),
        ((50_000, 3.0), (51_001, 3.0), TOLERANCE, Exceeded),
        ((50_000, 3.0), (49_000, 3.0), TOLERANCE, Kept),
        ((50_000, 3.0), (48_999, 3.0), TOLERANCE, Undercut),
        ((50_000, 3.0), (55_000, 3.0), WIDE_TOLERANCE, Kept),
        ((50_000, 3.0), (55_001, 3.0), WIDE_TOLERANCE, Exceeded),
        // Of few instructions some more or fewer are the compiler's.
        ((200, 0.0), (300, 0.0), TOLERANCE, Kept),
        ((200, 0.0), (301, 0.0), TOLERANCE, Exceeded),
        ((200, 0.0), (100, 0.0), TOLERANCE, Kept),
        ((200, 0.0), (99, 0.0), TOLERANCE, Undercut),
        // One more allocation is one too many, and a hundredth is none.
        ((1000, 0.0), (1000, 1.0), TOLERANCE, Exceeded),
        ((1000, 0.0), (1000, 0.01), TOLERANCE, Kept),
        ((1000, 3.0), (1000, 2.0), TOLERANCE, Undercut),
        ((1000, 10_000.0), (1000, 10_200.0), TOLERANCE, Kept),
        ((1000, 10_000.0), (1000, 10_201.0), TOLERANCE, Exceeded),
        // What is worse counts.
        ((1000, 3.0), (500, 4.0), TOLERANCE, Exceeded),
        ((1000, 3.0), (2000, 0.0), TOLERANCE, Exceeded),
        ((0, 0.0), (0, 0.0), TOLERANCE, Kept),
    ] {
        let (budget, counted) = (
            cost("a/b", budget.0, budget.1),
            cost("a/b", counted.0, counted.1),
        );
        let lines = compare(
            slice::from_ref(&budget),
            slice::from_ref(&counted),
            tolerance,
            true,
        );
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].verdict, want, "{budget:?} {counted:?} {tolerance}");
    }
}

#[test]
fn what_one_side_lacks_is_said_in_the_order_of_operations() {
    let budget = [cost("z/kept", 10, 0.0), cost("a/gone", 10, 0.0)];
    let counted = [cost("z/kept", 10, 0.0), cost("b/new", 10, 0.0)];
    let verdicts = |all| {
        let lines = compare(&budget, &counted, TOLERANCE, all);
        let told = lines.into_iter().map(|line| (line.operation, line.verdict));
        told.collect::<Vec<_>>()
    };
    let of = |operation: &str, verdict| (operation.to_owned(), verdict);
    let both = [of("z/kept", Verdict::Kept), of("b/new", Verdict::New)];
    assert_eq!(verdicts(false), both);
    assert_eq!(
        verdicts(true),
        [&both[..], &[of("a/gone", Verdict::Gone)]].concat()
    );
}

fn taken() -> Taken {
    Taken {
        rustc: "rustc 1.95.0".into(),
        target: "x86_64-unknown-linux-gnu".into(),
        libc: "glibc 2.36".into(),
        counter: "valgrind-3.19.0 avx2".into(),
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let budget = Budget {
        taken: taken(),
        costs: vec![cost("a/b", 12, 0.25), cost("c/d", 3_000_000, 4000.0)],
    };
    let text = budget.to_text().unwrap();
    assert_eq!(serde_json::from_str::<Budget>(&text).unwrap(), budget);
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("\"operation\""))
            .count(),
        2
    );
}

#[test]
fn what_differs_is_said() {
    let here = Taken {
        rustc: "rustc 1.96.0".into(),
        ..taken()
    };
    assert_eq!(taken().differences(&taken()), [""; 0]);
    assert_eq!(
        here.differences(&taken()),
        ["rustc 1.96.0, and the budget with rustc 1.95.0"]
    );
}

#[test]
fn the_table_says_what_is_to_be_done() {
    let budget = [
        cost("a/b", 10_000, 0.0),
        cost("c/d", 1_234_567, 12.5),
        cost("e/f", 1, 0.0),
    ];
    let counted = [
        cost("a/b", 11_000, 0.0),
        cost("c/d", 1_000_000, 12.5),
        cost("g/h", 1, 0.0),
    ];
    let text = table(&compare(&budget, &counted, TOLERANCE, true));
    let lines: Vec<&str> = text.lines().collect();
    for (line, parts) in lines.iter().skip(1).zip([
        ["a/b", "11,000", "+10.0", "costs more"],
        ["c/d", "1,234,567", "-19.0", "lower the budget"],
        ["g/h", "1", "-", "no budget"],
        ["e/f", "1", "-", "is no more"],
    ]) {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?}: {line}"
        );
    }
    assert_eq!(lines.len(), 5);
}
