//! Something wrong, at a line of a case file.

use core::fmt;

/// A case that cannot be read, or did not go as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The case file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong; may have several lines.
    pub what: String,
}

impl Problem {
    /// A problem at a line.
    #[must_use]
    pub fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for Problem {}
