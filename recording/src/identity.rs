//! Which live state the endpoints of a snapshot have.

use outrigger_core::snapshot::Snapshot;
use std::hash::Hasher;
use twox_hash::XxHash64;

/// A number that differs between snapshots whose clusters or endpoints differ, or whose endpoints took over other state:
/// which state one keeps over a reload depends on who still held it.
#[must_use]
pub fn identity(snapshot: &Snapshot) -> u64 {
    let mut hasher = XxHash64::default();
    hasher.write(&snapshot.revision.to_le_bytes());
    for cluster in snapshot.clusters.iter() {
        hasher.write(cluster.name.as_bytes());
        hasher.write(&[0]);
        for endpoint in &cluster.endpoints {
            hasher.write(endpoint.text.as_bytes());
            hasher.write(&[0]);
            hasher.write(&endpoint.state.id().to_le_bytes());
        }
    }
    hasher.finish()
}
