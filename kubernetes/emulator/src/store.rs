//! The objects of a cluster and what happened to them: pure, so that its answers are the same in every run.
//!
//! One number counts all changes; an object's `resourceVersion` is the one that made it so. What happened is remembered until
//! somebody has it forgotten ([`Store::compact`]), as etcd's history is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::resources::Resource;
use crate::status::Failure;

/// An object by its group, plural, namespace and name.
type Key = (String, String, String, String);

/// What happened to an object.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) what: &'static str,
    pub(crate) key: Key,
    pub(crate) object: Value,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but its status, where that has a path of its own.
    Main,
    /// Its status alone.
    Status,
    /// All of it, as no client could.
    Everything,
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    pub(crate) revision: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: usize,
}

/// Which objects of a kind somebody asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

impl Wanted {
    pub(crate) fn takes(&self, (group, plural, namespace, name): &Key) -> bool {
        let is =
            |asked: &Option<String>, has: &String| asked.as_ref().is_none_or(|asked| asked == has);
        self.group == *group
            && self.plural == *plural
            && is(&self.namespace, namespace)
            && is(&self.name, name)
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) resources: Vec<Resource>,
    objects: BTreeMap<Key, Value>,
    events: Vec<Event>,
    revision: u64,
    /// What happened up to here is forgotten.
    forgotten: u64,
    /// The rests of lists that somebody reads in pages.
    pages: BTreeMap<String, (Vec<Value>, u64)>,
    uids: u64,
}

impl Store {
    /// An empty one that serves these.
    pub(crate) fn of(resources: Vec<Resource>) -> Self {
        Self {
            resources,
            ..Self::default()
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The kind that stands under such a path.
    pub(crate) fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        self.resources.iter().find(|known| {
            known.group == group
                && known.plural == plural
                && known.versions.iter().any(|served| served == version)
        })
    }

    /// The kind that a document has, and the version that it is written in.
    pub(crate) fn named(&self, api_version: &str, kind: &str) -> Option<(&Resource, String)> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let known = self.resources.iter().find(|known| {
            known.group == group
                && known.kind == kind
                && known.versions.iter().any(|served| served == version)
        })?;
        Some((known, version.to_owned()))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub(crate) fn all(&self, wanted: &Wanted) -> Vec<(Key, Value)> {
        let all = self.objects.iter().filter(|(key, _)| wanted.takes(key));
        all.map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    }

    /// What happened after `revision`; none where that is not known any more.
    pub(crate) fn since(&self, wanted: &Wanted, revision: u64) -> Option<Vec<Event>> {
        if revision < self.forgotten {
            return None;
        }
        let from = self
            .events
            .partition_point(|event| event.revision <= revision);
        let events = self.events[from..].iter();
        Some(
            events
                .filter(|event| wanted.takes(&event.key))
                .cloned()
                .collect(),
        )
    }

    /// Forgets what happened until now, and the rests of lists.
    pub(crate) fn compact(&mut self) {
        self.forgotten = self.revision;
        self.events.clear();
        self.pages.clear();
    }

    /// A list, or the next page of one.
    pub(crate) fn list(
        &mut self,
        wanted: &Wanted,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, Failure> {
        let (mut items, revision) = match token {
            Some(token) => self
                .pages
                .get(token)
                .cloned()
                .ok_or_else(Failure::expired)?,
            None => {
                let all = self.all(wanted).into_iter();
                (all.map(|(_, object)| object).collect(), self.revision)
            }
        };
        let mut next = None;
        let mut remaining = 0;
        if limit > 0 && items.len() > limit {
            let rest = items.split_off(limit);
            remaining = rest.len();
            let token = format!("{}-{revision}-{remaining}", wanted.plural);
            self.pages.insert(token.clone(), (rest, revision));
            next = Some(token);
        }
        Ok(Page {
            items,
            revision,
            next,
            remaining,
        })
    }

    /// Makes an object, or another of it.
    pub(crate) fn put(&mut self, key: Key, object: Value, part: Part, has_status: bool) -> Value {
        let old = self.objects.get(&key);
        let mut new = written(old, object, part, has_status);
        if let Some(old) = old
            && same(old, &new)
        {
            return old.clone();
        }
        let generation = match old {
            Some(old) if old.get("spec") == new.get("spec") => {
                old["metadata"]["generation"].as_u64()
            }
            Some(old) => old["metadata"]["generation"]
                .as_u64()
                .map(|number| number + 1),
            None => Some(1),
        };
        let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let kept = old.map(|old| {
            (
                old["metadata"]["uid"].clone(),
                old["metadata"]["creationTimestamp"].clone(),
            )
        });
        self.revision += 1;
        let meta = metadata(&mut new);
        let (uid, created) = kept.unwrap_or_else(|| {
            self.uids += 1;
            let created = meta
                .get("creationTimestamp")
                .filter(|written| written.is_string());
            let created = created
                .cloned()
                .unwrap_or_else(|| json!(time(self.revision)));
            (
                json!(format!("00000000-0000-4000-8000-{:012}", self.uids)),
                created,
            )
        });
        meta.insert("uid".to_owned(), uid);
        meta.insert("creationTimestamp".to_owned(), created);
        meta.insert("generation".to_owned(), json!(generation.unwrap_or(1)));
        meta.insert(
            "resourceVersion".to_owned(),
            json!(self.revision.to_string()),
        );
        self.happened(what, key.clone(), new.clone());
        self.objects.insert(key, new.clone());
        new
    }

    /// Takes an object away.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Value> {
        let mut old = self.objects.remove(key)?;
        self.revision += 1;
        metadata(&mut old).insert(
            "resourceVersion".to_owned(),
            json!(self.revision.to_string()),
        );
        self.happened("DELETED", key.clone(), old.clone());
        Some(old)
    }

    fn happened(&mut self, what: &'static str, key: Key, object: Value) {
        let revision = self.revision;
        self.events.push(Event {
            revision,
            what,
            key,
            object,
        });
    }
}

/// What comes of an object when that much of it is written.
fn written(old: Option<&Value>, object: Value, part: Part, has_status: bool) -> Value {
    let mut new = object;
    match (part, old) {
        (Part::Status, Some(old)) => {
            let status = new["status"].take();
            new = old.clone();
            new["status"] = status;
        }
        (Part::Main, old) if has_status => {
            let status = old.and_then(|old| old.get("status")).cloned();
            if let Some(fields) = new.as_object_mut() {
                fields.remove("status");
                fields.extend(status.map(|status| ("status".to_owned(), status)));
            }
        }
        _ => {}
    }
    new
}

/// Whether nothing but what the store itself writes is another.
fn same(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        let meta = metadata(&mut object);
        for own in [
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
            "managedFields",
        ] {
            meta.remove(own);
        }
        object
    };
    bare(old) == bare(new)
}

fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"].as_object_mut().expect("it was made one")
}

/// A time of its own for each change, for a day of them.
fn time(revision: u64) -> String {
    let (hours, minutes) = (revision / 3600 % 24, revision / 60 % 60);
    format!("2026-01-01T{hours:02}:{minutes:02}:{:02}Z", revision % 60)
}

/// Lays `patch` over an object (RFC 7396).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(fields) = target.as_object_mut() {
                fields.remove(name);
            }
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_laid_over_as_rfc_7396_says() {
        for (target, patch, becomes) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!(["a"]),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut target = target;
            merge(&mut target, &patch);
            assert_eq!(target, becomes, "{patch}");
        }
    }
}
