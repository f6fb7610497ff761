//! A finding that a case expects of its configuration, as its page writes it.

use crate::Problem;
use crate::markdown::Block;

/// A finding that `check` must report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedFinding {
    /// Its line in the case file.
    pub line: usize,
    /// `error`, `warning` or `info`.
    pub severity: String,
    /// Its code.
    pub code: String,
    /// The field path, or empty for any.
    pub path: String,
}

impl ExpectedFinding {
    /// `severity code path`, a line each; the path may be left out.
    pub(crate) fn of_block(file: &str, block: &Block) -> Result<Vec<Self>, Problem> {
        let lines = (block.line + 1..).zip(block.text.lines());
        let finding = |(line, text): (usize, &str)| {
            let mut words = text.split_whitespace().map(str::to_owned);
            let (Some(severity), Some(code)) = (words.next(), words.next()) else {
                return Err(Problem::new(file, line, "write `SEVERITY CODE PATH`"));
            };
            let path = words.next().unwrap_or_default();
            Ok(Self {
                line,
                severity,
                code,
                path,
            })
        };
        lines.map(finding).collect()
    }
}
