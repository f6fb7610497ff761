//! Endpoints of clusters (`envoy.config.endpoint.v3`).

use std::collections::BTreeMap;

use prost::Message;
use prost_types::Struct;

use super::places::{Address, Locality};

/// `HEALTHY` of Envoy's `HealthStatus`: it takes requests.
pub const HEALTHY: i32 = 1;

/// The endpoints of a cluster.
#[derive(Clone, PartialEq, Message)]
pub struct ClusterLoadAssignment {
    /// Which cluster, by the name of its service for EDS.
    #[prost(string, tag = "1")]
    pub cluster_name: String,
    /// Its endpoints, by locality and priority.
    #[prost(message, repeated, tag = "2")]
    pub endpoints: Vec<LocalityLbEndpoints>,
}

/// Those of one locality, as far as they are of one priority.
#[derive(Clone, PartialEq, Message)]
pub struct LocalityLbEndpoints {
    /// Where they are.
    #[prost(message, optional, tag = "1")]
    pub locality: Option<Locality>,
    /// All of them.
    #[prost(message, repeated, tag = "2")]
    pub lb_endpoints: Vec<LbEndpoint>,
    /// How much of the traffic of the priority goes there. gRPC sends nothing to a locality without.
    #[prost(message, optional, tag = "3")]
    pub load_balancing_weight: Option<u32>,
    /// Others are asked when those of lower numbers are out.
    #[prost(uint32, tag = "5")]
    pub priority: u32,
}

/// One endpoint, and what balancing knows of it.
#[derive(Clone, PartialEq, Message)]
pub struct LbEndpoint {
    /// Where it is.
    #[prost(message, optional, tag = "1")]
    pub endpoint: Option<Endpoint>,
    /// See [`HEALTHY`].
    #[prost(int32, tag = "2")]
    pub health_status: i32,
    /// What else is known of it.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Metadata>,
    /// How much of the traffic of its locality goes there.
    #[prost(message, optional, tag = "4")]
    pub load_balancing_weight: Option<u32>,
}

/// What is known, by who knows it.
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    /// Such as `envoy.transport_socket_match`, where istiod says who takes TLS of the mesh.
    #[prost(btree_map = "string, message", tag = "1")]
    pub filter_metadata: BTreeMap<String, Struct>,
}

/// Where an endpoint is.
#[derive(Clone, PartialEq, Message)]
pub struct Endpoint {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
    /// Its name among those of its service, if it has one.
    #[prost(string, tag = "3")]
    pub hostname: String,
}
