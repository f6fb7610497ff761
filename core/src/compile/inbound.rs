//! The cluster of the application behind an inbound listener: what is spoken to it, and the connection pool that holds.

use super::applications::{Application, Place, serves};
use super::destination_rules::{DestinationRules, Merged};
use super::endpoints::{Candidate, Upstream};
use super::membership::settle;
use super::placement::Placement;
use super::resources::ResourceTable;
use super::scope::Scope;
use super::services::{Port, RegistryService, Services};
use super::traffic_policy::{Effective, effective};
use super::{Input, connection_pool, policy_origins, upstream_protocol};
use crate::cluster::Registry;
use crate::config::destination_rule::ConnectionPoolSettings;
use crate::config::protocol::Protocol;
use crate::snapshot::{Address, BlockOrigin, Cluster, ClusterOrigin, Origin, ServiceName};

/// What limits requests to the application on a port: the Sidecar's listener for it, else the Sidecar, else the
/// DestinationRule of the service that the workload is an endpoint of (reference §1.2, §1.4). Of a DestinationRule nothing
/// but the pool holds for the server's side, and no subset does.
pub(super) fn pool<'a>(
    input: &Input<'_>,
    scope: &Scope<'a>,
    services: &Services<'a>,
    rules: &DestinationRules<'a>,
    application: &Application<'a>,
) -> Option<&'a ConnectionPoolSettings> {
    let of_sidecar = of_sidecar(scope, application).into_iter();
    of_sidecar
        .map(|(_, pool)| pool)
        .chain(of_rule(input, services, rules, application).map(|ruled| ruled.pool))
        .next()
}

/// Pools that a Sidecar has for a port, the one that holds first, each with its path.
fn of_sidecar<'a>(
    scope: &Scope<'a>,
    application: &Application<'a>,
) -> Vec<(String, &'a ConnectionPoolSettings)> {
    let Some(sidecar) = scope.sidecar else {
        return Vec::new();
    };
    let of_listener = application.ingress.and_then(|(at, listener)| {
        let pool = listener.connection_pool.as_ref()?;
        Some((format!("spec.ingress[{at}].connectionPool"), pool))
    });
    let of_all = sidecar.inbound_connection_pool.as_ref();
    let of_all = of_all.map(|pool| ("spec.inboundConnectionPool".to_owned(), pool));
    of_listener.into_iter().chain(of_all).collect()
}

/// The pool of a DestinationRule for a port of the service that the workload is an endpoint of.
struct Ruled<'s, 'a> {
    port: &'s Port<'a>,
    rule: &'s Merged<'a>,
    policy: Effective<'a>,
    pool: &'a ConnectionPoolSettings,
}

fn of_rule<'s, 'a>(
    input: &Input<'_>,
    services: &'s Services<'a>,
    rules: &'s DestinationRules<'a>,
    application: &Application<'_>,
) -> Option<Ruled<'s, 'a>> {
    let application = application.port?;
    services.iter().find_map(|service| {
        let mut ports = service.ports.iter();
        let port = ports.find(|port| serves(input, service, port, application))?;
        let rule = rules.find(&service.host, service.namespace)?;
        let policy = effective(rule.traffic_policy, None, port.number);
        let pool = policy.connection_pool?;
        Some(Ruled {
            port,
            rule,
            policy,
            pool,
        })
    })
}

/// Where the pool stands, what it took the place of, and the port of the service that the application answers.
pub(super) fn origin(
    input: &Input<'_>,
    scope: &Scope<'_>,
    services: &Services<'_>,
    rules: &DestinationRules<'_>,
    application: &Application<'_>,
    resources: &mut ResourceTable,
) -> ClusterOrigin {
    let mut origin = match of_rule(input, services, rules, application) {
        Some(ruled) => {
            policy_origins::of(ruled.port, Some(ruled.rule), None, &ruled.policy, resources)
        }
        None => oldest(input, services, application)
            .map(|(_, port)| policy_origins::of(port, None, None, &Effective::default(), resources))
            .unwrap_or_default(),
    };
    let mut places: Vec<Origin> = Vec::new();
    if let Some(sidecar) = scope.sidecar {
        let paths = of_sidecar(scope, application).into_iter();
        let place =
            |(path, _): (String, _)| policy_origins::at("Sidecar", &sidecar.meta, &path, resources);
        places.extend(paths.map(place));
    }
    let blocks = core::mem::take(&mut origin.blocks);
    let of_pool = blocks.into_iter().filter(|block| block.name == POOL);
    places.extend(of_pool.flat_map(|block| [block.origin].into_iter().chain(block.overrides)));
    let mut places = places.into_iter();
    let block = places.next().map(|origin| BlockOrigin {
        name: POOL,
        origin,
        is_set: true,
        overrides: places.collect(),
    });
    origin.blocks = block.into_iter().collect();
    origin
}

