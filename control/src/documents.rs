//! Files to objects, for a mesh without Kubernetes.
//!
//! Reads what core's reader reads, and hands each document on as it is: whether it is any good is judged by `outrigger_core`.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::config::node::{Node, Scalar, Value};
use outrigger_core::config::value::{Plain, resolve};
use outrigger_core::config::{Finding, Report, Source, yaml};
use outrigger_xds::{Change, KINDS, Key, Kind, Object, content_version};
use serde_json::{Map, Number, Value as Json, json};

/// The namespace of what names none.
const DEFAULT_NAMESPACE: &str = "default";

/// All objects of the files, kind by kind, and what could not be read. Of two of one name the last counts, and `check` tells.
#[must_use]
pub fn changes(sources: &[Source<'_>]) -> (Vec<Change>, Vec<Finding>) {
    let mut report = Report::new();
    let mut objects = BTreeMap::new();
    for source in sources {
        report.enter_file(&Arc::from(source.name));
        for document in yaml::read(source.bytes, &mut report) {
            gather(&to_json(&document), &mut objects);
        }
        report.leave_file(source.bytes);
    }
    let mut of_kind: BTreeMap<&'static Kind, Vec<Object>> = BTreeMap::new();
    for object in objects.into_values() {
        of_kind.entry(object.key.kind).or_default().push(object);
    }
    let changes = KINDS.iter().map(|kind| {
        let objects = of_kind.remove(kind).unwrap_or_default();
        Change::All(kind, objects)
    });
    (changes.collect(), report.into_findings())
}

fn gather(json: &Json, objects: &mut BTreeMap<Key, Object>) {
    let text = |name: &str| json[name].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if kind.ends_with("List") && json["items"].is_array() {
        let items = json["items"].as_array().into_iter().flatten();
        return items.for_each(|item| gather(item, objects));
    }
    let Some(kind) = Kind::named(api_version, kind) else {
        return;
    };
    let meta = &json["metadata"];
    let Some(name) = meta["name"].as_str().filter(|name| !name.is_empty()) else {
        return;
    };
    let namespace = meta["namespace"].as_str().filter(|_| kind.namespaced);
    let namespace = match namespace {
        Some(namespace) => namespace,
        None if kind.namespaced => DEFAULT_NAMESPACE,
        None => "",
    };
    let key = Key {
        kind,
        namespace: namespace.into(),
        name: name.into(),
    };
    let mut json = json.clone();
    if kind.namespaced {
        json["metadata"]["namespace"] = json!(namespace);
    }
    let object = Object {
        version: content_version(&json),
        key: key.clone(),
        json,
    };
    objects.insert(key, object);
}

/// A document as Kubernetes would have it.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => scalar_to_json(scalar),
        Value::Seq(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.text.to_string(), to_json(&entry.value)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn scalar_to_json(scalar: &Scalar) -> Json {
    let text = || Json::from(&*scalar.text);
    if !scalar.plain {
        return text();
    }
    match resolve(&scalar.text) {
        Plain::Null => Json::Null,
        Plain::Bool(is) => is.into(),
        Plain::Int(Some(whole)) => i64::try_from(whole)
            .map(Json::from)
            .or_else(|_| u64::try_from(whole).map(Json::from))
            .unwrap_or_else(|_| text()),
        Plain::Float(number) => Number::from_f64(number).map_or_else(text, Json::Number),
        Plain::Int(None) | Plain::Text => text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Vec<Object> {
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let (changes, findings) = changes(&[source]);
        assert_eq!(findings, []);
        assert_eq!(
            changes.len(),
            KINDS.len(),
            "kinds that are empty are told to be"
        );
        let all = changes.into_iter().flat_map(|change| match change {
            Change::All(_, objects) => objects,
            Change::Is(_) | Change::Gone(_) => Vec::new(),
        });
        all.collect()
    }

    #[test]
    fn documents_and_lists_are_objects_as_kubernetes_has_them() {
        let found = objects(
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}}\n\
             ---\napiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata: {name: cart}\n\
             spec: {hosts: [cart], x: yes, y: '1', z: 1.5, w: 7, n: ~}\n\
             ---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: no}\n",
        );
        let names: Vec<String> = found
            .iter()
            .map(|object| outrigger_xds::carried::name_of(&object.key))
            .collect();
        assert_eq!(names, ["n1", "shop/cart", "default/cart"]);
        assert_eq!(
            found[2].json["spec"],
            json!({"hosts": ["cart"], "x": true, "y": "1", "z": 1.5, "w": 7, "n": null})
        );
    }

    #[test]
    fn a_version_is_of_what_stands_there() {
        let of = |timeout: &str| {
            let text = format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec: {{t: {timeout}}}"
            );
            objects(&text)[0].version.clone()
        };
        assert_eq!(of("1s"), of("1s"));
        assert_ne!(of("1s"), of("2s"));
    }

    #[test]
    fn what_cannot_be_read_is_found() {
        let source = Source {
            name: "a.yaml",
            bytes: b"a: [",
        };
        let (_, findings) = changes(&[source]);
        assert!(findings.iter().any(|finding| &*finding.file == "a.yaml"));
    }
}
