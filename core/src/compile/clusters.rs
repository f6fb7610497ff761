//! Clusters: one for each port of each known service, and one for each of its subsets.
//!
//! Owns their names and settings; who is in them is the business of `endpoints`, `placement` and `membership`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::applications::Application;
use super::client_tls::{self, Towards, cluster_sni, takes_mesh_tls};
use super::destination_rules::DestinationRules;
use super::endpoints::{Candidate, Upstream, Workloads};
use super::labels::is_subset;
use super::locality_setting::setting;
use super::membership::settle;
use super::names::Lookup;
use super::outlier;
use super::peer_authentication::PeerPolicies;
use super::peers::Source;
use super::placement::{self, Placement};
use super::resources::ResourceTable;
use super::retries;
use super::scope::Scope;
use super::services::{Port, RegistryService, Services};
use super::traffic_policy::{Effective, effective, hashed_by};
use super::{Input, connection_pool, hashing, inbound, policy_origins, upstream_protocol};
use crate::cluster::Registry;
use crate::config::destination_rule::{
    ExtendedLb, LoadBalancerPolicy, LoadBalancerSettings, ProxyProtocolVersion, SimpleLb, Subset,
};
use crate::config::protocol::Protocol;
use crate::config::service_entry::Resolution;
use crate::proxy_protocol::Version;
use crate::snapshot::{Balancing, Cluster, ClusterId, ClusterOrigin, DestinationCluster, WarmUp};

/// The clusters of a snapshot, by name.
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

/// The clusters of a service port and subset, by what is asked of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// TLS is as the DestinationRule says.
    Usual,
    /// TLS is the client's, and ends at a sidecar (`AUTO_PASSTHROUGH`).
    Passed,
}