/// The one block of a traffic policy that holds for the server's side.
const POOL: &str = "connectionPool";

/// What is spoken on a port of the application: what the Sidecar's listener for it says, else the port of the service that
/// the workload is an endpoint of, of several the oldest (Istio's first service target). `None` where nobody says anything of the port.
pub(super) fn said_protocol(
    input: &Input<'_>,
    services: &Services<'_>,
    application: &Application<'_>,
) -> Option<Protocol> {
    let listener = application.ingress.map(|(_, listener)| listener);
    if let Some(port) = listener.and_then(|listener| listener.port.as_ref()) {
        return Some(Protocol::parse(&port.protocol).unwrap_or_default());
    }
    let oldest = oldest(input, services, application);
    oldest.map(|(_, port)| port.protocol)
}

/// What the service is called that the workload is an endpoint of with a port of the application.
pub(super) fn service(
    input: &Input<'_>,
    services: &Services<'_>,
    application: &Application<'_>,
) -> Option<Box<ServiceName>> {
    let (service, _) = oldest(input, services, application)?;
    Some(Box::new(service.called()))
}

/// The service, and its port, that the workload is an endpoint of with a port of the application; of several the oldest.
fn oldest<'s, 'a>(
    input: &Input<'_>,
    services: &'s Services<'a>,
    application: &Application<'_>,
) -> Option<(&'s RegistryService<'a>, &'s Port<'a>)> {
    let application = application.port?;
    let served = services.iter().filter_map(|service| {
        let mut ports = service.ports.iter();
        let port = ports.find(|port| serves(input, service, port, application))?;
        Some((service, port))
    });
    // Of equally old ones the first by host name, as they stand.
    served.min_by_key(|(_, port)| port.sources.first().and_then(|source| source.created()))
}

/// `inbound|8080||`, with the address where two of one port are at different places; `InboundPassthroughCluster` for what has no
/// port of its own.
pub(super) fn cluster_name(all: &[Application<'_>], at: usize) -> Box<str> {
    let application = &all[at];
    let Some(port) = application.port else {
        return PASSTHROUGH.into();
    };
    let first = all.iter().find(|other| other.port == Some(port));
    if first.is_none_or(|first| first.at == application.at) {
        return format!("inbound|{port}||").into();
    }
    match &application.at {
        Place::Address(Address::Socket(at)) => format!("inbound|{port}||{}", at.ip()).into(),
        Place::Address(at) => format!("inbound|{port}||{at}").into(),
        Place::Original(_) => format!("inbound|{port}||original").into(),
    }
}

/// What Istio calls the cluster of ports that nobody names.
const PASSTHROUGH: &str = "InboundPassthroughCluster";

/// The cluster of the application.
pub(super) fn cluster(
    input: &Input<'_>,
    all: &[Application<'_>],
    at: usize,
    protocol: Protocol,
    pool: Option<&ConnectionPoolSettings>,
    registry: &mut Registry,
) -> Cluster {
    let name = cluster_name(all, at);
    let state = registry.cluster(&name);
    let application = &all[at];
    let mut cluster = Cluster {
        port: match application.at {
            Place::Original(Some(port)) => port,
            Place::Original(None) | Place::Address(_) => application.port(),
        },
        protocol: upstream_protocol::inbound(protocol, pool),
        ..Cluster::new(name, state)
    };
    connection_pool::apply(pool, input.mesh, &mut cluster);
    let (upstream, placement) = match &application.at {
        Place::Address(address) => {
            let application = Candidate::new(address.clone());
            let upstream = Upstream::Endpoints(vec![application]);
            (upstream, Placement::alike(1))
        }
        Place::Original(_) => (Upstream::OriginalDestination, Placement::default()),
    };
    settle(&mut cluster, &upstream, placement, |_| false, registry);
    cluster
}

#[cfg(test)]
mod tests {
    use crate::cluster::Registry;
    use crate::compile::{Answers, Inbound, Workload, compile};
    use crate::config::mesh::MeshConfig;
    use crate::config::{Source, load};

    const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  trafficPolicy:
    connectionPool: {http: {http2MaxRequests: 3}}
    outlierDetection: {}
  subsets: [{name: v1, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 9}}}}]
