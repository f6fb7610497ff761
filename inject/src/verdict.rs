//! Whether a pod gets a sidecar: Istio's labels and annotations of the pod and its namespace.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::names::{INIT, INJECT, NAMESPACE_INJECTION, PROXY, REVISION, STATUS, TEMPLATES};
use crate::settings::Settings;

/// Why one gets none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has the network of its node, whose connections are everybody's.
    HostNetwork,
    /// It runs on Windows.
    Windows,
    /// It has one.
    Already,
    /// A label or an annotation of it says so: which.
    ItSaysSo(&'static str),
    /// It asks for another template: which.
    Template(String),
    /// Pods of this namespace never get one.
    Namespace(String),
    /// Its namespace says so: by which label and value.
    NamespaceSaysSo(&'static str, String),
    /// Another control plane injects it: which.
    OtherRevision(String),
    /// Neither it nor its namespace asks for one.
    NotAsked,
    /// Not of a kind that has pods.
    NoPods,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("it has the network of its node (`hostNetwork`)"),
            Self::Windows => f.write_str("it runs on Windows"),
            Self::Already => f.write_str("it has a sidecar"),
            Self::ItSaysSo(name) => write!(f, "`{name}` of the pod is `false`"),
            Self::Template(name) => {
                write!(f, "`{TEMPLATES}` is `{name}`, and there is `sidecar` alone")
            }
            Self::Namespace(name) => write!(f, "pods of namespace `{name}` never get one"),
            Self::NamespaceSaysSo(label, value) => {
                write!(f, "its namespace says `{label}: {value}`")
            }
            Self::OtherRevision(name) => write!(f, "revision `{name}` injects it (`{REVISION}`)"),
            Self::NotAsked => write!(
                f,
                "neither the pod (`{INJECT}: \"true\"`) nor its namespace (`{NAMESPACE_INJECTION}: enabled`) asks for one"
            ),
            Self::NoPods => f.write_str("its kind has no pods"),
        }
    }
}

/// Labels of a namespace.
pub(crate) type Labels = BTreeMap<String, String>;

/// What says whether a pod gets one. `None`: it does.
pub(crate) fn why_not(
    metadata: &Value,
    spec: &Value,
    namespace: &str,
    labels: Option<&Labels>,
    settings: &Settings,
) -> Option<Why> {
    if spec["hostNetwork"] == true {
        return Some(Why::HostNetwork);
    }
    if spec["os"]["name"] == "windows" {
        return Some(Why::Windows);
    }
    if settings.never.iter().any(|never| never == namespace) {
        return Some(Why::Namespace(namespace.to_owned()));
    }
    if is_injected(metadata, spec) {
        return Some(Why::Already);
    }
    if let Some(template) = metadata["annotations"][TEMPLATES].as_str()
        && template != "sidecar"
    {
        return Some(Why::Template(template.to_owned()));
    }
    let asked = asked(metadata);
    if asked == Some(false) {
        return Some(Why::ItSaysSo(INJECT));
    }
    if let Some(why) = other_plane(metadata, labels, settings) {
        return Some(why);
    }
    if asked == Some(true) || is_wanted(metadata, labels, settings) {
        return None;
    }
    Some(Why::NotAsked)
}

/// What the pod says of itself; the label goes before the annotation, and other words than `true` and `false` say nothing.
fn asked(metadata: &Value) -> Option<bool> {
    let label = metadata["labels"][INJECT].as_str();
    let word = label.or_else(|| metadata["annotations"][INJECT].as_str());
    word?.parse().ok()
}

/// Its namespace wants none, or the pod or its namespace wants somebody else's.
fn other_plane(metadata: &Value, labels: Option<&Labels>, settings: &Settings) -> Option<Why> {
    let of_namespace = |name: &str| labels.and_then(|labels| labels.get(name));
    let of_pod = metadata["labels"][REVISION].as_str();
    if let Some(word) = of_namespace(NAMESPACE_INJECTION) {
        return match word.as_str() {
            "enabled" => None,
            other => Some(Why::NamespaceSaysSo(NAMESPACE_INJECTION, other.to_owned())),
        };
    }
    // What the pod says goes before what its namespace says.
    let revision = of_pod.or_else(|| of_namespace(REVISION).map(String::as_str))?;
    (revision != settings.revision).then(|| Why::OtherRevision(revision.to_owned()))
}

