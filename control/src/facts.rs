//! What of an object decides who is to know it, taken out once when it comes.

use std::collections::{BTreeMap, BTreeSet};

use outrigger_xds::{KINDS, Key, Kind, Object, secrets};
use serde_json::Value;

/// Keys and values.
pub(crate) type Labels = BTreeMap<String, String>;

/// What decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Facts {
    Service {
        export_to: Vec<String>,
        selector: Labels,
    },
    ServiceEntry {
        hosts: Vec<String>,
        export_to: Vec<String>,
        selector: Option<Labels>,
    },
    /// A VirtualService.
    Rule {
        hosts: Vec<String>,
        export_to: Vec<String>,
        for_mesh: bool,
        destinations: BTreeSet<String>,
    },
    DestinationRule {
        host: String,
        export_to: Vec<String>,
    },
    /// An EndpointSlice: its service, and the pods that it names.
    Slice {
        service: Key,
        pods: Vec<Key>,
    },
    Pod {
        labels: Labels,
        node: String,
    },
    WorkloadEntry {
        labels: Labels,
    },
    Sidecar {
        /// `creationTimestamp` and name: the oldest holds.
        age: (String, String),
        selector: Option<Labels>,
        egress: Vec<String>,
    },
    Gateway {
        selector: Labels,
        secrets: BTreeSet<String>,
    },
    /// A Gateway of Kubernetes', with the secrets that its listeners name, as `namespace/name`.
    ApiGateway {
        secrets: BTreeSet<String>,
    },
    /// A route of Kubernetes' Gateway API, for sidecars too where a service is its parent.
    Route {
        for_mesh: bool,
        destinations: BTreeSet<String>,
    },
    /// What else of Kubernetes' Gateway API there is.
    GatewayApi,
    /// It holds in its namespace, or everywhere from the root namespace.
    Policy,
    /// As a policy, and clients in other namespaces ask for it, too.
    PeerAuthentication,
    Secret,
    Node,
    Namespace,
    ConfigMap,
}

impl Facts {
    pub(crate) fn of(object: &Object) -> Self {
        let json = &object.json;
        let (spec, meta) = (&json["spec"], &json["metadata"]);
        match (object.key.kind.group, object.key.kind.kind) {
            ("", "Service") => Self::Service {
                export_to: annotated_export(meta),
                selector: labels(&spec["selector"]),
            },
            ("discovery.k8s.io", "EndpointSlice") => Self::Slice {
                service: Key {
                    kind: kind("", "Service"),
                    namespace: object.key.namespace.clone(),
                    name: text(&meta["labels"]["kubernetes.io/service-name"]).into(),
                },
                pods: pods(&object.key, json),
            },
            ("", "Pod") => Self::Pod {
                labels: labels(&meta["labels"]),
                node: text(&spec["nodeName"]),
            },
            ("", "Secret") => Self::Secret,
            ("", "Node") => Self::Node,
            ("", "Namespace") => Self::Namespace,
            ("", "ConfigMap") => Self::ConfigMap,
            ("networking.istio.io", "ServiceEntry") => Self::ServiceEntry {
                hosts: texts(&spec["hosts"]),
                export_to: texts(&spec["exportTo"]),
                selector: spec["workloadSelector"]
                    .is_object()
                    .then(|| labels(&spec["workloadSelector"]["labels"])),
            },
            ("networking.istio.io", "VirtualService") => rule(spec),
            ("networking.istio.io", "DestinationRule") => Self::DestinationRule {
                host: text(&spec["host"]),
                export_to: texts(&spec["exportTo"]),
            },
            ("networking.istio.io", "WorkloadEntry") => Self::WorkloadEntry {
                labels: labels(&spec["labels"]),
            },
            ("networking.istio.io", "Sidecar") => Self::Sidecar {
                age: (text(&meta["creationTimestamp"]), text(&meta["name"])),
                selector: spec["workloadSelector"]
                    .is_object()
                    .then(|| labels(&spec["workloadSelector"]["labels"])),
                egress: each(&spec["egress"])
                    .flat_map(|egress| texts(&egress["hosts"]))
                    .collect(),
            },
            ("networking.istio.io", "Gateway") => Self::Gateway {
                selector: labels(&spec["selector"]),
                secrets: secrets::named(object),
            },
            ("security.istio.io", "PeerAuthentication") => Self::PeerAuthentication,
            ("gateway.networking.k8s.io", "Gateway") => Self::ApiGateway {
                secrets: secrets::named(object),
            },
            ("gateway.networking.k8s.io", route) if route.ends_with("Route") => Self::Route {
                for_mesh: each(&spec["parentRefs"]).any(|parent| parent["kind"] == "Service"),
                destinations: each(&spec["rules"])
                    .flat_map(|rule| each(&rule["backendRefs"]))
                    .filter_map(|backend| backend["name"].as_str())
                    .map(ToOwned::to_owned)
                    .collect(),
            },
            ("gateway.networking.k8s.io", _) => Self::GatewayApi,
            _ => Self::Policy,
        }
    }

    /// Whether a change of it may change who is to know others.
    pub(crate) const fn matters_to_others(&self) -> bool {
        matches!(
            self,
            Self::Service { .. }
                | Self::ServiceEntry { .. }
                | Self::Rule { .. }
                | Self::Route { .. }
                | Self::Slice { .. }
                | Self::Pod { .. }
                | Self::Sidecar { .. }
                | Self::Gateway { .. }
                | Self::ApiGateway { .. }
                | Self::ConfigMap
        )
    }
}

fn rule(spec: &Value) -> Facts {
    let gateways = texts(&spec["gateways"]);
    let routes = ["http", "tls", "tcp"].map(|protocol| each(&spec[protocol]));
    let destinations = routes.into_iter().flatten().flat_map(|route| {
        let mirrors = each(&route["mirrors"]).map(|mirror| &mirror["destination"]);
        each(&route["route"])
            .map(|to| &to["destination"])
            .chain(mirrors)
            .chain([&route["mirror"]])
    });
    Facts::Rule {
        hosts: texts(&spec["hosts"]),
        export_to: texts(&spec["exportTo"]),
        for_mesh: gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh"),
        destinations: destinations
            .filter_map(|destination| destination["host"].as_str())
            .map(ToOwned::to_owned)
            .collect(),
    }
}

fn annotated_export(meta: &Value) -> Vec<String> {
    let said = meta["annotations"]["networking.istio.io/exportTo"].as_str();
    let said = said.unwrap_or_default().split(',');
    said.map(str::trim)
        .filter(|to| !to.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

fn pods(key: &Key, json: &Value) -> Vec<Key> {
    let targets = each(&json["endpoints"]).map(|endpoint| &endpoint["targetRef"]);
    targets
        .filter(|target| target["kind"] == "Pod")
        .map(|target| Key {
            kind: kind("", "Pod"),
            namespace: target["namespace"]
                .as_str()
                .unwrap_or(&key.namespace)
                .into(),
            name: text(&target["name"]).into(),
        })
        .collect()
}

/// A kind that is known to be one.
pub(crate) fn kind(group: &str, kind: &str) -> &'static Kind {
    let mut kinds = KINDS.iter();
    let found = kinds.find(|known| known.group == group && known.kind == kind);
    found.expect("callers name kinds of the table")
}

fn each(json: &Value) -> std::slice::Iter<'_, Value> {
    json.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn texts(json: &Value) -> Vec<String> {
    each(json).map(text).collect()
}

/// Of an object of texts; what is no text is left out.
pub(crate) fn labels(json: &Value) -> Labels {
    let entries = json.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
