//! The resources that rules and limits came from, each once.

use std::collections::BTreeMap;

use crate::config::meta::Meta;
use crate::snapshot::{ResourceId, ResourceRef};

/// The table of a snapshot while it is made.
#[derive(Debug, Default)]
pub(super) struct ResourceTable {
    pub(super) list: Vec<ResourceRef>,
    by_name: BTreeMap<(&'static str, String, String), ResourceId>,
}

impl ResourceTable {
    /// The number of a resource of this kind.
    pub(super) fn id_of(&mut self, kind: &'static str, meta: &Meta) -> ResourceId {
        let key = (kind, meta.namespace.clone(), meta.name.clone());
        *self.by_name.entry(key).or_insert_with(|| {
            // A configuration with 2^32 resources does not fit into memory.
            let id = ResourceId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
            self.list.push(ResourceRef {
                kind: kind.into(),
                namespace: meta.namespace.as_str().into(),
                name: meta.name.as_str().into(),
                file: (&*meta.file).into(),
            });
            id
        })
    }
}
