//! Host names and wildcards, and what each stands for.
//!
//! Lookup is by exact name, then by the longest wildcard suffix, then by `*` (Envoy's order, of virtual hosts as of server
//! names). What an exact name costs does not grow with the names; what a wildcard costs does with their logarithm and
//! the number of labels.

use super::hash_index::HashIndex;
use crate::xxhash::xxh64;

/// Names, each with a number.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    exact: Box<[(Box<str>, u32)]>,
    /// Where each of them is.
    index: HashIndex,
    /// Wildcards without their `*`, so `.example.com`; sorted. The wildcard `*` is the empty suffix.
    suffixes: Box<[(Box<str>, u32)]>,
}

/// A name or a wildcard of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named<'t> {
    /// The name itself.
    Exact(&'t str),
    /// A wildcard without its `*`.
    Suffix(&'t str),
}

fn at<'t>(list: &'t [(Box<str>, u32)], name: &[u8]) -> Option<&'t (Box<str>, u32)> {
    let found = list.binary_search_by(|(n, _)| n.as_bytes().cmp(name));
    found.ok().map(|at| &list[at])
}

impl NameTable {
    /// Builds the table. Names are in lower case; `*.x` and `*` are wildcards. Of two equal names the first one wins.
    #[must_use]
    pub(super) fn new(names: impl IntoIterator<Item = (Box<str>, u32)>) -> Self {
        let (mut exact, mut suffixes) = (Vec::new(), Vec::new());
        for (name, number) in names {
            match name.strip_prefix('*') {
                Some(suffix) => suffixes.push((suffix.into(), number)),
                None => exact.push((name, number)),
            }
        }
        for list in [&mut exact, &mut suffixes] {
            list.sort_by(|a: &(Box<str>, u32), b| a.0.cmp(&b.0)); // stable: the first of two equal names stays first
            list.dedup_by(|later, earlier| later.0 == earlier.0);
        }
        let hashes = exact
            .iter()
            .map(|(name, _): &(Box<str>, u32)| xxh64(name.as_bytes(), 0));
        Self {
            index: HashIndex::new(hashes),
            exact: exact.into(),
            suffixes: suffixes.into(),
        }
    }

    /// What the most particular name stands for that a host in lower case has, and that name.
    #[must_use]
    pub(super) fn find(&self, host: &[u8]) -> Option<(Named<'_>, u32)> {
        if let Some((name, number)) = self.exact(host) {
            return Some((Named::Exact(name), *number));
        }
        let (name, number) = self.suffixes_of(host).next()?;
        Some((Named::Suffix(name), *number))
    }

    /// What all names stand for that a host in lower case has, the most particular one first.
    pub(super) fn all<'t>(&'t self, host: &'t [u8]) -> impl Iterator<Item = u32> {
        let exact = self.exact(host).into_iter();
        exact.chain(self.suffixes_of(host)).map(|(_, of)| *of)
    }

    fn exact(&self, name: &[u8]) -> Option<&(Box<str>, u32)> {
        let is_it = |at: usize| self.exact[at].0.as_bytes() == name;
        let found = self.index.find(xxh64(name, 0), is_it);
        found.map(|at| &self.exact[at])
    }

    /// Longest suffix first: from each dot on, then the bare `*`. A wildcard needs at least one byte before it.
    fn suffixes_of<'t, 'h>(
        &'t self,
        host: &'h [u8],
    ) -> impl Iterator<Item = &'t (Box<str>, u32)> + use<'t, 'h> {
        // Most tables have none.
        let host = if self.suffixes.is_empty() { b"" } else { host };
        let dots = memchr::memchr_iter(b'.', host).filter(|dot| *dot > 0);
        let suffixes = dots.filter_map(|dot| at(&self.suffixes, &host[dot..]));
        suffixes.chain(at(&self.suffixes, b""))
    }

    /// All exact names and wildcards with what they stand for, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Named<'_>, u32)> {
        let exact = self
            .exact
            .iter()
            .map(|(name, of)| (Named::Exact(name), *of));
        let wild = (self.suffixes.iter()).map(|(name, of)| (Named::Suffix(name), *of));
        exact.chain(wild)
    }
}

/// As it was written.
impl core::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}
