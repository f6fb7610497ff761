//! Finding the first matching rule without trying each one.
//!
//! Rules are filed by their path: exact paths and prefixes in sorted tables, regexes in one program, the rest in a list.
//! A request has few candidates; they are tried in rule order, and a rule whose path is its whole condition ends the
//! search by its number alone. What a match means is the business of `policy::route`, and the two must always agree.

use smallvec::SmallVec;

use super::matching::{Condition, PathMatch};

/// No rule has this number; rule lists are far shorter.
const NONE: u32 = u32::MAX;

/// From this many regexes on, one pass over the path for all of them beats a pass for each.
const ONE_PASS_FROM: usize = 4;

/// A larger program is not built, and each regex is tried by itself: 10 MiB, what `regex` allows a set.
const ONE_PASS_BYTES: usize = 10 << 20;

/// Rules filed under one path.
#[derive(Clone, Debug, Default)]
struct Filed {
    /// The first rule whose condition is this path and nothing else, or [`NONE`].
    certain: u32,
    /// Rules that need more than the path, in order.
    conditional: Vec<u32>,
}

impl Filed {
    fn new() -> Self {
        Self {
            certain: NONE,
            conditional: Vec::new(),
        }
    }

    fn add(&mut self, number: u32, path_is_all: bool) {
        if path_is_all {
            self.certain = self.certain.min(number);
        } else if number < self.certain {
            self.conditional.push(number); // later ones can never be the first match
        }
    }
}

/// Paths in ascending order, each with its rules.
#[derive(Clone, Debug, Default)]
struct ExactTable(Vec<(Box<str>, Filed)>);

impl ExactTable {
    fn add(&mut self, path: &str, number: u32, path_is_all: bool) {
        filed(
            &mut self.0,
            path,
            |entry| &entry.0,
            |path| (path, Filed::new()),
        )
        .1
        .add(number, path_is_all);
    }

    fn find(&self, path: &[u8]) -> Option<&Filed> {
        let at = self
            .0
            .binary_search_by(|(p, _)| p.as_bytes().cmp(path))
            .ok()?;
        Some(&self.0[at].1)
    }
}

/// One prefix.
#[derive(Clone, Debug)]
struct Prefix {
    text: Box<str>,
    /// The longest other prefix that this one begins with, or [`NONE`].
    parent: u32,
    /// The nearest of parent, its parent and so on that has conditional rules, or [`NONE`].
    conditional_parent: u32,
    /// `certain` is the least of this prefix and all its parents.
    rules: Filed,
}

/// Prefixes in ascending order, linked to the prefixes of themselves.
#[derive(Clone, Debug, Default)]
struct PrefixTable(Vec<Prefix>);

impl PrefixTable {
    fn add(&mut self, path: &str, number: u32, path_is_all: bool) {
        let fresh = |text| Prefix {
            text,
            parent: NONE,
            conditional_parent: NONE,
            rules: Filed::new(),
        };
        filed(&mut self.0, path, |entry| &entry.text, fresh)
            .rules
            .add(number, path_is_all);
    }

    /// Sets the links, once all prefixes are there. A prefix stands before everything it is a prefix of.
    fn link(&mut self) {
        let mut open: Vec<u32> = Vec::new();
        for at in 0..self.0.len() {
            while let Some(top) = open.last() {
                if self.0[at].text.starts_with(&*self.0[*top as usize].text) {
                    break;
                }
                open.pop();
            }
            if let Some(parent) = open.last() {
                let above = &self.0[*parent as usize];
                let conditional_parent = if above.rules.conditional.is_empty() {
                    above.conditional_parent
                } else {
                    *parent
                };
                let certain = above.rules.certain;
                let this = &mut self.0[at];
                this.parent = *parent;
                this.conditional_parent = conditional_parent;
                this.rules.certain = this.rules.certain.min(certain);
            }
            open.push(index_number(at));
        }
    }

    /// The longest prefix of `path`. All others are its parents.
    ///
    /// Every prefix of the path that sorts before its neighbour in the table is also a prefix of that neighbour, so
    /// it is one of the neighbour's parents, and the longest is the first that the path still agrees with.
    fn longest(&self, path: &[u8]) -> Option<&Prefix> {
        let after = self.0.partition_point(|p| p.text.as_bytes() <= path);
        let mut at = &self.0[after.checked_sub(1)?];
        let common = at
            .text
            .bytes()
            .zip(path)
            .take_while(|(a, b)| a == *b)
            .count();
        while at.text.len() > common {
            at = self.0.get(at.parent as usize)?;
        }
        Some(at)
    }

    fn collect<'a>(&'a self, path: &[u8], candidates: &mut Candidates<'a>) {
        let Some(mut at) = self.longest(path) else {
            return;
        };
        candidates.certain = candidates.certain.min(at.rules.certain);
        loop {
            candidates.add_list(&at.rules.conditional);
            match self.0.get(at.conditional_parent as usize) {
                Some(parent) => at = parent,
                None => return,
            }
        }
    }
}

/// The entry of a sorted table for a path, made when it is not there.
fn filed<'t, T>(
    table: &'t mut Vec<T>,
    path: &str,
    text: impl Fn(&T) -> &str,
    fresh: impl FnOnce(Box<str>) -> T,
) -> &'t mut T {
    let at = table.binary_search_by(|entry| text(entry).cmp(path));
    let at = at.unwrap_or_else(|at| {
        table.insert(at, fresh(path.into()));
        at
    });
    &mut table[at]
}

