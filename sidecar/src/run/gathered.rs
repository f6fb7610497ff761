//! What there is of a configuration at a moment, wherever it came from.

use std::hash::{DefaultHasher, Hash, Hasher};

use outrigger_core::config::Finding;

use crate::sources::Source;

/// What is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) rules: Vec<Source>,
    pub(super) mesh: Option<Source>,
    /// What was passed over.
    pub(super) findings: Vec<Finding>,
}

impl Gathered {
    /// The same for the same names and bytes.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for source in self.rules.iter().chain(&self.mesh) {
            source.name.hash(&mut hasher);
            source.bytes.hash(&mut hasher);
        }
        hasher.finish()
    }
}
