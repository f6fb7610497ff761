//! A place in a file, which nodes, findings and resources all carry.

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1; 0 is nowhere in particular.
    pub line: u32,
    /// The column in characters, from 1; 0 is nowhere in particular.
    pub column: u32,
}
