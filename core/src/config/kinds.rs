//! Which kinds there are: the apiVersion and kind matrix, and what this proxy does with each.
//!
//! Resources are known by group and kind. The version only has to be one that the kind has; the schemas are the same.

use super::spelling::suggestion;

/// Istio's kinds that are read into types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IstioKind {
    /// security.istio.io AuthorizationPolicy.
    AuthorizationPolicy,
    /// networking.istio.io DestinationRule.
    DestinationRule,
    /// networking.istio.io EnvoyFilter, as far as local rate limits go.
    EnvoyFilter,
    /// networking.istio.io Gateway.
    Gateway,
    /// security.istio.io PeerAuthentication.
    PeerAuthentication,
    /// security.istio.io RequestAuthentication.
    RequestAuthentication,
    /// networking.istio.io ServiceEntry.
    ServiceEntry,
    /// networking.istio.io Sidecar.
    Sidecar,
    /// telemetry.istio.io Telemetry.
    Telemetry,
    /// networking.istio.io VirtualService.
    VirtualService,
    /// networking.istio.io WorkloadEntry.
    WorkloadEntry,
}

/// Kubernetes' kinds that are read into types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubernetesKind {
    /// Kubernetes Service.
    Service,
    /// Kubernetes EndpointSlice.
    EndpointSlice,
    /// Kubernetes Endpoints, the older form of EndpointSlices.
    Endpoints,
    /// Kubernetes Pod.
    Pod,
    /// Kubernetes Node.
    Node,
    /// Kubernetes Secret.
    Secret,
}

/// The kinds that are judged by Istio's rules and not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedKind {
    /// networking.istio.io ProxyConfig.
    ProxyConfig,
    /// extensions.istio.io TrafficExtension.
    TrafficExtension,
    /// extensions.istio.io WasmPlugin.
    WasmPlugin,
    /// networking.istio.io WorkloadGroup.
    WorkloadGroup,
}

/// What happens to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is read, by its `spec`.
    Istio(IstioKind),
    /// It is read as a whole.
    Kubernetes(KubernetesKind),
    /// It is a Kubernetes List, whose `items` are resources.
    List,
    /// It is judged, and then not used.
    Judged(JudgedKind),
    /// The kind is known, the version is none of its own. Holds the versions it has.
    WrongVersion(&'static [&'static str]),
    /// The kind is one of another group, for which the group of the document is a slip. Holds what was meant.
    WrongGroup(String),
    /// A group of older versions of Istio, which is not read.
    NotRead,
    /// A group of Istio's without such a kind. Holds a hint, possibly empty.
    Unknown(String),
    /// Not Istio's, and nothing the proxy needs.
    Foreign,
}

/// Versions of networking.istio.io; the three schemas are identical.
const NETWORKING: &[&str] = &["v1", "v1beta1", "v1alpha3"];

/// Versions of security.istio.io.
const SECURITY: &[&str] = &["v1", "v1beta1"];

struct Row {
    group: &'static str,
    kind: &'static str,
    versions: &'static [&'static str],
    treatment: Treatment,
}

const fn row(
    group: &'static str,
    kind: &'static str,
    versions: &'static [&'static str],
    treatment: Treatment,
) -> Row {
    Row {
        group,
        kind,
        versions,
        treatment,
    }
}

const fn istio(kind: &'static str, versions: &'static [&'static str], read: IstioKind) -> Row {
    row(
        "networking.istio.io",
        kind,
        versions,
        Treatment::Istio(read),
    )
}

const fn kubernetes(group: &'static str, kind: &'static str, read: KubernetesKind) -> Row {
    row(group, kind, &["v1"], Treatment::Kubernetes(read))
}

const fn judged(
    group: &'static str,
    kind: &'static str,
    versions: &'static [&'static str],
    judged: JudgedKind,
) -> Row {
    row(group, kind, versions, Treatment::Judged(judged))
}

const KINDS: &[Row] = &[
    istio("DestinationRule", NETWORKING, IstioKind::DestinationRule),
    istio("VirtualService", NETWORKING, IstioKind::VirtualService),
    istio("Gateway", NETWORKING, IstioKind::Gateway),
    istio("ServiceEntry", NETWORKING, IstioKind::ServiceEntry),
    istio("WorkloadEntry", NETWORKING, IstioKind::WorkloadEntry),
    istio("Sidecar", NETWORKING, IstioKind::Sidecar),
    istio("EnvoyFilter", &["v1alpha3"], IstioKind::EnvoyFilter),
    row(
        "telemetry.istio.io",
        "Telemetry",
        &["v1", "v1alpha1"],
        Treatment::Istio(IstioKind::Telemetry),
    ),
    row("", "List", &["v1"], Treatment::List),
    kubernetes("", "Service", KubernetesKind::Service),
    kubernetes("", "Endpoints", KubernetesKind::Endpoints),
    kubernetes("", "Pod", KubernetesKind::Pod),
    kubernetes("", "Node", KubernetesKind::Node),
    kubernetes("", "Secret", KubernetesKind::Secret),
    kubernetes(
        "discovery.k8s.io",
        "EndpointSlice",
        KubernetesKind::EndpointSlice,
    ),
    judged(
        "networking.istio.io",
        "ProxyConfig",
        &["v1beta1"],
        JudgedKind::ProxyConfig,
    ),
    judged(
        "networking.istio.io",
        "WorkloadGroup",
        NETWORKING,
        JudgedKind::WorkloadGroup,
    ),
    row(
        "security.istio.io",
        "AuthorizationPolicy",
        SECURITY,
        Treatment::Istio(IstioKind::AuthorizationPolicy),
    ),
    row(
        "security.istio.io",
        "PeerAuthentication",
        SECURITY,
        Treatment::Istio(IstioKind::PeerAuthentication),
    ),
    row(
        "security.istio.io",
        "RequestAuthentication",
        SECURITY,
        Treatment::Istio(IstioKind::RequestAuthentication),
    ),
    judged(
        "extensions.istio.io",
        "TrafficExtension",
        &["v1alpha1"],
        JudgedKind::TrafficExtension,
    ),
    judged(
        "extensions.istio.io",
        "WasmPlugin",
        &["v1alpha1"],
        JudgedKind::WasmPlugin,
    ),
];

