//! Clusters (`envoy.config.cluster.v3`), and what protects connections to them.

use prost::Message;

use super::source::ConfigSource;
use crate::messages::Any;

/// `EDS` of a cluster's types: its endpoints are asked for.
pub const EDS: i32 = 3;

/// `ROUND_ROBIN` of a cluster's policies, which all clients know.
pub const ROUND_ROBIN: i32 = 0;

/// `RING_HASH` of them (gRFC A42).
pub const RING_HASH: i32 = 2;

/// The full names of policies as they stand in a [`LoadBalancingPolicy`].
pub const WRR_LOCALITY: &str =
    "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality";

/// See [`WRR_LOCALITY`].
pub const LEAST_REQUEST: &str =
    "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest";

/// See [`WRR_LOCALITY`].
pub const IN_TURN: &str = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin";

/// The name that a [`TransportSocket`] must have to be TLS to clients of gRPC.
pub const TLS: &str = "envoy.transport_sockets.tls";

/// The full name of [`UpstreamTlsContext`].
pub const UPSTREAM_TLS: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

/// A cluster.
#[derive(Clone, PartialEq, Message)]
pub struct Cluster {
    /// What it is called.
    #[prost(string, tag = "1")]
    pub name: String,
    /// See [`EDS`].
    #[prost(int32, tag = "2")]
    pub r#type: i32,
    /// Where its endpoints are.
    #[prost(message, optional, tag = "3")]
    pub eds_cluster_config: Option<EdsClusterConfig>,
    /// How one is picked, by clients that know no more.
    #[prost(int32, tag = "6")]
    pub lb_policy: i32,
    /// How much it takes at once.
    #[prost(message, optional, tag = "10")]
    pub circuit_breakers: Option<CircuitBreakers>,
    /// The ring, where the policy is one.
    #[prost(message, optional, tag = "23")]
    pub ring_hash_lb_config: Option<RingHashLbConfig>,
    /// What lies beneath HTTP; clear text where there is none.
    #[prost(message, optional, tag = "24")]
    pub transport_socket: Option<TransportSocket>,
    /// How one is picked, by clients that read this: the first of the list that they know.
    #[prost(message, optional, tag = "41")]
    pub load_balancing_policy: Option<LoadBalancingPolicy>,
}

/// Where endpoints are.
#[derive(Clone, PartialEq, Message)]
pub struct EdsClusterConfig {
    /// Where they are asked for.
    #[prost(message, optional, tag = "1")]
    pub eds_config: Option<ConfigSource>,
    /// By which name; the cluster's where there is none.
    #[prost(string, tag = "2")]
    pub service_name: String,
}

/// Limits.
#[derive(Clone, PartialEq, Message)]
pub struct CircuitBreakers {
    /// By the priority of requests.
    #[prost(message, repeated, tag = "1")]
    pub thresholds: Vec<Thresholds>,
}

/// Those of ordinary requests.
#[derive(Clone, PartialEq, Message)]
pub struct Thresholds {
    /// Requests under way (gRFC A32).
    #[prost(message, optional, tag = "4")]
    pub max_requests: Option<u32>,
}

/// A ring.
#[derive(Clone, PartialEq, Message)]
pub struct RingHashLbConfig {
    /// It has at least as many points.
    #[prost(message, optional, tag = "1")]
    pub minimum_ring_size: Option<u64>,
}

/// Policies, the dearest first.
#[derive(Clone, PartialEq, Message)]
pub struct LoadBalancingPolicy {
    /// All of them.
    #[prost(message, repeated, tag = "1")]
    pub policies: Vec<Policy>,
}

/// One of them.
#[derive(Clone, PartialEq, Message)]
pub struct Policy {
    /// What it is.
    #[prost(message, optional, tag = "4")]
    pub typed_extension_config: Option<TypedExtensionConfig>,
}

/// A name, and what it stands for.
#[derive(Clone, PartialEq, Message)]
pub struct TypedExtensionConfig {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it stands for.
    #[prost(message, optional, tag = "2")]
    pub typed_config: Option<Any>,
}

/// A locality by its weight, and an endpoint in it by another policy.
#[derive(Clone, PartialEq, Message)]
pub struct WrrLocality {
    /// That one.
    #[prost(message, optional, tag = "1")]
    pub endpoint_picking_policy: Option<LoadBalancingPolicy>,
}

/// What lies beneath HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct TransportSocket {
    /// See [`TLS`].
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is.
    #[prost(message, optional, tag = "3")]
    pub typed_config: Option<Any>,
}

/// TLS of a client.
#[derive(Clone, PartialEq, Message)]
pub struct UpstreamTlsContext {
    /// All that is said of it.
    #[prost(message, optional, tag = "1")]
    pub common_tls_context: Option<CommonTlsContext>,
}

/// Who the client is, and whom it believes (gRFC A29).
#[derive(Clone, PartialEq, Message)]
pub struct CommonTlsContext {
    /// Whom it believes.
    #[prost(message, optional, tag = "8")]
    pub combined_validation_context: Option<CombinedValidation>,
    /// Who it is, as older clients read it.
    #[prost(message, optional, tag = "11")]
    pub old_certificate_provider: Option<ProviderInstance>,
    /// Who it is.
    #[prost(message, optional, tag = "14")]
    pub certificate_provider: Option<ProviderInstance>,
}

/// Whom a client believes, from two places.
#[derive(Clone, PartialEq, Message)]
pub struct CombinedValidation {
    /// What is said here.
    #[prost(message, optional, tag = "1")]
    pub default_validation_context: Option<Validation>,
    /// Roots, as older clients read it.
    #[prost(message, optional, tag = "4")]
    pub old_ca_provider: Option<ProviderInstance>,
}

/// Whom a client believes.
#[derive(Clone, PartialEq, Message)]
pub struct Validation {
    /// Names of which a certificate must say one; any where there is none.
    #[prost(message, repeated, tag = "9")]
    pub match_subject_alt_names: Vec<ExactText>,
    /// Roots.
    #[prost(message, optional, tag = "13")]
    pub ca_provider: Option<ProviderInstance>,
}

/// A text that must be equal.
#[derive(Clone, PartialEq, Message)]
pub struct ExactText {
    /// The text.
    #[prost(string, tag = "1")]
    pub exact: String,
}

/// What the client's own bootstrap file calls a source of certificates.
#[derive(Clone, PartialEq, Message)]
pub struct ProviderInstance {
    /// Its name there.
    #[prost(string, tag = "1")]
    pub instance_name: String,
    /// Which of its certificates.
    #[prost(string, tag = "2")]
    pub certificate_name: String,
}
