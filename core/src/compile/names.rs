//! Endpoints that are written as names: which names a configuration asks for, and the endpoints at what they resolve to.
//!
//! Owns what an answer means. Looking names up, again and again, is the program's business; an answer that changed is one
//! more reason to compile, and endpoints that stay keep their live state as over any other change.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::endpoints::{Candidate, Upstream};
use crate::snapshot::{Address, JwksPlace};

/// What was found out for the compiler, which asks nobody itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// What names resolve to.
    pub names: NameAnswers,
    /// The keys of issuers.
    pub keys: JwksAnswers,
}

impl Answers {
    /// Nothing was found out yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The last good sets of keys (RFC 7517 §5), as they were answered. Where none was yet, there is none.
pub type JwksAnswers = BTreeMap<JwksPlace, Box<str>>;

/// What names resolve to: by the name as [`Compiled::names`](super::Compiled::names) has it, the addresses in the order
/// in which they were answered. A name without an answer is not there, and its endpoints are not either.
pub type NameAnswers = BTreeMap<Box<str>, Vec<IpAddr>>;

/// What is used of a name's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uses {
    /// Every address is an endpoint, in whatever order they come (Envoy STRICT_DNS).
    Every,
    /// Somebody goes to the first one only (Envoy LOGICAL_DNS, `resolution: DNS_ROUND_ROBIN`), so the order matters.
    First,
}

/// Where names lead, and which were asked for.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    answers: &'a NameAnswers,
    pub(super) asked: BTreeMap<Box<str>, Uses>,
}

impl<'a> Lookup<'a> {
    #[must_use]
    pub(super) fn new(answers: &'a NameAnswers) -> Self {
        Self {
            answers,
            asked: BTreeMap::new(),
        }
    }

    /// The same endpoints with addresses in the place of names, each address once.
    #[must_use]
    pub(super) fn settle(&mut self, upstream: Upstream) -> Upstream {
        let written = match upstream {
            Upstream::OriginalDestination => return Upstream::OriginalDestination,
            Upstream::Endpoints(written) => written,
        };
        let mut seen = BTreeSet::new();
        let mut found = Vec::with_capacity(written.len());
        for candidate in written {
            match &candidate.address {
                Address::Name(name, port) => {
                    for address in self.addresses(name, *port, candidate.logical.is_some()) {
                        found.push(Candidate {
                            address,
                            ..candidate.clone()
                        });
                    }
                }
                Address::Socket(_) | Address::Local(..) | Address::Unix(_) => found.push(candidate),
            }
        }
        found.retain(|candidate| seen.insert(candidate.address.clone()));
        Upstream::Endpoints(found)
    }

    /// In an order of their own where all are used: answers come in whatever order, and balancers go by positions.
    fn addresses(&mut self, name: &str, port: u16, is_logical: bool) -> Vec<Address> {
        let name = name.to_ascii_lowercase().into_boxed_str();
        let answer = self.answers.get(&name).map(Vec::as_slice);
        let answer = answer.unwrap_or_default();
        let (uses, addresses): (_, BTreeSet<IpAddr>) = match is_logical {
            true => (Uses::First, answer.first().copied().into_iter().collect()),
            false => (Uses::Every, answer.iter().copied().collect()),
        };
        let asked = self.asked.entry(name).or_insert(uses);
        *asked = uses.max(*asked);
        let addresses = addresses.into_iter();
        addresses
            .map(|ip| Address::Socket(SocketAddr::new(ip, port)))
            .collect()
    }
}
