//! Who has a configuration: what one client was sent of it, and what it is still to be sent. Without IO and clock.
//!
//! One response of a kind is on its way at a time: what changes meanwhile is sent together when it was answered, so a slow
//! client costs one response and no queue.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::client::cut;
use crate::kinds::Kind;
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};

/// Names of a kind that a client may ask for; who wants more wants all.
pub const MAX_NAMES: usize = 65_536;

/// What a client may see now.
pub trait Offer {
    /// One of them.
    fn get(&self, kind: &'static Kind, name: &str) -> Option<&Arc<Resource>>;

    /// All of a kind.
    fn all(&self, kind: &'static Kind) -> impl Iterator<Item = &Arc<Resource>>;
}

/// One client on one stream.
#[derive(Debug, Default)]
pub struct Session {
    watches: BTreeMap<&'static Kind, Watch>,
    responses: u64,
}

/// A kind that a client wants.
#[derive(Debug, Default)]
struct Watch {
    /// As it was asked for: a client may know another version of the kind by name.
    type_url: String,
    wanted: Wanted,
    /// What it has: the server's own, so that each costs a pointer.
    has: HashSet<ByName>,
    stale: Stale,
    /// Of the response that was not answered yet.
    outstanding: Option<String>,
    /// It is answered even if there is nothing.
    owes_answer: bool,
}

/// A resource, known by its name. One that a client had from a stream before has nothing in it.
#[derive(Debug)]
struct ByName(Arc<Resource>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        &self.0.name
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `str` does, see `Borrow`.
        self.0.name.as_str().hash(state);
    }
}

#[derive(Debug, Default)]
enum Wanted {
    #[default]
    All,
    Named(BTreeSet<Box<str>>),
}

/// What may have changed since the client was sent something.
#[derive(Debug)]
enum Stale {
    Whole,
    Names(BTreeSet<Arc<str>>),
}

impl Default for Stale {
    fn default() -> Self {
        Self::Names(BTreeSet::new())
    }
}

/// What a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something else is wanted.
    Wants(&'static Kind),
    /// A response was taken.
    Took(&'static Kind),
    /// A response was refused, in these words.
    Refused(&'static Kind, String),
    /// It answers a response that was overtaken.
    Late(&'static Kind),
    /// More names of a kind are wanted than are kept: the stream is to end.
    TooMany(&'static Kind),
    /// It is of a type that there is nothing of.
    Unknown(String),
}

impl Session {
    /// Takes what a client says.
    pub fn hear(&mut self, request: DeltaDiscoveryRequest) -> Heard {
        let Some(kind) = Kind::of_type(&request.type_url) else {
            return Heard::Unknown(request.type_url);
        };
        let is_first = !self.watches.contains_key(kind);
        let watch = self.watches.entry(kind).or_default();
        let wants = if is_first {
            watch.begin(&request);
            true
        } else {
            watch.resubscribe(&request)
        };
        if watch.wanted.count() > MAX_NAMES {
            return Heard::TooMany(kind);
        }
        if is_first {
            return Heard::Wants(kind);
        }
        if request.response_nonce.is_empty() {
            return if wants {
                Heard::Wants(kind)
            } else {
                Heard::Late(kind)
            };
        }
        if watch.outstanding.as_ref() != Some(&request.response_nonce) {
            return if wants {
                Heard::Wants(kind)
            } else {
                Heard::Late(kind)
            };
        }
        watch.outstanding = None;
        match request.error_detail {
            // It has what it refused: only something else is worth sending.
            Some(mut status) => {
                cut(&mut status.message);
                Heard::Refused(kind, status.message)
            }
            None => Heard::Took(kind),
        }
    }

    /// The object of this name has changed, or may be seen no more, or for the first time.
    pub fn touch(&mut self, kind: &'static Kind, name: Arc<str>) {
        if let Some(watch) = self.watches.get_mut(kind)
            && let Stale::Names(stale) = &mut watch.stale
        {
            stale.insert(name);
        }
    }

    /// Anything may have changed.
    pub fn touch_all(&mut self) {
        let watches = self.watches.values_mut();
        watches.for_each(|watch| watch.stale = Stale::Whole);
    }

    /// What is to be sent now, of each kind whose last response was answered.
    pub fn responses(&mut self, offer: &impl Offer, version: &str) -> Vec<DeltaDiscoveryResponse> {
        let mut responses = Vec::new();
        for (kind, watch) in &mut self.watches {
            let Some(mut response) = watch.response(kind, offer) else {
                continue;
            };
            self.responses += 1;
            response.nonce = self.responses.to_string();
            version.clone_into(&mut response.system_version_info);
            watch.outstanding = Some(response.nonce.clone());
            responses.push(response);
        }
        responses
    }

    /// Whether the client has everything that it was to be sent, as far as it answered.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.watches.values().all(|watch| {
            let is_fresh = matches!(&watch.stale, Stale::Names(names) if names.is_empty());
            watch.outstanding.is_none() && is_fresh && !watch.owes_answer
        })
    }
}

impl Watch {
    fn begin(&mut self, request: &DeltaDiscoveryRequest) {
        self.type_url.clone_from(&request.type_url);
        let names = &request.resource_names_subscribe;
        if !names.is_empty() && !names.iter().any(|name| name == "*") {
            self.wanted = Wanted::Named(names.iter().map(|name| name.as_str().into()).collect());
        }
        let has = request.initial_resource_versions.iter();
        let bare = |(name, version): (&String, &String)| Resource {
            name: name.clone(),
            version: version.clone(),
            resource: None,
        };
        self.has = has.map(|had| ByName(Arc::new(bare(had)))).collect();
        self.stale = Stale::Whole;
        self.owes_answer = true;
    }

    /// Whether something else is wanted than before.
    fn resubscribe(&mut self, request: &DeltaDiscoveryRequest) -> bool {
        let (more, less) = (
            &request.resource_names_subscribe,
            &request.resource_names_unsubscribe,
        );
        if more.is_empty() && less.is_empty() {
            return false;
        }
        if more.iter().any(|name| name == "*") {
            self.wanted = Wanted::All;
        } else if let Wanted::Named(names) = &mut self.wanted {
            names.extend(more.iter().map(|name| name.as_str().into()));
        }
        if less.iter().any(|name| name == "*") && matches!(self.wanted, Wanted::All) {
            self.wanted = Wanted::Named(BTreeSet::new());
        }
        if let Wanted::Named(names) = &mut self.wanted {
            for name in less {
                names.remove(name.as_str());
            }
        }
        // Who asks for a name again has it no more.
        for name in more.iter().chain(less) {
            self.has.remove(name.as_str());
        }
        self.stale = Stale::Whole;
        self.owes_answer |= !more.is_empty();
        true
    }

    fn response(
        &mut self,
        kind: &'static Kind,
        offer: &impl Offer,
    ) -> Option<DeltaDiscoveryResponse> {
        if self.outstanding.is_some() {
            return None;
        }
        let mut response = DeltaDiscoveryResponse {
            type_url: self.type_url.clone(),
            ..DeltaDiscoveryResponse::default()
        };
        match std::mem::take(&mut self.stale) {
            Stale::Whole => self.whole(kind, offer, &mut response),
            Stale::Names(names) => {
                for name in names {
                    match offer.get(kind, &name).filter(|_| self.wanted.has(&name)) {
                        Some(resource) => self.send(resource, &mut response),
                        None => self.remove(&name, &mut response),
                    }
                }
            }
        }
        let is_empty = response.resources.is_empty() && response.removed_resources.is_empty();
        let owed = std::mem::replace(&mut self.owes_answer, false);
        (owed || !is_empty).then_some(response)
    }

    fn whole(
        &mut self,
        kind: &'static Kind,
        offer: &impl Offer,
        response: &mut DeltaDiscoveryResponse,
    ) {
        let mut there = HashSet::new();
        match &self.wanted {
            Wanted::All => {
                for resource in offer.all(kind) {
                    there.insert(resource.name.as_str());
                    self.send(resource, response);
                }
            }
            Wanted::Named(names) => {
                let names: Vec<_> = names.iter().cloned().collect();
                for resource in names.iter().filter_map(|name| offer.get(kind, name)) {
                    there.insert(resource.name.as_str());
                    self.send(resource, response);
                }
            }
        }
        self.has.retain(|had| {
            let is_there = there.contains(had.0.name.as_str());
            if !is_there {
                response.removed_resources.push(had.0.name.clone());
            }
            is_there
        });
        response.removed_resources.sort_unstable();
    }

    fn send(&mut self, resource: &Arc<Resource>, response: &mut DeltaDiscoveryResponse) {
        let had = self.has.replace(ByName(Arc::clone(resource)));
        if had.is_none_or(|had| had.0.version != resource.version) {
            response.resources.push(Resource::clone(resource));
        }
    }

    fn remove(&mut self, name: &str, response: &mut DeltaDiscoveryResponse) {
        if self.has.remove(name) {
            response.removed_resources.push(name.to_owned());
        }
    }
}

impl Wanted {
    fn count(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Named(names) => names.len(),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }
}

#[cfg(test)]
mod tests;
