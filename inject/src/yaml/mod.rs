//! Documents as people write them: read to trees that keep the order of keys, changed by patches, and written again.
//!
//! What the text of a scalar stands for is decided as Kubernetes does, by `outrigger_core::config`.

mod tree;
mod write;

pub use tree::{Misfit, Tree};
pub use write::write;

use std::sync::Arc;

use outrigger_core::config::{Report, yaml};

/// Reads all documents of a file.
///
/// # Errors
/// The first thing that is wrong, with its place: `file:line:column: …`.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Tree>, String> {
    let mut report = Report::new();
    report.enter_file(&Arc::from(file));
    let documents = yaml::read(bytes, &mut report);
    report.leave_file(bytes);
    let findings = report.into_findings();
    let error = outrigger_core::config::Severity::Error;
    match findings.iter().find(|finding| finding.severity == error) {
        Some(finding) => Err(finding.unrated().to_string()),
        None => Ok(documents.iter().map(Tree::of_node).collect()),
    }
}
