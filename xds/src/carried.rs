//! An object as it travels, and back.
//!
//! Ours has a body that is a `google.protobuf.Struct` of the object's document, whatever its kind: so nothing is lost that only
//! the reader knows, and what nobody knows is found by who reads it. istiod's is a message of Istio's own types, see [`protobuf`];
//! what the object is called stands beside it.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use prost::Message;
use prost_types::{Struct, Timestamp};
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::messages::{Any, McpResource, Metadata, Resource};
use crate::object::{Key, Object};
use crate::protobuf;
use crate::structs;

/// What carries an object.
const MCP_RESOURCE: &str = "type.googleapis.com/istio.mcp.v1alpha1.Resource";

/// What its body is.
const STRUCT: &str = "type.googleapis.com/google.protobuf.Struct";

/// Why something that came is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strange {
    /// It has no name, or one of too many parts.
    Name(String),
    /// Nothing stands in it.
    Empty(String),
    /// Its body is of a type that is not read here.
    Body(String, String),
    /// Its bytes are no message of their type.
    Bytes(String),
    /// Its body is of Istio's types, and cannot be read.
    Fields(String, protobuf::Fault),
}

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "`{name}` is not the name of an object, `namespace/name`")
            }
            Self::Empty(name) => write!(f, "nothing stands in `{name}`"),
            Self::Body(name, type_url) => write!(
                f,
                "the body of `{name}` is a `{type_url}`, and objects of its kind are read of `google.protobuf.Struct` and of Istio's \
                 message of that name"
            ),
            Self::Fields(name, fault) => write!(f, "`{name}` cannot be read: {fault}"),
            Self::Bytes(name) => write!(f, "`{name}` is not a message of the type it claims to be"),
        }
    }
}

impl std::error::Error for Strange {}

/// As it travels. Made once for all who get it: its bytes are shared.
#[must_use]
pub fn pack(object: &Object) -> Resource {
    let name = name_of(&object.key);
    let meta = &object.json["metadata"];
    let carried = McpResource {
        metadata: Some(Metadata {
            name: name.clone(),
            create_time: None,
            version: object.version.to_string(),
            labels: texts(&meta["labels"]),
            annotations: texts(&meta["annotations"]),
        }),
        body: Some(Any {
            type_url: STRUCT.to_owned(),
            value: structs::from_json(&object.json).encode_to_vec().into(),
        }),
    };
    Resource {
        version: object.version.to_string(),
        resource: Some(Any {
            type_url: MCP_RESOURCE.to_owned(),
            value: carried.encode_to_vec().into(),
        }),
        name,
    }
}

/// What travelled, as an object of that kind. It has the name that it travelled by.
///
/// # Errors
/// It is no object of ours.
pub fn unpack(kind: &'static Kind, resource: Resource) -> Result<Object, Strange> {
    let key = key_of(kind, &resource.name)?;
    let Some(any) = resource.resource else {
        return Err(Strange::Empty(resource.name));
    };
    let mut version = resource.version;
    let json = if kind.is_mesh_config() {
        // Bare: it has no name, so nothing carries one.
        fields(&key, &BTreeMap::new(), &any)?
    } else {
        let carried: McpResource = message(any, MCP_RESOURCE, &resource.name)?;
        let Some(body) = carried.body else {
            return Err(Strange::Empty(resource.name));
        };
        let metadata = carried.metadata.unwrap_or_default();
        if version.is_empty() {
            version.clone_from(&metadata.version);
        }
        if body.type_url == STRUCT {
            // Small values take many times their bytes once they are read.
            let bytes = body.value.len();
            if bytes > protobuf::MAX_BYTES {
                let fault = protobuf::Fault::TooLong(bytes);
                return Err(Strange::Fields(resource.name, fault));
            }
            let of: Struct = message(body, STRUCT, &resource.name)?;
            called(structs::to_json(of), &key)
        } else {
            let spec = fields(&key, &metadata.annotations, &body)?;
            called(json!({"metadata": meta(metadata), "spec": spec}), &key)
        }
    };
    Ok(Object {
        key,
        version: version.into(),
        json,
    })
}

