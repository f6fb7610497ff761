//! The table that a hash is looked up in: a ring or Maglev, over the hosts that may be picked.
//!
//! Made once for a set of hosts and never changed, so that workers share it; a pick only looks up. Which hosts those are
//! is the balancer's to know.

use super::maglev::Maglev;
use super::ring::Ring;
use super::share::Share;
use crate::snapshot::hashing::HashTableKind;

/// A ring or a Maglev table.
#[derive(Clone, Debug, PartialEq)]
pub struct HashTable {
    lookup: Lookup,
    /// Of each host, its part of the whole; what bounded load allows it.
    shares: Box<[f64]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Lookup {
    Ring(Ring),
    Maglev(Maglev),
}

impl HashTable {
    /// The table of some hosts; their positions in the list are what a lookup yields.
    #[must_use]
    pub fn new(kind: HashTableKind, hosts: &[Share<'_>]) -> Self {
        Self {
            lookup: match kind {
                HashTableKind::Ring { min_size } => Lookup::Ring(Ring::new(hosts, min_size)),
                HashTableKind::Maglev { size } => Lookup::Maglev(Maglev::new(hosts, size)),
            },
            shares: hosts.iter().map(|host| host.share).collect(),
        }
    }

    /// The entry of a hash and the position of its host. `step` counts how often this attempt has asked for another.
    #[must_use]
    pub fn find(&self, hash: u64, step: u64) -> Option<(u32, u32)> {
        match &self.lookup {
            Lookup::Ring(ring) => ring.find(hash, step),
            Lookup::Maglev(maglev) => maglev.find(hash, step),
        }
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.lookup {
            Lookup::Ring(ring) => ring.size(),
            Lookup::Maglev(maglev) => maglev.size(),
        }
    }

    /// The entries of the host that has fewest, and of the one that has most.
    #[must_use]
    pub fn entries_per_host(&self) -> (usize, usize) {
        let mut counts = vec![0_usize; self.shares.len()];
        let mut count = |host: u32| {
            if let Some(count) = counts.get_mut(host as usize) {
                *count += 1;
            }
        };
        match &self.lookup {
            Lookup::Ring(ring) => ring.owners().for_each(&mut count),
            Lookup::Maglev(maglev) => maglev.owners().for_each(&mut count),
        }
        let (least, most) = (counts.iter().min(), counts.iter().max());
        (
            least.copied().unwrap_or_default(),
            most.copied().unwrap_or_default(),
        )
    }

    /// Of each host, its part of the whole.
    #[must_use]
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
}
