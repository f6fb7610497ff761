//! Which kinds there are: the apiVersion and kind matrix, and what this proxy does with each.
//!
//! Resources are known by group and kind. The version only has to be one that the kind has; the schemas are the same.

use super::decode::suggestion;

/// The kinds that are read into types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadKind {
    /// networking.istio.io DestinationRule.
    DestinationRule,
    /// networking.istio.io Gateway.
    Gateway,
    /// networking.istio.io ServiceEntry.
    ServiceEntry,
    /// networking.istio.io Sidecar.
    Sidecar,
    /// networking.istio.io VirtualService.
    VirtualService,
    /// networking.istio.io WorkloadEntry.
    WorkloadEntry,
    /// Kubernetes Service.
    Service,
    /// Kubernetes EndpointSlice.
    EndpointSlice,
    /// Kubernetes Pod.
    Pod,
    /// A Kubernetes List, whose `items` are resources.
    List,
}

/// What happens to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is read.
    Read(ReadKind),
    /// The kind is read, the version is none of its own. Holds the versions it has.
    WrongVersion(&'static [&'static str]),
    /// An Istio kind that is not read.
    NotRead,
    /// A group of Istio's without such a kind. Holds a hint, possibly empty.
    Unknown(String),
    /// Not Istio's, and nothing the proxy needs.
    Foreign,
}

/// Versions of networking.istio.io; the three schemas are identical.
const NETWORKING: &[&str] = &["v1", "v1beta1", "v1alpha3"];

struct Row {
    group: &'static str,
    kind: &'static str,
    versions: &'static [&'static str],
    read: Option<ReadKind>,
}

const fn read(
    group: &'static str,
    kind: &'static str,
    versions: &'static [&'static str],
    read: ReadKind,
) -> Row {
    Row {
        group,
        kind,
        versions,
        read: Some(read),
    }
}

const fn not_read(group: &'static str, kind: &'static str) -> Row {
    Row {
        group,
        kind,
        versions: &[],
        read: None,
    }
}

const KINDS: &[Row] = &[
    read(
        "networking.istio.io",
        "DestinationRule",
        NETWORKING,
        ReadKind::DestinationRule,
    ),
    read(
        "networking.istio.io",
        "VirtualService",
        NETWORKING,
        ReadKind::VirtualService,
    ),
    read(
        "networking.istio.io",
        "Gateway",
        NETWORKING,
        ReadKind::Gateway,
    ),
    read(
        "networking.istio.io",
        "ServiceEntry",
        NETWORKING,
        ReadKind::ServiceEntry,
    ),
    read(
        "networking.istio.io",
        "WorkloadEntry",
        NETWORKING,
        ReadKind::WorkloadEntry,
    ),
    read(
        "networking.istio.io",
        "Sidecar",
        NETWORKING,
        ReadKind::Sidecar,
    ),
    read("", "List", &["v1"], ReadKind::List),
    read("", "Service", &["v1"], ReadKind::Service),
    read("", "Pod", &["v1"], ReadKind::Pod),
    read(
        "discovery.k8s.io",
        "EndpointSlice",
        &["v1"],
        ReadKind::EndpointSlice,
    ),
    not_read("networking.istio.io", "EnvoyFilter"),
    not_read("networking.istio.io", "ProxyConfig"),
    not_read("networking.istio.io", "WorkloadGroup"),
    not_read("security.istio.io", "AuthorizationPolicy"),
    not_read("security.istio.io", "PeerAuthentication"),
    not_read("security.istio.io", "RequestAuthentication"),
    not_read("telemetry.istio.io", "Telemetry"),
    not_read("extensions.istio.io", "TrafficExtension"),
    not_read("extensions.istio.io", "WasmPlugin"),
];

/// What to do with a document of this `apiVersion` (group and version) and kind.
#[must_use]
pub fn treatment(api_version: &str, kind: &str) -> Treatment {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if let Some(row) = KINDS
        .iter()
        .find(|row| row.group == group && row.kind == kind)
    {
        return match row.read {
            Some(read) if row.versions.contains(&version) => Treatment::Read(read),
            Some(_) => Treatment::WrongVersion(row.versions),
            None => Treatment::NotRead,
        };
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

fn is_istio(group: &str) -> bool {
    group == "istio.io" || group.ends_with(".istio.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_group_and_kind() {
        let unknown = |hint: &str| Treatment::Unknown(hint.to_owned());
        let cases = [
            (
                "networking.istio.io/v1",
                "VirtualService",
                Treatment::Read(ReadKind::VirtualService),
            ),
            (
                "networking.istio.io/v1alpha3",
                "DestinationRule",
                Treatment::Read(ReadKind::DestinationRule),
            ),
            (
                "networking.istio.io/v2",
                "VirtualService",
                Treatment::WrongVersion(NETWORKING),
            ),
            ("networking.istio.io", "VirtualService", Treatment::Foreign),
            (
                "networking.istio.io/v1",
                "VirtualServise",
                unknown("did you mean `VirtualService`?"),
            ),
            ("networking.istio.io/v1", "Deployment", unknown("")),
            (
                "networking.istio.io/v1alpha3",
                "EnvoyFilter",
                Treatment::NotRead,
            ),
            ("config.istio.io/v1alpha2", "handler", Treatment::NotRead),
            ("apps/v1", "Deployment", Treatment::Foreign),
            ("v1", "List", Treatment::Read(ReadKind::List)),
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
