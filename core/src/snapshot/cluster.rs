//! Clusters: one upstream pool for each service, port and subset.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hash_table::SharedTables;
use super::hashing::{ConsistentHash, HashPolicy};
use super::keepalive::Keepalive;
use super::locality::LocalityPolicy;
use super::origin::ClusterOrigin;
use super::transport::ClientTls;
use super::upstream_protocol::UpstreamProtocol;
use crate::cluster::{
    AdaptiveConcurrency, ClusterState, HostState, OutlierDetection, RetryLimit, TokenBudget,
    ejection,
};
use crate::entropy::Entropy;
use crate::peer::Identity;
use crate::proxy_protocol::Version;
use crate::time::{Duration, Instant};

/// How long a connection may take to be made when nobody says (Istio).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where connections to the application come from, whose rules let them pass (Istio's `InboundPassthroughBindIpv4`).
const INBOUND_SOURCE_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// The same of IPv6.
const INBOUND_SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);

/// Which cluster of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u32);

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A name that the runtime resolves when it connects (passthrough to where a client wants to go), and a port. Endpoints
    /// of services are at what their names resolved to before.
    Name(Box<str>, u16),
    /// The absolute path of a Unix socket.
    Unix(Box<str>),
    /// An address of this machine, and the one to connect from: the kernel brings no connection from there to the sidecar again.
    Local(SocketAddr, IpAddr),
}

impl Address {
    /// An application's, for a connection that comes from `client` where that can be seen, else from the address that Istio's
    /// sidecars take.
    #[must_use]
    pub fn of_application(to: SocketAddr, client: Option<IpAddr>) -> Self {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let client = client.map(|client| client.to_canonical());
        let usual = match to.ip() {
            IpAddr::V4(_) => IpAddr::V4(INBOUND_SOURCE_V4),
            IpAddr::V6(_) => IpAddr::V6(INBOUND_SOURCE_V6),
        };
        Self::Local(to, client.unwrap_or(usual))
    }

    /// Whether it is the address that connections to applications usually come from.
    #[must_use]
    pub fn is_inbound_source(from: IpAddr) -> bool {
        from == IpAddr::V4(INBOUND_SOURCE_V4) || from == IpAddr::V6(INBOUND_SOURCE_V6)
    }

    /// The port; a Unix socket has none.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Socket(address) | Self::Local(address, _) => Some(address.port()),
            Self::Name(_, port) => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(addr) | Self::Local(addr, _) => write!(f, "{addr}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "{path}"),
        }
    }
}

/// One endpoint of a cluster.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// The address as logs write it.
    pub text: Box<str>,
    /// Load-balancing weight, at least 1.
    pub weight: u32,
    /// `region/zone/subzone`, empty when unknown.
    pub locality: Box<str>,
    /// The host name of its pod in a headless service, empty when it has none.
    pub hostname: Box<str>,
    /// Traffic goes to endpoints of priority 0 as far as they can carry it, then to those of 1, and so on. No number is
    /// left out.
    pub priority: u32,
    /// Connections to it are protected, by what [`Cluster::tls`] says. It is not the cluster alone that decides: a service may
    /// have endpoints with a sidecar and some without.
    pub is_secured: bool,
    /// What runs there, as far as the configuration says; the same value in all snapshots that name it so.
    pub identity: Arc<Identity>,
    /// Its live state, shared with older and newer snapshots.
    pub state: Arc<HostState>,
}

/// How an endpoint is picked (DestinationRule `loadBalancer`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balancing {
    /// Fewest requests in flight of two drawn at random; weighted by EDF when weights differ. Istio's default.
    #[default]
    LeastRequest,
    /// In turn; weighted by EDF when weights differ.
    RoundRobin,
    /// Uniformly at random; weights are ignored.
    Random,
    /// No balancing: connect to where the client wanted to go (Envoy ORIGINAL_DST).
    Passthrough,
    /// By the hash of something in the request; one without it goes to a random endpoint.
    ConsistentHash(ConsistentHash),
    /// The one of two drawn that is likely to answer sooner; weights are ignored (`outrigger.dev/load-balancer`).
    PeakEwma,
}

/// How the weight of a new endpoint grows (DestinationRule `warmup`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// How long it takes. At least a millisecond.
    pub duration: Duration,
    /// The share of the weight that it has at least, 0 to 1.
    pub minimum: f64,
    /// The shape of the growth: 1 is a straight line, more begins steeper. Above 0.
    pub aggression: f64,
}

/// How much a cluster takes at once, over all workers (DestinationRule `connectionPool`). `u32::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, idle ones included (`tcp.maxConnections`).
    pub connections: u32,
    /// Requests that have no connection yet (`http.http1MaxPendingRequests`).
    pub pending: u32,
    /// Requests that have one (`http.http2MaxRequests`; holds for HTTP/1 too).
    pub requests: u32,
    /// Retries under way (`http.maxRetries`, `retryBudget`).
    pub retries: RetryLimit,
}

impl Limits {
    /// Nothing is limited.
    pub const NONE: Self = Self {
        connections: u32::MAX,
        pending: u32::MAX,
        requests: u32::MAX,
        retries: RetryLimit::NONE,
    };
}

/// What a service is called in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceName {
    /// Its host name, in full.
    pub host: Box<str>,
    /// Its name: that of the Kubernetes Service, else its host name.
    pub name: Box<str>,
    /// The namespace of what defines it.
    pub namespace: Box<str>,
}

