//! Which few rules of a set a request may match, so that a thousand rules cost no more than ten.
//!
//! For most rules something is known without which they do not match: a path, an identity, a host. Each such rule stands in
//! one table under the hashes of those texts, and a request looks up what it has. What is found is still to be tried:
//! equal hashes only cost a look. Rules about which nothing of that kind is known are tried always.
//!
//! Hashes are taken of a few short texts a request, at most one for each [`Probe`], because the alternative is to compare
//! with the texts of every rule.

use std::collections::BTreeMap;

use super::{AccessRule, Check, HostPattern, PathPattern, TemplatePiece, Test, TextPattern};

/// What a request is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probed {
    /// Its path.
    Path,
    /// The client's identity.
    Principal,
    /// The namespace of that.
    Namespace,
    /// The host that it asks, in canonical form.
    Host,
    /// The port of the application, in two bytes.
    Port,
    /// Its method.
    Method,
}

/// Which part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// So many bytes at its beginning.
    First(u32),
    /// So many bytes at its end.
    Last(u32),
}

impl Part {
    /// The part of a text; `None` when it is shorter.
    #[must_use]
    pub fn of(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Whole => Some(text),
            Self::First(len) => text.get(..len as usize),
            Self::Last(len) => text.get(text.len().checked_sub(len as usize)?..),
        }
    }
}

/// One way of looking requests up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// By what.
    pub what: Probed,
    /// Which part of that.
    pub part: Part,
}

/// The index of a set of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessIndex {
    /// Positions of rules that any request may match, ascending.
    always: Box<[u32]>,
    /// How requests are looked up.
    probes: Box<[Probe]>,
    /// For each, the marks of all texts that are found by it: most requests have none of a few texts, and need no hash then.
    marks: Box<[u64]>,
    /// Open addressing: a hash, and which of `found` it stands for. Its length is a power of two; a place is free when it
    /// stands for nothing.
    places: Box<[(u64, u32, u32)]>,
    /// Positions of rules, ascending for each place.
    found: Box<[u32]>,
}

/// A text without which a rule does not match.
type Key = (Probe, Vec<u8>);

/// Sets of fewer rules are tried one by one.
const FEWEST: usize = 4;

impl AccessIndex {
    /// Indexes rules by their positions.
    pub(super) fn new(rules: &[AccessRule]) -> Self {
        let all = || (0..rules.len() as u32).collect();
        if rules.len() < FEWEST {
            return Self {
                always: all(),
                ..Self::default()
            };
        }
        let mut how_often: BTreeMap<Key, u32> = BTreeMap::new();
        for keys in rules.iter().flat_map(every_test).filter_map(keys) {
            for key in keys {
                *how_often.entry(key).or_default() += 1;
            }
        }
        let mut always = Vec::new();
        let mut table: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
        for (at, rule) in (0..).zip(rules) {
            match anchors(rule, &how_often) {
                None => always.push(at),
                Some(keys) => {
                    for key in keys {
                        let found = table.entry(key).or_default();
                        if found.last() != Some(&at) {
                            found.push(at);
                        }
                    }
                }
            }
        }
        Self::filled(always, table)
    }

    fn filled(always: Vec<u32>, table: BTreeMap<Key, Vec<u32>>) -> Self {
        let mut probes: Vec<Probe> = table.keys().map(|(probe, _)| *probe).collect();
        probes.dedup(); // keys are sorted by their probes
        let room = (table.len() * 2).next_power_of_two();
        let mut places = vec![(0, 0, 0); if table.is_empty() { 0 } else { room }];
        let mut marks = vec![0; probes.len()];
        let mut all: Vec<u32> = Vec::new();
        for ((probe, text), found) in table {
            // Every probe of a key is in the list.
            let seed = probes.binary_search(&probe).unwrap_or_default();
            marks[seed] |= mark(&text);
            let hash = hash_of(&text, seed);
            let mut at = hash as usize & (room - 1);
            while places[at].2 > 0 {
                at = (at + 1) & (room - 1);
            }
            places[at] = (hash, all.len() as u32, found.len() as u32);
            all.extend(found);
        }
        Self {
            always: always.into(),
            probes: probes.into(),
            marks: marks.into(),
            places: places.into(),
            found: all.into(),
        }
    }

    /// Positions of rules that any request may match, ascending.
    #[must_use]
    pub const fn always(&self) -> &[u32] {
        &self.always
    }

    /// How requests are looked up; [`Self::find`] takes the position of one.
    #[must_use]
    pub const fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Whether a rule may be found by this text, at the first glance.
    #[must_use]
    pub fn may_find(&self, probe: usize, text: &[u8]) -> bool {
        self.marks[probe] & mark(text) != 0
    }

