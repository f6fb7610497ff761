//! What must hold for bytes that claim to be addresses of the workload API. The fuzz target calls [`addresses`]; a test of `control` replays
//! the corpus through it.

use std::collections::BTreeMap;

use outrigger_core::config::{self, Source};
use outrigger_xds::client;
use outrigger_xds::messages::{Any, DeltaDiscoveryResponse, Node, Resource};
use outrigger_xds::workload::messages::{Address, Kind, Message as _};
use outrigger_xds::workload::{ADDRESS, Asked, Client, kind};

/// Pieces, each with its length before it in two bytes, that come one after the other. Whatever they are, each is taken or refused; what
/// comes of all of them is what comes of them at once, its documents are read without a panic, and nothing is left when all are gone.
pub fn addresses(bytes: &[u8]) {
    let resources = resources(bytes);
    let mut one_by_one = Both::new();
    for resource in &resources {
        one_by_one.take(vec![resource.clone()], Vec::new());
    }
    let mut at_once = Both::new();
    at_once.take(resources, Vec::new());
    let documents = at_once.documents();
    assert_eq!(one_by_one.documents(), documents);
    for document in &documents {
        let (name, bytes) = ("address", document.as_bytes());
        // Whatever is found is found without a panic.
        let _ = config::load(&[Source { name, bytes }], "shop");
    }
    let names: Vec<String> = at_once.client.names().cloned().collect();
    at_once.take(Vec::new(), names);
    assert!(at_once.documents().is_empty());
    assert_eq!(at_once.client.troubles().count(), 0);
}

/// What is there, called as what stands in it, if anything does.
fn resources(mut bytes: &[u8]) -> Vec<Resource> {
    let mut resources = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (piece, after) = rest.split_at(length);
        bytes = after;
        let name = match Address::decode(piece).ok().and_then(|address| address.kind) {
            Some(Kind::Workload(workload)) => workload.uid,
            Some(Kind::Service(service)) => format!("{}/{}", service.namespace, service.hostname),
            None => String::new(),
        };
        resources.push(Resource {
            version: "1".into(),
            resource: Some(Any {
                type_url: ADDRESS.into(),
                value: piece.to_vec().into(),
            }),
            name,
        });
    }
    resources
}

struct Both {
    client: Client,
    objects: client::Client,
}

impl Both {
    fn new() -> Self {
        Self {
            client: Client::new(Asked::default()),
            objects: client::Client::new(Node::default(), &[kind()]),
        }
    }

    fn take(&mut self, resources: Vec<Resource>, removed: Vec<String>) {
        let response = DeltaDiscoveryResponse {
            resources,
            removed_resources: removed,
            type_url: ADDRESS.into(),
            ..DeltaDiscoveryResponse::default()
        };
        let heard = self.client.take(response).expect("it is of its type");
        self.objects.take(heard.told);
        assert_eq!(
            self.objects.strange().count(),
            0,
            "each document has a name"
        );
        let now = self.objects.now();
        self.objects.settle(&BTreeMap::new(), now);
    }

    fn documents(&self) -> Vec<String> {
        let objects = self.objects.in_use();
        objects.map(|object| object.json.to_string()).collect()
    }
}
