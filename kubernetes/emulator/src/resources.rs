//! Which kinds of objects a cluster serves.

use serde_json::{Value, json};

/// A kind that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Empty for Kubernetes' core.
    pub group: String,
    /// The versions in which it is served, the preferred one first.
    pub versions: Vec<String>,
    /// Such as `VirtualService`.
    pub kind: String,
    /// Such as `virtualservices`.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether `status` is written on a path of its own.
    pub has_status: bool,
}

/// Rows: group, versions, kind, plural, whether in namespaces, whether with a status.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    bool,
    bool,
);

const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const ADMISSION: &str = "admissionregistration.k8s.io";
const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const GATEWAY: &str = "gateway.networking.k8s.io";

const ROWS: &[Row] = &[
    ("", &["v1"], "Namespace", "namespaces", false, true),
    ("", &["v1"], "Node", "nodes", false, true),
    ("", &["v1"], "Service", "services", true, true),
    ("", &["v1"], "Pod", "pods", true, true),
    ("", &["v1"], "Secret", "secrets", true, false),
    ("", &["v1"], "ConfigMap", "configmaps", true, false),
    ("", &["v1"], "Event", "events", true, false),
    (
        "discovery.k8s.io",
        &["v1"],
        "EndpointSlice",
        "endpointslices",
        true,
        false,
    ),
    ("events.k8s.io", &["v1"], "Event", "events", true, false),
    (
        ADMISSION,
        &["v1"],
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
        false,
    ),
    (
        ADMISSION,
        &["v1"],
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
        false,
    ),
    (
        NETWORKING,
        ISTIO,
        "DestinationRule",
        "destinationrules",
        true,
        true,
    ),
    (NETWORKING, ISTIO, "Gateway", "gateways", true, true),
    (
        NETWORKING,
        ISTIO,
        "ServiceEntry",
        "serviceentries",
        true,
        true,
    ),
    (NETWORKING, ISTIO, "Sidecar", "sidecars", true, true),
    (
        NETWORKING,
        ISTIO,
        "VirtualService",
        "virtualservices",
        true,
        true,
    ),
    (
        NETWORKING,
        ISTIO,
        "WorkloadEntry",
        "workloadentries",
        true,
        true,
    ),
    (
        NETWORKING,
        &["v1alpha3"],
        "EnvoyFilter",
        "envoyfilters",
        true,
        true,
    ),
    (
        SECURITY,
        &["v1", "v1beta1"],
        "AuthorizationPolicy",
        "authorizationpolicies",
        true,
        true,
    ),
    (
        SECURITY,
        &["v1", "v1beta1"],
        "PeerAuthentication",
        "peerauthentications",
        true,
        true,
    ),
    (
        SECURITY,
        &["v1", "v1beta1"],
        "RequestAuthentication",
        "requestauthentications",
        true,
        true,
    ),
    (
        "telemetry.istio.io",
        &["v1", "v1alpha1"],
        "Telemetry",
        "telemetries",
        true,
        true,
    ),
    (
        GATEWAY,
        &["v1", "v1beta1"],
        "GatewayClass",
        "gatewayclasses",
        false,
        true,
    ),
    (
        GATEWAY,
        &["v1", "v1beta1"],
        "Gateway",
        "gateways",
        true,
        true,
    ),
    (
        GATEWAY,
        &["v1", "v1beta1"],
        "HTTPRoute",
        "httproutes",
        true,
        true,
    ),
    (GATEWAY, &["v1"], "GRPCRoute", "grpcroutes", true, true),
    (GATEWAY, &["v1alpha2"], "TCPRoute", "tcproutes", true, true),
    (GATEWAY, &["v1"], "TLSRoute", "tlsroutes", true, true),
    (
        GATEWAY,
        &["v1beta1"],
        "ReferenceGrant",
        "referencegrants",
        true,
        false,
    ),
    (
        GATEWAY,
        &["v1"],
        "BackendTLSPolicy",
        "backendtlspolicies",
        true,
        true,
    ),
];

impl Resource {
    /// Those of a cluster with Istio's and the Gateway API's definitions.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let rows = ROWS.iter();
        rows.map(
            |(group, versions, kind, plural, namespaced, has_status)| Self {
                group: (*group).to_owned(),
                versions: versions
                    .iter()
                    .map(|version| (*version).to_owned())
                    .collect(),
                kind: (*kind).to_owned(),
                plural: (*plural).to_owned(),
                namespaced: *namespaced,
                has_status: *has_status,
            },
        )
        .collect()
    }

    /// As documents name a version of it.
    #[must_use]
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }
}

/// What `/api`, `/apis` and what is below them say of a cluster that serves these; none for a path that is none of those.
pub(crate) fn discovery(resources: &[Resource], path: &[&str]) -> Option<Value> {
    match path {
        ["version"] => Some(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        ["api", version] => versions(resources, "", version),
        ["apis"] => {
            let mut names: Vec<&str> = Vec::new();
            for resource in resources {
                if !resource.group.is_empty() && !names.contains(&resource.group.as_str()) {
                    names.push(&resource.group);
                }
            }
            let groups: Vec<_> = names.iter().map(|name| group(resources, name)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => resources
            .iter()
            .any(|resource| resource.group == **name)
            .then(|| group(resources, name)),
        ["apis", group, version] => versions(resources, group, version),
        _ => None,
    }
}

fn group(resources: &[Resource], name: &str) -> Value {
    let mut versions: Vec<&str> = Vec::new();
    let ours = resources.iter().filter(|resource| resource.group == name);
    for version in ours.flat_map(|resource| &resource.versions) {
        if !versions.contains(&version.as_str()) {
            versions.push(version);
        }
    }
    let versions: Vec<_> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name,
        "preferredVersion": versions.first(), "versions": versions,
    })
}

fn versions(resources: &[Resource], group: &str, version: &str) -> Option<Value> {
    let served = resources.iter().filter(|resource| {
        resource.group == group && resource.versions.iter().any(|served| served == version)
    });
    let mut rows = Vec::new();
    let mut api_version = None;
    for resource in served {
        let (kind, namespaced) = (&resource.kind, resource.namespaced);
        api_version = Some(resource.api_version(version));
        rows.push(json!({
            "name": resource.plural, "singularName": kind.to_lowercase(), "kind": kind, "namespaced": namespaced,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        }));
        if resource.has_status {
            rows.push(json!({
                "name": format!("{}/status", resource.plural), "singularName": "", "kind": kind,
                "namespaced": namespaced, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let api_version = api_version?;
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": rows}),
    )
}

/// An object as it stands in a version.
pub(crate) fn shown(object: &Value, resource: &Resource, version: &str) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version(version));
    object["kind"] = json!(resource.kind);
    object
}
