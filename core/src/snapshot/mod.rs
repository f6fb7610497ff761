//! The compiled configuration: immutable, public, free of YAML, shared by `Arc`.
//!
//! Everything a decision needs is looked up here by small numbers. `compile` makes it, `policy` reads it, and nobody
//! changes it: a reload makes another one. A request keeps the snapshot it began with.

mod address_blocks;
mod applications;
mod authorization;
mod cluster;
mod clusters;
mod descriptor;
mod filter_chain;
mod forwarded_client_cert;
mod gateway;
mod global_rate_limit;
mod hash_index;
mod hash_table;
mod hashing;
mod header_ops;
mod host_table;
mod keepalive;
mod locality;
mod matching;
mod name_table;
mod origin;
mod own_socket;
mod peer_metadata;
mod rate_limit;
mod re2;
mod request_authentication;
mod resilience;
mod route;
mod rule_index;
mod service_names;
pub mod telemetry;
mod tracing;
mod transport;
mod upstream_protocol;

pub use applications::{PortOfApplication, PortsOfApplication};
pub use authorization::{
    AccessIndex, AccessRule, AccessRuleId, AccessRuleName, AccessRules, Authorization, Authorizer,
    AuthorizerProtocol, Check, CheckedBody, ExternalCheck, HostPattern, HttpCheck, Part,
    PathPattern, Probe, Probed, RuleSet, TemplatePiece, Test, TextPattern, TokenPrincipal,
};
pub use cluster::{Address, Balancing, Cluster, ClusterId, Endpoint, Limits, ServiceName, WarmUp};
pub use clusters::Clusters;
pub use descriptor::{Describes, DescriptorAction, HeaderMatch, REMOTE_ADDRESS};
pub use filter_chain::{ChainRule, FilterChain, HttpSpoken, Listener, Listeners, ListensAt};
pub use forwarded_client_cert::{ForwardMode, ForwardedClientCert};
pub use gateway::{GatewayListener, GatewayListeners, GatewayServer};
pub use global_rate_limit::GlobalRateLimit;
pub use hash_table::{HashTable, Share, SharedTables, shares};
pub use hashing::{ConsistentHash, HashCookie, HashPolicy, HashTableKind, MAX_RING_SIZE};
pub use header_ops::{FieldText, HeaderOps, HeaderValue, ValuePart};
pub use host_table::{HostEntry, HostTable, PortEntry};
pub use keepalive::Keepalive;
pub use locality::{LocalityPolicy, LocalityWeight, ZoneAware};
pub use matching::{
    ClaimMatch, Condition, FieldMatch, MatchedField, PathMatch, QueryMatch, Regex, RegexFault,
    TextMatch,
};
pub use origin::{BlockOrigin, ClusterOrigin, FieldLine, Origin, ResourceId, ResourceRef};
pub use own_socket::{OwnSocket, OwnSockets, SocketPlace};
pub use peer_metadata::{LONGEST_METADATA, OwnMetadata};
pub use rate_limit::{
    DescribedBy, Descriptor, EntryMatch, GlobalRateLimitId, HostLimits, Limit, Limiter, Place,
    RateLimit, RateLimitId, SizedBucket,
};
pub use request_authentication::{
    ClaimField, JwksAddress, JwksPlace, JwtKeys, JwtRule, RequestAuthentication, TokenLocation,
    TokenPlace,
};
pub use resilience::{
    FaultAbort, FaultAnswer, FaultDelay, FaultPolicy, FaultsOnRequest, GRPC_STATUS, PerMillion,
    RetryOn, RetryPolicy, StreamIdle,
};
pub use route::{
    Action, CorsPolicy, Destination, DestinationCluster, DirectResponse, Forward, Mirror,
    PathRewrite, PodOf, Redirect, RedirectPath, RedirectPort, Rewrite, Rule, VirtualHost,
    VirtualHostId,
};
pub use rule_index::RuleIndex;
pub use service_names::{KnownName, ServiceNames};
pub use tracing::{
    Collector, CollectorAddress, CollectorHeader, CollectorProtocol, HeaderSource, Propagation,
    TagValue, TracePolicy, TraceTag, Tracing,
};
pub use transport::{
    Alpn, CipherSuite, ClientProof, ClientTls, ClientTrust, KeyExchange, KeyName, MutualTls,
    NamedServer, PeerNames, RootsName, ServerTls, Sni, Spoken, Termination, TlsParameters, Trust,
};
pub use upstream_protocol::{Http2KeepAlive, Http2Options, UpstreamProtocol};

use std::sync::Arc;

pub use crate::cluster::AdaptiveConcurrency;
use crate::peer::{ListenerKind, Peer};
use crate::time::Duration;

/// How a request target is normalised before anything looks at it (Istio `meshConfig.pathNormalization`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathNormalization {
    /// Leave the path as it is.
    None,
    /// Dot segments, backslashes, percent-encoded unreserved characters (RFC 3986 §6.2.2).
    #[default]
    Base,
    /// As `Base`, and runs of slashes become one.
    MergeSlashes,
    /// As `MergeSlashes`, and `%2F` and `%5C` are decoded first.
    DecodeAndMergeSlashes,
}

