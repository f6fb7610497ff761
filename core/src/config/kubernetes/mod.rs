//! Kubernetes Service, EndpointSlice, Pod and Node, the fields a sidecar needs, as `kubectl get -o yaml` prints them.

mod decode;
mod endpoints;
mod pod_template;
mod secret;

pub use pod_template::PodTemplate;
pub use secret::Secret;

pub(super) use decode::{read_endpoint_slice, read_pod, read_service};
pub(super) use endpoints::read_endpoints;
pub(super) use pod_template::read_pod_template;
pub(super) use secret::read_secret;

use std::collections::BTreeMap;

use super::meta::Meta;
use super::protocol::{self, Protocol};
pub use super::traffic_distribution::TrafficDistribution;

/// A Kubernetes Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Who it is.
    pub meta: Meta,
    /// How it is reached.
    pub reach: Reach,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The pods behind it; empty when somebody else writes its EndpointSlices.
    pub selector: BTreeMap<String, String>,
    /// Annotation `networking.istio.io/exportTo`; empty is everybody.
    pub export_to: Vec<String>,
    /// `trafficDistribution`, or the annotation that older clusters use.
    pub traffic_distribution: TrafficDistribution,
}

/// `type` and `clusterIP` of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By these virtual addresses; none when the document was not read from a cluster.
    ClusterIp(Vec<String>),
    /// `clusterIP: None`: clients connect to the pods themselves.
    Headless,
    /// `type: ExternalName`: another name for this host.
    ExternalName(String),
}

impl Default for Reach {
    fn default() -> Self {
        Self::ClusterIp(Vec::new())
    }
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name; may be empty when it is the only one.
    pub name: String,
    /// The port clients use.
    pub number: u16,
    /// The port of the pods.
    pub target: TargetPort,
    /// `protocol: TCP`, not `UDP` or `SCTP`.
    pub is_tcp: bool,
    /// `appProtocol`.
    pub app_protocol: Option<String>,
}

impl Port {
    /// What is spoken on it.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        if self.is_tcp {
            protocol::of_service_port(self.app_protocol.as_deref(), &self.name, self.number)
        } else {
            Protocol::Udp
        }
    }
}

/// `targetPort`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TargetPort {
    /// The service's own number.
    #[default]
    Same,
    /// This number.
    Number(u16),
    /// The container port of this name.
    Name(String),
}

/// An EndpointSlice, or one subset of the older Endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Who it is.
    pub meta: Meta,
    /// The Service it belongs to, from the label `kubernetes.io/service-name`, or from the name of Endpoints.
    pub service: String,
    /// Its addresses are names, which Istio does not use.
    pub has_names: bool,
    /// The ports of its endpoints.
    pub ports: Vec<SlicePort>,
    /// The endpoints.
    pub endpoints: Vec<SliceEndpoint>,
}

impl EndpointSlice {
    /// Namespace and name of the service it belongs to.
    #[must_use]
    pub fn service_name(&self) -> (&str, &str) {
        (&self.meta.namespace, &self.service)
    }
}

/// A port of an EndpointSlice; it belongs to the service port of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlicePort {
    /// The service port's name, possibly empty.
    pub name: String,
    /// The number; 0 when left out, which stands for all ports.
    pub number: u16,
}

/// An endpoint of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// IP addresses of one pod; each is an endpoint.
    pub addresses: Vec<String>,
    /// `conditions.ready`; left out means ready.
    pub is_ready: bool,
    /// The topology zone.
    pub zone: String,
    /// The node it runs on.
    pub node: String,
    /// The name by which DNS knows it under a headless Service; may be empty.
    pub hostname: String,
    /// The pod behind it (`targetRef`), whose labels decide about subsets.
    pub pod: Option<PodRef>,
}

/// A pod by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Pod; its labels decide about subsets and selectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Who it is.
    pub meta: Meta,
    /// `status.podIPs`.
    pub addresses: Vec<String>,
    /// Named container ports.
    pub ports: BTreeMap<String, u16>,
    /// The condition `Ready`; true when the document has no status.
    pub is_ready: bool,
    /// `spec.serviceAccountName`.
    pub service_account: String,
    /// `spec.nodeName`.
    pub node: String,
    /// `spec.hostname`, by which DNS knows it under the headless Service `subdomain`; may be empty.
    pub hostname: String,
    /// `spec.subdomain`.
    pub subdomain: String,
}

/// A Node; its labels say where the pods on it are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Who it is. Nodes have no namespace.
    pub meta: Meta,
}

#[cfg(test)]
mod tests;
