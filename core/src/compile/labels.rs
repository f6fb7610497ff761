//! Labels, and what it means to select by them.

use std::collections::BTreeMap;

/// Labels of a workload or an endpoint.
pub(super) type Labels = BTreeMap<String, String>;

/// Whether all of `wanted` is there.
#[must_use]
pub fn is_subset(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