/// Rules that match their path by regular expression.
#[derive(Clone, Debug, Default)]
struct RegexTable {
    /// All patterns at once, when there are several and they fit into one program.
    all: Option<regex_automata::meta::Regex>,
    /// The rule of each pattern, in order.
    rules: Vec<u32>,
}

impl RegexTable {
    /// All `patterns` in one program that finds the first of them.
    fn in_one_pass(patterns: &[&str]) -> Option<regex_automata::meta::Regex> {
        if patterns.len() < ONE_PASS_FROM {
            return None;
        }
        let config = regex_automata::meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(ONE_PASS_BYTES));
        // As `regex::bytes` reads them: a path may hold any bytes.
        let syntax = regex_automata::util::syntax::Config::new().utf8(false);
        regex_automata::meta::Builder::new()
            .configure(config)
            .syntax(syntax)
            .build_many(patterns)
            .ok()
    }

    /// The rules from the first whose pattern matches on; those after it may match or not.
    ///
    /// The program prefers the pattern that stands first among matches that begin at one place, and all begin at the
    /// start, because each pattern must match the whole path.
    fn candidates(&self, path: &[u8]) -> &[u32] {
        let Some(all) = &self.all else {
            return &self.rules;
        };
        let found = all.search_half(&regex_automata::Input::new(path));
        found.map_or(&[], |found| &self.rules[found.pattern().as_usize()..])
    }
}

/// Candidate rules of a virtual host by path.
#[derive(Clone, Debug, Default)]
pub struct RuleIndex {
    exact: ExactTable,
    exact_any_case: ExactTable,
    prefix: PrefixTable,
    prefix_any_case: PrefixTable,
    regex: RegexTable,
    anywhere: Filed,
}

impl RuleIndex {
    /// Files the rules of one virtual host by their conditions, which stand in the order of the rules.
    #[must_use]
    pub fn new<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> Self {
        let mut index = Self {
            anywhere: Filed::new(),
            ..Self::default()
        };
        let mut patterns = Vec::new();
        for (at, condition) in conditions.into_iter().enumerate() {
            let number = index_number(at);
            let path_is_all = condition.is_only_path();
            match &condition.path {
                None => index.anywhere.add(number, path_is_all),
                Some(PathMatch::Exact { path, ignore_case }) => {
                    let table = if *ignore_case {
                        &mut index.exact_any_case
                    } else {
                        &mut index.exact
                    };
                    table.add(path, number, path_is_all);
                }
                Some(PathMatch::Prefix { path, ignore_case }) => {
                    let table = if *ignore_case {
                        &mut index.prefix_any_case
                    } else {
                        &mut index.prefix
                    };
                    table.add(path, number, path_is_all);
                }
                Some(PathMatch::Regex(regex)) => {
                    index.regex.rules.push(number);
                    patterns.push(regex.program.as_str());
                }
            }
        }
        index.regex.all = RegexTable::in_one_pass(&patterns);
        index.prefix.link();
        index.prefix_any_case.link();
        index
    }

    /// The position of the first rule whose condition holds for a request of this path, without its query. `holds` says
    /// of a position whether the whole condition there does; it is asked in ascending order, of few.
    #[must_use]
    pub fn find(&self, path: &[u8], holds: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut lower: SmallVec<[u8; 256]> = SmallVec::new();
        let mut candidates = Candidates::new();
        candidates.add(&self.anywhere);
        if let Some(filed) = self.exact.find(path) {
            candidates.add(filed);
        }
        self.prefix.collect(path, &mut candidates);
        if !(self.exact_any_case.0.is_empty() && self.prefix_any_case.0.is_empty()) {
            lower.extend(path.iter().map(u8::to_ascii_lowercase));
            if let Some(filed) = self.exact_any_case.find(&lower) {
                candidates.add(filed);
            }
            self.prefix_any_case.collect(&lower, &mut candidates);
        }
        // The pass is spared when a rule before the first regex matches anyway.
        let first = self.regex.rules.first();
        if first.is_some_and(|first| *first < candidates.certain) {
            candidates.add_list(self.regex.candidates(path));
        }
        candidates.first(holds)
    }
}

/// Rules that may match one request, in several ascending lists.
struct Candidates<'a> {
    /// This one matches for sure, or [`NONE`].
    certain: u32,
    lists: SmallVec<[&'a [u32]; 16]>,
}

impl<'a> Candidates<'a> {
    fn new() -> Self {
        Self {
            certain: NONE,
            lists: SmallVec::new(),
        }
    }

    fn add(&mut self, filed: &'a Filed) {
        self.certain = self.certain.min(filed.certain);
        self.add_list(&filed.conditional);
    }

    fn add_list(&mut self, list: &'a [u32]) {
        if !list.is_empty() {
            self.lists.push(list);
        }
    }

    /// The least number that is certain or that `holds` accepts, asking in ascending order.
    fn first(mut self, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        loop {
            let next = self
                .lists
                .iter_mut()
                .filter(|list| !list.is_empty())
                .min_by_key(|list| list[0]);
            let Some(list) = next.filter(|list| list[0] < self.certain) else {
                return (self.certain != NONE).then_some(self.certain as usize);
            };
            let position = list[0] as usize;
            *list = &list[1..];
            if holds(position) {
                return Some(position);
            }
        }
    }
}

/// A position as a rule number. A virtual host with 2^32 rules does not fit into memory.
fn index_number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