/// A body of Istio's types.
fn fields(key: &Key, annotations: &BTreeMap<String, String>, body: &Any) -> Result<Value, Strange> {
    let read = protobuf::document(key, annotations, &body.type_url, &body.value);
    let read = read.ok_or_else(|| Strange::Body(name_of(key), body.type_url.clone()))?;
    read.map_err(|fault| Strange::Fields(name_of(key), fault))
}

/// A document that says what it is. Whoever sends it may say one thing outside and another inside; what goes by its name outside is
/// that.
fn called(mut json: Value, key: &Key) -> Value {
    let kind = key.kind;
    json["apiVersion"] = json
        .get("apiVersion")
        .and_then(Value::as_str)
        .filter(|said| Kind::named(said, kind.kind) == Some(kind))
        .map_or_else(|| kind.api_version().into(), Value::from);
    json["kind"] = kind.kind.into();
    if !json["metadata"].is_object() {
        json["metadata"] = json!({});
    }
    json["metadata"]["name"] = Value::from(&*key.name);
    if kind.namespaced {
        json["metadata"]["namespace"] = Value::from(&*key.namespace);
    }
    json
}

/// What stands beside a body, as documents write it; the name is what it travels by.
fn meta(of: Metadata) -> Value {
    let mut meta = json!({});
    if !of.labels.is_empty() {
        meta["labels"] = json!(of.labels);
    }
    if !of.annotations.is_empty() {
        meta["annotations"] = json!(of.annotations);
    }
    if !of.version.is_empty() {
        meta["resourceVersion"] = of.version.into();
    }
    if let Some(at) = of.create_time.filter(is_time) {
        meta["creationTimestamp"] = at.to_string().into();
    }
    meta
}

/// Whether it can be written, and is not what stands for none where the sender has zeros (the first second of the year 1).
fn is_time(at: &Timestamp) -> bool {
    const YEARS_1_TO_9999: std::ops::Range<i64> = -62_135_596_799..253_402_300_800;
    YEARS_1_TO_9999.contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos)
}

/// `namespace/name`; the name alone where there are no namespaces, and none for the settings of istiod's mesh.
#[must_use]
pub fn name_of(key: &Key) -> String {
    if key.kind.is_mesh_config() {
        String::new()
    } else if key.kind.namespaced {
        format!("{}/{}", key.namespace, key.name)
    } else {
        key.name.to_string()
    }
}

/// What `name` names.
///
/// # Errors
/// It is no name of such an object.
pub fn key_of(kind: &'static Kind, name: &str) -> Result<Key, Strange> {
    if kind.is_mesh_config() {
        return match name {
            "" => Ok(Key {
                kind,
                namespace: "".into(),
                name: "mesh".into(),
            }),
            _ => Err(Strange::Name(name.to_owned())),
        };
    }
    let (namespace, own) = match name.split_once('/') {
        Some(parts) if kind.namespaced => parts,
        None if !kind.namespaced => ("", name),
        _ => return Err(Strange::Name(name.to_owned())),
    };
    if own.is_empty() || own.contains('/') || (kind.namespaced && namespace.is_empty()) {
        return Err(Strange::Name(name.to_owned()));
    }
    Ok(Key {
        kind,
        namespace: namespace.into(),
        name: own.into(),
    })
}

fn message<M: Message + Default>(any: Any, wanted: &str, name: &str) -> Result<M, Strange> {
    if any.type_url != wanted {
        return Err(Strange::Body(name.to_owned(), any.type_url));
    }
    M::decode(any.value).map_err(|_| Strange::Bytes(name.to_owned()))
}

