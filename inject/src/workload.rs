//! Whatever has pods: a Pod, a Deployment and its like, a CronJob, a List of them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::container::Workload;
use crate::patch::{self, Operation};
use crate::refused::Refused;
use crate::settings::Settings;
use crate::template;
use crate::verdict::{Why, why_not};

/// What is around an object.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The namespace of what does not name one.
    pub namespace: &'a str,
    /// Labels of the namespaces that are known. In one that is not, whoever asks has chosen.
    pub namespaces: &'a BTreeMap<String, BTreeMap<String, String>>,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// As it is now.
    pub object: Value,
    /// What makes that of what it was; empty where nothing was done.
    pub patch: Vec<Operation>,
    /// Of each part that may have pods, in their order.
    pub told: Vec<Told>,
}

/// What is told of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Such as `Deployment shop/cart`.
    pub what: String,
    /// Why it got no sidecar; `None` if it got one.
    pub why_not: Option<Why>,
    /// What its author should know.
    pub warnings: Vec<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why_not {
            None => write!(f, "{}: injected", self.what),
            Some(why) => write!(f, "{}: not injected: {why}", self.what),
        }
    }
}

/// Kinds that make pods, and where their template stands.
const TEMPLATES: &[(&str, &str)] = &[
    ("DaemonSet", "/spec/template"),
    ("DeploymentConfig", "/spec/template"),
    ("Deployment", "/spec/template"),
    ("Job", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("Rollout", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// Puts sidecars into whatever of an object has pods and is to get one.
///
/// # Errors
/// A pod asks for what there is not; nothing is put in anywhere then.
pub fn inject(
    object: &Value,
    around: Around<'_>,
    settings: &Settings,
) -> Result<Injection, Refused> {
    let mut new = object.clone();
    let mut told = Vec::new();
    put(&mut new, around, settings, &mut told)?;
    Ok(Injection {
        patch: patch::between(object, &new),
        object: new,
        told,
    })
}

fn put(
    object: &mut Value,
    around: Around<'_>,
    settings: &Settings,
    told: &mut Vec<Told>,
) -> Result<(), Refused> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if kind == "List" {
        let items = object.get_mut("items").and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            put(item, around, settings, told)?;
        }
        return Ok(());
    }
    let own = text(object, "/metadata/namespace");
    let namespace = own.unwrap_or_else(|| around.namespace.to_owned());
    let name = text(object, "/metadata/name").or_else(|| text(object, "/metadata/generateName"));
    let name = name.unwrap_or_default();
    let what = format!("{kind} {namespace}/{name}");
    let mut say = |why_not, warnings| {
        told.push(Told {
            what: what.clone(),
            why_not,
            warnings,
        });
        Ok(())
    };
    let workload = workload(object, &kind, &namespace);
    let Some(pod) = pod(object, &kind) else {
        return say(Some(Why::NoPods), Vec::new());
    };
    let labels = around.namespaces.get(&namespace);
    let why = why_not(&pod["metadata"], &pod["spec"], &namespace, labels, settings);
    if why.is_some() {
        return say(why, Vec::new());
    }
    let warnings = template::inject(pod, workload, settings)
        .map_err(|Refused(why)| Refused(format!("{what}: {why}")))?;
    say(None, warnings)
}

fn text(object: &Value, path: &str) -> Option<String> {
    let text = object.pointer(path)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn pod<'a>(object: &'a mut Value, kind: &str) -> Option<&'a mut Value> {
    if kind == "Pod" {
        return Some(object);
    }
    let (_, path) = TEMPLATES.iter().find(|(known, _)| *known == kind)?;
    object
        .pointer_mut(path)
        .filter(|template| template.is_object())
}

/// What makes the pods: the object itself, the Job that a CronJob makes, or whom a pod says it belongs to.
fn workload(object: &Value, kind: &str, namespace: &str) -> Option<Workload> {
    let of = |api_version: String, kind: &str, name: String| Workload {
        api_version,
        kind: kind.to_owned(),
        name,
        namespace: namespace.to_owned(),
    };
    if kind != "Pod" {
        let kind = if kind == "CronJob" { "Job" } else { kind };
        let name = text(object, "/metadata/name")?;
        return Some(of(text(object, "/apiVersion")?, kind, name));
    }
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let kind = text(owner, "/kind")?;
    let name = text(owner, "/name")?;
    let api_version = text(owner, "/apiVersion")?;
    // A ReplicaSet of a Deployment has its name and a hash, which the pod has as a label.
    let hash = object["metadata"]["labels"]["pod-template-hash"].as_str();
    let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    Some(match deployment {
        Some(deployment) if kind == "ReplicaSet" => {
            of(api_version, "Deployment", deployment.to_owned())
        }
        Some(_) | None => of(api_version, &kind, name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_made_a_pod_is_whom_it_belongs_to() {
        let pod = |kind: &str, name: &str, controller: bool| {
            json!({"kind": "Pod", "metadata": {"labels": {"pod-template-hash": "6d4"}, "ownerReferences": [
                {"apiVersion": "x/v1", "kind": "Other", "name": "other"},
                {"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": controller}]}})
        };
        for (object, want) in [
            (
                pod("ReplicaSet", "cart-6d4", true),
                Some(("Deployment", "cart")),
            ),
            (
                pod("ReplicaSet", "cart-7", true),
                Some(("ReplicaSet", "cart-7")),
            ),
            (
                pod("ReplicaSet", "cart6d4", true),
                Some(("ReplicaSet", "cart6d4")),
            ),
            (
                pod("StatefulSet", "cart-6d4", true),
                Some(("StatefulSet", "cart-6d4")),
            ),
            (pod("Job", "cart", false), None),
            (json!({"kind": "Pod"}), None),
        ] {
            let got = workload(&object, "Pod", "shop");
            let got = got
                .as_ref()
                .map(|got| (got.kind.as_str(), got.name.as_str()));
            assert_eq!(got, want);
        }
    }
}