/// What happens to a request for a host that no service has (Istio `outboundTrafficPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownHosts {
    /// Forward to where the client wanted to go: route `allow_any`, cluster `PassthroughCluster`.
    #[default]
    AllowAny,
    /// Answer 502 without a body: route `block_all`, cluster `BlackHoleCluster`.
    RegistryOnly,
    /// Forward to this cluster (Sidecar `outboundTrafficPolicy.egressProxy`).
    EgressProxy(DestinationCluster),
}

/// Settings that hold for every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// See [`PathNormalization`].
    pub path_normalization: PathNormalization,
    /// See [`UnknownHosts`].
    pub unknown_hosts: UnknownHosts,
    /// How long a passthrough connection may take to be made (mesh `connectTimeout`, 10 s).
    pub connect_timeout: Duration,
    /// The same of the system's probes on it (mesh `tcpKeepalive`); `None` where there are none.
    pub keepalive: Option<Keepalive>,
    /// How long it may take until it is known whether a client speaks HTTP (mesh `protocolDetectionTimeout`); `None` where the
    /// mesh does not say.
    pub protocol_detection_timeout: Option<Duration>,
    /// Who this workload is in the mesh (a SPIFFE ID), if it is anybody.
    pub spiffe_id: Option<Box<str>>,
    /// What applications are told of the certificates of their clients.
    pub client_certs: ForwardedClientCert,
    /// How many proxies before a gateway are believed in what they add to `x-forwarded-for` (mesh
    /// `gatewayTopology.numTrustedProxies`, Envoy's `xff_num_trusted_hops`).
    pub trusted_hops: u32,
    /// Whether who connects to a gateway is a proxy that says whose connection it passes on (mesh `gatewayTopology.proxyProtocol`).
    pub proxy_protocol: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path_normalization: PathNormalization::Base,
            unknown_hosts: UnknownHosts::AllowAny,
            connect_timeout: Duration::from_secs(10),
            keepalive: None,
            protocol_detection_timeout: None,
            spiffe_id: None,
            client_certs: ForwardedClientCert::default(),
            trusted_hops: 0,
            proxy_protocol: false,
        }
    }
}

/// One compiled configuration.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Which snapshot this is, counted from 1; 0 is the empty one.
    pub revision: u64,
    /// Virtual hosts by authority, for the outbound listener.
    pub hosts: Arc<HostTable>,
    /// Indexed by [`VirtualHostId`].
    pub virtual_hosts: Arc<[VirtualHost]>,
    /// Indexed by [`ClusterId`]; sorted by name, each name once.
    pub clusters: Arc<Clusters>,
    /// The virtual host of each inbound listener, in the order the listeners were given, then those of ports of the application.
    pub inbound: Arc<[VirtualHostId]>,
    /// What is spoken on each of them, in the same order.
    pub inbound_listeners: Arc<[Listener]>,
    /// Which of these positions a connection has.
    pub inbound_ports: Arc<PortsOfApplication>,
    /// What is spoken where applications connect to, as far as the kernel brings that here.
    pub listeners: Arc<Listeners>,
    /// What a Sidecar has opened for who comes by himself.
    pub own_sockets: Arc<OwnSockets>,
    /// The names of services, for applications that ask for them; empty where none does.
    pub names: Arc<ServiceNames>,
    /// What clients speak beneath that on each of the inbound listeners, in the same order.
    pub inbound_tls: Arc<[Arc<ServerTls>]>,
    /// Where that is written, in the same order; `None` where nobody says anything.
    pub inbound_tls_origins: Arc<[Option<Origin>]>,
    /// What is listened for where Gateways say so.
    pub gateways: Arc<GatewayListeners>,
    /// Indexed by [`ResourceId`]: where each rule came from.
    pub resources: Arc<[ResourceRef]>,
    /// Indexed by [`RateLimitId`].
    pub rate_limits: Box<[RateLimit]>,
    /// Indexed by [`GlobalRateLimitId`].
    pub global_rate_limits: Arc<[GlobalRateLimit]>,
    /// The rate limits of requests to hosts that nobody knows, by service port, sorted.
    pub unknown_host_limits: Arc<[(u16, Box<[Limiter]>)]>,
    /// The same of hosts that no server of a Gateway has, by the port of Gateways.
    pub unknown_host_limits_at_gateways: Arc<[(u16, Box<[Limiter]>)]>,
    /// Who may ask this workload for what.
    pub authorization: Arc<Authorization>,
    /// Whose tokens are accepted on inbound listeners; `None` when nobody asks for any.
    pub request_authentication: Option<Arc<RequestAuthentication>>,
    /// Which requests are traced, and how.
    pub tracing: Tracing,
    /// What holds for every request.
    pub settings: Settings,
    /// Which requests are logged where.
    pub access_logs: Arc<telemetry::AccessLogs>,
    /// What is changed of Istio's metrics.
    pub metrics: Arc<telemetry::MetricRules>,
    /// What other sidecars are told of the workload.
    pub peer_metadata: Option<Arc<OwnMetadata>>,
}

