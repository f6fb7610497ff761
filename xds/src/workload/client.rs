//! Who listens to the workload API: what is asked for, what is answered, and what comes of it. Without IO and clock.

use std::collections::BTreeMap;

use super::documents::{Around, Trouble, kind};
use super::state::{ADDRESS, State, Touched};
use crate::carried::{name_of, pack};
use crate::client::{INVALID_ARGUMENT, cut};
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Status};

/// What is asked of a workload API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Where the client is.
    pub around: Around,
    /// Services that it wants, as `namespace/hostname`, with what runs behind them; none is all.
    pub services: Vec<String>,
}

/// A client of the workload API.
#[derive(Debug)]
pub struct Client {
    state: State,
    /// Names that are asked for; none is all.
    wanted: Vec<String>,
    /// Versions of what there is.
    versions: BTreeMap<String, String>,
}

/// What comes of a response.
#[derive(Debug)]
pub struct Heard {
    /// What is answered.
    pub answer: DeltaDiscoveryRequest,
    /// What a control plane would have said that told of ServiceEntries, as [`crate::client::Client`] takes it.
    pub told: DeltaDiscoveryResponse,
}

impl Client {
    /// One that has nothing yet.
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        Self {
            state: State::new(asked.around),
            wanted: asked.services,
            versions: BTreeMap::new(),
        }
    }

    /// What is said first on a new stream.
    #[must_use]
    pub fn open(&self, node: Node) -> DeltaDiscoveryRequest {
        let all = ["*".to_owned()];
        let wanted = match &*self.wanted {
            [] => &all[..],
            names => names,
        };
        DeltaDiscoveryRequest {
            node: Some(node),
            type_url: ADDRESS.to_owned(),
            resource_names_subscribe: wanted.to_vec(),
            initial_resource_versions: self.versions.clone(),
            ..DeltaDiscoveryRequest::default()
        }
    }

    /// Takes what a server says; `None`: it is of another type.
    pub fn take(&mut self, response: DeltaDiscoveryResponse) -> Option<Heard> {
        if response.type_url != ADDRESS {
            return None;
        }
        let mut touched = Touched::new();
        let mut strange = Vec::new();
        for name in &response.removed_resources {
            self.versions.remove(name);
            self.state.remove(name, &mut touched);
        }
        for resource in response.resources {
            let (name, version) = (resource.name.clone(), resource.version.clone());
            match self.state.put(resource, &mut touched) {
                Ok(()) => {
                    self.versions.insert(name, version);
                }
                Err(why) => strange.push(why),
            }
        }
        let (new, gone) = self.state.settle(&touched);
        let mut message = strange.join("; ");
        cut(&mut message);
        let refusal = Status {
            code: INVALID_ARGUMENT,
            message,
        };
        Some(Heard {
            answer: DeltaDiscoveryRequest {
                type_url: response.type_url,
                response_nonce: response.nonce,
                error_detail: (!strange.is_empty()).then_some(refusal),
                ..DeltaDiscoveryRequest::default()
            },
            told: DeltaDiscoveryResponse {
                type_url: kind().type_url(),
                resources: new.iter().map(pack).collect(),
                removed_resources: gone.iter().map(name_of).collect(),
                ..DeltaDiscoveryResponse::default()
            },
        })
    }

    /// What no document says, by service.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.state.troubles()
    }

    /// What there is, by name.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.state.names()
    }
}
