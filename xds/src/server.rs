//! Who has a configuration: what one client was sent of it, and what it is still to be sent. Without IO and clock.
//!
//! One response of a kind is on its way at a time: what changes meanwhile is sent together when it was answered, so a slow
//! client costs one response and no queue.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::carried::weight;
use crate::client::cut;
use crate::kinds::Kind;
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource};

/// Names of a kind that a client may ask for; who wants more wants all.
pub const MAX_NAMES: usize = 65_536;

/// Longest name, or version of what a client has, in bytes: those of Kubernetes, of hosts and of their clusters are far shorter.
pub const MAX_NAME_BYTES: usize = 1024;

/// Objects that a client may say to have when it comes, of all kinds.
pub const MAX_HAD: usize = 524_288;

/// What a client may see now.
pub trait Offer {
    /// One of them.
    fn get(&self, kind: &'static Kind, name: &str) -> Option<Arc<Resource>>;

    /// All of a kind.
    fn all(&self, kind: &'static Kind) -> impl Iterator<Item = Arc<Resource>>;
}

/// One of the two ways in which changes are told: what has changed ([`Session`]), or what there is ([`whole`](crate::whole)).
pub trait Telling: Default + Send + 'static {
    /// What clients say.
    type Request: prost::Message + Default + Send + 'static;
    /// What they are told.
    type Response: prost::Message + Send + 'static;
    /// The method of the service.
    const METHOD: &'static str;

    /// Who asks, in the first request.
    fn node(request: &Self::Request) -> Option<&Node>;

    /// How many things are told of in a response, and about how many bytes they have.
    fn size(response: &Self::Response) -> (usize, usize);

    /// A response that tells of what has changed, object by object.
    fn change(_response: &Self::Response) -> Option<&DeltaDiscoveryResponse> {
        None
    }

    /// Takes what a client says.
    fn hear(&mut self, request: Self::Request) -> Heard;

    /// What is to be sent now, of each kind whose last response was answered.
    fn responses(&mut self, offer: &impl Offer, version: &str) -> Vec<Self::Response>;

    /// What it comes down to: what the client has, and what it is still to be sent.
    fn session(&mut self) -> &mut Session;
}

/// One client on one stream.
#[derive(Debug, Default)]
pub struct Session {
    watches: BTreeMap<&'static Kind, Watch>,
    responses: u64,
    /// How many objects the client said to have.
    had: usize,
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
    /// Names that were asked for since. What is not there is told to be gone: who asks would wait for it.
    asked: BTreeSet<Box<str>>,
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
    /// More names of a kind are said than are kept, or longer ones: the stream is to end.
    TooMany(&'static Kind),
    /// It is of a type that there is nothing of.
    Unknown(String),
}

impl Telling for Session {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const METHOD: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn change(response: &Self::Response) -> Option<&DeltaDiscoveryResponse> {
        Some(response)
    }

    fn size(response: &DeltaDiscoveryResponse) -> (usize, usize) {
        let resources = &response.resources;
        (resources.len(), resources.iter().map(weight).sum())
    }

    fn hear(&mut self, request: DeltaDiscoveryRequest) -> Heard {
        let Some(kind) = Kind::of_type(&request.type_url) else {
            return Heard::Unknown(request.type_url);
        };
        self.had += request.initial_resource_versions.len();
        if self.had > MAX_HAD || is_long(&request) {
            return Heard::TooMany(kind);
        }
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

    fn responses(&mut self, offer: &impl Offer, version: &str) -> Vec<DeltaDiscoveryResponse> {
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

    fn session(&mut self) -> &mut Session {
        self
    }
}

/// Whether a name or a version in it is longer than any that is kept.
fn is_long(request: &DeltaDiscoveryRequest) -> bool {
    let (more, less) = (
        &request.resource_names_subscribe,
        &request.resource_names_unsubscribe,
    );
    let had = request.initial_resource_versions.iter();
    let had = had.flat_map(|(name, version)| [name, version]);
    let mut all = more.iter().chain(less).chain(had);
    all.any(|name| name.len() > MAX_NAME_BYTES)
}

impl Session {
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

    /// Anything that is made of others may have changed.
    pub fn touch_made(&mut self) {
        let watches = self.watches.iter_mut();
        for (_, watch) in watches.filter(|(kind, _)| kind.is_made()) {
            watch.stale = Stale::Whole;
        }
    }

    /// Whether the client wants anything that is made of others.
    #[must_use]
    pub fn wants_made(&self) -> bool {
        self.watches.keys().any(|kind| kind.is_made())
    }

    /// Whether the client has asked for anything of a kind.
    pub(crate) fn watches(&self, kind: &'static Kind) -> bool {
        self.watches.contains_key(kind)
    }

    /// What the client has of a kind, by name.
    pub(crate) fn has(&self, kind: &'static Kind) -> Vec<&Arc<Resource>> {
        let had = self.watches.get(kind).into_iter();
        let mut had: Vec<_> = had.flat_map(|watch| &watch.has).map(|had| &had.0).collect();
        had.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        had
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
            self.asked = names.iter().map(|name| name.as_str().into()).collect();
            self.wanted = Wanted::Named(self.asked.clone());
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
        let all = |names: &[String]| names.iter().any(|name| name == "*");
        if all(less) && matches!(self.wanted, Wanted::All) {
            self.wanted = Wanted::Named(BTreeSet::new());
        }
        if let Wanted::Named(names) = &mut self.wanted {
            for name in less {
                names.remove(name.as_str());
                self.asked.remove(name.as_str());
            }
            names.extend(more.iter().map(|name| name.as_str().into()));
            self.asked
                .extend(more.iter().map(|name| name.as_str().into()));
        }
        if all(more) {
            self.wanted = Wanted::All;
            self.asked.clear();
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
                        Some(resource) => self.send(&resource, &mut response),
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
        let there: Vec<Arc<Resource>> = match &self.wanted {
            Wanted::All => offer.all(kind).collect(),
            Wanted::Named(names) => {
                let names = names.iter();
                names.filter_map(|name| offer.get(kind, name)).collect()
            }
        };
        for resource in &there {
            self.send(resource, response);
        }
        let there: HashSet<&str> = there.iter().map(|there| there.name.as_str()).collect();
        self.has.retain(|had| {
            let is_there = there.contains(had.0.name.as_str());
            if !is_there {
                response.removed_resources.push(had.0.name.clone());
            }
            is_there
        });
        let asked = std::mem::take(&mut self.asked).into_iter();
        let missing = asked.filter(|name| !there.contains(&**name));
        response.removed_resources.extend(missing.map(String::from));
        response.removed_resources.sort_unstable();
        response.removed_resources.dedup();
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
pub(crate) mod tests;
