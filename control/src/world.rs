//! All objects of the mesh, each as it travels and with what decides who is to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use outrigger_core::compile::is_subset;
use outrigger_core::config::{MeshConfig, Source, load_mesh};
use outrigger_xds::carried::{key_of, pack, unpack, weight};
use outrigger_xds::messages::Resource;
use outrigger_xds::{Change, Key, Kind, Object};

use crate::facts::{Facts, Labels, kind};

/// The name of the ConfigMap that holds the mesh's settings.
const MESH_CONFIG: &str = "istio";

/// All objects.
#[derive(Debug, Default)]
pub struct World {
    objects: BTreeMap<Key, Known>,
    mesh: MeshConfig,
    /// What that was read from: the ConfigMap as JSON.
    mesh_text: Option<Arc<str>>,
    /// Pods, with the EndpointSlices that name them.
    named_by: BTreeMap<Key, BTreeSet<Key>>,
    /// Nodes, with the pods on each.
    on_node: BTreeMap<String, BTreeSet<Key>>,
    /// Services and ServiceEntries that select workloads, by namespace and the first label that they ask for.
    selecting: BTreeMap<String, BTreeMap<Asked, BTreeSet<Key>>>,
    bytes: usize,
    /// Kinds of which a source has said what there is.
    listed: BTreeSet<&'static Kind>,
}

/// The first label of a selector, or `None` of one that selects all.
type Asked = Option<(String, String)>;

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Facts,
    pub(crate) packed: Arc<Resource>,
}

impl World {
    /// Takes a change. Returns the objects that are other than they were, and those whose audience may be.
    pub fn apply(&mut self, change: Change) -> Touched {
        let mut touched = Touched::default();
        match change {
            Change::Is(object) => self.put(object, &mut touched),
            Change::Gone(key) => self.remove(&key, &mut touched),
            Change::All(kind, objects) => {
                self.listed.insert(kind);
                let there: BTreeSet<Key> =
                    objects.iter().map(|object| object.key.clone()).collect();
                let of_kind = self.of_kind(kind).map(|(key, _)| key.clone());
                let gone: Vec<Key> = of_kind.filter(|key| !there.contains(key)).collect();
                for key in gone {
                    self.remove(&key, &mut touched);
                }
                for object in objects {
                    self.put(object, &mut touched);
                }
            }
        }
        touched
    }

    fn put(&mut self, object: Object, touched: &mut Touched) {
        let before = self.objects.get(&object.key);
        if before.is_some_and(|known| *known.packed.version == *object.version) {
            return;
        }
        let facts = Facts::of(&object);
        if before.is_some_and(|known| known.facts == facts) && !is_mesh_config(&object.key) {
            // The same as far as others are concerned, such as an endpoint that is ready.
            touched.keys.insert(object.key.clone());
            self.bytes -= self
                .objects
                .get(&object.key)
                .map_or(0, |known| weight(&known.packed));
        } else {
            self.forget(&object.key, touched);
            self.index(&object.key, &facts, true);
            touched.add(&object.key, &facts);
            if is_mesh_config(&object.key) {
                self.mesh = mesh_of(&object);
                self.mesh_text = Some(object.json.to_string().into());
            }
        }
        let packed = Arc::new(pack(&object));
        self.bytes += weight(&packed);
        self.objects.insert(object.key, Known { facts, packed });
    }

    fn remove(&mut self, key: &Key, touched: &mut Touched) {
        if self.forget(key, touched) && is_mesh_config(key) {
            self.mesh = MeshConfig::default();
            self.mesh_text = None;
        }
    }

    fn forget(&mut self, key: &Key, touched: &mut Touched) -> bool {
        let Some(known) = self.objects.remove(key) else {
            return false;
        };
        self.bytes -= weight(&known.packed);
        self.index(key, &known.facts, false);
        touched.add(key, &known.facts);
        true
    }

    fn index(&mut self, key: &Key, facts: &Facts, is_there: bool) {
        match facts {
            Facts::Slice { pods, .. } => {
                for pod in pods {
                    note(&mut self.named_by, pod.clone(), key, is_there);
                }
            }
            Facts::Pod { node, .. } if !node.is_empty() => {
                note(&mut self.on_node, node.clone(), key, is_there);
            }
            Facts::Service { selector, .. } if !selector.is_empty() => {
                self.index_selector(key, selector, is_there);
            }
            Facts::ServiceEntry {
                selector: Some(selector),
                ..
            } => {
                self.index_selector(key, selector, is_there);
            }
            _ => {}
        }
    }

    fn index_selector(&mut self, key: &Key, selector: &Labels, is_there: bool) {
        let first = selector.iter().next();
        let asked = first.map(|(key, value)| (key.clone(), value.clone()));
        let of_namespace = self.selecting.entry(key.namespace.to_string()).or_default();
        note(of_namespace, asked, key, is_there);
    }

    /// The settings of the mesh.
    #[must_use]
    pub const fn mesh(&self) -> &MeshConfig {
        &self.mesh
    }

    /// What they were read from, the ConfigMap as JSON; `None` where there is none.
    #[must_use]
    pub fn mesh_text(&self) -> Option<Arc<str>> {
        self.mesh_text.clone()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many bytes they are on their way.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the sources have said of each of these kinds what there is.
    pub fn has_listed(&self, kinds: impl IntoIterator<Item = &'static Kind>) -> bool {
        kinds.into_iter().all(|kind| self.listed.contains(kind))
    }

    /// The names of all namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let namespaces = self.of_kind(kind("", "Namespace"));
        namespaces.map(|(key, _)| key.name.to_string()).collect()
    }

