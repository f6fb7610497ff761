//! Endpoints that the workload API of a mesh with ambient on tells of (`--xds-endpoints workloads`).
//!
//! Owns how they join what else is told: what comes of them is judged like objects of a control plane, and gives way to ServiceEntries
//! that say themselves where their endpoints are.

use std::collections::{BTreeMap, BTreeSet};

use outrigger_core::config::{Code, Finding, Mark};
use outrigger_xds::client::{self, Candidate, Moment, Taken};
use outrigger_xds::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use outrigger_xds::workload::{self, ADDRESS, Asked, Trouble, kind};
use outrigger_xds::{Key, Object};
use serde_json::Value;

use super::Refused;

/// What names of ServiceEntries begin with that istiod makes of Services of Kubernetes.
const SYNTHETIC: &str = "synthetic-";

/// What findings name as the file.
const NAME: &str = "workload API";

/// What was told.
#[derive(Debug)]
pub(super) struct Workloads {
    node: Node,
    client: workload::Client,
    /// What comes of it, as if a control plane had told of it.
    objects: client::Client,
}

impl Workloads {
    pub(super) fn new(node: Node, asked: Asked) -> Self {
        Self {
            node,
            client: workload::Client::new(asked),
            objects: client::Client::new(Node::default(), &[kind()]),
        }
    }

    /// What is said first on a new stream.
    pub(super) fn open(&self) -> DeltaDiscoveryRequest {
        self.client.open(self.node.clone())
    }

    /// Whether that is for us.
    pub(super) fn is_of(response: &DeltaDiscoveryResponse) -> bool {
        response.type_url == ADDRESS
    }

    /// Takes what came, with what is to be answered.
    pub(super) fn take(
        &mut self,
        response: DeltaDiscoveryResponse,
    ) -> (Taken, Option<DeltaDiscoveryRequest>) {
        let before: Vec<Trouble> = self.client.troubles().cloned().collect();
        let Some(heard) = self.client.take(response) else {
            return (Taken::Unasked, None);
        };
        let taken = match self.objects.take(heard.told) {
            // What no document says is news, too.
            Taken::Same if !self.client.troubles().eq(&before) => Taken::News,
            taken => taken,
        };
        (taken, Some(heard.answer))
    }

    /// Whether anything was told yet.
    pub(super) fn is_complete(&self) -> bool {
        self.objects.is_complete()
    }

    pub(super) const fn now(&self) -> Moment {
        self.objects.now()
    }

    /// What is to be judged, beside these.
    pub(super) fn candidates<'a>(
        &'a self,
        others: &BTreeSet<Defined>,
    ) -> impl Iterator<Item = Candidate<'a>> {
        let candidates = self.objects.candidates();
        candidates.filter(|candidate| {
            let mut hosts = Defined::all(candidate.object);
            !hosts.any(|host| others.contains(&host))
        })
    }

    /// What has been judged; nobody is told of it but people.
    pub(super) fn settle(&mut self, refused: &Refused, judged: Moment) {
        let ours: BTreeMap<Key, String> = refused
            .iter()
            .filter(|(key, _)| key.kind == kind())
            .map(|(key, why)| (key.clone(), why.clone()))
            .collect();
        self.objects.settle(&ours, judged);
    }

    /// What is not in effect.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let file = NAME.into();
        let findings = self.client.troubles().map(|trouble| {
            let code = match trouble {
                Trouble::NoService(_) => Code::UnknownHost,
                Trouble::ElsewhereOnly(_)
                | Trouble::Tunnel(_)
                | Trouble::Strict(_)
                | Trouble::NoAddress(_) => Code::NotInEffect,
            };
            Finding::new(code, &file, Mark::default(), trouble.to_string())
        });
        findings.collect()
    }
}

/// A host of a namespace whose endpoints somebody has written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Defined {
    namespace: Box<str>,
    host: String,
}

impl Defined {
    /// The hosts of a ServiceEntry.
    fn all(object: &Object) -> impl Iterator<Item = Self> {
        let hosts = object.json["spec"]["hosts"].as_array();
        let hosts = hosts.into_iter().flatten().filter_map(Value::as_str);
        hosts.map(|host| Self {
            namespace: object.key.namespace.clone(),
            host: host.to_ascii_lowercase(),
        })
    }

    /// Those of an object that says itself where their endpoints are. One that selects them knows only some: it is told of no pods.
    pub(super) fn by(object: &Object) -> impl Iterator<Item = Self> {
        let is_selecting = !object.json["spec"]["workloadSelector"].is_null();
        let is_whole = object.key.kind == kind() && !is_selecting && !is_made_up(object);
        is_whole.then(|| Self::all(object)).into_iter().flatten()
    }

