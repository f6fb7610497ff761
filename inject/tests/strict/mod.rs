//! Whether an object is one of Kubernetes' to its last field: what its type does not know is lost on the way through it, and missed.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with it; nothing for kinds that have no pods.
#[allow(dead_code, reason = "who installs has other kinds")]
pub(crate) fn fault(object: &Value) -> Option<String> {
    match object["kind"].as_str()? {
        "Pod" => through::<Pod>(object),
        "Deployment" => through::<Deployment>(object),
        "StatefulSet" => through::<StatefulSet>(object),
        "DaemonSet" => through::<DaemonSet>(object),
        "ReplicaSet" => through::<ReplicaSet>(object),
        "Job" => through::<Job>(object),
        "CronJob" => through::<CronJob>(object),
        "List" => object["items"].as_array()?.iter().find_map(fault),
        _ => None,
    }
}

/// What is lost of it on its way through a type.
pub(crate) fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Option<String> {
    let typed: T = match serde_json::from_value(object.clone()) {
        Ok(typed) => typed,
        Err(error) => return Some(error.to_string()),
    };
    let again = serde_json::to_value(typed).ok()?;
    let (want, got) = (solid(object), solid(&again));
    (want != got).then(|| format!("fields were lost:\n{want:#}\n{got:#}"))
}

/// Without what says nothing.
fn solid(value: &Value) -> Value {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), solid(value)));
            Value::Object(entries.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => items.iter().map(solid).collect(),
        plain => plain.clone(),
    }
}
