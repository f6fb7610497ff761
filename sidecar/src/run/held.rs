//! What files held when they were last good, for the moment in which somebody writes them anew.
//!
//! Owns when an empty file is not believed: one that is written in place is empty between its truncation and its new
//! content, and a folder that is made again is empty for a while. That nothing is meant, a signal says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::sources::Source;

/// The texts of the configuration in use.
#[derive(Debug, Default)]
pub(super) struct Held {
    texts: BTreeMap<Arc<str>, Vec<u8>>,
    /// There are some besides the mesh configuration's.
    has_rules: bool,
    /// What was told, so that it is told once.
    told: BTreeSet<Doubt>,
}

/// Files that are not believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Nothing is left of all files.
    Gone,
    /// This file was emptied, and has its last good text instead.
    Emptied(Arc<str>),
}

impl Held {
    /// This is in use now: the rules, and the mesh configuration.
    pub(super) fn keep(&mut self, rules: &[Source], mesh: Option<&Source>) {
        let filled = |source: &&Source| !is_blank(source);
        self.has_rules = rules.iter().any(|rule| filled(&rule));
        self.texts = rules
            .iter()
            .chain(mesh)
            .filter(filled)
            .map(|source| (Arc::clone(&source.name), source.bytes.clone()))
            .collect();
    }

    /// Somebody said that the files are meant as they are.
    pub(super) fn believe(&mut self) {
        self.told.clear();
    }

    /// Gives emptied files their last good text. Returns what is doubted.
    pub(super) fn fill<'a>(
        &self,
        rules: impl Iterator<Item = &'a mut Source>,
        mesh: Option<&mut Source>,
    ) -> BTreeSet<Doubt> {
        let mut doubts = BTreeSet::new();
        let mut is_gone = self.has_rules;
        for rule in rules {
            self.fill_one(rule, &mut doubts);
            is_gone &= is_blank(rule);
        }
        if let Some(mesh) = mesh {
            self.fill_one(mesh, &mut doubts);
        }
        if is_gone {
            doubts.insert(Doubt::Gone);
        }
        doubts
    }

    fn fill_one(&self, source: &mut Source, doubts: &mut BTreeSet<Doubt>) {
        if let Some(text) = self.texts.get(&source.name)
            && is_blank(source)
        {
            source.bytes.clone_from(text);
            doubts.insert(Doubt::Emptied(Arc::clone(&source.name)));
        }
    }

    /// Those of the doubts that were not told the last time.
    pub(super) fn news(&mut self, doubts: BTreeSet<Doubt>) -> Vec<Doubt> {
        let new = doubts.difference(&self.told).cloned().collect();
        self.told = doubts;
        new
    }
}

fn is_blank(source: &Source) -> bool {
    source.bytes.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Vec<Source> {
        files
            .iter()
            .map(|(name, text)| Source {
                name: (*name).into(),
                bytes: text.as_bytes().to_vec(),
            })
            .collect()
    }

    #[test]
    fn from_something_to_nothing_is_doubted() {
        let mut held = Held::default();
        assert!(held.fill([].iter_mut(), None).is_empty());
        let mesh = files(&[("mesh", "m")]);
        held.keep(
            &files(&[("a", "x"), ("b", "y"), ("blank", "\n")]),
            mesh.first(),
        );
        let emptied = |name: &str| Doubt::Emptied(name.into());
        // Files as they are found, as they are taken, and what is told.
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(Files<'_>, Files<'_>, &[Doubt])] = &[
            (&[("a", "x"), ("b", "z")], &[("a", "x"), ("b", "z")], &[]),
            (&[("a", "z")], &[("a", "z")], &[]),
            (&[("a", "x"), ("new", "")], &[("a", "x"), ("new", "")], &[]),
            (
                &[("a", "z"), ("b", " \n")],
                &[("a", "z"), ("b", "y")],
                &[emptied("b")],
            ),
            (&[("b", "")], &[("b", "y")], &[emptied("b")]),
            (&[("new", "")], &[("new", "")], &[Doubt::Gone]),
            (&[], &[], &[Doubt::Gone]),
        ];
        for (found, taken, doubts) in cases {
            let mut sources = files(found);
            let mut mesh = files(&[("mesh", "")]);
            let mut told = held.fill(sources.iter_mut(), mesh.first_mut());
            assert_eq!(mesh, files(&[("mesh", "m")]));
            assert!(told.remove(&emptied("mesh")));
            assert_eq!(sources, files(taken), "{found:?}");
            assert_eq!(told, doubts.iter().cloned().collect(), "{found:?}");
            assert_eq!(held.news(told.clone()).len(), doubts.len(), "{found:?}");
            assert_eq!(held.news(told), [], "told once: {found:?}");
            held.believe();
        }
    }
}
