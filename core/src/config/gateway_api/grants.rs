//! ReferenceGrants: who of another namespace may name something of this one.

use super::Pieces;
use crate::config::decode::Object;
use crate::config::meta::Meta;

/// One pair of what `from` and `to` say.
#[derive(Debug)]
pub(super) struct Grant {
    namespace: String,
    /// Kind and namespace.
    from: (String, String),
    /// Kind, and the one name if it is for one alone.
    to: (String, Option<String>),
}

/// Reads the `spec`.
pub(super) fn read(spec: &mut Object<'_, '_>, meta: &Meta) -> Vec<Grant> {
    let from = spec.messages("from", |from| {
        from.take("group");
        (from.string("kind"), from.string("namespace"))
    });
    let to = spec.messages("to", |to| {
        to.take("group");
        (to.string("kind"), to.optional_string("name"))
    });
    let pairs = from
        .iter()
        .flat_map(|from| to.iter().map(move |to| (from, to)));
    pairs
        .map(|(from, to)| Grant {
            namespace: meta.namespace.clone(),
            from: from.clone(),
            to: (to.0.clone(), to.1.clone().filter(|name| !name.is_empty())),
        })
        .collect()
}

impl Pieces {
    /// Whether something of a kind and namespace may name a thing, as kind, namespace and name, of another one.
    pub(super) fn is_granted(&self, from: (&str, &str), to: (&str, &str, &str)) -> bool {
        let (kind, namespace, name) = to;
        namespace == from.1
            || self.grants.iter().any(|grant| {
                grant.namespace == namespace
                    && (grant.from.0.as_str(), grant.from.1.as_str()) == from
                    && grant.to.0 == kind
                    && grant.to.1.as_ref().is_none_or(|only| only == name)
            })
    }
}
