//! What a client refused, object by object, until it takes another form of it.
//!
//! A refusal comes for all that one response brought, in words that name what is no good; what of the response they do not name was taken.

use std::collections::BTreeMap;

use outrigger_xds::Kind;
use outrigger_xds::messages::DeltaDiscoveryResponse;

/// So many refused objects of a client are kept; of more it is known that there are.
pub const MOST: usize = 64;

/// What a response brought and took away, with the version of what it brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent(BTreeMap<Box<str>, Box<str>>);

impl Sent {
    pub(crate) fn of(response: &DeltaDiscoveryResponse) -> Self {
        let brought = response.resources.iter();
        let brought = brought.map(|resource| (resource.name.as_str(), resource.version.as_str()));
        let taken = response.removed_resources.iter();
        let all = brought.chain(taken.map(|name| (name.as_str(), "")));
        Self(
            all.map(|(name, version)| (name.into(), version.into()))
                .collect(),
        )
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The version of the object that was refused.
    pub version: Box<str>,
    /// Why, in the client's words.
    pub why: String,
}

/// All that a client refuses, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    objects: BTreeMap<(&'static Kind, Box<str>), Refusal>,
    /// What was said of a kind and names no object.
    others: BTreeMap<&'static Kind, String>,
}

impl Refused {
    /// Each object, as `namespace/name`.
    pub fn objects(&self) -> impl Iterator<Item = (&'static Kind, &str, &Refusal)> {
        let all = self.objects.iter();
        all.map(|((kind, name), refusal)| (*kind, &**name, refusal))
    }

    /// Whether nothing is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.others.is_empty()
    }

    /// The whole in words, by kind.
    #[must_use]
    pub fn words(&self) -> BTreeMap<&'static Kind, String> {
        let mut words = self.others.clone();
        for (kind, name, refusal) in self.objects() {
            let text = words.entry(kind).or_default();
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push_str(": ");
            text.push_str(&refusal.why);
        }
        words
    }

    /// All of a response was taken. Says whether something was refused before.
    pub(crate) fn took(&mut self, kind: &'static Kind, sent: &Sent) -> bool {
        let before = self.objects.len();
        // Whoever refuses nothing, as nearly everybody, costs nothing.
        if before > 0 {
            for name in sent.0.keys() {
                self.objects.remove(&(kind, name.clone()));
            }
        }
        self.others.remove(kind).is_some() || self.objects.len() < before
    }

    /// Something of a response was refused.
    pub(crate) fn refused(&mut self, kind: &'static Kind, sent: &Sent, message: &str) {
        self.took(kind, sent);
        let (named, rest) = named(message, |name| sent.0.contains_key(name));
        for (name, why) in named {
            if self.objects.len() == MOST {
                let more = format!("and more than {MOST} objects are refused");
                self.others.insert(kind, more);
                return;
            }
            let version = sent.0.get(name).cloned().unwrap_or_default();
            let why = why.to_owned();
            let refusal = Refusal { version, why };
            self.objects.insert((kind, name.into()), refusal);
        }
        if !rest.is_empty() {
            self.others.insert(kind, rest.to_owned());
        }
    }
}

/// The objects that `name: why; name: why` names, and what stands before the first of them. A reason may have semicolons of its own.
fn named(message: &str, is_name: impl Fn(&str) -> bool) -> (Vec<(&str, &str)>, &str) {
    let starts = message
        .match_indices("; ")
        .map(|(at, mark)| at + mark.len());
    let starts = std::iter::once(0).chain(starts);
    let begun: Vec<(usize, &str)> = starts
        .filter_map(|at| {
            let (name, _) = message[at..].split_once(": ")?;
            is_name(name).then_some((at, name))
        })
        .collect();
    let end = |next: Option<&(usize, &str)>| next.map_or(message.len(), |(at, _)| at - 2);
    let all = begun.iter().enumerate().map(|(place, (at, name))| {
        let why = &message[at + name.len() + 2..end(begun.get(place + 1))];
        (*name, why)
    });
    let rest = match begun.first() {
        Some((0, _)) => "",
        first => &message[..end(first)],
    };
    (all.collect(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_of_the_objects_that_it_names() {
        let is_name = |name: &str| ["a/b", "a/c"].contains(&name);
        for (message, objects, rest) in [
            ("a/b: no", &[("a/b", "no")][..], ""),
            (
                "a/b: no; it: is; a/c: neither",
                &[("a/b", "no; it: is"), ("a/c", "neither")],
                "",
            ),
            ("strange; a/c: no", &[("a/c", "no")], "strange"),
            ("x/y: is none of these", &[], "x/y: is none of these"),
            ("", &[], ""),
            ("a/b: ", &[("a/b", "")], ""),
        ] {
            assert_eq!(
                named(message, is_name),
                (objects.to_vec(), rest),
                "{message}"
            );
        }
    }

    #[test]
    fn what_was_refused_stays_so_until_it_is_taken() {
        let kind = Kind::named("networking.istio.io/v1", "VirtualService").unwrap();
        let sent = |names: &[(&str, &str)]| {
            let all = names.iter();
            Sent(
                all.map(|(name, version)| ((*name).into(), (*version).into()))
                    .collect(),
            )
        };
        let mut refused = Refused::default();
        let names = |refused: &Refused| -> Vec<String> {
            let all = refused.objects();
            all.map(|(_, name, refusal)| format!("{name}@{}", refusal.version))
                .collect()
        };
        refused.refused(kind, &sent(&[("a/b", "1"), ("a/c", "2")]), "a/b: no");
        assert_eq!(names(&refused), ["a/b@1"]);
        assert!(!refused.took(kind, &sent(&[("a/c", "3")])));
        assert_eq!(names(&refused), ["a/b@1"], "of another object");
        refused.refused(kind, &sent(&[("a/b", "4"), ("a/d", "4")]), "a/d: no; x");
        assert_eq!(names(&refused), ["a/d@4"]);
        assert_eq!(refused.words()[kind], "a/d: no; x");
        assert!(refused.took(kind, &sent(&[("a/d", "")])), "it is gone");
        assert!(refused.is_empty());
        for name in (0..2 * MOST).map(|number| format!("a/{number}")) {
            refused.refused(kind, &sent(&[(&name, "1")]), &format!("{name}: no"));
        }
        assert_eq!(refused.objects().count(), MOST);
        assert!(refused.words()[kind].contains("more than 64"));
    }
}
