//! What must hold for bytes that claim to be an object of Istio's types. The fuzz target calls [`objects`]; a test of `control` replays
//! the corpus through it.

use std::collections::BTreeMap;

use outrigger_core::config::{self, Source};
use outrigger_xds::carried::key_of;
use outrigger_xds::protobuf::{MAX_VALUES, document};
use outrigger_xds::{Asked, Kind};
use serde_json::{Value, json};

/// The first byte says of which kind they are. Whatever they are, they are read or refused, twice the same; what is read is no larger
/// than its limits say, and whoever reads the document finds what is wrong with it.
pub fn objects(bytes: &[u8]) {
    let [choice, body @ ..] = bytes else { return };
    let kinds = Asked::Istiod.kinds();
    let kind = kinds[usize::from(*choice) % kinds.len()];
    let name = match kind.is_mesh_config() {
        true => "",
        false => "shop/synthetic-cart",
    };
    let key = key_of(kind, name).expect("a name");
    let type_url = type_url(kind);
    let annotations = BTreeMap::from([(
        "internal.istio.io/gateway-service".to_owned(),
        String::new(),
    )]);
    let read = || document(&key, &annotations, &type_url, body).expect("what it consists of");
    let once = read();
    assert_eq!(once, read());
    match once {
        Ok(spec) => {
            // An entry of a map, and a message of one scalar, is one more.
            assert!(values(&spec) <= 2 * MAX_VALUES + 2);
            find(kind, spec);
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

fn type_url(kind: &Kind) -> String {
    let package = match (kind.group, kind.kind) {
        ("networking.istio.io", "ProxyConfig") => "networking.v1beta1",
        ("networking.istio.io", _) => "networking.v1alpha3",
        ("security.istio.io", _) => "security.v1beta1",
        ("telemetry.istio.io", _) => "telemetry.v1alpha1",
        _ => "mesh.v1alpha1",
    };
    format!("type.googleapis.com/istio.{package}.{}", kind.kind)
}

fn values(of: &Value) -> usize {
    1 + match of {
        Value::Array(list) => list.iter().map(values).sum(),
        Value::Object(map) => map.values().map(values).sum(),
        _ => 0,
    }
}

fn find(kind: &Kind, spec: Value) {
    let name = "object";
    if kind.is_mesh_config() {
        let bytes = spec.to_string();
        let bytes = bytes.as_bytes();
        let _ = config::load_mesh(Source { name, bytes });
        return;
    }
    let document = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "synthetic-cart", "namespace": "shop"}, "spec": spec,
    });
    let bytes = document.to_string();
    let bytes = bytes.as_bytes();
    let _ = config::load(&[Source { name, bytes }], "shop");
}
