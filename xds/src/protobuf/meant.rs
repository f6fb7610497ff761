//! What istiod means by objects that nobody wrote as they are: which it makes of others, or says in its own words.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::object::{Key, Object};

/// How istiod calls what it tells of a service that is none of a ServiceEntry.
const SYNTHETIC: &str = "synthetic-";

/// The services of the workloads that carry a Gateway which was made of one of Kubernetes' API.
const GATEWAY_SERVICE: &str = "internal.istio.io/gateway-service";

/// What it was made of, such as `Gateway/public/http.edge`.
const PARENTS: &str = "internal.istio.io/parents";

/// The label of the pods that istiod deploys for a Gateway of Kubernetes' API: its name.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// Makes a document say what was meant.
pub(super) fn say(
    key: &Key,
    annotations: &BTreeMap<String, String>,
    spec: &mut Map<String, Value>,
) {
    match key.kind.kind {
        "MeshConfig" => complete(spec),
        "ServiceEntry" if key.name.starts_with(SYNTHETIC) => plain(spec),
        "Gateway" if annotations.contains_key(GATEWAY_SERVICE) => select(annotations, spec),
        _ => {}
    }
}

/// Whether it was made of a Gateway of Kubernetes' API: proxies of its own namespace alone carry it.
#[must_use]
pub fn is_of_api(object: &Object) -> bool {
    let meta = &object.json["metadata"];
    object.key.kind.kind == "Gateway" && meta["annotations"][GATEWAY_SERVICE].is_string()
}

/// istiod sends what is in force, defaults included: what is not there is zero, also where a file without it would stand for
/// something else.
pub(super) fn complete(mesh: &mut Map<String, Value>) {
    mesh.entry("enableTracing").or_insert(Value::Bool(false));
}

/// istiod has words for what such a service lacks, which a ServiceEntry has no words for: an address (`0.0.0.0`), and a protocol
/// that somebody declared.
fn plain(service: &mut Map<String, Value>) {
    if let Some(Value::Array(addresses)) = service.get_mut("addresses") {
        addresses.retain(|address| address != "0.0.0.0");
    }
    let Some(Value::Array(ports)) = service.get_mut("ports") else {
        return;
    };
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        if port
            .get("protocol")
            .is_some_and(|said| said == "UnsupportedProtocol")
        {
            port.remove("protocol");
        }
    }
}

/// Without a selector every gateway would carry it: those that do have its name as a label, as where the API itself is read. Nobody
/// carries one whose name is not told.
fn select(annotations: &BTreeMap<String, String>, gateway: &mut Map<String, Value>) {
    let parent = annotations.get(PARENTS);
    let rest = parent.and_then(|parent| parent.strip_prefix("Gateway/"));
    let name = rest.and_then(|rest| rest.split('/').next());
    let selector = json!({GATEWAY_NAME: name.unwrap_or_default()});
    gateway.insert("selector".to_owned(), selector);
}
