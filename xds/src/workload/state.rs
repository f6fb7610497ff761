//! What has been told by the workload API, and the documents that come of it: only what a change touches is made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::documents::{Around, Trouble, documents, kind};
use super::messages::{Address, Kind, Message as _, Service, Workload};
use crate::messages::Resource;
use crate::object::{Key, Object, content_version};

/// What stands in a resource.
pub const ADDRESS: &str = "type.googleapis.com/istio.workload.Address";

/// Everything that was told.
#[derive(Debug, Default)]
pub(super) struct State {
    around: Around,
    /// By `namespace/hostname`.
    services: BTreeMap<String, Service>,
    /// By `uid`.
    workloads: BTreeMap<String, Workload>,
    /// Workloads by the services that they are endpoints of.
    behind: BTreeMap<String, BTreeSet<String>>,
    /// What was made of each service.
    made: BTreeMap<String, Made>,
}

#[derive(Debug, Default)]
struct Made {
    objects: Vec<Object>,
    troubles: Vec<Trouble>,
}

/// Services whose documents may be other than they were.
pub(super) type Touched = BTreeSet<String>;

impl State {
    pub(super) fn new(around: Around) -> Self {
        Self {
            around,
            ..Self::default()
        }
    }

    /// Takes one thing by the name that it travelled by.
    ///
    /// # Errors
    /// Why it is none. What was there before stays.
    pub(super) fn put(&mut self, resource: Resource, touched: &mut Touched) -> Result<(), String> {
        let name = resource.name;
        let strange = |why: &str| format!("`{}` {why}", name.escape_default());
        let any = resource
            .resource
            .ok_or_else(|| strange("has nothing in it"))?;
        if any.type_url != ADDRESS {
            return Err(strange("is no `istio.workload.Address`"));
        }
        let address = Address::decode(any.value);
        let address = address.map_err(|_| strange("is no message of its type"))?;
        match address.kind {
            None => Err(strange("is neither a workload nor a service")),
            Some(Kind::Service(service)) => {
                // A number behind `~` is ours, see `documents`.
                let (namespace, host) = name.split_once('/').unwrap_or_default();
                let is_name =
                    !namespace.is_empty() && !host.is_empty() && !host.contains(['/', '~']);
                if !is_name || namespace != service.namespace || host != service.hostname {
                    return Err(strange("is not called as the service in it"));
                }
                self.remove(&name, touched);
                touched.insert(name.clone());
                self.services.insert(name, service);
                Ok(())
            }
            Some(Kind::Workload(workload)) => {
                if workload.uid != name || name.is_empty() {
                    return Err(strange("is not called as the workload in it"));
                }
                self.remove(&name, touched);
                for service in workload.services.keys() {
                    touched.insert(service.clone());
                    let behind = self.behind.entry(service.clone()).or_default();
                    behind.insert(name.clone());
                }
                self.workloads.insert(name, workload);
                Ok(())
            }
        }
    }

    /// Takes away what goes by a name.
    pub(super) fn remove(&mut self, name: &str, touched: &mut Touched) {
        if self.services.remove(name).is_some() {
            touched.insert(name.to_owned());
        }
        let Some(workload) = self.workloads.remove(name) else {
            return;
        };
        for service in workload.services.into_keys() {
            if let Some(behind) = self.behind.get_mut(&service) {
                behind.remove(name);
                if behind.is_empty() {
                    self.behind.remove(&service);
                }
            }
            touched.insert(service);
        }
    }

    /// Makes the documents of services anew: what is there now and was not like that, and what is there no more.
    pub(super) fn settle(&mut self, touched: &Touched) -> (Vec<Object>, Vec<Key>) {
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for name in touched {
            let before = self.made.remove(name).unwrap_or_default();
            let made = self.make(name);
            for object in &made.objects {
                if !before.objects.contains(object) {
                    new.push(object.clone());
                }
            }
            for old in before.objects {
                if !made.objects.iter().any(|object| object.key == old.key) {
                    gone.push(old.key);
                }
            }
            if !made.objects.is_empty() || !made.troubles.is_empty() {
                self.made.insert(name.clone(), made);
            }
        }
        (new, gone)
    }

    fn make(&self, name: &str) -> Made {
        let behind = self.behind.get(name);
        let Some(service) = self.services.get(name) else {
            let is_named = behind.is_some();
            let troubles = is_named.then(|| Trouble::NoService(name.to_owned()));
            return Made {
                objects: Vec::new(),
                troubles: troubles.into_iter().collect(),
            };
        };
        let behind = behind.into_iter().flatten();
        let workloads = behind.filter_map(|uid| self.workloads.get(uid));
        let mut troubles = Vec::new();
        let documents = documents(name, service, workloads, &self.around, &mut troubles);
        troubles.sort();
        troubles.dedup();
        let objects = documents.into_iter().map(|(name, json)| Object {
            key: Key {
                kind: kind(),
                namespace: service.namespace.as_str().into(),
                name: name.into(),
            },
            version: content_version(&json),
            json,
        });
        Made {
            objects: objects.collect(),
            troubles,
        }
    }

    /// All that no document says.
    pub(super) fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.made.values().flat_map(|made| &made.troubles)
    }

    /// What there is, by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.services.keys().chain(self.workloads.keys())
    }
}
