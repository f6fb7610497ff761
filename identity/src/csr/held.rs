//! The identity that was given last, for whoever looks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fault::Fault;
use crate::material::Material;
use crate::source::Source;

/// What is held. Its clones hold the same.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct State {
    material: Option<Material>,
    /// Why there is none, or no newer one.
    fault: Option<String>,
}

/// What has come of asking.
#[derive(Debug, Default)]
pub struct Counts {
    given: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Certificates that were given.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Requests that came to nothing.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come of asking.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.state().material.is_some()
    }

    /// Why there is none, or no newer one.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    pub(super) fn material(&self) -> Option<Material> {
        self.state().material.clone()
    }

    pub(super) fn put(&self, material: Material) {
        let mut state = self.state();
        state.material = Some(material);
        state.fault = None;
        self.0.counts.given.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, fault: &str) {
        self.state().fault = Some(fault.to_owned());
        self.0.counts.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Source for Held {
    fn fetch(&mut self) -> Result<Material, Fault> {
        let state = self.state();
        state.material.clone().ok_or_else(|| {
            let fault = state.fault.clone();
            Fault::NotGiven(fault.unwrap_or_else(|| "nobody has answered yet".into()))
        })
    }

    fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