/// One upstream pool.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// `outbound|80|v1|reviews.default.svc.cluster.local`, as Istio names it.
    pub name: Box<str>,
    /// The service's host name.
    pub host: Box<str>,
    /// The service port.
    pub port: u16,
    /// The subset, empty for the whole service.
    pub subset: Box<str>,
    /// What the service is called; of an application behind an inbound listener, the service that the workload is an
    /// endpoint of. `None` where there is none.
    pub service: Option<Box<ServiceName>>,
    /// Its service is not of the mesh (ServiceEntry `location: MESH_EXTERNAL`, its default): nobody there is told who we are.
    pub is_external: bool,
    /// Its endpoints, in a stable order.
    pub endpoints: Box<[Endpoint]>,
    /// How to pick one.
    pub balancing: Balancing,
    /// Where it goes to where a client wanted to go, that is where the request's host leads, whatever was connected to
    /// (`resolution: DYNAMIC_DNS`).
    pub goes_by_host: bool,
    /// What routes to it hash a request by.
    pub hash_policy: Option<Box<HashPolicy>>,
    /// Where hashes lead while nobody is out, by priority; shared by workers.
    pub tables: SharedTables,
    /// How localities of one priority share its traffic.
    pub locality_policy: LocalityPolicy,
    /// What is spoken to its endpoints.
    pub protocol: UpstreamProtocol,
    /// TLS towards the endpoints that are secured, and towards where a client wanted to go where it has none; `None` for
    /// clear text.
    pub tls: Option<Arc<ClientTls>>,
    /// How endpoints that are new get their traffic; `None` at once.
    pub warm_up: Option<WarmUp>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How the system finds out that an endpoint is gone; `None` where it does not ask.
    pub keepalive: Option<Keepalive>,
    /// By which version of the PROXY protocol endpoints are told whose connection it is; `None` where they are not.
    pub proxy_protocol: Option<Version>,
    /// How long an idle connection is kept; `None` keeps it for ever.
    pub idle_timeout: Option<Duration>,
    /// For how long nothing may pass on a connection that is not HTTP; `None` is for ever.
    pub tcp_idle_timeout: Option<Duration>,
    /// How old a connection may be to carry another request, and how long one may last that is not HTTP; `None` is unlimited.
    pub max_connection_duration: Option<Duration>,
    /// Requests after which a connection is closed; `None` is unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// When its endpoints are ejected; `None` never.
    pub outlier_detection: Option<Box<OutlierDetection>>,
    /// Circuit limits; `None` when nothing is limited, and then nothing is counted.
    pub limits: Option<Limits>,
    /// A limit of requests under way that follows response times; `None` when there is none.
    pub adaptive: Option<AdaptiveConcurrency>,
    /// A budget of retries over time, besides the limits.
    pub token_budget: Option<TokenBudget>,
    /// Its live state, shared with older and newer snapshots.
    pub state: Arc<ClusterState>,
    /// Where its settings stand; `None` for what no file names.
    pub origin: Option<Arc<ClusterOrigin>>,
}

impl Endpoint {
    /// An endpoint like any other: weight 1, in no locality, of the first priority.
    #[must_use]
    pub fn new(address: Address, state: Arc<HostState>) -> Self {
        let text = address.to_string().into();
        Self {
            address,
            text,
            weight: 1,
            locality: Box::default(),
            hostname: Box::default(),
            priority: 0,
            is_secured: false,
            identity: Arc::default(),
            state,
        }
    }
}

impl Cluster {
    /// A cluster without endpoints and with nothing set, of no service. Who needs more sets the fields.
    #[must_use]
    pub fn new(name: Box<str>, state: Arc<ClusterState>) -> Self {
        Self {
            name,
            host: Box::default(),
            port: 80,
            subset: Box::default(),
            service: None,
            is_external: false,
            endpoints: Box::default(),
            balancing: Balancing::default(),
            goes_by_host: false,
            hash_policy: None,
            tables: SharedTables::default(),
            locality_policy: LocalityPolicy::default(),
            protocol: UpstreamProtocol::default(),
            warm_up: None,
            connect_timeout: CONNECT_TIMEOUT,
            keepalive: None,
            proxy_protocol: None,
            idle_timeout: None,
            tcp_idle_timeout: None,
            max_connection_duration: None,
            max_requests_per_connection: None,
            tls: None,
            outlier_detection: None,
            limits: None,
            adaptive: None,
            token_budget: None,
            state,
            origin: None,
        }
    }

    /// The same cluster with live state of its own, as if nothing had happened.
    pub(super) fn apart(&self) -> Self {
        self.with_states(HostState::apart)
    }

    /// The same with live state of its own, in which its endpoints are as they are now.
    pub(super) fn to_try(&self) -> Self {
        self.with_states(HostState::to_try)
    }

    fn with_states(&self, of: fn(&HostState, &Arc<ClusterState>) -> Arc<HostState>) -> Self {
        let state = Arc::<ClusterState>::default();
        state.set_endpoints(self.state.endpoints());
        let endpoints = self.endpoints.iter().map(|endpoint| Endpoint {
            state: of(&endpoint.state, &state),
            ..endpoint.clone()
        });
        Self {
            endpoints: endpoints.collect(),
            state,
            ..self.clone()
        }
    }

    /// How connections to one of its endpoints are protected.
    #[must_use]
    pub fn tls_to(&self, endpoint: &Endpoint) -> Option<&Arc<ClientTls>> {
        self.tls.as_ref().filter(|_| endpoint.is_secured)
    }

    /// Lets endpoints come back whose ejection is over by now, and ejects those whose rates were bad in an interval that
    /// has ended. `entropy` decides what is done only sometimes.
    pub fn sweep(&self, now: Instant, entropy: Entropy) {
        if let Some(detection) = &self.outlier_detection {
            let hosts = self.endpoints.iter().map(|endpoint| &*endpoint.state);
            ejection::sweep(detection, &self.state, hosts, now, entropy);
        }
    }
}