/// What to do with a document of this `apiVersion` (group and version) and kind.
#[must_use]
pub fn treatment(api_version: &str, kind: &str) -> Treatment {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(row) = KINDS
        .iter()
        .find(|row| row.group == group && row.kind == kind)
    {
        return if row.versions.contains(&version) {
            row.treatment.clone()
        } else {
            Treatment::WrongVersion(row.versions)
        };
    }
    if let Some(row) = KINDS
        .iter()
        .find(|row| row.kind == kind && is_slip_for(api_version, row.group))
    {
        let known = row.versions.iter().find(|known| **known == version);
        let version = known.or_else(|| row.versions.first()).unwrap_or(&version);
        return Treatment::WrongGroup(format!("{}/{version}", row.group));
    }
    if !is_istio(group) {
        return Treatment::Foreign;
    }
    let known: Vec<_> = KINDS
        .iter()
        .filter(|row| row.group == group)
        .map(|row| row.kind)
        .collect();
    if known.is_empty() {
        // A group of older versions, such as `config.istio.io`.
        Treatment::NotRead
    } else {
        Treatment::Unknown(suggestion(kind, &known))
    }
}

/// Whether the proxy works by resources of this kind. The others are read or judged for their author's sake alone.
#[must_use]
pub(super) fn is_used(kind: &str) -> bool {
    let mut rows = KINDS.iter().filter(|row| row.kind == kind);
    rows.all(|row| {
        !matches!(
            row.treatment,
            Treatment::Judged(_) | Treatment::Istio(IstioKind::Gateway)
        )
    })
}

/// Whether a kind is one of Istio's and of nobody else's.
#[must_use]
pub(super) fn is_of_istio_alone(kind: &str) -> bool {
    let mut rows = KINDS.iter().filter(|row| is_istio(row.group));
    kind != "Gateway" && rows.any(|row| row.kind == kind)
}

/// Whether somebody who wrote this meant the group: `networking.isito.io/v1`, or the group without a version.
fn is_slip_for(api_version: &str, group: &'static str) -> bool {
    let written = api_version
        .split_once('/')
        .map_or(api_version, |(group, _)| group);
    !group.is_empty() && !suggestion(written, &[group]).is_empty()
}

fn is_istio(group: &str) -> bool {
    group == "istio.io" || group.ends_with(".istio.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_used_or_only_judged() {
        for (kind, used) in [
            ("VirtualService", true),
            ("Service", true),
            ("Telemetry", true),
            ("RequestAuthentication", true),
            ("Gateway", false),
            ("AuthorizationPolicy", true),
            ("WorkloadGroup", false),
            ("VirtualServise", true), // nobody knows what it was meant to be
        ] {
            assert_eq!(is_used(kind), used, "{kind}");
        }
    }

    #[test]
    fn kinds_are_known_by_group_and_kind() {
        let unknown = |hint: &str| Treatment::Unknown(hint.to_owned());
        let wrong_group = |meant: &str| Treatment::WrongGroup(meant.to_owned());
        let cases = [
            (
                "networking.istio.io/v1",
                "VirtualService",
                Treatment::Istio(IstioKind::VirtualService),
            ),
            (
                "networking.istio.io/v1alpha3",
                "DestinationRule",
                Treatment::Istio(IstioKind::DestinationRule),
            ),
            (
                "networking.istio.io/v2",
                "VirtualService",
                Treatment::WrongVersion(NETWORKING),
            ),
            (
                "networking.istio.io",
                "VirtualService",
                wrong_group("networking.istio.io/v1"),
            ),
            (
                "networking.isito.io/v1",
                "Sidecar",
                wrong_group("networking.istio.io/v1"),
            ),
            (
                "networking.isito.io/v1beta1",
                "EnvoyFilter",
                wrong_group("networking.istio.io/v1alpha3"),
            ),
            ("networking.isito.io/v1", "Other", Treatment::Foreign),
            ("networking.gke.io/v1", "Gateway", Treatment::Foreign),
            (
                "networking.istio.io/v1",
                "VirtualServise",
                unknown("did you mean `VirtualService`?"),
            ),
            ("networking.istio.io/v1", "Deployment", unknown("")),
            (
                "networking.istio.io/v1alpha3",
                "EnvoyFilter",
                Treatment::Istio(IstioKind::EnvoyFilter),
            ),
            ("config.istio.io/v1alpha2", "handler", Treatment::NotRead),
            ("apps/v1", "Deployment", Treatment::Foreign),
            ("v1", "List", Treatment::List),
            (
                "v1",
                "Endpoints",
                Treatment::Kubernetes(KubernetesKind::Endpoints),
            ),
            ("v1", "ConfigMap", Treatment::Foreign),
        ];
        for (api_version, kind, expected) in cases {
            assert_eq!(
                treatment(api_version, kind),
                expected,
                "{api_version} {kind}"
            );
        }
    }
}
