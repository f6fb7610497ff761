//! Endpoints that a client asks for by the names of clusters: which it wants, which it has, and what it answers. Without IO and clock.
//!
//! Beside [`client`](crate::client), whose objects say which clusters there are. Endpoints are taken at once: what they are is not
//! judged, as an address is one or is left out.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use crate::envoy::ENDPOINTS;
use crate::envoy::endpoint::ClusterLoadAssignment;
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource, Status};

/// `INVALID_ARGUMENT` of gRPC.
const INVALID_ARGUMENT: i32 = 3;

/// The endpoints of some clusters.
#[derive(Debug, Default)]
pub struct Assignments {
    wanted: BTreeSet<String>,
    has: BTreeMap<String, Had>,
    /// Names that a server has said something about.
    answered: BTreeSet<String>,
    /// A stream is open on which something was asked for.
    is_asked: bool,
}

#[derive(Debug)]
struct Had {
    version: String,
    assignment: ClusterLoadAssignment,
}

impl Assignments {
    /// What is said first on a new stream; `None` where nothing is wanted.
    pub fn open(&mut self) -> Option<DeltaDiscoveryRequest> {
        self.is_asked = false;
        if self.wanted.is_empty() {
            return None;
        }
        self.is_asked = true;
        let had = self.has.iter();
        Some(DeltaDiscoveryRequest {
            resource_names_subscribe: self.wanted.iter().cloned().collect(),
            initial_resource_versions: had
                .map(|(name, had)| (name.clone(), had.version.clone()))
                .collect(),
            ..request()
        })
    }

    /// Exactly these are wanted from now on; what is to be said for that on a stream that is open.
    pub fn want(&mut self, names: BTreeSet<String>) -> Option<DeltaDiscoveryRequest> {
        let more: Vec<String> = names.difference(&self.wanted).cloned().collect();
        let less: Vec<String> = self.wanted.difference(&names).cloned().collect();
        self.wanted = names;
        let wanted = &self.wanted;
        self.has.retain(|name, _| wanted.contains(name));
        self.answered.retain(|name| wanted.contains(name));
        // In a first request no names would be all of them.
        if more.is_empty() && (less.is_empty() || !self.is_asked) {
            return None;
        }
        self.is_asked = true;
        Some(DeltaDiscoveryRequest {
            resource_names_subscribe: more,
            resource_names_unsubscribe: less,
            ..request()
        })
    }

    /// Takes what a server says. Returns the answer, and whether endpoints are others now; `None` where it is about something else.
    pub fn take(
        &mut self,
        response: DeltaDiscoveryResponse,
    ) -> Result<(DeltaDiscoveryRequest, bool), DeltaDiscoveryResponse> {
        if response.type_url != ENDPOINTS.type_url() {
            return Err(response);
        }
        let (mut is_news, mut strange) = (false, Vec::new());
        for resource in response.resources {
            let name = resource.name.clone();
            if !self.wanted.contains(&name) {
                continue;
            }
            is_news |= self.answered.insert(name.clone());
            match read(resource) {
                Some(had) => {
                    let before = self.has.insert(name.clone(), had);
                    let now = &self.has[&name].assignment;
                    is_news |= before.is_none_or(|before| before.assignment != *now);
                }
                None => strange.push(name),
            }
        }
        for name in response.removed_resources {
            if self.wanted.contains(&name) {
                is_news |= self.has.remove(&name).is_some();
                is_news |= self.answered.insert(name);
            }
        }
        let answer = DeltaDiscoveryRequest {
            response_nonce: response.nonce,
            error_detail: (!strange.is_empty()).then(|| Status {
                code: INVALID_ARGUMENT,
                message: format!("no endpoints are in {}", strange.join(", ")),
            }),
            ..request()
        };
        Ok((answer, is_news))
    }

    /// Whether a server has said something about each name that is wanted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.wanted.len() == self.answered.len()
    }

    /// How many names were not answered.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.wanted.len() - self.answered.len()
    }

    /// The endpoints of a cluster, if it has any that are known.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&ClusterLoadAssignment> {
        self.has.get(name).map(|had| &had.assignment)
    }
}

fn request() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: ENDPOINTS.type_url(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn read(resource: Resource) -> Option<Had> {
    let any = resource.resource?;
    if any.type_url != ENDPOINTS.type_url() {
        return None;
    }
    let assignment = ClusterLoadAssignment::decode(any.value).ok()?;
    Some(Had {
        version: resource.version,
        assignment,
    })
}

#[cfg(test)]
mod tests;