fn texts(json: &Value) -> BTreeMap<String, String> {
    let entries = json.as_object().into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// How many bytes it is on its way, about.
#[must_use]
pub fn weight(resource: &Resource) -> usize {
    let body = resource.resource.as_ref();
    resource.name.len() + resource.version.len() + body.map_or(0, |any| Bytes::len(&any.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Asked;

    fn object() -> Object {
        let kind = Kind::named("networking.istio.io/v1", "VirtualService").unwrap();
        Object {
            key: key_of(kind, "shop/cart").unwrap(),
            version: "17".into(),
            json: json!({
                "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
                "metadata": {"name": "cart", "namespace": "shop", "labels": {"a": "b"}},
                "spec": {"hosts": ["cart"], "http": [{"timeout": "1s", "route": [{"weight": 100, "nobody-knows": true}]}]},
            }),
        }
    }

    #[test]
    fn there_and_back_nothing_is_lost() {
        let object = object();
        assert_eq!(unpack(object.key.kind, pack(&object)), Ok(object));
    }

    #[test]
    fn the_name_outside_is_the_name() {
        let mut resource = pack(&object());
        resource.name = "other/name".into();
        let kind = Kind::named("v1", "Service").unwrap();
        let came = unpack(kind, resource).unwrap();
        assert_eq!(came.json["metadata"]["namespace"], "other");
        assert_eq!(came.json["metadata"]["name"], "name");
        assert_eq!(came.json["kind"], "Service");
        assert_eq!(came.json["apiVersion"], "v1");
    }

    fn istiods(kind: &str, name: &str, body: Any, metadata: Metadata) -> Result<Object, Strange> {
        let kinds = Asked::Istiod.kinds();
        let kind = kinds.into_iter().find(|known| known.kind == kind).unwrap();
        let carried = McpResource {
            metadata: Some(metadata),
            body: Some(body),
        };
        let any = Any {
            type_url: MCP_RESOURCE.into(),
            value: carried.encode_to_vec().into(),
        };
        let resource = Resource {
            name: name.into(),
            resource: Some(any),
            ..Resource::default()
        };
        unpack(kind, resource)
    }

    fn rule(value: &'static [u8]) -> Any {
        Any {
            type_url: "type.googleapis.com/istio.networking.v1alpha3.VirtualService".into(),
            value: Bytes::from_static(value),
        }
    }

    #[test]
    fn what_istiod_sends_is_the_document_that_somebody_wrote() {
        let created = |seconds, nanos| Metadata {
            name: "whatever/it-says".into(),
            create_time: Some(Timestamp { seconds, nanos }),
            version: "17".into(),
            labels: [("a".into(), "b".into())].into(),
            annotations: [("c".into(), "d".into())].into(),
        };
        // `hosts: [cart]`.
        let hosts = || rule(b"\x0a\x04cart");
        let object = istiods(
            "VirtualService",
            "shop/cart",
            hosts(),
            created(1_700_000_000, 0),
        );
        let object = object.unwrap();
        assert_eq!(&*object.version, "17");
        assert_eq!(
            object.json,
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": {
                    "name": "cart", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"c": "d"},
                    "resourceVersion": "17", "creationTimestamp": "2023-11-14T22:13:20Z",
                },
                "spec": {"hosts": ["cart"]},
            })
        );
        // The zero of its clock, and what is no time.
        for (seconds, nanos) in [(-62_135_596_800, 0), (i64::MIN, 0), (i64::MAX, 0), (1, -1)] {
            let object = istiods(
                "VirtualService",
                "shop/cart",
                hosts(),
                created(seconds, nanos),
            );
            let meta = &object.unwrap().json["metadata"];
            assert_eq!(meta.get("creationTimestamp"), None, "{seconds}");
        }
        let bare = istiods("VirtualService", "shop/cart", hosts(), Metadata::default());
        let meta = bare.unwrap().json["metadata"].clone();
        assert_eq!(meta, json!({"name": "cart", "namespace": "shop"}));
    }

    #[test]
    fn a_gateway_of_the_api_is_carried_by_who_has_its_name() {
        let made = |annotations: &[(&str, &str)]| {
            let body = Any {
                type_url: "type.googleapis.com/istio.networking.v1alpha3.Gateway".into(),
                value: Bytes::new(),
            };
            let annotations = annotations.iter();
            let metadata = Metadata {
                annotations: annotations
                    .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                ..Metadata::default()
            };
            istiods("Gateway", "edge/public", body, metadata).unwrap()
        };
        let service = (
            "internal.istio.io/gateway-service",
            "public-istio.edge.svc.cluster.local",
        );
        let label = "gateway.networking.k8s.io/gateway-name";
        let of_api = made(&[
            service,
            ("internal.istio.io/parents", "Gateway/public/http.edge"),
        ]);
        assert!(protobuf::is_of_api(&of_api));
        assert_eq!(of_api.json["spec"], json!({"selector": {label: "public"}}));
        // Nobody has no name.
        for parents in ["ListenerSet/more/http.edge", ""] {
            let unnamed = made(&[service, ("internal.istio.io/parents", parents)]);
            assert_eq!(unnamed.json["spec"], json!({"selector": {label: ""}}));
        }
        let written = made(&[]);
        assert!(!protobuf::is_of_api(&written));
        assert_eq!(written.json["spec"], json!({}));
    }

    #[test]
    fn the_settings_of_istiods_mesh_are_bare_and_have_no_name() {
        let kinds = Asked::Istiod.kinds();
        let kind = kinds.into_iter().find(|kind| kind.is_mesh_config());
        let mesh = |name: &str| Resource {
            name: name.into(),
            resource: Some(Any {
                type_url: "type.googleapis.com/istio.mesh.v1alpha1.MeshConfig".into(),
                // `enableTracing`, and `trustDomain`, which has number 26.
                value: Bytes::from_static(b"\x60\x01\xd2\x01\x01t"),
            }),
            ..Resource::default()
        };
        let object = unpack(kind.unwrap(), mesh("")).unwrap();
        assert_eq!(
            object.json,
            json!({"enableTracing": true, "trustDomain": "t"})
        );
        assert_eq!(
            name_of(&object.key),
            "",
            "as the server calls it when it goes"
        );
        assert_eq!(
            unpack(kind.unwrap(), mesh("mesh")),
            Err(Strange::Name("mesh".into()))
        );
    }

    #[test]
    fn what_of_istiods_is_no_object_is_told() {
        let torn = istiods(
            "VirtualService",
            "shop/cart",
            rule(b"\x0a\x09"),
            Metadata::default(),
        );
        let torn = torn.unwrap_err().to_string();
        assert_eq!(
            torn,
            "`shop/cart` cannot be read: field 1 of a `VirtualService` in it cannot be read"
        );
        let other = istiods("Gateway", "shop/cart", rule(b""), Metadata::default());
        assert_eq!(
            other,
            Err(Strange::Body("shop/cart".into(), rule(b"").type_url))
        );
    }

    #[test]
    fn what_is_no_object_is_told() {
        let kind = object().key.kind;
        let changed = |change: &dyn Fn(&mut Resource)| {
            let mut resource = pack(&object());
            change(&mut resource);
            unpack(kind, resource).unwrap_err()
        };
        let bare = |name: &str| changed(&|r| r.name = name.into());
        for name in ["", "cart", "/cart", "shop/", "a/b/c"] {
            assert_eq!(bare(name), Strange::Name(name.into()));
        }
        assert_eq!(
            changed(&|r| r.resource = None),
            Strange::Empty("shop/cart".into())
        );
        let other = changed(&|r| r.resource.as_mut().unwrap().type_url = "x".into());
        assert_eq!(other, Strange::Body("shop/cart".into(), "x".into()));
        let torn = changed(&|r| r.resource.as_mut().unwrap().value = vec![0xff].into());
        assert_eq!(torn, Strange::Bytes("shop/cart".into()));
        let mut large = object();
        large.json["spec"]["text"] = "x".repeat(protobuf::MAX_BYTES).into();
        let told = unpack(kind, pack(&large)).unwrap_err();
        assert!(
            matches!(&told, Strange::Fields(name, protobuf::Fault::TooLong(_)) if name == "shop/cart"),
            "{told}"
        );
        let node = Kind::named("v1", "Node").unwrap();
        assert_eq!(name_of(&key_of(node, "n1").unwrap()), "n1");
        assert!(key_of(node, "a/n1").is_err());
    }
}
