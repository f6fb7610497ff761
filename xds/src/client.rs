//! Who runs by a configuration: what it has of it, what it asks for, and what it answers. Without IO and clock.
//!
//! Objects are taken one by one: what is refused leaves the last good one of its name in use, and is told to the server with
//! the reason; everything else of the same response is used. Whether an object is any good, the caller finds out, see
//! [`Client::settle`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::carried::{self, name_of};
use crate::kinds::Kind;
use crate::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Status};
use crate::object::{Key, Object};

/// `INVALID_ARGUMENT` of gRPC: what a refusal is.
pub(crate) const INVALID_ARGUMENT: i32 = 3;

/// Longest text of a refusal. Each names what it can; more of them do not help.
const MAX_REFUSAL: usize = 4096;

/// What a client has.
#[derive(Debug)]
pub struct Client {
    node: Node,
    kinds: BTreeMap<&'static Kind, Held>,
    /// Responses that came.
    taken: u64,
}

/// Everything that had come at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What it has of a kind.
#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<Box<str>, Entry>,
    /// A server has said what there is.
    is_answered: bool,
    /// Responses that were not answered yet.
    pending: Vec<Pending>,
}

/// What it has of a name.
#[derive(Debug, Default)]
struct Entry {
    /// What came last and was not judged yet, and when.
    fresh: Option<(Moment, Object)>,
    /// What is in use; `None` where nothing that came was any good.
    good: Option<Object>,
    /// The version of what came last, good or not: it is not to be sent again.
    version: Box<str>,
}

#[derive(Debug)]
struct Pending {
    at: Moment,
    nonce: String,
    brought: BTreeSet<Box<str>>,
    /// What was no object at all.
    strange: Vec<String>,
}

/// An object to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What is to be used if it is good.
    pub object: &'a Object,
    /// Whether nobody has judged it yet.
    pub is_fresh: bool,
    /// What is used instead if it is not.
    pub good: Option<&'a Object>,
}

/// What came of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There is something to be judged, and then to be answered with [`Client::settle`].
    News,
    /// It says nothing new; also to be answered.
    Same,
    /// It is of a type that nobody asked for.
    Unasked,
}

impl Client {
    /// One that has nothing yet, and wants all objects of these kinds that concern it.
    #[must_use]
    pub fn new(node: Node, kinds: &[&'static Kind]) -> Self {
        let kinds = kinds.iter().map(|kind| (*kind, Held::default()));
        Self {
            node,
            kinds: kinds.collect(),
            taken: 0,
        }
    }

    /// What it calls itself.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// What it calls itself on the next stream: what concerns it may be something else then, and what it has is told with it.
    pub fn call_itself(&mut self, node: Node) {
        self.node = node;
    }

    /// Everything that has come until now.
    #[must_use]
    pub const fn now(&self) -> Moment {
        Moment(self.taken)
    }

    /// What is said first on a new stream. What was not answered on the one before never will be.
    pub fn open(&mut self) -> Vec<DeltaDiscoveryRequest> {
        let mut node = Some(self.node.clone());
        let kinds = self.kinds.iter_mut();
        let requests = kinds.map(|(kind, held)| {
            held.pending.clear();
            DeltaDiscoveryRequest {
                node: node.take(),
                type_url: kind.type_url(),
                resource_names_subscribe: vec!["*".to_owned()],
                initial_resource_versions: held.versions(),
                ..DeltaDiscoveryRequest::default()
            }
        });
        requests.collect()
    }

    /// Takes what a server says.
    pub fn take(&mut self, response: DeltaDiscoveryResponse) -> Taken {
        // Of the very version that was asked for: the answer names what was asked and what came alike.
        let kind = Kind::of_type(&response.type_url);
        let kind = kind.filter(|kind| kind.type_url() == response.type_url);
        let Some((kind, held)) = kind.and_then(|kind| Some((kind, self.kinds.get_mut(kind)?)))
        else {
            return Taken::Unasked;
        };
        self.taken += 1;
        let at = Moment(self.taken);
        let mut pending = Pending {
            at,
            nonce: response.nonce,
            brought: BTreeSet::new(),
            strange: Vec::new(),
        };
        let mut is_news = !std::mem::replace(&mut held.is_answered, true);
        for resource in response.resources {
            match carried::unpack(kind, resource) {
                Ok(object) => {
                    let name: Box<str> = name_of(&object.key).into();
                    is_news |= held.put(&name, at, object);
                    pending.brought.insert(name);
                }
                Err(strange) => pending.strange.push(strange.to_string()),
            }
        }
        for name in response.removed_resources {
            is_news |= held.entries.remove(name.as_str()).is_some();
        }
        held.pending.push(pending);
        if is_news { Taken::News } else { Taken::Same }
    }

    /// What there is to be judged, by kind and name.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let entries = self.kinds.values().flat_map(|held| held.entries.values());
        entries.filter_map(|entry| {
            let fresh = entry.fresh.as_ref().map(|(_, object)| object);
            let object = fresh.or(entry.good.as_ref())?;
            Some(Candidate {
                object,
                is_fresh: entry.fresh.is_some(),
                good: entry.good.as_ref(),
            })
        })
    }

