//! Clusters: one for each port of each known service, and one for each of its subsets.
//!
//! Owns their names and settings. Endpoints keep the live state they had in the snapshot before, through the registry.

use std::collections::BTreeMap;

use super::Input;
use super::destination_rules::DestinationRules;
use super::endpoints::{Candidate, Upstream, Workloads, is_subset};
use super::scope::Scope;
use super::services::{Port, Service, Services};
use super::traffic_policy::{Effective, effective};
use crate::cluster::{HostKey, Registry};
use crate::config::destination_rule::{LoadBalancerPolicy, SimpleLb};
use crate::config::protocol::Protocol;
use crate::snapshot::{Address, Balancing, Cluster, ClusterId, DestinationCluster, Endpoint};
use crate::time::Duration;

/// How long an idle upstream connection is kept when nobody says (Istio, Envoy).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// The clusters of a snapshot while it is made.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    pub(super) list: Vec<Cluster>,
    /// Of each host: port, subset and where the cluster is.
    by_host: BTreeMap<String, Vec<(u16, Box<str>, ClusterId)>>,
}

/// The name Istio gives an outbound cluster.
#[must_use]
pub(super) fn name(port: u16, subset: &str, host: &str) -> Box<str> {
    format!("outbound|{port}|{subset}|{host}").into()
}

impl Clusters {
    /// The clusters of every service in scope.
    #[must_use]
    pub(super) fn new(
        input: &Input<'_>,
        services: &Services<'_>,
        scope: &Scope<'_>,
        registry: &mut Registry,
    ) -> Self {
        let workloads = Workloads::new(input);
        let rules = DestinationRules::new(input);
        let mut clusters = Self::default();
        for service in services.iter() {
            if !scope.reaches(service.namespace, &service.host) {
                continue;
            }
            let rule = rules.find(&service.host, service.namespace);
            let top = rule.and_then(|rule| rule.traffic_policy);
            for port in service.ports.iter().filter(|p| p.protocol != Protocol::Udp) {
                let upstream = workloads.upstream(service, port);
                let mut add = |subset: &str, policy: &Effective<'_>, upstream: &Upstream| {
                    let cluster = cluster(input, service, port, subset, policy);
                    clusters.add(cluster, upstream, registry);
                };
                add("", &effective(top, None, port.number), &upstream);
                for subset in rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default() {
                    let policy = effective(top, subset.traffic_policy.as_ref(), port.number);
                    let part = select(&upstream, &subset.labels);
                    add(&subset.name, &policy, &part);
                }
            }
        }
        clusters
    }

    /// Files a cluster and gives it its endpoints.
    pub(super) fn add(
        &mut self,
        mut cluster: Cluster,
        upstream: &Upstream,
        registry: &mut Registry,
    ) -> ClusterId {
        match upstream {
            Upstream::OriginalDestination => cluster.balancing = Balancing::Passthrough,
            Upstream::Endpoints(candidates) => {
                let endpoints = candidates.iter();
                cluster.endpoints = endpoints
                    .map(|candidate| endpoint(&cluster.name, candidate, registry))
                    .collect();
            }
        }
        // A snapshot with 2^32 clusters does not fit into memory.
        let id = ClusterId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.by_host
            .entry(cluster.host.to_string())
            .or_default()
            .push((cluster.port, cluster.subset.clone(), id));
        self.list.push(cluster);
        id
    }

    /// The cluster of a service port and subset, or the name it would have.
    #[must_use]
    pub(super) fn find(&self, port: u16, subset: &str, host: &str) -> DestinationCluster {
        let of_host = self
            .by_host
            .get(host)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut all = of_host.iter();
        all.find(|(p, s, _)| *p == port && **s == *subset)
            .map_or_else(
                || DestinationCluster::Missing(name(port, subset, host)),
                |(_, _, id)| DestinationCluster::Known(*id),
            )
    }
}

fn select(upstream: &Upstream, labels: &BTreeMap<String, String>) -> Upstream {
    match upstream {
        Upstream::OriginalDestination => Upstream::OriginalDestination,
        Upstream::Endpoints(all) => {
            let chosen = all.iter().filter(|c| is_subset(labels, &c.labels));
            Upstream::Endpoints(chosen.cloned().collect())
        }
    }
}

fn cluster(
    input: &Input<'_>,
    service: &Service<'_>,
    port: &Port<'_>,
    subset: &str,
    policy: &Effective<'_>,
) -> Cluster {
    let pool = policy.connection_pool;
    let tcp = pool.and_then(|pool| pool.tcp.as_ref());
    let http = pool.and_then(|pool| pool.http.as_ref());
    let idle_timeout = http
        .and_then(|http| http.idle_timeout)
        .or_else(|| tcp.and_then(|tcp| tcp.idle_timeout))
        .unwrap_or(IDLE_TIMEOUT);
    Cluster {
        name: name(port.number, subset, &service.host),
        host: service.host.as_str().into(),
        port: port.number,
        subset: subset.into(),
        endpoints: Box::default(),
        balancing: balancing(policy),
        connect_timeout: tcp
            .and_then(|tcp| tcp.connect_timeout)
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(input.mesh.connect_timeout),
        idle_timeout: Some(idle_timeout).filter(|timeout| !timeout.is_zero()),
        max_requests_per_connection: http
            .and_then(|http| u32::try_from(http.max_requests_per_connection).ok())
            .filter(|max| *max > 0),
    }
}

fn balancing(policy: &Effective<'_>) -> Balancing {
    match policy.load_balancer.and_then(|lb| lb.policy.as_ref()) {
        Some(LoadBalancerPolicy::Simple(simple)) => match simple {
            SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
                Balancing::LeastRequest
            }
            SimpleLb::Random => Balancing::Random,
            SimpleLb::RoundRobin => Balancing::RoundRobin,
            SimpleLb::Passthrough => Balancing::Passthrough,
        },
        // Hashing is not in effect yet; findings say so.
        Some(LoadBalancerPolicy::ConsistentHash(_)) | None => Balancing::LeastRequest,
    }
}

fn endpoint(cluster: &str, candidate: &Candidate, registry: &mut Registry) -> Endpoint {
    let text: Box<str> = candidate.address.to_string().into();
    let state = registry.host(HostKey {
        cluster: cluster.into(),
        address: text.clone(),
    });
    Endpoint {
        address: candidate.address.clone(),
        text,
        weight: candidate.weight,
        locality: candidate.locality.clone(),
        state,
    }
}

/// The cluster of an inbound listener: the application.
#[must_use]
pub(super) fn inbound(
    input: &Input<'_>,
    application: core::net::SocketAddr,
) -> (Cluster, Upstream) {
    let port = application.port();
    let cluster = Cluster {
        name: format!("inbound|{port}||").into(),
        host: Box::default(),
        port,
        subset: Box::default(),
        endpoints: Box::default(),
        balancing: Balancing::LeastRequest,
        connect_timeout: input.mesh.connect_timeout,
        idle_timeout: Some(IDLE_TIMEOUT),
        max_requests_per_connection: None,
    };
    let application = Candidate {
        address: Address::Socket(application),
        labels: BTreeMap::new(),
        weight: 1,
        locality: Box::default(),
    };
    (cluster, Upstream::Endpoints(vec![application]))
}
