//! What the `egress` of a Sidecar imports.

use std::collections::BTreeSet;

use outrigger_core::config::names;
use outrigger_core::config::sidecar::{EgressHost, EgressNamespace};

/// The patterns of a Sidecar, as its client reads them. What it leaves out again (`~namespace/host`) is told all the same: core
/// leaves it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imports(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// `None` is any.
    namespace: Option<String>,
    /// A host, or a pattern of hosts.
    host: String,
}

impl Imports {
    /// Those of `namespace/host` entries, for a client of this namespace.
    pub(crate) fn new(egress: &[String], client: &str) -> Self {
        let entries = egress.iter().filter_map(|entry| EgressHost::parse(entry));
        let patterns = entries.filter_map(|entry| {
            let namespace = match entry.namespace {
                EgressNamespace::Any => None,
                EgressNamespace::Own => Some(client.to_owned()),
                EgressNamespace::Named(name) => Some(name.to_owned()),
                EgressNamespace::None => return None,
            };
            (!entry.excludes).then(|| Pattern {
                namespace,
                host: entry.host.to_owned(),
            })
        });
        Self(patterns.collect())
    }

    /// Whether a host of that namespace, which may be a pattern, is imported in part or as a whole.
    pub(crate) fn may_have(&self, namespace: &str, host: impl Fn() -> String) -> bool {
        let mut there = self.0.iter().filter(|pattern| {
            let wanted = pattern.namespace.as_deref();
            wanted.is_none_or(|wanted| wanted == namespace)
        });
        // The name of a service is made only where it decides.
        there.any(|pattern| pattern.host == "*" || names::overlaps(&pattern.host, &host()))
    }

    /// Where it imports from; `None` is everywhere.
    pub(crate) fn namespaces(&self) -> Option<BTreeSet<&str>> {
        self.0
            .iter()
            .map(|pattern| pattern.namespace.as_deref())
            .collect()
    }

    /// The same of a host of whatever namespace.
    pub(crate) fn may_have_anywhere(&self, host: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| names::overlaps(&pattern.host, host))
    }
}
