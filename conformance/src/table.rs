//! How many cases of each area passed, differed, failed and were skipped, on each subject.

use core::fmt;
use std::collections::BTreeMap;

use crate::subject::Outcome;

/// Cases by what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// As the case says.
    pub passed: usize,
    /// Not as the case says, and the case knows.
    pub differs: usize,
    /// Not as the case says.
    pub failed: usize,
    /// Not for this subject.
    pub skipped: usize,
}

impl Count {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Differs(_) => self.differs += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }
}

impl Count {
    /// All figures; that of differences only where a table has any.
    fn text(self, with_differs: bool) -> String {
        let differs = match with_differs {
            true => format!("{}/", self.differs),
            false => String::new(),
        };
        format!("{}/{differs}{}/{}", self.passed, self.failed, self.skipped)
    }
}

/// A row for each area, a column for each subject.
#[derive(Clone, Debug)]
pub struct Table {
    subjects: Vec<String>,
    rows: BTreeMap<String, Vec<Count>>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub const fn new(subjects: Vec<String>) -> Self {
        Self {
            subjects,
            rows: BTreeMap::new(),
        }
    }

    /// Counts an outcome of the subject in this column.
    pub fn add(&mut self, area: &str, subject: usize, outcome: &Outcome) {
        let row = self.rows.entry(area.to_owned()).or_default();
        row.resize_with(self.subjects.len(), Count::default);
        row[subject].add(outcome);
    }

    /// All areas of a column together.
    #[must_use]
    pub fn sum(&self, subject: usize) -> Count {
        self.rows.values().fold(Count::default(), |sum, row| Count {
            passed: sum.passed + row[subject].passed,
            differs: sum.differs + row[subject].differs,
            failed: sum.failed + row[subject].failed,
            skipped: sum.skipped + row[subject].skipped,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = self.rows.values().flatten();
        let differs = counts.any(|count| count.differs > 0);
        let figures = if differs { "/differs" } else { "" };
        writeln!(f, "cases: passed{figures}/failed/skipped")?;
        write!(f, "{:16}", "area")?;
        for subject in &self.subjects {
            write!(f, "{subject:>14}")?;
        }
        for (area, row) in &self.rows {
            write!(f, "\n{area:16}")?;
            for count in row {
                write!(f, "{:>14}", count.text(differs))?;
            }
        }
        write!(f, "\n{:16}", "all")?;
        for subject in 0..self.subjects.len() {
            write!(f, "{:>14}", self.sum(subject).text(differs))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_area_and_subject() {
        let mut table = Table::new(vec!["a".to_owned(), "b".to_owned()]);
        for (area, subject, outcome) in [
            ("x", 0, Outcome::Passed),
            ("x", 1, Outcome::Failed(Vec::new())),
            ("y", 1, Outcome::Skipped(String::new())),
        ] {
            table.add(area, subject, &outcome);
        }
        let lines: Vec<String> = table
            .to_string()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let want = [
            "area a b",
            "x 1/0/0 0/1/0",
            "y 0/0/0 0/0/1",
            "all 1/0/0 0/1/1",
        ];
        assert_eq!(lines[1..], want);
        table.add("y", 0, &Outcome::Differs(String::new()));
        let text = table.to_string();
        assert!(
            text.starts_with("cases: passed/differs/failed/skipped"),
            "{text}"
        );
        assert!(text.contains("0/1/0/0"), "{text}");
    }
}
