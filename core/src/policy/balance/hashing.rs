//! The endpoints of one priority of a cluster that looks hashes up (Envoy's thread-aware balancers).
//!
//! There is one table for the whole priority; weights of localities are shares of it, and zones do not matter.

use std::sync::Arc;

use super::Making;
use super::pool::Positions;
use crate::decision::{HashedBy, PickedBy};
use crate::policy::hash::bounded_load::{self, Bound};
use crate::snapshot::{Cluster, ConsistentHash, HashTable, shares};

/// Endpoints that share a part of the hashes.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Those that may be picked.
    pub(super) positions: Positions,
    /// Their part of the whole.
    pub(super) share: f64,
}

/// Where hashes lead.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    /// The positions in the cluster of what the table calls 0, 1 and so on.
    hosts: Vec<u32>,
    /// With one endpoint there is nothing to look up.
    table: Option<Arc<HashTable>>,
    /// Memory for the shuffle of bounded load.
    order: Vec<u32>,
}

impl Hashing {
    /// Makes the table, or takes the one that workers share if nobody of the `priority` is out.
    pub(super) fn new(
        making: &Making<'_>,
        settings: ConsistentHash,
        parts: &[Part],
        priority: u32,
        is_whole: bool,
    ) -> Self {
        let endpoints = &making.cluster.endpoints;
        let mut hosts = Vec::new();
        for part in parts {
            hosts.extend(part.positions.iter().map(|at| at as u32)); // see `Positions`
        }
        let make = || {
            let mut all = Vec::with_capacity(hosts.len());
            for part in parts {
                let chosen = part.positions.iter().map(|at| &endpoints[at]);
                let weighted = chosen.map(|endpoint| (&*endpoint.text, endpoint.weight));
                all.extend(shares(weighted, part.share));
            }
            HashTable::new(settings.table, &all)
        };
        let table = (hosts.len() > 1).then(|| {
            if is_whole {
                making.cluster.tables.get_or_make(priority, make)
            } else {
                Arc::new(make())
            }
        });
        Self {
            hosts,
            table,
            order: Vec::new(),
        }
    }

    /// An endpoint of the cluster, and why it. `step` counts how often one attempt has asked for another one.
    pub(super) fn pick(
        &mut self,
        cluster: &Cluster,
        settings: ConsistentHash,
        (hash, by): (u64, HashedBy),
        step: u64,
    ) -> Option<(usize, PickedBy)> {
        let Some(table) = &self.table else {
            let only = self.hosts.first()?;
            return Some((*only as usize, PickedBy::Only));
        };
        let (entry, host) = table.find(hash, step)?;
        let (mut host, mut bound) = (host as usize, None);
        if let Some(factor) = settings.balance_factor {
            let active = |at: usize| cluster.endpoints[at].state.active();
            let limits = Bound {
                factor,
                total_active: (0..cluster.endpoints.len()).map(active).sum(),
                shares: table.shares(),
            };
            let active_of = |host: usize| active(self.hosts[host] as usize);
            let (taken, mut why) =
                bounded_load::pick(&limits, host, hash, active_of, &mut self.order);
            why.named = self.hosts[why.named as usize];
            (host, bound) = (taken, Some(why));
        }
        let picked = PickedBy::Hashed {
            hash,
            by,
            entry,
            bound,
        };
        Some((*self.hosts.get(host)? as usize, picked))
    }
}

#[cfg(test)]
mod tests;
