//! Who has a configuration, where each response tells the state of the world (`StreamAggregatedResources`). Without IO and clock.
//!
//! It is [`server::Session`] in other words: what a client says is taken for what has changed of its wishes, and
//! what it is told is what that session would tell, with what the client has besides where a response is to be whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::envoy;
use crate::kinds::Kind;
use crate::messages::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Node,
};
use crate::server::{self, Heard, Offer, Telling};

/// As a name, all of them.
const ALL: &str = "*";

/// One client on one stream.
#[derive(Debug, Default)]
pub struct Session {
    inner: server::Session,
    kinds: BTreeMap<&'static Kind, Told>,
}

/// A kind that a client has asked for.
#[derive(Debug, Default)]
struct Told {
    /// What it wants, [`ALL`] where that is all.
    names: BTreeSet<String>,
    /// It has named some of them: naming none is no wish for all any more.
    has_named: bool,
}

impl Told {
    /// What a request wants.
    fn wanted(&mut self, kind: &Kind, names: Vec<String>) -> BTreeSet<String> {
        if names.iter().any(|name| name == ALL) {
            return [ALL.to_owned()].into();
        }
        self.has_named |= !names.is_empty();
        if names.is_empty() && !self.has_named && envoy::is_told_whole(kind) {
            return [ALL.to_owned()].into();
        }
        names.into_iter().collect()
    }
}

impl Telling for Session {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const METHOD: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn size(response: &DiscoveryResponse) -> (usize, usize) {
        let bytes = response.resources.iter().map(|any| any.value.len());
        (response.resources.len(), bytes.sum())
    }

    fn hear(&mut self, request: DiscoveryRequest) -> Heard {
        let Some(kind) = Kind::of_type(&request.type_url) else {
            return Heard::Unknown(request.type_url);
        };
        // What is wanted counts also where it was said before the last response came: what a client gave up it has no more, although it
        // may ask for it again with its next word.
        let told = self.kinds.entry(kind).or_default();
        let wanted = told.wanted(kind, request.resource_names);
        let more: Vec<String> = wanted.difference(&told.names).cloned().collect();
        let less: Vec<String> = told.names.difference(&wanted).cloned().collect();
        told.names = wanted;
        if more.is_empty() && !self.inner.watches(kind) {
            // Nobody is to be told of nothing; to the session beneath, no names would be all.
            return Heard::Wants(kind);
        }
        self.inner.hear(DeltaDiscoveryRequest {
            type_url: request.type_url,
            resource_names_subscribe: more,
            resource_names_unsubscribe: less,
            response_nonce: request.response_nonce,
            error_detail: request.error_detail,
            ..DeltaDiscoveryRequest::default()
        })
    }

    fn responses(&mut self, offer: &impl Offer, version: &str) -> Vec<DiscoveryResponse> {
        let changes = self.inner.responses(offer, version);
        changes.into_iter().map(|told| self.whole(told)).collect()
    }

    fn session(&mut self) -> &mut server::Session {
        &mut self.inner
    }
}

impl Session {
    /// The same as a state.
    fn whole(&self, told: DeltaDiscoveryResponse) -> DiscoveryResponse {
        let kind = Kind::of_type(&told.type_url).expect("it was asked for by this name");
        let resources: Vec<Any> = if envoy::is_told_whole(kind) {
            let has = self.inner.has(kind).into_iter();
            has.filter_map(|resource| resource.resource.clone())
                .collect()
        } else {
            let gone = told.removed_resources.iter();
            let gone = gone.filter_map(|name| envoy::nothing(kind, name));
            let there = told.resources.into_iter();
            there
                .filter_map(|resource| resource.resource)
                .chain(gone)
                .collect()
        };
        DiscoveryResponse {
            version_info: told.system_version_info,
            resources,
            type_url: told.type_url,
            nonce: told.nonce,
        }
    }
}

#[cfg(test)]
mod tests;
