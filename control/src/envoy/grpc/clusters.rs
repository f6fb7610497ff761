//! Clusters as clients of gRPC know them (CDS).

use outrigger_core::snapshot::{
    self as core, Balancing, ClientTls, HashTableKind, KeyName, Limits, LocalityPolicy, PeerNames,
    RootsName, Trust,
};
use outrigger_xds::envoy::cluster::{
    self, CircuitBreakers, Cluster, CombinedValidation, CommonTlsContext, EDS, EdsClusterConfig,
    ExactText, LoadBalancingPolicy, Policy, ProviderInstance, RingHashLbConfig, Thresholds,
    TransportSocket, TypedExtensionConfig, UpstreamTlsContext, Validation, WrrLocality,
};
use outrigger_xds::envoy::source::ConfigSource;
use outrigger_xds::envoy::typed;

use super::Notes;

/// What is not done.
const WITHOUT: &str = "calls are served without";

/// No such cluster is told of.
const FAILS: &str = "calls to it fail";

/// A cluster; `None` where its endpoints could not be spoken to as they are to be.
pub(in super::super) fn cluster(cluster: &core::Cluster, notes: &mut Notes) -> Option<Cluster> {
    let name = &*cluster.name;
    if cluster.proxy_protocol.is_some() {
        notes.note(name, "the PROXY protocol", FAILS);
        return None;
    }
    let transport_socket = match cluster.tls.as_deref().map(of_mesh) {
        None => None,
        Some(Some(context)) => Some(TransportSocket {
            name: cluster::TLS.into(),
            typed_config: Some(typed(cluster::UPSTREAM_TLS, &context)),
        }),
        Some(None) => {
            notes.note(name, "TLS but that of the mesh", FAILS);
            return None;
        }
    };
    tell_what_is_left_out(cluster, notes);
    let most = cluster.limits.map_or(u32::MAX, |limits| limits.requests);
    let (lb_policy, ring_hash_lb_config, load_balancing_policy) = balancing(cluster, notes);
    Some(Cluster {
        name: name.to_owned(),
        r#type: EDS,
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ConfigSource::same_stream()),
            service_name: name.to_owned(),
        }),
        lb_policy,
        circuit_breakers: (most != u32::MAX).then(|| CircuitBreakers {
            thresholds: vec![Thresholds {
                max_requests: Some(most),
            }],
        }),
        ring_hash_lb_config,
        transport_socket,
        load_balancing_policy,
    })
}

type Balanced = (i32, Option<RingHashLbConfig>, Option<LoadBalancingPolicy>);

/// How endpoints are picked. The least busy one is asked for in words that not all clients know; those take the next.
fn balancing(cluster: &core::Cluster, notes: &mut Notes) -> Balanced {
    let in_turn = (cluster::ROUND_ROBIN, None, None);
    let name = &*cluster.name;
    match cluster.balancing {
        Balancing::LeastRequest => {
            let inner = policies(&[policy(cluster::LEAST_REQUEST), policy(cluster::IN_TURN)]);
            let outer = WrrLocality {
                endpoint_picking_policy: Some(inner),
            };
            let outer = named(cluster::WRR_LOCALITY, &outer);
            (cluster::ROUND_ROBIN, None, Some(policies(&[outer])))
        }
        Balancing::ConsistentHash(hash) => {
            let minimum_ring_size = match hash.table {
                HashTableKind::Ring { min_size } => Some(min_size),
                HashTableKind::Maglev { .. } => {
                    notes.note(name, "Maglev", "a ring is hashed to");
                    None
                }
            };
            if hash.balance_factor.is_some() {
                notes.note(name, "bounded loads of a ring", WITHOUT);
            }
            let field = cluster.hash_policy.as_deref();
            if !matches!(
                field,
                Some(core::HashPolicy::Field(core::MatchedField::Field(_)))
            ) {
                let therefore = "each call goes to a random endpoint";
                notes.note(name, "what is to be hashed, which is no header", therefore);
            }
            let ring = RingHashLbConfig { minimum_ring_size };
            (cluster::RING_HASH, Some(ring), None)
        }
        Balancing::Random | Balancing::PeakEwma => {
            notes.note(name, "that load balancer", "endpoints have turns");
            in_turn
        }
        // A cluster that passes on has no endpoints to be told of.
        Balancing::RoundRobin | Balancing::Passthrough => in_turn,
    }
}

fn policy(name: &str) -> Policy {
    named(name, &())
}

fn named(name: &str, message: &impl outrigger_xds::messages::Message) -> Policy {
    Policy {
        typed_extension_config: Some(TypedExtensionConfig {
            name: name.to_owned(),
            typed_config: Some(typed(&format!("type.googleapis.com/{name}"), message)),
        }),
    }
}

fn policies(all: &[Policy]) -> LoadBalancingPolicy {
    LoadBalancingPolicy {
        policies: all.to_vec(),
    }
}

/// TLS of the mesh, with the certificates that the client's own bootstrap file calls `default`, as istiod has it; `None` of any other.
fn of_mesh(tls: &ClientTls) -> Option<UpstreamTlsContext> {
    let Trust::Chain {
        roots: RootsName::Mesh,
        crl: None,
        names,
    } = &tls.trust
    else {
        return None;
    };
    if tls.identity != Some(KeyName::Mesh) {
        return None;
    }
    let names: &[Box<str>] = match names {
        PeerNames::Any => &[],
        PeerNames::Of(names) => names,
        PeerNames::Wanted => return None,
    };
    let names = names.iter().map(|name| ExactText {
        exact: name.to_string(),
    });
    let own = instance("default");
    let roots = instance("ROOTCA");
    Some(UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            combined_validation_context: Some(CombinedValidation {
                default_validation_context: Some(Validation {
                    match_subject_alt_names: names.collect(),
                    ca_provider: Some(roots.clone()),
                }),
                old_ca_provider: Some(roots),
            }),
            old_certificate_provider: Some(own.clone()),
            certificate_provider: Some(own),
        }),
    })
}

fn instance(certificate: &str) -> ProviderInstance {
    ProviderInstance {
        instance_name: "default".into(),
        certificate_name: certificate.into(),
    }
}

/// What concerns neither whom a call reaches nor who answers.
fn tell_what_is_left_out(cluster: &core::Cluster, notes: &mut Notes) {
    let limits = cluster.limits.unwrap_or(Limits::NONE);
    let of_connections = [limits.connections, limits.pending];
    let mut weights = cluster.endpoints.iter().map(|endpoint| endpoint.weight);
    let first = weights.next();
    let left_out = [
        (cluster.outlier_detection.is_some(), "`outlierDetection`"),
        (cluster.warm_up.is_some(), "`warmup`"),
        (
            of_connections.iter().any(|limit| *limit != u32::MAX),
            "limits of connections",
        ),
        (
            cluster.adaptive.is_some() || cluster.token_budget.is_some(),
            "limits that adapt",
        ),
        (
            matches!(cluster.locality_policy, LocalityPolicy::ZoneAware(_)),
            "zone-aware routing",
        ),
        (
            weights.any(|weight| Some(weight) != first)
                && !matches!(cluster.balancing, Balancing::ConsistentHash(_)),
            "weights of endpoints but between localities",
        ),
    ];
    for (_, what) in left_out.iter().filter(|(is, _)| *is) {
        notes.note(&cluster.name, what, WITHOUT);
    }
}