    /// An object as it is.
    #[must_use]
    pub fn object(&self, key: &Key) -> Option<Object> {
        let known = self.objects.get(key)?;
        unpack(key.kind, Resource::clone(&known.packed)).ok()
    }

    /// The version of an object.
    #[must_use]
    pub fn version(&self, key: &Key) -> Option<&str> {
        Some(&self.objects.get(key)?.packed.version)
    }

    /// Objects as they travel.
    pub(crate) fn all(&self, is_wanted: impl Fn(&Key) -> bool) -> Vec<(Key, Arc<Resource>)> {
        let wanted = self.objects.iter().filter(|(key, _)| is_wanted(key));
        wanted
            .map(|(key, known)| (key.clone(), Arc::clone(&known.packed)))
            .collect()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Known> {
        self.objects.get(key)
    }

    pub(crate) fn by_name(&self, kind: &'static Kind, name: &str) -> Option<(Key, &Known)> {
        let key = key_of(kind, name).ok()?;
        let known = self.objects.get(&key)?;
        Some((key, known))
    }

    pub(crate) fn named(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Option<(&Key, &Known)> {
        self.objects.get_key_value(&Key {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    pub(crate) fn of_kind(&self, kind: &'static Kind) -> impl Iterator<Item = (&Key, &Known)> {
        let from = Key {
            kind,
            namespace: "".into(),
            name: "".into(),
        };
        let objects = self.objects.range(from..);
        objects.take_while(move |(key, _)| key.kind == kind)
    }

    pub(crate) fn in_namespace<'a>(
        &'a self,
        kind: &'static Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Known)> {
        let from = Key {
            kind,
            namespace: namespace.into(),
            name: "".into(),
        };
        let objects = self.objects.range(from..);
        objects.take_while(move |(key, _)| key.kind == kind && *key.namespace == *namespace)
    }

    /// The services and ServiceEntries of a namespace that select what has these labels.
    pub(crate) fn selecting<'a>(
        &'a self,
        namespace: &str,
        labels: &'a Labels,
    ) -> impl Iterator<Item = (&'a Key, &'a Known)> {
        let asked = labels
            .iter()
            .map(|(key, value)| Some((key.clone(), value.clone())));
        let of_namespace = self.selecting.get(namespace);
        let keys = asked
            .chain([None])
            .filter_map(move |asked| of_namespace?.get(&asked))
            .flatten();
        keys.filter_map(|key| {
            let known = self.objects.get(key)?;
            let selector = match &known.facts {
                Facts::Service { selector, .. } => selector,
                Facts::ServiceEntry { selector, .. } => selector.as_ref()?,
                _ => return None,
            };
            is_subset(selector, labels).then_some((key, known))
        })
    }

    /// The EndpointSlices that name a pod.
    pub(crate) fn slices_of(&self, pod: &Key) -> impl Iterator<Item = &Key> {
        self.named_by.get(pod).into_iter().flatten()
    }

    /// The pods on a node.
    pub(crate) fn pods_on(&self, node: &str) -> impl Iterator<Item = &Key> {
        self.on_node.get(node).into_iter().flatten()
    }
}

fn note<K: Ord + Clone>(map: &mut BTreeMap<K, BTreeSet<Key>>, of: K, key: &Key, is_there: bool) {
    let entry = map.entry(of.clone()).or_default();
    if is_there {
        entry.insert(key.clone());
    } else {
        entry.remove(key);
    }
    if entry.is_empty() {
        map.remove(&of);
    }
}

/// What a ConfigMap says of the mesh. What is wrong with it is told by `check` and by the admission of the cluster; what is right
/// in it holds.
fn mesh_of(object: &Object) -> MeshConfig {
    let text = object.json.to_string();
    let source = Source {
        name: "istio.yaml",
        bytes: text.as_bytes(),
    };
    load_mesh(source).0
}

/// The settings of the mesh that changes tell of, or the default ones.
#[must_use]
pub fn mesh_in(changes: &[Change]) -> MeshConfig {
    let objects = changes.iter().flat_map(|change| match change {
        Change::All(_, objects) => objects.as_slice(),
        Change::Is(object) => std::slice::from_ref(object),
        Change::Gone(_) => &[],
    });
    let mut configs = objects.filter(|object| is_mesh_config(&object.key));
    configs.next_back().map(mesh_of).unwrap_or_default()
}

/// The settings of the mesh, wherever its root namespace is: sources tell of no other.
pub(crate) fn is_mesh_config(key: &Key) -> bool {
    key.kind.kind == "ConfigMap" && &*key.name == MESH_CONFIG
}

/// What a change concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Objects that are other than they were, or gone.
    pub keys: BTreeSet<Key>,
    /// Who is to know other objects may be another question now; see [`Facts::matters_to_others`].
    pub(crate) causes: Vec<(Key, Facts)>,
}

impl Touched {
    fn add(&mut self, key: &Key, facts: &Facts) {
        self.keys.insert(key.clone());
        if facts.matters_to_others() {
            self.causes.push((key.clone(), facts.clone()));
        }
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Both.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.causes.extend(other.causes);
    }
}
