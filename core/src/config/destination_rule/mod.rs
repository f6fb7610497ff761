//! DestinationRule, field for field as Istio writes it (networking.istio.io).
//!
//! Plain data. Reading is in `decode`, the rules in `validate`; merging and inheritance are settled by `compile`.

mod balancer;
mod balancer_decode;
pub(super) mod decode;
mod extensions;
mod tls_places;
mod traffic;
pub(super) mod validate;

pub use balancer::{
    ConsistentHash, HashKey, HashRing, HttpCookie, HttpCookieAttribute, LoadBalancerPolicy,
    LoadBalancerSettings, LocalityDistribute, LocalityFailover, LocalityLbSetting, SimpleLb,
    WarmupConfiguration, ZoneAwareLbSetting,
};
pub use extensions::{
    ExtendedLb, Extensions, FailurePercentageEjection, SuccessRateEjection, TokenRetryBudget,
};
pub use traffic::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, H2UpgradePolicy, Http2KeepAlive,
    HttpSettings, OutlierDetection, PortTrafficPolicy, ProxyProtocol, ProxyProtocolVersion,
    RetryBudget, TcpKeepalive, TcpSettings, TrafficPolicy, TunnelSettings,
};

use std::collections::BTreeMap;

use super::annotations::annotations;
use super::decode::{Object, object};
use super::meta::Meta;
use super::node::Node;
use super::pending;
use super::report::Report;

/// One DestinationRule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DestinationRule {
    /// Who it is.
    pub meta: Meta,
    /// FQDN, short name (of the rule's namespace) or `*.suffix`.
    pub host: String,
    /// For all subsets that do not override it.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named parts of the service.
    pub subsets: Vec<Subset>,
    /// Namespaces that see it: `.`, `*` or names; empty is the mesh default.
    pub export_to: Vec<String>,
    /// Client workloads it holds for; absent is all.
    pub workload_selector: Option<WorkloadSelector>,
    /// What its annotations add.
    pub extensions: Extensions,
}

/// A named part of a service: the endpoints that carry the labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subset {
    /// A DNS label, unique in the rule.
    pub name: String,
    /// Labels an endpoint must have; empty is every endpoint.
    pub labels: BTreeMap<String, String>,
    /// Overrides the rule's policy part by part.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// Which workloads of the namespace a resource holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadSelector {
    /// All of these must be there.
    pub match_labels: BTreeMap<String, String>,
}

/// Reads and checks the `spec` of a DestinationRule.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> DestinationRule {
    let extensions = annotations(report, &meta, extensions::read);
    report.field("spec", |report| {
        let rule = object(report, spec, |spec| decode::decode(meta, extensions, spec));
        validate::validate(&rule, report);
        pending::tell_destination_rule(spec, report);
        rule
    })
}

/// Reads and checks `tcpKeepalive` of the mesh; the report stands at what has it.
pub(super) fn mesh_keepalive(o: &mut Object<'_, '_>) -> Option<TcpKeepalive> {
    let keepalive = decode::tcp_keepalive(o);
    validate::pool::check_keepalive(keepalive.as_ref(), o.report());
    keepalive
}

/// Reads and checks `localityLbSetting` of the mesh. Whether anything is ejected is not its business.
pub(super) fn mesh_locality(o: &mut Object<'_, '_>) -> LocalityLbSetting {
    let setting = balancer_decode::locality(o);
    validate::locality::check(&setting, true, o.report());
    setting
}

/// Reads and checks `zoneAwareLbSetting` of the mesh.
pub(super) fn mesh_zone_aware(o: &mut Object<'_, '_>) -> ZoneAwareLbSetting {
    let setting = balancer_decode::zone_aware(o);
    validate::locality::check_zone_aware(&setting, o.report());
    setting
}