/// Whether a pod that says nothing gets one.
fn is_wanted(metadata: &Value, labels: Option<&Labels>, settings: &Settings) -> bool {
    let has_revision = metadata["labels"][REVISION].is_string();
    match labels {
        // Whoever asks has chosen, as by the selectors of a webhook.
        None => settings.enabled || has_revision,
        Some(labels) => {
            has_revision
                || labels.contains_key(NAMESPACE_INJECTION)
                || labels.contains_key(REVISION)
        }
    }
}

/// Whether it is what injection makes: what the status says is there.
fn is_injected(metadata: &Value, spec: &Value) -> bool {
    metadata["annotations"][STATUS].is_string() && (has(spec, PROXY) || has(spec, INIT))
}

fn has(spec: &Value, name: &str) -> bool {
    ["initContainers", "containers"].iter().any(|field| {
        let containers = spec[*field].as_array();
        containers.is_some_and(|all| all.iter().any(|one| one["name"] == name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_annotations_say_who_gets_one() {
        let no_labels = json!({});
        let yes = json!({"labels": {INJECT: "true"}});
        let no = json!({"labels": {INJECT: "false"}, "annotations": {INJECT: "true"}});
        let no_by_annotation = json!({"annotations": {INJECT: "false"}});
        let ours = json!({"labels": {REVISION: "default"}});
        let other = json!({"labels": {REVISION: "canary"}});
        let odd = json!({"labels": {INJECT: "yes"}});
        let gateway = json!({"labels": {INJECT: "true"}, "annotations": {TEMPLATES: "gateway"}});
        let enabled = Some((NAMESPACE_INJECTION, "enabled"));
        let disabled = Some((NAMESPACE_INJECTION, "disabled"));
        let of_ours = Some((REVISION, "default"));
        let of_other = Some((REVISION, "canary"));
        let bare = Some(("team", "shop"));
        let not_enabled = || Why::NamespaceSaysSo(NAMESPACE_INJECTION, "disabled".into());
        let canary = || Why::OtherRevision("canary".into());
        for (metadata, namespace, want) in [
            (&no_labels, None, None),
            (&no_labels, enabled, None),
            (&no_labels, of_ours, None),
            (&no_labels, bare, Some(Why::NotAsked)),
            (&no_labels, disabled, Some(not_enabled())),
            (&no_labels, of_other, Some(canary())),
            (&yes, bare, None),
            (&yes, disabled, Some(not_enabled())),
            (&yes, of_other, Some(canary())),
            (&no, enabled, Some(Why::ItSaysSo(INJECT))),
            (&no_by_annotation, None, Some(Why::ItSaysSo(INJECT))),
            (&ours, bare, None),
            (&ours, of_other, None),
            (&other, None, Some(canary())),
            (&other, of_ours, Some(canary())),
            (&other, enabled, None),
            (&odd, enabled, None),
            (&odd, bare, Some(Why::NotAsked)),
            (&gateway, enabled, Some(Why::Template("gateway".into()))),
        ] {
            let labels =
                namespace.map(|(key, value)| Labels::from([(key.to_owned(), value.to_owned())]));
            let got = why_not(
                metadata,
                &json!({}),
                "shop",
                labels.as_ref(),
                &Settings::default(),
            );
            assert_eq!(got, want, "{metadata} in {namespace:?}");
        }
    }

    #[test]
    fn some_pods_never_get_one() {
        let yes = json!({"labels": {INJECT: "true"}});
        let done = json!({"annotations": {STATUS: "{}"}});
        for (metadata, spec, namespace, want) in [
            (&yes, json!({"hostNetwork": true}), "a", Why::HostNetwork),
            (&yes, json!({"os": {"name": "windows"}}), "a", Why::Windows),
            (
                &yes,
                json!({}),
                "kube-system",
                Why::Namespace("kube-system".into()),
            ),
            (
                &done,
                json!({"initContainers": [{"name": PROXY}]}),
                "a",
                Why::Already,
            ),
            (
                &done,
                json!({"containers": [{"name": PROXY}]}),
                "a",
                Why::Already,
            ),
        ] {
            let got = why_not(metadata, &spec, namespace, None, &Settings::default());
            assert_eq!(got, Some(want));
        }
        // A status that somebody copied does not let a pod go without.
        assert_eq!(
            why_not(&done, &json!({}), "a", None, &Settings::default()),
            None
        );
        let off = Settings {
            enabled: false,
            ..Settings::default()
        };
        assert_eq!(
            why_not(&json!({}), &json!({}), "a", None, &off),
            Some(Why::NotAsked)
        );
        assert_eq!(why_not(&yes, &json!({}), "a", None, &off), None);
    }
}
