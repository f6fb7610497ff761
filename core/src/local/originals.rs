//! Endpoints that a client named itself (Envoy's ORIGINAL_DST): made when first asked for, forgotten when others are
//! asked for later.
//!
//! Owns which of them there are, so that connections to them can be kept. One that is forgotten loses its idle
//! connections, which `idle` holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{ClusterState, HostState};
use crate::snapshot::{Address, Balancing, ClientTls, Snapshot, UnknownHosts};

/// The most that a worker knows at a time; the one asked for longest ago goes. Clients choose the names, so they must not
/// be able to have any number of connections kept.
pub(crate) const MOST: usize = 1024;

/// Ids from here on are given by workers, those below by registries.
const FIRST_ID: u32 = 1 << 31;

/// One that a new snapshot leaves.
#[derive(Clone, Debug)]
pub(crate) struct Remaining {
    pub(crate) id: u32,
    /// Its cluster has limits.
    pub(crate) limited: bool,
    /// What connections to it are protected by from now on.
    pub(crate) tls: Option<Arc<ClientTls>>,
}

#[derive(Debug)]
struct Original {
    /// Of the cluster through which it was reached: what it is to one cluster is nothing to another.
    state: Arc<HostState>,
    /// When it was last asked for, counted in questions.
    asked: u64,
}

/// The original destinations of one worker.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    by_address: BTreeMap<Address, Vec<Original>>,
    count: usize,
    given: u32,
    questions: u64,
    /// What hosts that no service has belong to (`PassthroughCluster`).
    unknown: Arc<ClusterState>,
}

impl Originals {
    /// The endpoint at an address of a cluster, or of `PassthroughCluster`; and the one that had to go for it.
    pub(crate) fn find(
        &mut self,
        cluster: Option<&Arc<ClusterState>>,
        address: &Address,
    ) -> (Arc<HostState>, Option<u32>) {
        self.questions += 1;
        let cluster = cluster.unwrap_or(&self.unknown);
        if let Some(known) = self.by_address.get_mut(address)
            && let Some(known) = known
                .iter_mut()
                .find(|known| Arc::ptr_eq(known.state.cluster(), cluster))
        {
            known.asked = self.questions;
            return (Arc::clone(&known.state), None);
        }
        // After 2^31 of them the first ids come again; those are long gone.
        let id = FIRST_ID | self.given;
        self.given = self.given.wrapping_add(1) & !FIRST_ID;
        let state = Arc::new(HostState::original(id, Arc::clone(cluster)));
        let gone = (self.count >= MOST).then(|| self.remove_oldest()).flatten();
        let original = Original {
            state: Arc::clone(&state),
            asked: self.questions,
        };
        self.by_address
            .entry(address.clone())
            .or_default()
            .push(original);
        self.count += 1;
        (state, gone)
    }

    /// Whether an endpoint is still known; `None` for one that is none of these.
    pub(crate) fn has(&self, host: &HostState, address: &Address) -> Option<bool> {
        (host.id() >= FIRST_ID).then(|| {
            let mut known = self.by_address.get(address).into_iter().flatten();
            known.any(|known| known.state.id() == host.id())
        })
    }

    /// Forgets what a new snapshot has no cluster for. What is left.
    pub(crate) fn retain(&mut self, snapshot: &Snapshot) -> Vec<Remaining> {
        let passes_unknown = snapshot.settings.unknown_hosts == UnknownHosts::AllowAny;
        let clusters = snapshot.clusters.iter();
        let passing: Vec<_> = clusters
            .filter(|cluster| cluster.balancing == Balancing::Passthrough)
            .collect();
        let mut left = Vec::new();
        self.by_address.retain(|_, known| {
            known.retain(|known| {
                let of = known.state.cluster();
                let settings = if Arc::ptr_eq(of, &self.unknown) {
                    passes_unknown.then_some((false, None))
                } else {
                    let found = passing.iter().find(|c| Arc::ptr_eq(of, &c.state));
                    found.map(|cluster| (cluster.limits.is_some(), cluster.tls.clone()))
                };
                let is_left = settings.is_some();
                left.extend(settings.map(|(limited, tls)| Remaining {
                    id: known.state.id(),
                    limited,
                    tls,
                }));
                is_left
            });
            !known.is_empty()
        });
        self.count = left.len();
        left
    }

    fn iter(&self) -> impl Iterator<Item = &Original> {
        self.by_address.values().flatten()
    }

    fn remove_oldest(&mut self) -> Option<u32> {
        let oldest = self.iter().min_by_key(|known| known.asked)?;
        let id = oldest.state.id();
        self.by_address.retain(|_, known| {
            known.retain(|known| known.state.id() != id);
            !known.is_empty()
        });
        self.count -= 1;
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Cluster, Settings};

    fn address(at: usize) -> Address {
        Address::Name("name".into(), at as u16)
    }

    #[test]
    fn each_address_of_each_cluster_is_an_endpoint() {
        let (mut all, service) = (Originals::default(), Arc::<ClusterState>::default());
        let mut id = |cluster, address| all.find(cluster, &address).0.id();
        let first = id(None, address(1));
        assert_eq!(id(None, address(1)), first);
        assert_ne!(id(None, address(2)), first);
        assert_ne!(id(None, Address::Name("other".into(), 1)), first);
        let of_service = id(Some(&service), address(1));
        assert_ne!(of_service, first);
        assert_eq!(id(Some(&service), address(1)), of_service);
        assert_eq!(id(None, address(1)), first);
    }

    #[test]
    fn the_one_asked_for_longest_ago_goes() {
        let mut all = Originals::default();
        let hosts: Vec<_> = (0..MOST).map(|at| all.find(None, &address(at))).collect();
        assert!(hosts.iter().all(|(_, gone)| gone.is_none()));
        all.find(None, &address(0));
        let (new, gone) = all.find(None, &address(MOST));
        assert_eq!(gone, Some(hosts[1].0.id()));
        assert_eq!(all.has(&new, &address(MOST)), Some(true));
        assert_eq!(all.has(&hosts[0].0, &address(0)), Some(true));
        assert_eq!(all.has(&hosts[1].0, &address(1)), Some(false));
        assert_eq!(all.iter().count(), MOST);
    }

    #[test]
    fn what_a_snapshot_passes_through_stays() {
        let (mut all, service) = (Originals::default(), Arc::<ClusterState>::default());
        let unknown = all.find(None, &address(1)).0.id();
        let known = all.find(Some(&service), &address(1)).0.id();
        let snapshot = |unknown_hosts, balancing| Snapshot {
            clusters: Arc::new(
                vec![Cluster {
                    balancing,
                    ..Cluster::new("c".into(), Arc::clone(&service))
                }]
                .into(),
            ),
            settings: Settings {
                unknown_hosts,
                ..Settings::default()
            },
            ..Snapshot::default()
        };
        let left = |all: &mut Originals, snapshot: &Snapshot| {
            let left = all.retain(snapshot);
            let left = left.iter().map(|of| (of.id, of.limited, of.tls.is_some()));
            left.collect::<Vec<_>>()
        };
        let both = snapshot(UnknownHosts::AllowAny, Balancing::Passthrough);
        assert_eq!(
            left(&mut all, &both),
            [(unknown, false, false), (known, false, false)]
        );
        let one = snapshot(UnknownHosts::RegistryOnly, Balancing::Passthrough);
        assert_eq!(left(&mut all, &one), [(known, false, false)]);
        let none = snapshot(UnknownHosts::AllowAny, Balancing::Random);
        assert_eq!(left(&mut all, &none), []);
        assert_eq!(all.count, 0);
    }
}
