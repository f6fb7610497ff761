//! What the sidecar reads and keeps: its token, the roots of the mesh, what its pod is called, and a folder of its own.

use serde_json::{Value, json};

use crate::names::ROOTS;
use crate::settings::Settings;
use crate::wishes::Wishes;

/// Where the token is that says whose pod this is.
pub(crate) const TOKEN: &str = "/var/run/secrets/tokens/istio-token";
/// Where it stands whom to believe.
pub(crate) const ROOT_CERT: &str = "/var/run/secrets/istio/root-cert.pem";
/// Where the pod's labels are, as they are now.
pub(crate) const POD_LABELS: &str = "/etc/istio/pod/labels";
/// What the sidecar may write to.
pub(crate) const OWN_FOLDER: &str = "/var/run/outrigger";

/// The audience of the token, which is the same for every authority of Istio's kind.
const AUDIENCE: &str = "istio-ca";
/// In seconds: the kubelet renews it in time.
const TOKEN_TIME: u32 = 43_200;

/// The volumes of a pod.
pub(crate) fn volumes(wishes: &Wishes, settings: &Settings) -> Vec<Value> {
    let mut volumes = vec![
        json!({"name": "outrigger", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}),
        json!({"name": "istio-podinfo", "downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}},
        ]}}),
        json!({"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": {
            "audience": AUDIENCE, "expirationSeconds": TOKEN_TIME, "path": "istio-token",
        }}]}}),
        roots(settings),
    ];
    volumes.extend(wishes.volumes.iter().map(|(name, source)| {
        let mut volume = source.clone();
        volume["name"] = name.clone().into();
        volume
    }));
    volumes
}

/// The ConfigMap, and before it what the pod was given, where it was given anything.
fn roots(settings: &Settings) -> Value {
    let name = "istiod-ca-cert";
    let map = &settings.root_config_map;
    if settings.roots.is_none() {
        return json!({"name": name, "configMap": {"name": map}});
    }
    let annotation = format!("metadata.annotations['{ROOTS}']");
    json!({"name": name, "projected": {"sources": [
        {"downwardAPI": {"items": [{"path": "root-cert.pem", "fieldRef": {"fieldPath": annotation}}]}},
        {"configMap": {"name": map, "optional": true}},
    ]}})
}

/// Where the sidecar has them.
pub(crate) fn mounts(wishes: &Wishes) -> Vec<Value> {
    let mut mounts = vec![
        json!({"name": "outrigger", "mountPath": OWN_FOLDER}),
        json!({"name": "istio-podinfo", "mountPath": "/etc/istio/pod", "readOnly": true}),
        json!({"name": "istio-token", "mountPath": "/var/run/secrets/tokens", "readOnly": true}),
        json!({"name": "istiod-ca-cert", "mountPath": "/var/run/secrets/istio", "readOnly": true}),
    ];
    mounts.extend(wishes.mounts.iter().map(|(name, mount)| {
        let mut mount = mount.clone();
        mount["name"] = name.clone().into();
        mount
    }));
    mounts
}
