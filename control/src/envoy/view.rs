//! A client's part of the world, compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::{Finding, MeshConfig, Resources, Source, load};
use outrigger_core::snapshot::{Cluster, Snapshot};
use outrigger_xds::carried::unpack;
use outrigger_xds::envoy::{self, any};
use outrigger_xds::messages::{Any, Resource};
use outrigger_xds::{Key, Kind};
use tracing::warn;

use super::endpoints;
use super::grpc::{self, Notes, Target};
use crate::viewer::Viewer;

/// What clients like this one are told.
#[derive(Debug)]
pub(crate) struct View {
    /// Which push it is of.
    push: u64,
    snapshot: Snapshot,
    /// Of each object what is in use, for when it is changed to something that is no good.
    good: BTreeMap<Key, Arc<Resource>>,
    /// It is of clients of gRPC without a proxy.
    is_grpc: bool,
    /// What of what was asked for could not be said, and what of that was told before.
    notes: Mutex<BTreeSet<String>>,
    told: BTreeSet<String>,
}

/// What a view is made of.
pub(super) struct Part {
    pub(super) push: u64,
    /// All that the client is to know, in order.
    pub(super) objects: BTreeMap<Key, Arc<Resource>>,
    pub(super) mesh: MeshConfig,
}

impl View {
    /// Compiles a part of the world. As in a sidecar, an object that is no good leaves the last good one of its name in use.
    pub(super) fn new(part: Part, viewer: &Viewer, before: Option<&Self>) -> Self {
        let Part {
            push,
            mut objects,
            mesh,
        } = part;
        let (mut resources, refused) = read(&objects, &viewer.namespace);
        if !refused.is_empty() {
            for key in refused {
                match before.and_then(|before| before.good.get(&key)) {
                    Some(good) => drop(objects.insert(key, Arc::clone(good))),
                    None => drop(objects.remove(&key)),
                }
            }
            resources = read(&objects, &viewer.namespace).0;
        }
        let workload = Workload {
            namespace: viewer.namespace.clone(),
            labels: viewer.labels.clone(),
            ..Workload::default()
        };
        let (answers, mut registry) = (Answers::new(), Registry::default());
        let compiled = compile(
            &resources,
            &workload,
            &mesh,
            &[],
            &answers,
            &mut registry,
            push,
        );
        Self {
            push,
            snapshot: compiled.snapshot,
            good: objects,
            is_grpc: viewer.is_grpc,
            notes: Mutex::default(),
            told: before.map(Self::notes).unwrap_or_default(),
        }
    }

    /// Which push it is of.
    pub(crate) const fn push(&self) -> u64 {
        self.push
    }

    /// One thing, by the name that it is asked for.
    pub(crate) fn get(&self, kind: &'static Kind, name: &str) -> Option<Arc<Resource>> {
        let mut notes = Notes::default();
        let made = if *kind == *envoy::ENDPOINTS {
            self.endpoints(name)
        } else if !self.is_grpc {
            None
        } else if *kind == *envoy::CLUSTERS {
            self.cluster(name, &mut notes)
        } else if *kind == *envoy::LISTENERS {
            let target = Target::named(&self.snapshot, name);
            target.map(|target| any(kind, &grpc::listener(name, &target)))
        } else {
            let target = Target::routed(&self.snapshot, name);
            target.map(|target| any(kind, &grpc::routes(&self.snapshot, &target, &mut notes)))
        };
        self.tell(notes);
        made.map(|made| Arc::new(resource(name, made)))
    }

    /// All of a kind.
    pub(crate) fn all(&self, kind: &'static Kind) -> Vec<Arc<Resource>> {
        let targets = || Target::all(&self.snapshot);
        let names: Vec<String> = if *kind == *envoy::LISTENERS {
            targets().map(|target| target.name()).collect()
        } else if *kind == *envoy::ROUTES {
            targets().map(|target| target.route_name()).collect()
        } else {
            let clusters = self.snapshot.clusters.iter();
            let told = clusters.filter(|cluster| endpoints::has_endpoints(cluster));
            told.map(|cluster| cluster.name.to_string()).collect()
        };
        let all = names.iter().filter_map(|name| self.get(kind, name));
        all.collect()
    }

    fn endpoints(&self, name: &str) -> Option<Any> {
        let cluster = self.find(name)?;
        Some(any(envoy::ENDPOINTS, &endpoints::assignment(cluster)))
    }

    fn cluster(&self, name: &str, notes: &mut Notes) -> Option<Any> {
        let cluster = grpc::cluster(self.find(name)?, notes)?;
        Some(any(envoy::CLUSTERS, &cluster))
    }

    fn find(&self, name: &str) -> Option<&Cluster> {
        let id = self.snapshot.clusters.find(name)?;
        let cluster = self.snapshot.cluster(id);
        endpoints::has_endpoints(cluster).then_some(cluster)
    }

    /// What of what was asked for could not be said.
    pub(super) fn notes(&self) -> BTreeSet<String> {
        // Each change is whole.
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.clone()
    }

    /// Tells each once, and again when it was mended in between.
    fn tell(&self, all: Notes) {
        if all.0.is_empty() {
            return;
        }
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for note in all.0 {
            if !notes.contains(&note) {
                if !self.told.contains(&note) {
                    warn!(target: "discovery", "{}", note.escape_default());
                }
                notes.insert(note);
            }
        }
    }
}

/// What there is, and which objects of it are no good.
fn read(
    objects: &BTreeMap<Key, Arc<Resource>>,
    default_namespace: &str,
) -> (Resources, BTreeSet<Key>) {
    let texts: Vec<(&Key, String, Vec<u8>)> = objects
        .iter()
        .filter_map(|(key, packed)| {
            let object = unpack(key.kind, Resource::clone(packed)).ok()?;
            let name = format!("{} {}", key.kind.kind, packed.name);
            Some((key, name, object.json.to_string().into_bytes()))
        })
        .collect();
    let sources: Vec<Source<'_>> = texts
        .iter()
        .map(|(_, name, bytes)| Source { name, bytes })
        .collect();
    let mut loaded = load(&sources, default_namespace);
    let findings = loaded.findings.iter_mut();
    findings.for_each(Finding::accept_what_istiod_takes);
    let blocking = loaded.findings.iter().filter(|finding| finding.blocks());
    let files: BTreeSet<&str> = blocking.map(|finding| &*finding.file).collect();
    let of_files = texts
        .iter()
        .filter(|(_, name, _)| files.contains(name.as_str()));
    let refused = of_files.map(|(key, ..)| Key::clone(key)).collect();
    (loaded.resources, refused)
}

/// A thing as it travels. Its version is of what stands in it, and so the same on every replica that knows the same.
fn resource(name: &str, made: Any) -> Resource {
    let mut hasher = DefaultHasher::new();
    made.value.hash(&mut hasher);
    Resource {
        version: format!("{:016x}", hasher.finish()),
        resource: Some(made),
        name: name.to_owned(),
    }
}
