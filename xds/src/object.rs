//! One object of the configuration, and what is told of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::kinds::Kind;

/// What an object is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: &'static Kind,
    /// Empty for what is in none.
    pub namespace: Box<str>,
    /// Its name in there.
    pub name: Box<str>,
}

/// An object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is called.
    pub key: Key,
    /// See [`content_version`]: another one means that something else stands in it.
    pub version: Box<str>,
    /// The whole of it, `apiVersion` and `kind` included.
    pub json: Value,
}

/// The version of what stands in an object: the same on every replica that reads the same, and after a change of what nobody
/// reads, such as a status, which gives an object another `resourceVersion`.
#[must_use]
pub fn content_version(json: &Value) -> Box<str> {
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).into()
}

/// What a source tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An object is there, or is another than before.
    Is(Object),
    /// There is none of that name any more.
    Gone(Key),
    /// These are all of a kind: those that are not among them are gone. Told first of all, and whenever changes may have been
    /// missed.
    All(&'static Kind, Vec<Object>),
}
