//! The messages of discovery that changes travel in (delta xDS: `envoy.service.discovery.v3`), and what carries an object
//! (`istio.mcp.v1alpha1.Resource`). Their numbers are those of the interfaces and never change; what nobody here reads is left out.

use std::collections::BTreeMap;

use bytes::Bytes;
pub use prost::Message;
use prost_types::Struct;

/// What a client says: what it wants, and what it makes of what it got.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryRequest {
    /// Who asks; in the first request of a stream.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// What is asked for.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// Names that are wanted from now on; `*`, or none in the first request of a type, wants all.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Names that are wanted no more.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// What the client has from a stream before, by name, with its versions; in the first request of a type.
    #[prost(btree_map = "string, string", tag = "5")]
    pub initial_resource_versions: BTreeMap<String, String>,
    /// Which response this answers; empty where it answers none.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why that response was refused; `None` where it was taken.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}

/// What a server says: what is new, and what is gone.
#[derive(Clone, PartialEq, Message)]
pub struct DeltaDiscoveryResponse {
    /// The version of the whole, for people.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// What is new or other than it was.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Resource>,
    /// Of which type they are.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client answers with.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Names of those that are gone.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
}

/// What a client says that is told the state of the world: what it wants, all of it, and what it makes of what it got.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryRequest {
    /// The version that it has in use.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Who asks; in the first request of a stream.
    #[prost(message, optional, tag = "2")]
    pub node: Option<Node>,
    /// All names that are wanted; none wants all, of kinds of which all can be wanted.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// What is asked for.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// Which response was the last that came; empty before the first.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why that response was refused; `None` where it was taken.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

/// What a server says that tells the state of the world.
#[derive(Clone, PartialEq, Message)]
pub struct DiscoveryResponse {
    /// The version of what is told.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// What there is.
    #[prost(message, repeated, tag = "2")]
    pub resources: Vec<Any>,
    /// Of which type they are.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// What the client answers with.
    #[prost(string, tag = "5")]
    pub nonce: String,
}

/// One of the things that are discovered.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// Another one means that something else stands in it.
    #[prost(string, tag = "1")]
    pub version: String,
    /// What stands in it.
    #[prost(message, optional, tag = "2")]
    pub resource: Option<Any>,
    /// `namespace/name`.
    #[prost(string, tag = "3")]
    pub name: String,
}

/// A message of any type. Its bytes are shared by all who are sent it.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// Such as `type.googleapis.com/google.protobuf.Struct`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// Who asks.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// As Istio's sidecars are called: `sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local`.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its service, for people.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// What else is known of it: `GENERATOR`, `NAMESPACE`, `LABELS`.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Struct>,
    /// Which program it is.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
}

/// How something went (`google.rpc.Status`).
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// One of gRPC's codes.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// In words.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// An object of the configuration, as it travels.
#[derive(Clone, PartialEq, Message)]
pub struct McpResource {
    /// What it is called.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<Metadata>,
    /// What stands in it.
    #[prost(message, optional, tag = "2")]
    pub body: Option<Any>,
}

/// What an object is called.
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    /// `namespace/name`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Since when it has been there.
    #[prost(message, optional, tag = "2")]
    pub create_time: Option<prost_types::Timestamp>,
    /// Its `resourceVersion`.
    #[prost(string, tag = "3")]
    pub version: String,
    /// Its labels.
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[prost(btree_map = "string, string", tag = "5")]
    pub annotations: BTreeMap<String, String>,
}
