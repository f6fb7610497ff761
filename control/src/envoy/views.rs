//! The views that are in use: one for all clients that see the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use outrigger_xds::KINDS;
use tokio::sync::OnceCell;

use super::view::{Part, View};
use crate::hub::Hub;
use crate::scope::Scope;
use crate::viewer::Viewer;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Views {
    slots: Mutex<BTreeMap<Alike, Slot>>,
}

/// Clients that see the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    namespace: String,
    labels: BTreeMap<String, String>,
    is_gateway: bool,
    is_grpc: bool,
}

/// The view of a push, made by the first who asks for it.
#[derive(Debug, Default)]
struct Slot {
    push: u64,
    now: Arc<OnceCell<Arc<View>>>,
    /// The last one that was made.
    before: Option<Arc<View>>,
}

impl Views {
    /// The view of a client, of this push or a later one. Compiling is no work for those who serve streams, and done beside.
    pub(crate) async fn of(
        &self,
        viewer: &Viewer,
        scope: &Scope,
        hub: &Arc<Hub>,
        push: u64,
    ) -> Arc<View> {
        let (cell, before) = self.slot(viewer, push);
        let make = || async {
            let part = part(scope, hub);
            let viewer = viewer.clone();
            let making = move || Arc::new(View::new(part, &viewer, before.as_deref()));
            let made = tokio::task::spawn_blocking(making).await;
            made.expect("compiling panics for no input, and is not cancelled")
        };
        Arc::clone(cell.get_or_init(make).await)
    }

    fn slot(&self, viewer: &Viewer, push: u64) -> (Arc<OnceCell<Arc<View>>>, Option<Arc<View>>) {
        let alike = Alike {
            namespace: viewer.namespace.clone(),
            labels: viewer.labels.clone(),
            is_gateway: viewer.is_gateway,
            is_grpc: viewer.is_grpc,
        };
        // Each change is whole.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&alike) {
            slots.retain(|_, slot| slot.is_used());
        }
        let slot = slots.entry(alike).or_default();
        if slot.push < push {
            slot.push = push;
            let made = std::mem::take(&mut slot.now);
            if let Some(made) = made.get() {
                slot.before = Some(Arc::clone(made));
            }
        }
        (Arc::clone(&slot.now), slot.before.clone())
    }
}

impl Slot {
    /// Whether a client has one of the views, or waits for one.
    fn is_used(&self) -> bool {
        let has = |view: &Arc<View>| Arc::strong_count(view) > 1;
        Arc::strong_count(&self.now) > 1
            || self.now.get().is_some_and(has)
            || self.before.as_ref().is_some_and(has)
    }
}

/// What a client is to know, as it is now.
pub(super) fn part(scope: &Scope, hub: &Hub) -> Part {
    let state = hub.state();
    let world = &state.world;
    let of_mesh = |kind: &str| matches!(kind, "ConfigMap" | "Secret");
    let kinds = KINDS.iter().filter(|kind| !of_mesh(kind.kind));
    let seen = kinds.flat_map(|kind| scope.all(world, kind));
    Part {
        push: state.pushes,
        objects: seen
            .map(|(key, known)| (key.clone(), Arc::clone(&known.packed)))
            .collect(),
        mesh: world.mesh().clone(),
    }
}