";

    /// The limit of requests towards an application on a port.
    fn limit(yaml: &str, app: &str, port: u16) -> Option<u32> {
        let source = Source {
            name: "f",
            bytes: yaml.as_bytes(),
        };
        let resources = load(&[source], "default").resources;
        let workload = Workload {
            labels: [("app".to_owned(), app.to_owned())].into(),
            ..Workload::default()
        };
        let at = |port| ([127, 0, 0, 1], port).into();
        let inbound = [Inbound {
            listen: at(15006),
            application: at(port),
        }];
        let mesh = MeshConfig::default();
        let registry = &mut Registry::default();
        let compiled = compile(
            &resources,
            &workload,
            &mesh,
            &inbound,
            &Answers::new(),
            registry,
            0,
        );
        let mut clusters = compiled.snapshot.clusters.iter();
        let cluster = clusters.find(|c| c.name.starts_with("inbound|")).unwrap();
        assert!(cluster.outlier_detection.is_none());
        cluster.limits.map(|limits| limits.requests)
    }

    #[test]
    fn the_most_particular_pool_limits_the_application() {
        let sidecar = |spec: &str| {
            format!(
                "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\nspec: {spec}\n"
            )
        };
        let both = "{inboundConnectionPool: {http: {http2MaxRequests: 5}}, ingress: [{port: {number: 9000, name: http, \
                    protocol: HTTP}, defaultEndpoint: '127.0.0.1:8080', connectionPool: {http: {http2MaxRequests: 7}}}]}";
        let whole = "{inboundConnectionPool: {http: {http2MaxRequests: 5}}}";
        for (yaml, app, port, want) in [
            (SERVICE.to_owned(), "shop", 8080, Some(3)),
            (SERVICE.to_owned(), "shop", 80, None),
            (SERVICE.to_owned(), "other", 8080, None),
            (sidecar(whole), "shop", 8080, Some(5)),
            (sidecar(whole), "other", 80, Some(5)),
            (sidecar(both), "shop", 8080, Some(7)),
            (sidecar(both), "shop", 9000, Some(5)),
        ] {
            assert_eq!(limit(&yaml, app, port), want, "{app} {port} {yaml}");
        }
    }

    #[test]
    fn the_pool_of_an_entry_is_that_of_the_port_that_the_application_serves() {
        let entry = |spec: &str| {
            format!(
                "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec: {{hosts: [shop.test], resolution: STATIC, {spec}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec: {{host: shop.test, trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 3}}}}}}}}
"
            )
        };
        let port =
            |more: &str| format!("ports: [{{number: 80, name: http, protocol: HTTP{more}}}]");
        let selector = "workloadSelector: {labels: {app: shop}}";
        let selected = entry(&format!("{selector}, {}", port("")));
        let moved = entry(&format!("{selector}, {}", port(", targetPort: 8080")));
        let listed = entry(&format!("endpoints: [{{address: 10.0.0.1}}], {}", port("")));
        for (what, yaml, app, port, want) in [
            ("its port", &selected, "shop", 80, Some(3)),
            ("another port", &selected, "shop", 8080, None),
            ("another workload", &selected, "other", 80, None),
            ("the port behind its port", &moved, "shop", 8080, Some(3)),
            ("the port before it", &moved, "shop", 80, None),
            ("endpoints that are no workloads", &listed, "shop", 80, None),
        ] {
            assert_eq!(limit(yaml, app, port), want, "{what}");
        }
    }
}