    /// What had come at that moment has been judged: all of it is good but these, with the reasons. Returns the answers to the
    /// server.
    pub fn settle(
        &mut self,
        refused: &BTreeMap<Key, String>,
        judged: Moment,
    ) -> Vec<DeltaDiscoveryRequest> {
        let mut answers = Vec::new();
        for (kind, held) in &mut self.kinds {
            let mut why = BTreeMap::new();
            for (name, entry) in &mut held.entries {
                let Some((_, fresh)) = entry.fresh.take_if(|(at, _)| *at <= judged) else {
                    continue;
                };
                match refused.get(&fresh.key) {
                    // What was never any good is remembered by its version alone.
                    Some(reason) => {
                        why.insert(&**name, &**reason);
                    }
                    None => entry.good = Some(fresh),
                }
            }
            let answered = held.pending.extract_if(.., |pending| pending.at <= judged);
            answers.extend(answered.map(|pending| DeltaDiscoveryRequest {
                type_url: kind.type_url(),
                error_detail: pending.refusal(&why),
                response_nonce: pending.nonce,
                ..DeltaDiscoveryRequest::default()
            }));
        }
        answers
    }

    /// What came and is no object at all, by kind and in words, and was not answered yet. Nobody can judge it.
    pub fn strange(&self) -> impl Iterator<Item = (&'static Kind, &str)> {
        let kinds = self.kinds.iter();
        kinds.flat_map(|(kind, held)| {
            let strange = held.pending.iter().flat_map(|pending| &pending.strange);
            strange.map(|why| (*kind, why.as_str()))
        })
    }

    /// Whether everything that came has been judged: what was not answered yet says nothing new.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.strange().next().is_none() && !self.candidates().any(|one| one.is_fresh)
    }

    /// Whether a server has said of each kind what there is, so that nothing is missing for a first configuration.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut kinds = self.kinds.iter();
        kinds.all(|(kind, held)| held.is_answered || !kind.is_awaited())
    }

    /// What is in use, by name: for tests and for people.
    pub fn in_use(&self) -> impl Iterator<Item = &Object> {
        let entries = self.kinds.values().flat_map(|held| held.entries.values());
        entries.filter_map(|entry| entry.good.as_ref())
    }
}

impl Held {
    /// Whether that is news.
    fn put(&mut self, name: &str, at: Moment, object: Object) -> bool {
        let entry = self.entries.entry(name.into()).or_default();
        entry.version.clone_from(&object.version);
        if entry.fresh.is_none() && entry.good.as_ref() == Some(&object) {
            return false;
        }
        entry.fresh = Some((at, object));
        true
    }

    fn versions(&self) -> BTreeMap<String, String> {
        let entries = self.entries.iter();
        entries
            .map(|(name, entry)| (name.to_string(), entry.version.to_string()))
            .collect()
    }
}

/// Cuts a refusal to what somebody reads, on both sides.
pub(crate) fn cut(message: &mut String) {
    if let Some((end, _)) = message.char_indices().find(|(at, _)| *at >= MAX_REFUSAL) {
        message.truncate(end);
    }
}

impl Pending {
    fn refusal(&self, why: &BTreeMap<&str, &str>) -> Option<Status> {
        let mut message = self.strange.join("; ");
        let brought = self.brought.iter();
        for (name, reason) in brought.filter_map(|name| Some((name, why.get(&**name)?))) {
            let comma = if message.is_empty() { "" } else { "; " };
            // Writing to a string cannot fail.
            let _ = write!(message, "{comma}{name}: {reason}");
        }
        if message.is_empty() {
            return None;
        }
        cut(&mut message);
        Some(Status {
            code: INVALID_ARGUMENT,
            message,
        })
    }
}

#[cfg(test)]
mod tests;
