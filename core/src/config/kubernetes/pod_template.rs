//! What a Deployment and its like say of the pods that they make: enough to know whom a selector means in a folder
//! that holds no pods, because a cluster makes them.

use std::collections::BTreeMap;

use crate::config::node::Node;

/// The pods of a Deployment, StatefulSet, Job, Rollout or whatever else has a `template`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTemplate {
    /// The namespace of its pods.
    pub namespace: String,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
}

/// Where kinds keep their template.
const PLACES: &[&str] = &["spec.template", "spec.jobTemplate.spec.template"];

/// Reads the template of a document of any kind, if it has one. What is malformed there is no matter of the proxy's.
pub(in crate::config) fn read_pod_template(
    document: &Node,
    default_namespace: &str,
) -> Option<PodTemplate> {
    let mut places = PLACES.iter();
    let labels = places.find_map(|place| document.find(&format!("{place}.metadata.labels")))?;
    let text = |node: &Node| node.text().map(str::to_owned);
    let labels = labels.entries().iter().filter_map(|entry| {
        let value = text(&entry.value)?;
        Some((entry.key.text.to_string(), value))
    });
    let namespace = document.find("metadata.namespace").and_then(text);
    Some(PodTemplate {
        namespace: namespace.unwrap_or_else(|| default_namespace.to_owned()),
        labels: labels.collect(),
    })
}
