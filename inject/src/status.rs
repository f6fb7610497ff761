//! What is written about a pod that was injected: labels, and annotations for tools and for whoever injects once more.

use serde_json::{Value, json};

use crate::container::Workload;
use crate::names::{
    CANONICAL_NAME, CANONICAL_REVISION, DEFAULT_CONTAINER, REVISION, ROOTS, STATUS, TLS_MODE,
};
use crate::settings::Settings;

/// Adds labels that the pod does not have.
pub(crate) fn label(metadata: &mut Value, workload: Option<&Workload>, settings: &Settings) {
    let known = |names: &[&str]| {
        let mut names = names.iter();
        names.find_map(|name| metadata["labels"][*name].as_str().map(str::to_owned))
    };
    let name = known(&[CANONICAL_NAME, "app.kubernetes.io/name", "app"])
        .or_else(|| workload.map(|workload| workload.name.clone()))
        .or_else(|| metadata["name"].as_str().map(str::to_owned));
    let revision = known(&[CANONICAL_REVISION, "app.kubernetes.io/version", "version"]);
    let revision = revision.unwrap_or_else(|| "latest".into());
    add(metadata, "labels", TLS_MODE, "istio");
    add(metadata, "labels", REVISION, &settings.revision);
    add(metadata, "labels", CANONICAL_REVISION, &revision);
    if let Some(name) = name {
        // Labels have up to 63 bytes; names may have more.
        let end = (0..=63.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end));
        let name = name[..end.unwrap_or(0)].trim_end_matches(['-', '.', '_']);
        add(metadata, "labels", CANONICAL_NAME, name);
    }
}

/// Adds annotations; what was put in is written over what is there.
pub(crate) fn annotate(
    metadata: &mut Value,
    first_container: Option<&str>,
    put_in: &Value,
    settings: &Settings,
) {
    if let Some(name) = first_container {
        for annotation in DEFAULT_CONTAINER {
            add(metadata, "annotations", annotation, name);
        }
    }
    if let Some(roots) = &settings.roots {
        metadata["annotations"][ROOTS] = roots.clone().into();
    }
    metadata["annotations"][STATUS] = put_in.to_string().into();
}

/// What was put in, as Istio writes it.
pub(crate) fn put_in(
    init: &[&str],
    containers: &[&str],
    volumes: &[Value],
    revision: &str,
) -> Value {
    let names: Vec<&Value> = volumes.iter().map(|volume| &volume["name"]).collect();
    json!({
        "initContainers": init,
        "containers": containers,
        "volumes": names,
        "imagePullSecrets": null,
        "revision": revision,
    })
}

fn add(metadata: &mut Value, field: &str, name: &str, value: &str) {
    let place = &mut metadata[field][name];
    if place.is_null() {
        *place = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(metadata: &Value) -> (String, String) {
        let mut metadata = metadata.clone();
        label(&mut metadata, None, &Settings::default());
        let of = |name: &str| {
            metadata["labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (of(CANONICAL_NAME), of(CANONICAL_REVISION))
    }

    #[test]
    fn a_service_is_called_by_the_nearest_name() {
        let long = "n".repeat(62);
        for (metadata, name, revision) in [
            (json!({}), "", "latest"),
            (json!({"name": "pod"}), "pod", "latest"),
            (
                json!({"name": "pod", "labels": {"app": "a", "version": "v1"}}),
                "a",
                "v1",
            ),
            (
                json!({"labels": {"app": "a", "app.kubernetes.io/name": "b", "version": "v1", "app.kubernetes.io/version": "v2"}}),
                "b",
                "v2",
            ),
            (
                json!({"labels": {CANONICAL_NAME: "c", "app": "a", CANONICAL_REVISION: "v3"}}),
                "c",
                "v3",
            ),
            (
                json!({"name": format!("{long}xy")}),
                &format!("{long}x"),
                "latest",
            ),
            (json!({"name": format!("{long}-y")}), &long, "latest"),
        ] {
            assert_eq!(canonical(&metadata), (name.to_owned(), revision.to_owned()));
        }
    }
}
