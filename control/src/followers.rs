//! Whom a change concerns besides what has changed: the pods of a service that is exported to others now, the node of a pod.
//!
//! The same for all clients, and so found once for each push; whether a client is to know one of them is said by its scope.

use std::collections::BTreeSet;

use outrigger_core::compile::is_subset;
use outrigger_xds::{Key, Kind};

use crate::facts::{Facts, Labels, kind};
use crate::world::{Touched, World};

/// Other objects that somebody may be to know, or to know no more, because of what has changed.
pub(crate) fn followers(touched: &Touched, world: &World) -> BTreeSet<Key> {
    let mut followers = BTreeSet::new();
    for (key, facts) in &touched.causes {
        match facts {
            Facts::Service { selector, .. } => {
                if !selector.is_empty() {
                    add_selected(key, selector, world, &mut followers);
                }
                let slices = kind("discovery.k8s.io", "EndpointSlice");
                for (slice, known) in world.in_namespace(slices, &key.namespace) {
                    if let Facts::Slice { service, pods } = &known.facts
                        && service == key
                    {
                        followers.insert(slice.clone());
                        add_pods(pods, world, &mut followers);
                    }
                }
            }
            Facts::ServiceEntry {
                selector: Some(selector),
                ..
            } => add_selected(key, selector, world, &mut followers),
            Facts::Slice { pods, .. } => add_pods(pods, world, &mut followers),
            Facts::Pod { node, .. } => add_node(node, &mut followers),
            _ => {}
        }
    }
    followers
}

fn add_selected(service: &Key, selector: &Labels, world: &World, followers: &mut BTreeSet<Key>) {
    let of = |kind: &'static Kind| world.in_namespace(kind, &service.namespace);
    let entries = kind("networking.istio.io", "WorkloadEntry");
    for (key, known) in of(kind("", "Pod")).chain(of(entries)) {
        let (labels, node) = match &known.facts {
            Facts::Pod { labels, node } => (labels, node.as_str()),
            Facts::WorkloadEntry { labels } => (labels, ""),
            _ => continue,
        };
        if is_subset(selector, labels) {
            followers.insert(key.clone());
            add_node(node, followers);
        }
    }
}

fn add_pods(pods: &[Key], world: &World, followers: &mut BTreeSet<Key>) {
    for pod in pods {
        followers.insert(pod.clone());
        if let Some(Facts::Pod { node, .. }) = world.get(pod).map(|known| &known.facts) {
            add_node(node, followers);
        }
    }
}

fn add_node(node: &str, followers: &mut BTreeSet<Key>) {
    if !node.is_empty() {
        followers.insert(Key {
            kind: kind("", "Node"),
            namespace: "".into(),
            name: node.into(),
        });
    }
}