    /// Whether an object gives way to what the workload API tells of the same hosts: it stands for a Service of Kubernetes, without
    /// its endpoints.
    pub(super) fn replace(told: &BTreeSet<Self>, object: &Object) -> bool {
        is_made_up(object) && Self::all(object).all(|host| told.contains(&host))
    }

    /// Those of what the workload API tells.
    pub(super) fn told(candidates: &[Candidate<'_>]) -> BTreeSet<Self> {
        let objects = candidates.iter().map(|candidate| candidate.object);
        objects.flat_map(Self::all).collect()
    }
}

/// Whether istiod has made it of a Service of Kubernetes.
fn is_made_up(object: &Object) -> bool {
    let endpoints = object.json["spec"]["endpoints"].as_array();
    object.key.kind == kind()
        && object.key.name.starts_with(SYNTHETIC)
        && endpoints.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use outrigger_xds::messages::{Any, Resource};
    use outrigger_xds::workload::messages::{
        Address, Kind, Message as _, NetworkAddress, Port, PortList, Service, Workload,
    };
    use serde_json::json;

    use super::*;

    fn told() -> Workloads {
        let resource = |name: &str, kind: Kind| Resource {
            version: "1".into(),
            resource: Some(Any {
                type_url: ADDRESS.into(),
                value: Address { kind: Some(kind) }.encode_to_vec().into(),
            }),
            name: name.into(),
        };
        let port = Port {
            service_port: 80,
            target_port: 80,
            ..Port::default()
        };
        let service = Service {
            namespace: "shop".into(),
            hostname: "api.test".into(),
            addresses: vec![NetworkAddress {
                address: vec![10, 0, 0, 1],
                ..NetworkAddress::default()
            }],
            ports: vec![port],
            ..Service::default()
        };
        let services = ["shop/api.test", "shop/gone.test"];
        let services = services.map(|name| (name.to_owned(), PortList::default()));
        let workload = Workload {
            uid: "a".into(),
            addresses: vec![vec![10, 1, 0, 1]],
            services: services.into(),
            ..Workload::default()
        };
        let mut workloads = Workloads::new(Node::default(), Asked::default());
        assert!(!workloads.is_complete());
        let response = DeltaDiscoveryResponse {
            type_url: ADDRESS.into(),
            resources: vec![
                resource("shop/api.test", Kind::Service(service)),
                resource("a", Kind::Workload(workload)),
            ],
            ..DeltaDiscoveryResponse::default()
        };
        let (taken, answer) = workloads.take(response);
        assert_eq!(taken, Taken::News);
        assert!(answer.is_some_and(|answer| answer.error_detail.is_none()));
        assert!(workloads.is_complete());
        workloads
    }

    #[test]
    fn an_entry_that_says_where_its_endpoints_are_holds_alone() {
        let workloads = told();
        let entry = |name: &str, spec: Value| {
            let (namespace, name) = name.split_once('/').unwrap();
            Object {
                key: Key {
                    kind: kind(),
                    namespace: namespace.into(),
                    name: name.into(),
                },
                version: "1".into(),
                json: json!({"spec": spec}),
            }
        };
        let selecting = json!({"hosts": ["api.test"], "workloadSelector": {"labels": {"a": "b"}}});
        // What is left of what was told, and whether the object is.
        for (object, left, stays) in [
            (entry("shop/a", json!({"hosts": ["API.test"]})), 0, true),
            (
                entry("shop/a", json!({"hosts": ["b.test", "api.test"]})),
                0,
                true,
            ),
            (entry("other/a", json!({"hosts": ["api.test"]})), 1, true),
            (entry("shop/a", json!({"hosts": ["b.test"]})), 1, true),
            (entry("shop/a", selecting), 1, true),
            (entry("shop/a", json!({})), 1, true),
            // What istiod makes of a Service has no endpoints.
            (
                entry("shop/synthetic-a", json!({"hosts": ["api.test"]})),
                1,
                false,
            ),
            (
                entry("shop/synthetic-a", json!({"hosts": ["b.test"]})),
                1,
                true,
            ),
            (
                entry(
                    "shop/synthetic-a",
                    json!({"hosts": ["api.test"], "endpoints": [{}]}),
                ),
                0,
                true,
            ),
        ] {
            let others = Defined::by(&object).collect();
            let candidates: Vec<_> = workloads.candidates(&others).collect();
            assert_eq!(candidates.len(), left, "{}", object.json);
            let is_replaced = Defined::replace(&Defined::told(&candidates), &object);
            assert_eq!(is_replaced, !stays, "{}", object.json);
        }
    }

    #[test]
    fn what_is_not_in_effect_is_found() {
        let findings = told().findings();
        let told: Vec<String> = findings
            .iter()
            .map(|found| format!("{} {}", found.code.as_str(), found.message))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("unknown-host workloads are endpoints of `shop/gone.test`"),
            "{told:?}"
        );
        assert!(!findings[0].blocks());
    }
}
