//! What changes for users between two configurations.
//!
//! Owns the comparison: requests that the rules of both speak of (`asked`), or that somebody hands in, are held against both,
//! and those that go elsewhere or get other policies are put together by what changes. Where a request goes is told by its
//! rule and the clusters that this names (`side`), not by a draw, so that a change of one percent is seen. Rules are tried by
//! `policy`, as for real requests.

mod asked;
mod example;
mod side;
pub mod text;

use std::collections::BTreeMap;

use outrigger_core::message::RequestHead;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use serde::Serialize;

use crate::explanation::{Place, application};
use side::Side;

/// Ways in which requests change that are told apart; further ones are counted together.
const MOST_WAYS: usize = 500;

/// Examples of one way.
const MOST_EXAMPLES: usize = 3;

/// How much may be compared.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Requests made from rules.
    pub requests: usize,
    /// Whether time is up; asked every few requests.
    pub is_over: &'a dyn Fn() -> bool,
}

impl Budget<'_> {
    /// As many as there are.
    pub const UNLIMITED: Self = Self {
        requests: usize::MAX,
        is_over: &|| false,
    };
}

/// What changes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Difference {
    /// Requests that were held against both.
    pub requests: u64,
    /// Those that go elsewhere or get other policies.
    pub changed: u64,
    /// In which ways, those with most requests first.
    pub ways: Vec<Way>,
    /// Requests that change in further ways.
    pub in_further_ways: u64,
    /// Not all that the rules speak of was compared: the budget was spent.
    pub incomplete: bool,
}

/// A way in which requests change.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// How many.
    pub requests: u64,
    /// Where they went.
    pub before: String,
    /// Where they go.
    pub after: String,
    /// What else is not as it was.
    pub changes: Vec<Change>,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// `timeout`, `retries`, `endpoints` and so on.
    pub what: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// A request that changes.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// `GET http://reviews/ratings`, with fields that matter.
    pub request: String,
    /// Its rule before.
    pub before: Option<Place>,
    /// Its rule now.
    pub after: Option<Place>,
}

type Key = (String, String, Vec<Change>);

/// Compares two configurations.
pub struct Comparison<'a> {
    before: Side<'a>,
    after: Side<'a>,
    ways: BTreeMap<Key, (u64, Vec<Example>)>,
    difference: Difference,
}

impl<'a> Comparison<'a> {
    /// Nothing is compared yet.
    #[must_use]
    pub fn new(before: &'a Snapshot, after: &'a Snapshot) -> Self {
        Self {
            before: Side::new(before),
            after: Side::new(after),
            ways: BTreeMap::new(),
            difference: Difference::default(),
        }
    }

    /// Compares the requests that the rules of both speak of: each host and port, and for each rule a request for which it
    /// holds and ones for which one of its conditions does not.
    pub fn compare_rules(&mut self, budget: Budget<'_>) {
        let (before, after) = (self.before.snapshot, self.after.snapshot);
        let mut left = budget.requests;
        asked::each(before, after, &mut |request| {
            if left == 0 || (left.is_multiple_of(16) && (budget.is_over)()) {
                self.difference.incomplete = true;
                return false;
            }
            left -= 1;
            self.compare(&request);
            true
        });
        self.compare_inbound();
    }

    /// Compares what becomes of a request from the mesh to the application, at each inbound listener: one rule holds for all
    /// that comes there.
    fn compare_inbound(&mut self) {
        let listeners = [self.before.snapshot, self.after.snapshot].map(|of| of.inbound.len());
        for at in 0..listeners[0].min(listeners[1]) {
            let listener = ListenerKind::Inbound(at);
            let Some(application) = application(self.after.snapshot, listener) else {
                continue;
            };
            let request = RequestHead {
                authority: application.into_bytes(),
                path: b"/".to_vec(),
                ..RequestHead::default()
            };
            self.compare_at(listener, &request);
        }
    }

    /// Compares one request, as it comes to the outbound listener.
    pub fn compare(&mut self, request: &RequestHead) {
        self.compare_at(ListenerKind::Outbound, request);
    }

    fn compare_at(&mut self, listener: ListenerKind, request: &RequestHead) {
        let before = self.before.decide(request, listener);
        let after = self.after.decide(request, listener);
        self.difference.requests += 1;
        let changes = before.changes(&after);
        if before.goes_to == after.goes_to && changes.is_empty() {
            return;
        }
        self.difference.changed += 1;
        let key = (before.goes_to.clone(), after.goes_to.clone(), changes);
        let is_full = self.ways.len() >= MOST_WAYS;
        if is_full && !self.ways.contains_key(&key) {
            self.difference.in_further_ways += 1;
            return;
        }
        let (count, examples) = self.ways.entry(key).or_default();
        *count += 1;
        if examples.len() < MOST_EXAMPLES {
            examples.push(Example {
                request: match listener {
                    ListenerKind::Outbound | ListenerKind::Gateway(_) => told(request),
                    ListenerKind::Inbound(_) => format!("{} (inbound)", told(request)),
                },
                before: before.place.clone(),
                after: after.place.clone(),
            });
        }
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self) -> Difference {
        let ways = self.ways.into_iter();
        self.difference.ways = ways
            .map(|((before, after, changes), (requests, examples))| Way {
                requests,
                before,
                after,
                changes,
                examples,
            })
            .collect();
        // Ways with as many requests stay in the order of their names.
        (self.difference.ways).sort_by_key(|way| std::cmp::Reverse(way.requests));
        self.difference
    }
}

/// A request on one line.
fn told(request: &RequestHead) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (authority, path) = (text(&request.authority), text(&request.path));
    let mut told = format!("{} http://{authority}{path}", request.method);
    for field in request.headers.iter() {
        told += &format!(" -H '{}: {}'", text(field.name), text(field.value));
    }
    told
}
