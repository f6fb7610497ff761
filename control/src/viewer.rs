//! Who a client is, by what it says of itself.

use std::collections::BTreeMap;
use std::fmt;

use outrigger_xds::messages::{Message as _, Node};
use outrigger_xds::{Key, structs};
use serde_json::Value;

use crate::facts::{kind, labels};

/// Longest name of a client that is taken.
const MAX_ID: usize = 1024;

/// Most that a client may say of itself, labels included, in bytes: it is kept for as long as the client is there.
const MAX_NODE_BYTES: usize = 64 * 1024;

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// What it calls itself, for people.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is a gateway and no sidecar.
    pub is_gateway: bool,
    /// Whether it has proved who it is: secrets go to nobody else.
    pub is_proven: bool,
    /// Whether it is a client of gRPC without a proxy, by what it says (`GENERATOR: grpc`, as to istiod).
    pub is_grpc: bool,
}

/// Why somebody is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// The first request names nobody.
    Nameless,
    /// It says more of itself than anybody keeps.
    Long(usize),
    /// It is not called as sidecars and gateways are.
    Name(String),
    /// It says to be of another namespace than its identity.
    OtherNamespace {
        /// What it says.
        said: String,
        /// What its identity says.
        proven: String,
    },
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(bytes) => write!(
                f,
                "the node says {bytes} bytes of itself, and {MAX_NODE_BYTES} are taken"
            ),
            Self::Nameless => write!(f, "the first request of a stream names a node"),
            Self::Name(id) => write!(
                f,
                "`{}` is not the name of a node: sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local",
                id.escape_default()
            ),
            Self::OtherNamespace { said, proven } => write!(
                f,
                "the node says to be of namespace `{}`, and its identity is of `{proven}`",
                said.escape_default()
            ),
        }
    }
}

impl Viewer {
    /// The pod that it is called after, if it is one.
    #[must_use]
    pub fn pod(&self) -> Option<Key> {
        let own = self.id.split('~').nth(2)?;
        let name = own.strip_suffix(&self.namespace)?.strip_suffix('.')?;
        Some(Key {
            kind: kind("", "Pod"),
            namespace: self.namespace.as_str().into(),
            name: name.into(),
        })
    }

    /// Who a node is; `proven` is the namespace of an identity that was checked.
    ///
    /// # Errors
    /// It is nobody, or not who it says.
    pub fn of(node: Option<&Node>, proven: Option<&str>) -> Result<Self, Stranger> {
        let node = node.ok_or(Stranger::Nameless)?;
        let bytes = node.encoded_len();
        if bytes > MAX_NODE_BYTES {
            return Err(Stranger::Long(bytes));
        }
        let mut parts = node.id.split('~');
        let role = parts.next().unwrap_or_default();
        let own = parts.nth(1).unwrap_or_default();
        let is_gateway = match role {
            "sidecar" => false,
            "router" => true,
            _ => return Err(strange(&node.id)),
        };
        let metadata = node.metadata.clone().map(structs::to_json);
        let metadata = metadata.unwrap_or(Value::Null);
        let of_name = own.rsplit_once('.').map(|(_, namespace)| namespace);
        let said = metadata["NAMESPACE"].as_str().or(of_name);
        // It stands in logs as it is.
        let is_plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_one = node.id.len() <= MAX_ID && is_plain(&node.id);
        let Some(said) = said.filter(|said| is_one && is_plain(said)) else {
            return Err(strange(&node.id));
        };
        if let Some(proven) = proven.filter(|proven| *proven != said) {
            return Err(Stranger::OtherNamespace {
                said: said.to_owned(),
                proven: proven.to_owned(),
            });
        }
        Ok(Self {
            id: node.id.clone(),
            namespace: said.to_owned(),
            labels: labels(&metadata["LABELS"]),
            is_gateway,
            is_proven: proven.is_some(),
            is_grpc: metadata["GENERATOR"] == "grpc",
        })
    }
}

fn strange(id: &str) -> Stranger {
    Stranger::Name(id.chars().take(MAX_ID).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(id: &str, metadata: &Value) -> Node {
        Node {
            id: id.into(),
            metadata: Some(structs::from_json(metadata)),
            ..Node::default()
        }
    }

    #[test]
    fn a_node_is_who_it_says_and_proves() {
        let metadata = json!({"NAMESPACE": "shop", "LABELS": {"app": "cart", "n": 1}});
        let id = "sidecar~10.0.0.7~cart-1.shop~shop.svc.cluster.local";
        let viewer = Viewer::of(Some(&node(id, &metadata)), Some("shop")).unwrap();
        assert_eq!(
            (&*viewer.namespace, viewer.is_gateway, viewer.is_proven),
            ("shop", false, true)
        );
        assert_eq!(viewer.pod().map(|pod| pod.name), Some("cart-1".into()));
        assert_eq!(
            viewer.labels,
            [("app".to_owned(), "cart".to_owned())].into()
        );
        let bare = node(
            "router~10.0.0.7~in-1.edge~edge.svc.cluster.local",
            &Value::Null,
        );
        let viewer = Viewer::of(Some(&bare), None).unwrap();
        assert_eq!(
            (&*viewer.namespace, viewer.is_gateway, viewer.is_proven),
            ("edge", true, false)
        );
    }

    #[test]
    fn others_are_strangers() {
        let metadata = json!({"NAMESPACE": "shop"});
        assert_eq!(Viewer::of(None, None), Err(Stranger::Nameless));
        for id in [
            "",
            "cart",
            "ztunnel~1~a.b~c",
            "sidecar~1~a.b~c\nerror: all is lost",
            "sidecar~1~\u{1b}[2Ja.b~c",
            &format!("sidecar~1~a.b~{}", "x".repeat(2000)),
        ] {
            let other = Viewer::of(Some(&node(id, &metadata)), None);
            assert!(matches!(other, Err(Stranger::Name(_))), "{id}");
        }
        let long = node(
            "sidecar~1~a.shop~c",
            &json!({"LABELS": {"a": "x".repeat(MAX_NODE_BYTES)}}),
        );
        assert!(matches!(
            Viewer::of(Some(&long), None),
            Err(Stranger::Long(_))
        ));
        let nowhere = node("sidecar~1~a~c", &json!({}));
        assert!(matches!(
            Viewer::of(Some(&nowhere), None),
            Err(Stranger::Name(_))
        ));
        let liar = Viewer::of(Some(&node("sidecar~1~a.shop~c", &metadata)), Some("other"));
        assert!(matches!(liar, Err(Stranger::OtherNamespace { .. })));
    }
}