impl Snapshot {
    /// The same configuration for another process: it shares what does not change, and has live state of its own, as if
    /// nothing had happened yet. The state of a cluster is made when it is first asked for.
    #[must_use]
    pub fn apart(&self) -> Self {
        self.with_clusters(Clusters::apart(&self.clusters))
    }

    /// The same configuration to try something on: live state is its own, endpoints are as busy and as ejected as they are
    /// now, and rate limits are full.
    #[must_use]
    pub fn to_try(&self) -> Self {
        let clusters: Vec<Cluster> = self.clusters.iter().map(Cluster::to_try).collect();
        self.with_clusters(clusters.into())
    }

    fn with_clusters(&self, clusters: Clusters) -> Self {
        Self {
            revision: self.revision,
            hosts: Arc::clone(&self.hosts),
            virtual_hosts: Arc::clone(&self.virtual_hosts),
            clusters: Arc::new(clusters),
            inbound: Arc::clone(&self.inbound),
            inbound_listeners: Arc::clone(&self.inbound_listeners),
            inbound_ports: Arc::clone(&self.inbound_ports),
            listeners: Arc::clone(&self.listeners),
            own_sockets: Arc::clone(&self.own_sockets),
            names: Arc::clone(&self.names),
            inbound_tls: Arc::clone(&self.inbound_tls),
            inbound_tls_origins: Arc::clone(&self.inbound_tls_origins),
            gateways: Arc::clone(&self.gateways),
            resources: Arc::clone(&self.resources),
            rate_limits: rate_limit::apart(&self.rate_limits),
            global_rate_limits: Arc::clone(&self.global_rate_limits),
            unknown_host_limits: Arc::clone(&self.unknown_host_limits),
            unknown_host_limits_at_gateways: Arc::clone(&self.unknown_host_limits_at_gateways),
            authorization: Arc::clone(&self.authorization),
            request_authentication: self.request_authentication.as_deref().map(|auth| {
                let auth = RequestAuthentication {
                    counts: Arc::default(),
                    ..auth.clone()
                };
                Arc::new(auth)
            }),
            tracing: self.tracing.clone(),
            settings: self.settings.clone(),
            access_logs: Arc::clone(&self.access_logs),
            metrics: Arc::clone(&self.metrics),
            peer_metadata: self.peer_metadata.clone(),
        }
    }

    /// Whether some bodies are translated, so that what they say decides how they go on.
    #[must_use]
    pub fn translates_bodies(&self) -> bool {
        self.virtual_hosts.iter().any(|host| host.grpc_web)
    }

    /// Whether what some bodies say decides anything.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        let asks_about_limits = !self.global_rate_limits.is_empty();
        self.translates_bodies() || asks_about_limits || self.authorization.reads_answers()
    }

    /// The virtual host of an id of this snapshot.
    #[must_use]
    pub fn virtual_host(&self, id: VirtualHostId) -> &VirtualHost {
        &self.virtual_hosts[id.0 as usize]
    }

    /// Whether a proxy has to say on a connection whose it is, before anything else.
    #[must_use]
    pub const fn is_introduced(&self, listener: ListenerKind) -> bool {
        self.settings.proxy_protocol && matches!(listener, ListenerKind::Gateway(_))
    }

    /// What a client speaks beneath HTTP, unless that is clear text and nothing else.
    #[must_use]
    pub fn server_tls(&self, client: &Peer) -> Option<&Arc<ServerTls>> {
        let tls = match client.listener {
            ListenerKind::Outbound => return None,
            ListenerKind::Inbound(_) => {
                let at = self.inbound_ports.position(client)?;
                self.inbound_tls.get(at)?
            }
            ListenerKind::Gateway(port) => {
                let listener = self.gateways.find(port, client.local.ip())?;
                listener.tls.as_ref()?
            }
        };
        (tls.mode != MutualTls::Disable).then_some(tls)
    }

    /// The cluster of an id of this snapshot.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> &Cluster {
        &self.clusters[id.0 as usize]
    }

    /// The rate limit of an id of this snapshot.
    #[must_use]
    pub fn rate_limit(&self, id: RateLimitId) -> &RateLimit {
        &self.rate_limits[id.0 as usize]
    }

    /// The global rate limit of an id of this snapshot.
    #[must_use]
    pub fn global_rate_limit(&self, id: GlobalRateLimitId) -> &GlobalRateLimit {
        &self.global_rate_limits[id.0 as usize]
    }

    /// Whether any rate limit looks at any request.
    #[must_use]
    pub fn has_rate_limits(&self) -> bool {
        !self.rate_limits.is_empty() || !self.global_rate_limits.is_empty()
    }
}
