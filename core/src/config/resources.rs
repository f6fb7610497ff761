//! Everything that was read, by kind.

use std::collections::BTreeSet;

use super::authorization_policy::AuthorizationPolicy;
use super::destination_rule::DestinationRule;
use super::envoy_filter::EnvoyFilter;
use super::gateway::Gateway;
use super::gateway_api::GatewayApi;
use super::kubernetes::{EndpointSlice, Node, Pod, PodTemplate, Secret, Service};
use super::peer_authentication::PeerAuthentication;
use super::request_authentication::RequestAuthentication;
use super::service_entry::ServiceEntry;
use super::sidecar::Sidecar;
use super::telemetry::Telemetry;
use super::virtual_service::VirtualService;
use super::workload_entry::WorkloadEntry;

/// Resources in the order of the sources. Those whose `meta.rejected` is set are here too: other resources may name
/// them, and are not to be blamed for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// networking.istio.io VirtualService.
    pub virtual_services: Vec<VirtualService>,
    /// networking.istio.io DestinationRule.
    pub destination_rules: Vec<DestinationRule>,
    /// networking.istio.io EnvoyFilter.
    pub envoy_filters: Vec<EnvoyFilter>,
    /// networking.istio.io ServiceEntry.
    pub service_entries: Vec<ServiceEntry>,
    /// networking.istio.io WorkloadEntry.
    pub workload_entries: Vec<WorkloadEntry>,
    /// networking.istio.io Sidecar.
    pub sidecars: Vec<Sidecar>,
    /// telemetry.istio.io Telemetry.
    pub telemetries: Vec<Telemetry>,
    /// security.istio.io AuthorizationPolicy.
    pub authorization_policies: Vec<AuthorizationPolicy>,
    /// security.istio.io PeerAuthentication.
    pub peer_authentications: Vec<PeerAuthentication>,
    /// security.istio.io RequestAuthentication.
    pub request_authentications: Vec<RequestAuthentication>,
    /// networking.istio.io Gateway.
    pub gateways: Vec<Gateway>,
    /// gateway.networking.k8s.io: Gateways and routes, as what they come to.
    pub gateway_api: GatewayApi,
    /// Kubernetes Service.
    pub services: Vec<Service>,
    /// Kubernetes EndpointSlice.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// Kubernetes Endpoints, as the EndpointSlices that they stand for.
    pub endpoints: Vec<EndpointSlice>,
    /// Kubernetes Pod.
    pub pods: Vec<Pod>,
    /// Kubernetes Node.
    pub nodes: Vec<Node>,
    /// Kubernetes Secret.
    pub secrets: Vec<Secret>,
    /// What Deployments and their like make pods from; no traffic goes there.
    pub pod_templates: Vec<PodTemplate>,
}

impl Resources {
    /// Whether there is any service.
    #[must_use]
    pub fn have_services(&self) -> bool {
        !self.services.is_empty() || !self.service_entries.is_empty()
    }

    /// Where services have endpoints: the EndpointSlices, and Endpoints of services that have none of these.
    #[must_use]
    pub fn slices(&self) -> Vec<&EndpointSlice> {
        let sliced = self.sliced_services();
        let older = self.endpoints.iter();
        let older = older.filter(|slice| !sliced.contains(&slice.service_name()));
        self.endpoint_slices.iter().chain(older).collect()
    }

    /// Namespaces and names of the services that have EndpointSlices.
    pub(super) fn sliced_services(&self) -> BTreeSet<(&str, &str)> {
        let usable = self.endpoint_slices.iter().filter(|s| !s.meta.rejected);
        usable.map(EndpointSlice::service_name).collect()
    }

    /// Adds the services of others, and where their endpoints are.
    pub fn take_services(&mut self, from: Self) {
        self.services.extend(from.services);
        self.service_entries.extend(from.service_entries);
        self.workload_entries.extend(from.workload_entries);
        self.endpoint_slices.extend(from.endpoint_slices);
        self.endpoints.extend(from.endpoints);
        self.pods.extend(from.pods);
        self.nodes.extend(from.nodes);
        self.secrets.extend(from.secrets);
        self.pod_templates.extend(from.pod_templates);
    }
}
