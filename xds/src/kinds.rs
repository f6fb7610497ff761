//! The kinds that travel, by the names that istiod's `api` generator gives them.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A kind of object, as Kubernetes knows it. Kinds are told apart, and ordered, by their place in [`KINDS`]: each object has one in
/// its key.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    at: u8,
    /// Such as `networking.istio.io`; empty for those of Kubernetes' core.
    pub group: &'static str,
    /// The version that is asked for, such as `v1`.
    pub version: &'static str,
    /// Such as `VirtualService`.
    pub kind: &'static str,
    /// As it stands in paths of the API, such as `virtualservices`.
    pub plural: &'static str,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// What is no object of its own and made of others, for clients of Envoy's words.
pub(crate) const MADE: &[Kind] = &[
    made(4, "envoy.config.cluster.v3.Cluster"),
    made(3, "envoy.config.endpoint.v3.ClusterLoadAssignment"),
    made(2, "envoy.config.listener.v3.Listener"),
    made(1, "envoy.config.route.v3.RouteConfiguration"),
];

/// The group of that.
const MADE_GROUP: &str = "type.googleapis.com";

/// Those that `outrigger control` knows, in the order in which they are read.
pub const KINDS: &[Kind] = ALL.split_at(OURS).0;

/// All of them: ours, and behind them those that istiod alone tells of.
const ALL: &[Kind] = &numbered(ROWS);

/// How many of all our own control plane knows.
const OURS: usize = 26;

/// Who is asked for a configuration: what there is to ask for differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// `outrigger control`: everything as Kubernetes has it, see [`KINDS`].
    #[default]
    Control,
    /// istiod's `api` generator: Istio's own kinds. What is in Kubernetes alone it tells of as ServiceEntries, and what its Gateway
    /// API means as Gateways and VirtualServices.
    Istiod,
}

/// Groups of which istiod tells.
const OF_ISTIO: [&str; 3] = [
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
];

impl Asked {
    /// What is asked for there, in the order in which it is read.
    #[must_use]
    pub fn kinds(self) -> Vec<&'static Kind> {
        match self {
            Self::Control => KINDS.iter().collect(),
            Self::Istiod => {
                let all = ALL.iter();
                all.filter(|kind| OF_ISTIO.contains(&kind.group) || kind.is_mesh_config())
                    .collect()
            }
        }
    }
}

const fn numbered<const N: usize>(mut rows: [Kind; N]) -> [Kind; N] {
    let mut at = 0;
    while at < N {
        #[expect(clippy::cast_possible_truncation, reason = "there are some thirty")]
        {
            rows[at].at = at as u8;
        }
        at += 1;
    }
    rows
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.at.hash(state);
    }
}

const ROWS: [Kind; 29] = [
    cluster("", "v1", "Namespace", "namespaces"),
    cluster("", "v1", "Node", "nodes"),
    of("", "v1", "Service", "services"),
    of("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    of("", "v1", "Pod", "pods"),
    of("", "v1", "Secret", "secrets"),
    of("", "v1", "ConfigMap", "configmaps"),
    networking("DestinationRule", "destinationrules"),
    networking("Gateway", "gateways"),
    networking("ServiceEntry", "serviceentries"),
    networking("Sidecar", "sidecars"),
    networking("VirtualService", "virtualservices"),
    networking("WorkloadEntry", "workloadentries"),
    of(
        "networking.istio.io",
        "v1alpha3",
        "EnvoyFilter",
        "envoyfilters",
    ),
    security("AuthorizationPolicy", "authorizationpolicies"),
    security("PeerAuthentication", "peerauthentications"),
    security("RequestAuthentication", "requestauthentications"),
    of("telemetry.istio.io", "v1", "Telemetry", "telemetries"),
    cluster(
        "gateway.networking.k8s.io",
        "v1",
        "GatewayClass",
        "gatewayclasses",
    ),
    gateway_api("v1", "Gateway", "gateways"),
    gateway_api("v1", "HTTPRoute", "httproutes"),
    gateway_api("v1", "GRPCRoute", "grpcroutes"),
    gateway_api("v1alpha2", "TCPRoute", "tcproutes"),
    gateway_api("v1", "TLSRoute", "tlsroutes"),
    gateway_api("v1beta1", "ReferenceGrant", "referencegrants"),
    gateway_api("v1", "BackendTLSPolicy", "backendtlspolicies"),
    of(
        "networking.istio.io",
        "v1beta1",
        "ProxyConfig",
        "proxyconfigs",
    ),
    networking("WorkloadGroup", "workloadgroups"),
    cluster("", "v1alpha1", "MeshConfig", "meshconfigs"),
];

impl Kind {
    /// By the name that a document has: `apiVersion` and `kind`. The version may be another one that the group has.
    #[must_use]
    pub fn named(api_version: &str, kind: &str) -> Option<&'static Self> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let mut kinds = ALL.iter();
        kinds.find(|known| known.group == group && known.kind == kind)
    }

    /// By the name that discovery gives it, see [`Kind::type_url`]; also of another version.
    #[must_use]
    pub fn of_type(type_url: &str) -> Option<&'static Self> {
        if let Some(made) = type_url.strip_prefix(MADE_GROUP) {
            let mut kinds = MADE.iter();
            return kinds.find(|kind| made.strip_prefix('/') == Some(kind.kind));
        }
        let (api_version, kind) = type_url.rsplit_once('/')?;
        let api_version = api_version.strip_prefix("core/").unwrap_or(api_version);
        Self::named(api_version, kind)
    }

    /// Such as `networking.istio.io/v1/VirtualService`; `core` stands for the group of Kubernetes' own.
    #[must_use]
    pub fn type_url(&self) -> String {
        if self.is_made() {
            return format!("{MADE_GROUP}/{}", self.kind);
        }
        let group = if self.group.is_empty() {
            "core"
        } else {
            self.group
        };
        format!("{group}/{}/{}", self.version, self.kind)
    }

    /// Whether it is no object of its own and made of others.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.group == MADE_GROUP
    }

    /// Whether it is istiod's for the settings of the mesh, of which there are one, without a name.
    #[must_use]
    pub fn is_mesh_config(&self) -> bool {
        self.group.is_empty() && self.kind == "MeshConfig"
    }

    /// Whether a first configuration without it is none. What of these is not told changes nothing that a sidecar does, and a server that
    /// does not know them need not answer.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !matches!(self.kind, "ProxyConfig" | "WorkloadGroup")
    }

    /// As documents write it, such as `networking.istio.io/v1`, or `v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

