//! What the exchanges of one thread share: the current snapshot, balancer positions, idle connections, spare buffers.
//!
//! A worker is `!Send` and needs no lock. What must hold for the whole process (load, limits, ejection) is in
//! `cluster` instead, and the worker only reaches it through the snapshot.

use std::sync::Arc;

use crate::snapshot::Snapshot;

/// A snapshot as one worker uses it: the snapshot and this worker's balancer positions in it.
#[derive(Debug)]
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
}
