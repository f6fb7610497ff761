//! An object as it travels, and back.
//!
//! The body is a `google.protobuf.Struct` of the object's document, whatever its kind: so nothing is lost that only the
//! reader knows, and what nobody knows is found by who reads it.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use prost_types::Struct;
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::messages::{Any, McpResource, Metadata, Resource};
use crate::object::{Key, Object};
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
}

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "`{name}` is not the name of an object, `namespace/name`")
            }
            Self::Empty(name) => write!(f, "nothing stands in `{name}`"),
            Self::Body(name, kind) => write!(
                f,
                "the body of `{name}` is a `{kind}`, and only a `google.protobuf.Struct` is read"
            ),
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
    let carried: McpResource = message(any, MCP_RESOURCE, &resource.name)?;
    let Some(body) = carried.body else {
        return Err(Strange::Empty(resource.name));
    };
    let of: Struct = message(body, STRUCT, &resource.name)?;
    let mut json = structs::to_json(of);
    // Whoever sends it may say one thing outside and another inside; what goes by its name outside is that.
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
    Ok(Object {
        key,
        version: resource.version.into(),
        json,
    })
}

/// `namespace/name`; the name alone where there are no namespaces.
#[must_use]
pub fn name_of(key: &Key) -> String {
    if key.kind.namespaced {
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

fn texts(json: &Value) -> std::collections::BTreeMap<String, String> {
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
        let node = Kind::named("v1", "Node").unwrap();
        assert_eq!(name_of(&key_of(node, "n1").unwrap()), "n1");
        assert!(key_of(node, "a/n1").is_err());
    }
}