const fn of(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        at: 0,
        group,
        version,
        kind,
        plural,
        namespaced: true,
    }
}

const fn cluster(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        namespaced: false,
        ..of(group, version, kind, plural)
    }
}

/// The kind is the full name of a message; `at` is counted from the last place of all.
const fn made(at: u8, kind: &'static str) -> Kind {
    Kind {
        at: u8::MAX - at,
        ..cluster(MADE_GROUP, "v3", kind, "")
    }
}

const fn networking(kind: &'static str, plural: &'static str) -> Kind {
    of("networking.istio.io", "v1", kind, plural)
}

const fn security(kind: &'static str, plural: &'static str) -> Kind {
    of("security.istio.io", "v1", kind, plural)
}

const fn gateway_api(version: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    of("gateway.networking.k8s.io", version, kind, plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_both_of_its_names() {
        for kind in ALL {
            assert_eq!(Kind::named(&kind.api_version(), kind.kind), Some(kind));
            assert_eq!(Kind::of_type(&kind.type_url()), Some(kind));
        }
    }

    #[test]
    fn who_is_asked_knows_what_is_asked_for() {
        let urls = |asked: Asked| -> Vec<String> {
            let kinds = asked.kinds().into_iter();
            kinds.map(Kind::type_url).collect()
        };
        let (ours, istiods) = (urls(Asked::Control), urls(Asked::Istiod));
        assert_eq!(ours.len(), OURS);
        assert_eq!(ours.last().unwrap(), &ALL[OURS - 1].type_url());
        let mut sorted = istiods;
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "core/v1alpha1/MeshConfig",
                "networking.istio.io/v1/DestinationRule",
                "networking.istio.io/v1/Gateway",
                "networking.istio.io/v1/ServiceEntry",
                "networking.istio.io/v1/Sidecar",
                "networking.istio.io/v1/VirtualService",
                "networking.istio.io/v1/WorkloadEntry",
                "networking.istio.io/v1/WorkloadGroup",
                "networking.istio.io/v1alpha3/EnvoyFilter",
                "networking.istio.io/v1beta1/ProxyConfig",
                "security.istio.io/v1/AuthorizationPolicy",
                "security.istio.io/v1/PeerAuthentication",
                "security.istio.io/v1/RequestAuthentication",
                "telemetry.istio.io/v1/Telemetry",
            ]
        );
    }

    #[test]
    fn a_gateway_is_one_of_two() {
        let istio = Kind::named("networking.istio.io/v1beta1", "Gateway").unwrap();
        let kubernetes = Kind::named("gateway.networking.k8s.io/v1", "Gateway").unwrap();
        assert_ne!(istio, kubernetes);
        for (type_url, kind) in [
            ("core/v1/Service", Some("Service")),
            (
                "networking.istio.io/v1alpha3/VirtualService",
                Some("VirtualService"),
            ),
            (
                "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                Some("envoy.config.endpoint.v3.ClusterLoadAssignment"),
            ),
            ("type.googleapis.com/envoy.config.cluster.v2.Cluster", None),
            ("type.googleapis.com", None),
            ("Service", None),
        ] {
            assert_eq!(
                Kind::of_type(type_url).map(|kind| kind.kind),
                kind,
                "{type_url}"
            );
        }
    }
}
