//! Endpoints that a control plane tells of apart: asked for as its services come, waited for once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_xds::Object;
use outrigger_xds::assignments::Assignments;
use outrigger_xds::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use serde_json::Value;

use super::filled::{Subsets, filled, lacking};

/// A first configuration waits for endpoints no longer than that: what of them has not come then is used when it comes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What has come of them.
#[derive(Debug, Default)]
pub(super) struct Apart {
    told: Mutex<Assignments>,
    /// They are waited for no more.
    waits_no_more: AtomicBool,
}

impl Apart {
    fn told(&self) -> MutexGuard<'_, Assignments> {
        // Each change of it is whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said first on a new stream.
    pub(super) fn open(&self) -> Option<DeltaDiscoveryRequest> {
        self.told().open()
    }

    /// Takes what came, see [`Assignments::take`].
    pub(super) fn take(
        &self,
        response: DeltaDiscoveryResponse,
    ) -> Result<(DeltaDiscoveryRequest, bool), DeltaDiscoveryResponse> {
        self.told().take(response)
    }

    /// What is to be asked for now that these objects are there.
    pub(super) fn want<'a>(
        &self,
        objects: impl Iterator<Item = &'a Object> + Clone,
    ) -> Option<DeltaDiscoveryRequest> {
        let names: BTreeSet<String> = lacking(objects.clone(), &Subsets::new(objects));
        self.told().want(names)
    }

    /// Whether a configuration may be made of what has come.
    pub(super) fn is_ready(&self) -> bool {
        self.waits_no_more.load(Ordering::Acquire) || self.told().is_complete()
    }

    /// How many clusters were asked for whose endpoints have not come.
    pub(super) fn missing(&self) -> usize {
        self.told().missing()
    }

    /// From now on nothing is waited for.
    pub(super) fn wait_no_more(&self) {
        self.waits_no_more.store(true, Ordering::Release);
    }

    /// The document of an object with its endpoints, if they are told apart.
    pub(super) fn filled(&self, object: &Object, subsets: &Subsets) -> Option<Value> {
        filled(object, subsets, &self.told())
    }
}
