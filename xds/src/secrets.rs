//! Which secrets an object names: of all that a cluster has, the only ones that leave it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::Object;

/// What comes behind the name of a secret whose authorities stand in a secret of their own, as in Istio.
const AUTHORITIES: &str = "-cacert";

/// The secrets that a Gateway names, Istio's or Kubernetes', as `namespace/name`; those of its own namespace where it says no other. Other
/// kinds name none, and what can be the name of no secret is none.
#[must_use]
pub fn named(object: &Object) -> BTreeSet<String> {
    let namespace: &str = &object.key.namespace;
    let spec = &object.json["spec"];
    let named: BTreeSet<String> = match (object.key.kind.group, object.key.kind.kind) {
        ("networking.istio.io", "Gateway") => {
            let servers = each(&spec["servers"]);
            let names = servers.flat_map(|server| credentials(&server["tls"]));
            names.map(|name| format!("{namespace}/{name}")).collect()
        }
        ("gateway.networking.k8s.io", "Gateway") => {
            let listeners = each(&spec["listeners"]);
            let references =
                listeners.flat_map(|listener| each(&listener["tls"]["certificateRefs"]));
            let named = references.filter_map(|reference| {
                let of = reference["namespace"].as_str().unwrap_or(namespace);
                Some(format!("{of}/{}", reference["name"].as_str()?))
            });
            named.collect()
        }
        _ => BTreeSet::new(),
    };
    let parts = |name: &String| {
        let parts = name.split_once('/');
        parts.is_some_and(|(namespace, name)| is_name(namespace) && is_name(name))
    };
    named.into_iter().filter(parts).collect()
}

/// Whether it can be the name of a secret or of a namespace (RFC 1123): nothing else is asked for, and so nothing else comes into a
/// path of the API.
fn is_name(text: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_label = |label: &str| {
        let has_ends = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && has_ends && label.bytes().all(is_inner)
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// `credentialName` and its like.
fn credentials(tls: &Value) -> Vec<String> {
    let single = [&tls["credentialName"], &tls["caCertCredentialName"]];
    let listed = each(&tls["credentialNames"]).chain(each(&tls["tlsCertificates"]));
    let names = single.into_iter().chain(listed);
    let names = names
        .filter_map(Value::as_str)
        .filter(|name| !name.is_empty());
    names
        .flat_map(|name| [name.to_owned(), format!("{name}{AUTHORITIES}")])
        .collect()
}

fn each(json: &Value) -> std::slice::Iter<'_, Value> {
    json.as_array().map_or(&[][..], Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Key, Kind};

    #[test]
    fn gateways_name_them() {
        for (api_version, spec, names) in [
            (
                "networking.istio.io/v1",
                json!({"servers": [{"tls": {"credentialName": "a"}}, {}]}),
                &["shop/a", "shop/a-cacert"][..],
            ),
            (
                "gateway.networking.k8s.io/v1",
                json!({"listeners": [{"tls": {"certificateRefs": [{"name": "a"}, {"name": "b", "namespace": "c"}]}}]}),
                &["c/b", "shop/a"],
            ),
            (
                "networking.istio.io/v1",
                json!({"servers": [{"tls": {"mode": "ISTIO_MUTUAL"}}]}),
                &[],
            ),
            (
                "networking.istio.io/v1",
                json!({"servers": [{"tls": {"credentialName": "a b"}}, {"tls": {"credentialName": "x&y"}}]}),
                &[],
            ),
            (
                "gateway.networking.k8s.io/v1",
                json!({"listeners": [{"tls": {"certificateRefs": [
                    {"name": "a", "namespace": ".."}, {"name": "../b"}, {"name": "-a"}, {"name": "A"}, {"name": "a.b"}]}}]}),
                &["shop/a.b"],
            ),
        ] {
            let object = Object {
                key: Key {
                    kind: Kind::named(api_version, "Gateway").unwrap(),
                    namespace: "shop".into(),
                    name: "edge".into(),
                },
                version: "1".into(),
                json: json!({"spec": spec}),
            };
            assert!(named(&object).iter().eq(names), "{spec}");
        }
    }
}