    /// Positions of the rules that a request may match which has this text, ascending; the text is the part that the probe
    /// names. Two texts with one hash have two places, and both are given.
    pub fn find(&self, probe: usize, text: &[u8]) -> impl Iterator<Item = u32> {
        let hash = hash_of(text, probe);
        let mask = self.places.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        // At least half of the places are free.
        core::iter::from_fn(move || {
            let place = self.places.get(at).filter(|(_, _, len)| *len > 0)?;
            at = (at + 1) & mask;
            Some(place)
        })
        .filter(move |(of, ..)| *of == hash)
        .flat_map(|(_, from, len)| {
            let from = *from as usize;
            self.found[from..from + *len as usize].iter().copied()
        })
    }
}

/// One bit of 64, by what tells short texts apart best: their lengths and ends.
fn mark(text: &[u8]) -> u64 {
    let end = text.last().copied().unwrap_or_default();
    1 << ((text.len() as u8 ^ end) & 63)
}

/// A hash that is cheap for short texts. The texts in the table are the configuration's, so a client that knows it gains at most a
/// look at a rule.
fn hash_of(text: &[u8], probe: usize) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 by the golden ratio
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = text.as_chunks();
    let mut hash = mix(probe as u64, text.len() as u64);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let last = rest
        .iter()
        .fold(0, |last, byte| last << 8 | u64::from(*byte));
    hash = mix(hash, last);
    hash ^ hash >> 32
}

fn every_test(rule: &AccessRule) -> impl Iterator<Item = &Test> {
    let alternatives = rule.from.iter().chain(&rule.to);
    alternatives
        .flat_map(|tests| tests.iter())
        .chain(&rule.when)
}

/// The texts of which a request must have one to match the rule: those that fewest rules have.
fn anchors(rule: &AccessRule, how_often: &BTreeMap<Key, u32>) -> Option<Vec<Key>> {
    let cost = |keys: &Vec<Key>| {
        keys.iter()
            .filter_map(|key| how_often.get(key))
            .max()
            .copied()
    };
    let best = |tests: &[Test]| {
        let all = tests.iter().filter_map(keys);
        all.min_by_key(|keys| cost(keys))
    };
    // Each alternative must have one.
    let of_all = |alternatives: &[Box<[Test]>]| {
        if alternatives.is_empty() {
            return None;
        }
        let each: Option<Vec<Vec<Key>>> = alternatives.iter().map(|tests| best(tests)).collect();
        Some(each?.concat())
    };
    let when = rule.when.iter().filter_map(keys);
    let all = [of_all(&rule.from), of_all(&rule.to)];
    let all = all.into_iter().flatten().chain(when);
    all.min_by_key(|keys| cost(keys))
}

/// The texts of which a request must have one for the test to hold; `None` where that can not be said.
fn keys(test: &Test) -> Option<Vec<Key>> {
    if test.negated {
        return None;
    }
    match &test.check {
        Check::Path(paths) => paths.iter().map(of_path).collect(),
        Check::Principal(texts) => of_texts(Probed::Principal, texts),
        Check::Namespace(texts) => of_texts(Probed::Namespace, texts),
        Check::Method(texts) => of_texts(Probed::Method, texts),
        Check::Host(hosts) => hosts
            .iter()
            .map(|HostPattern { host, .. }| of_text(Probed::Host, host))
            .collect(),
        Check::DestinationPort(ports) => {
            let key = |port: &u16| (whole(Probed::Port), port.to_be_bytes().to_vec());
            Some(ports.iter().map(key).collect())
        }
        Check::SourceIp(_)
        | Check::RemoteIp(_)
        | Check::DestinationIp(_)
        | Check::ServiceAccount(_)
        | Check::TrustDomain(_)
        | Check::TokenPrincipal(_)
        | Check::Claim(..)
        | Check::Field(..)
        | Check::Sni(_) => None,
    }
}

const fn whole(what: Probed) -> Probe {
    Probe {
        what,
        part: Part::Whole,
    }
}

fn of_texts(what: Probed, texts: &[TextPattern]) -> Option<Vec<Key>> {
    texts.iter().map(|text| of_text(what, text)).collect()
}

fn of_text(what: Probed, text: &TextPattern) -> Option<Key> {
    let probe = |part| Probe { what, part };
    let (part, text) = match text {
        TextPattern::Exact(text) => (Part::Whole, text),
        TextPattern::Prefix(text) => (Part::First(text.len() as u32), text),
        TextPattern::Suffix(text) => (Part::Last(text.len() as u32), text),
        TextPattern::Present | TextPattern::Pieces(_) => return None,
    };
    Some((probe(part), text.as_bytes().to_vec()))
}

fn of_path(path: &PathPattern) -> Option<Key> {
    match path {
        PathPattern::Text(text) => of_text(Probed::Path, text),
        PathPattern::Template(pieces) => match pieces.first()? {
            TemplatePiece::Text(text) => of_text(Probed::Path, &TextPattern::Prefix(text.clone())),
            TemplatePiece::Segment | TemplatePiece::Segments => None,
        },
    }
}
