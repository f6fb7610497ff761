//! Finding the first matching rule without trying each one.

/// Candidate rules of a virtual host by path.
#[derive(Clone, Debug, Default)]
pub struct RuleIndex {}