impl Clusters {
    /// The clusters of every service in scope, and of the applications behind inbound listeners.
    #[must_use]
    pub(super) fn new<'a>(
        around: &Surroundings<'_, 'a>,
        services: &Services<'a>,
        scope: &Scope<'a>,
        applications: &[Application<'a>],
        making: &mut Making<'_, '_>,
    ) -> Self {
        let mut list = Vec::new();
        let input = around.input;
        let rules = DestinationRules::new(input);
        for service in services.iter() {
            if scope.reaches(service.namespace, &service.host) {
                add_service(around, service, &rules, making, &mut list);
            }
        }
        for (at, one) in applications.iter().enumerate() {
            let protocol = inbound::said_protocol(input, services, one).unwrap_or(Protocol::Sniff);
            let pool = inbound::pool(input, scope, services, &rules, one);
            let cluster =
                inbound::cluster(input, applications, at, protocol, pool, making.registry);
            let origin = inbound::origin(input, scope, services, &rules, one, making.resources);
            list.push(Cluster {
                service: inbound::service(input, services, one),
                origin: Some(origin.into()),
                ..cluster
            });
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list.dedup_by(|later, earlier| later.name == earlier.name);
        let mut by_host: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (cluster, id) in list.iter().zip((0..).map(ClusterId)) {
            if is_passed(&cluster.name) {
                continue;
            }
            by_host.entry(cluster.host.to_string()).or_default().push((
                cluster.port,
                cluster.subset.clone(),
                id,
            ));
        }
        Self { list, by_host }
    }

    /// The cluster of a name.
    #[must_use]
    pub(super) fn by_name(&self, name: Box<str>) -> DestinationCluster {
        match self.list.binary_search_by(|c| c.name.cmp(&name)) {
            // As many as there are ids, see `new`.
            Ok(at) => DestinationCluster::Known(ClusterId(at as u32)),
            Err(_) => DestinationCluster::Missing(name),
        }
    }

    /// Those for connections whose TLS a gateway passes on, of services with such a host.
    pub(super) fn passed(
        &self,
        is_meant: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&Cluster, ClusterId)> {
        let all = self.list.iter().zip((0..).map(ClusterId));
        all.filter(move |(cluster, _)| is_passed(&cluster.name) && is_meant(&cluster.host))
    }

    /// All clusters of a service.
    pub(super) fn of_host(&self, host: &str) -> impl Iterator<Item = &Cluster> {
        let all = self.by_host.get(host).into_iter().flatten();
        all.map(|(_, _, id)| &self.list[id.0 as usize])
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

/// What is known beside the service itself when its clusters are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'s, 'a> {
    pub(super) input: &'s Input<'a>,
    pub(super) workloads: &'s Workloads<'a>,
    pub(super) source: &'s Source,
    pub(super) peers: &'s PeerPolicies<'a>,
    /// Whether some server passes the TLS of sidecars on.
    pub(super) passes: bool,
}

/// What clusters are entered into while they are made.
pub(super) struct Making<'m, 'n> {
    pub(super) lookup: &'m mut Lookup<'n>,
    pub(super) registry: &'m mut Registry,
    pub(super) resources: &'m mut ResourceTable,
}

fn add_service(
    around: &Surroundings<'_, '_>,
    service: &RegistryService<'_>,
    rules: &DestinationRules<'_>,
    making: &mut Making<'_, '_>,
    list: &mut Vec<Cluster>,
) {
    let Making {
        lookup,
        registry,
        resources,
    } = making;
    let rule = rules.find(&service.host, service.namespace);
    let top = rule.and_then(|rule| rule.traffic_policy);
    let subsets = rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default();
    let passed_over = policy_origins::passed_over(service, rules, resources);
    let ports: Vec<&Port<'_>> = service.ports.iter().filter(|p| p.is_stream()).collect();
    let upstreams = ports
        .iter()
        .map(|port| around.workloads.upstream(service, port));
    let upstreams: Vec<Upstream> = upstreams.map(|found| lookup.settle(found)).collect();
    let names = client_tls::names(around.input.mesh, service, &upstreams);
    for (port, upstream) in ports.into_iter().zip(&upstreams) {
        let mut add = |chosen: Option<&Subset>, upstream: &Upstream, kind: Kind| {
            let subset = chosen.map_or("", |subset| &subset.name);
            let over = chosen.and_then(|subset| subset.traffic_policy.as_ref());
            let policy = Effective {
                extensions: rule.and_then(|rule| rule.extensions),
                ..effective(top, over, port.number)
            };
            let name = match kind {
                Kind::Usual => name(port.number, subset, &service.host),
                Kind::Passed => cluster_sni(port.number, subset, &service.host),
            };
            let mut cluster = cluster(
                around.input,
                service,
                (port, subset, name),
                &policy,
                registry,
            );
            cluster.hash_policy = hashed_by(top, over, port.number).and_then(hashing::policy);
            let towards = Towards {
                service,
                port: port.number,
                subset,
                names: &names,
            };
            let secured = client_tls::secured(around.input, towards, upstream, policy.tls);
            cluster.tls = secured.tls().filter(|_| kind == Kind::Usual);
            let placement = place(around, service, &policy, upstream);
            let is_secured = |candidate: &Candidate| {
                kind == Kind::Usual && secured.holds_for(candidate, around.peers)
            };
            settle(&mut cluster, upstream, placement, is_secured, registry);
            let origins = policy_origins::of(port, rule, chosen, &policy, resources);
            cluster.origin = Some(Arc::new(ClusterOrigin {
                passed_over: passed_over.clone(),
                ..origins
            }));
            list.push(cluster);
        };
        let passes = around.passes && !service.definition.is_external();
        let of_mesh = passes.then(|| with_mesh_tls(upstream, around.peers));
        add(None, upstream, Kind::Usual);
        for subset in subsets {
            let chosen = select(upstream, &subset.labels);
            add(Some(subset), &chosen, Kind::Usual);
        }
        if let Some(of_mesh) = of_mesh {
            add(None, &of_mesh, Kind::Passed);
            for subset in subsets {
                let chosen = select(&of_mesh, &subset.labels);
                add(Some(subset), &chosen, Kind::Passed);
            }
        }
    }
}

fn place(
    around: &Surroundings<'_, '_>,
    service: &RegistryService<'_>,
    policy: &Effective<'_>,
    upstream: &Upstream,
) -> Placement {
    let wish = service.traffic_distribution;
    let setting = setting(policy.load_balancer, wish, around.input.mesh);
    let ejects = policy.outlier_detection.is_some();
    match upstream {
        Upstream::OriginalDestination => Placement::default(),
        Upstream::Endpoints(all) => placement::place(&setting, ejects, around.source, all),
    }
}

/// Whether it is one of those for connections whose TLS is passed on.
fn is_passed(name: &str) -> bool {
    name.starts_with("outbound_.")
}

/// Those with a sidecar that takes TLS of the mesh: who answers in clear text is not for clients of other networks.
fn with_mesh_tls(upstream: &Upstream, policies: &PeerPolicies<'_>) -> Upstream {
    match upstream {
        Upstream::OriginalDestination => Upstream::Endpoints(Vec::new()),
        Upstream::Endpoints(all) => {
            let of_mesh = all.iter().filter(|one| takes_mesh_tls(one, policies));
            Upstream::Endpoints(of_mesh.cloned().collect())
        }
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
    service: &RegistryService<'_>,
    (port, subset, name): (&Port<'_>, &str, Box<str>),
    policy: &Effective<'_>,
    registry: &mut Registry,
) -> Cluster {
    let state = registry.cluster(&name);
    let mut cluster = Cluster {
        outlier_detection: policy
            .outlier_detection
            .map(|written| outlier::detection(written, policy.extensions)),
        host: service.host.as_str().into(),
        port: port.number,
        subset: subset.into(),
        service: Some(Box::new(service.called())),
        is_external: service.definition.is_external(),
        balancing: balancing(policy),
        goes_by_host: service.definition.resolution() == Resolution::DynamicDns,
        protocol: upstream_protocol::outbound(port.protocol, policy.connection_pool, input.mesh),
        proxy_protocol: policy.proxy_protocol.map(|one| match one.version {
            ProxyProtocolVersion::V1 => Version::V1,
            ProxyProtocolVersion::V2 => Version::V2,
        }),
        warm_up: policy.load_balancer.and_then(warm_up),
        token_budget: policy.extensions.and_then(retries::token_budget),
        adaptive: policy
            .extensions
            .and_then(|written| written.adaptive_concurrency),
        ..Cluster::new(name, state)
    };
    connection_pool::apply(policy.connection_pool, input.mesh, &mut cluster);
    if let Some(budget) = policy.retry_budget {
        retries::limit(budget, &mut cluster);
    }
    cluster
}

/// How endpoints are picked. The rule's annotation stands in for the default only.
fn balancing(policy: &Effective<'_>) -> Balancing {
    let extensions = policy.extensions;
    let default = match extensions.and_then(|extensions| extensions.load_balancer) {
        Some(ExtendedLb::PeakEwma) => Balancing::PeakEwma,
        None => Balancing::LeastRequest,
    };
    match policy.load_balancer.and_then(|lb| lb.policy.as_ref()) {
        Some(LoadBalancerPolicy::Simple(simple)) => match simple {
            SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => default,
            SimpleLb::Random => Balancing::Random,
            SimpleLb::RoundRobin => Balancing::RoundRobin,
            SimpleLb::Passthrough => Balancing::Passthrough,
        },
        Some(LoadBalancerPolicy::ConsistentHash(hash)) => {
            let factor = extensions.and_then(|extensions| extensions.hash_balance_factor);
            Balancing::ConsistentHash(hashing::lookup(hash, factor))
        }
        None => default,
    }
}

/// Both spellings; what is left out is Istio's default, and Envoy's is the same.
fn warm_up(settings: &LoadBalancerSettings) -> Option<WarmUp> {
    let (duration, minimum, aggression) = match &settings.warmup {
        Some(warmup) => (warmup.duration, warmup.minimum_percent, warmup.aggression),
        None => (settings.warmup_duration_secs, None, None),
    };
    Some(WarmUp {
        duration: duration.filter(|duration| !duration.is_zero())?,
        minimum: minimum.unwrap_or(10.0) / 100.0,
        aggression: aggression.unwrap_or(1.0),
    })
}
