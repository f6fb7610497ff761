//! The clusters of a snapshot, by id and by name.
//!
//! Those of a snapshot apart ([`Snapshot::apart`](super::Snapshot::apart)) are made when somebody first asks for one: a
//! simulated sidecar that knows a thousand services and calls two has the live state of two.

use core::ops::Index;
use std::sync::{Arc, OnceLock};

use super::{Cluster, ClusterId};

/// How many clusters lie together. Where none of them was asked for, they take no memory at all.
const BLOCK: usize = 64;

/// The clusters of a snapshot: indexed by [`ClusterId`], sorted by name, each name once.
#[derive(Debug, Default)]
pub struct Clusters(Kept);

#[derive(Debug)]
enum Kept {
    /// All are there.
    All(Box<[Cluster]>),
    /// Each is made after the one in its place.
    Apart(Arc<Clusters>, Box<[OnceLock<Block>]>),
}

type Block = Box<[OnceLock<Box<Cluster>>]>;

impl Default for Kept {
    fn default() -> Self {
        Self::All(Box::default())
    }
}

impl Clusters {
    /// The same clusters with live state of their own, each as if nothing had happened.
    #[must_use]
    pub fn apart(all: &Arc<Self>) -> Self {
        let blocks = all.len().div_ceil(BLOCK);
        let blocks = (0..blocks).map(|_| OnceLock::new()).collect();
        Self(Kept::Apart(Arc::clone(all), blocks))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::All(all) => all.len(),
            Kept::Apart(all, _) => all.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cluster at a place, counted from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Cluster> {
        match &self.0 {
            Kept::All(all) => all.get(at),
            Kept::Apart(all, blocks) => {
                let model = all.get(at)?;
                let block = blocks.get(at / BLOCK)?;
                let block = block.get_or_init(|| (0..BLOCK).map(|_| OnceLock::new()).collect());
                let place = block.get(at % BLOCK)?;
                Some(place.get_or_init(|| Box::new(model.apart())))
            }
        }
    }

    /// All, in order.
    #[must_use]
    pub const fn iter(&self) -> Iter<'_> {
        Iter { of: self, at: 0 }
    }

    /// Those that were ever asked for and so may have live state worth a look, in order. All of them, unless the snapshot
    /// stands apart.
    pub fn used(&self) -> impl Iterator<Item = (ClusterId, &Cluster)> {
        let (all, blocks): (&[Cluster], &[OnceLock<Block>]) = match &self.0 {
            Kept::All(all) => (all, &[]),
            Kept::Apart(_, blocks) => (&[], blocks),
        };
        let made = blocks.iter().enumerate().flat_map(|(number, block)| {
            let places = block.get().into_iter().flat_map(|block| block.iter());
            let made = places
                .enumerate()
                .filter_map(|(at, place)| Some((at, place.get()?)));
            made.map(move |(at, cluster)| (number * BLOCK + at, &**cluster))
        });
        // No more than there are ids.
        let used = all.iter().enumerate().chain(made);
        used.map(|(at, cluster)| (ClusterId(at as u32), cluster))
    }

    /// Which one has a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ClusterId> {
        match &self.0 {
            Kept::All(all) => {
                let at = all.binary_search_by(|cluster| (*cluster.name).cmp(name));
                Some(ClusterId(at.ok()? as u32))
            }
            Kept::Apart(all, _) => all.find(name),
        }
    }
}

impl From<Vec<Cluster>> for Clusters {
    fn from(all: Vec<Cluster>) -> Self {
        Self(Kept::All(all.into()))
    }
}

impl Index<usize> for Clusters {
    type Output = Cluster;

    fn index(&self, at: usize) -> &Cluster {
        match self.get(at) {
            Some(cluster) => cluster,
            None => panic!("there are {} clusters, none is number {at}", self.len()),
        }
    }
}

impl<'a> IntoIterator for &'a Clusters {
    type Item = &'a Cluster;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// All clusters, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    of: &'a Clusters,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Cluster;

    fn next(&mut self) -> Option<&'a Cluster> {
        let next = self.of.get(self.at);
        self.at += 1;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{HostKey, Registry};
    use crate::snapshot::{Address, Endpoint};

    /// So many clusters of one endpoint each.
    fn clusters(count: usize) -> Arc<Clusters> {
        let mut registry = Registry::default();
        let mut cluster = |number| {
            let name: Box<str> = format!("{number:04}").into();
            let state = registry.cluster(&name);
            state.set_endpoints(1);
            let address = Address::Unix("/s".into());
            let host = registry.host(HostKey {
                cluster: name.clone(),
                address: address.to_string().into(),
            });
            Cluster {
                endpoints: [Endpoint::new(address, host)].into(),
                ..Cluster::new(name, state)
            }
        };
        let all: Vec<_> = (0..count).map(&mut cluster).collect();
        Arc::new(all.into())
    }

    #[test]
    fn what_stands_apart_has_the_same_names_and_its_own_counts() {
        let all = clusters(2 * BLOCK + 1);
        let (one, other) = (Clusters::apart(&all), Clusters::apart(&all));
        for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK] {
            let state = |of: &Clusters| Arc::clone(&of[at].endpoints[0].state);
            let active = state(&one).begin_request();
            let counts = [&one, &other, &all].map(|of| state(of).active());
            assert_eq!(counts, [1, 0, 0]);
            drop(active);
            assert_eq!(state(&one).id(), state(&all).id());
            assert!(Arc::ptr_eq(state(&one).cluster(), &one[at].state));
            assert_eq!(one[at].state.endpoints(), 1);
            assert_eq!(one.find(&all[at].name), Some(ClusterId(at as u32)));
        }
        assert_eq!((one.len(), one.find("x")), (2 * BLOCK + 1, None));
        assert!(one.get(one.len()).is_none());
        let names = |of: &Clusters| of.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&all));
    }

    #[test]
    fn what_nobody_asked_for_is_not_there() {
        let all = clusters(2 * BLOCK);
        let one = Clusters::apart(&all);
        let used = |of: &Clusters| of.used().map(|(id, _)| id.0 as usize).collect::<Vec<_>>();
        assert!(used(&one).is_empty());
        let asked = [3, BLOCK, 2 * BLOCK - 1];
        for at in asked {
            assert_eq!(one[at].name, all[at].name);
        }
        assert_eq!(used(&one), asked);
        assert_eq!(used(&all).len(), all.len());
    }
}
