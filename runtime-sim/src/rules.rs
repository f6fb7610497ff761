//! From Istio YAML text to the snapshots of one simulated sidecar.

use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Finding, Resources, Severity};
use outrigger_core::config::{Source, load};
use outrigger_core::snapshot::Snapshot;

/// What one sidecar compiles its rules with. Endpoints keep their state from one snapshot to the next.
#[derive(Debug, Default)]
pub struct Rules {
    /// Whose sidecar it is.
    pub workload: Workload,
    /// The mesh's settings.
    pub mesh: MeshConfig,
    /// Its inbound listeners.
    pub inbound: Vec<Inbound>,
    /// What names resolve to.
    pub answers: Answers,
    registry: Registry,
    revision: u64,
}

impl Rules {
    /// Compiles texts, each with a name for findings.
    ///
    /// # Errors
    /// What is wrong with them. Warnings are none.
    pub fn compile(&mut self, texts: &[(&str, &str)]) -> Result<Arc<Snapshot>, Vec<Finding>> {
        let sources = texts.iter().map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        });
        let sources: Vec<Source<'_>> = sources.collect();
        let mut loaded = load(&sources, &self.workload.namespace);
        loaded.findings.retain(|f| f.severity == Severity::Error);
        if !loaded.findings.is_empty() {
            return Err(loaded.findings);
        }
        Ok(self.compile_loaded(&loaded.resources))
    }

    /// Compiles what was read before.
    pub fn compile_loaded(&mut self, resources: &Resources) -> Arc<Snapshot> {
        let compiled = compile(
            resources,
            &self.workload,
            &self.mesh,
            &self.inbound,
            &self.answers,
            &mut self.registry,
            self.revision,
        );
        self.revision = compiled.snapshot.revision;
        Arc::new(compiled.snapshot)
    }
}
