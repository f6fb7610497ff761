//! What one worker has looked up in one configuration, and whom it knows by number: so that it is not looked up again.

use std::collections::HashMap;
use std::sync::Arc;

use outrigger_core::peer::{Identity, TlsFacts};
use outrigger_core::snapshot::Snapshot;

use super::clusters::ClusterCells;
use super::listeners::ListenerCells;
use super::place::{Place, Quick};
use super::routes::RouteCells;
use super::series::InSeries;
use super::{Metrics, WorkerListeners};
use super::{labels, peers};

/// What was looked up in one configuration, so that it is not looked up again.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) revision: u64,
    /// By the numbers that the runtime gives them.
    listeners: Vec<Arc<ListenerCells>>,
    /// In the order of the snapshot's.
    pub(super) clusters: Vec<Option<Arc<ClusterCells>>>,
    pub(super) passthrough: Option<Arc<ClusterCells>>,
    /// By virtual host and rule.
    pub(super) routes: HashMap<(u32, u32), Option<Arc<RouteCells>>, Quick>,
    pub(super) series: HashMap<Place, InSeries, Quick>,
    /// Whom metadata name. Anybody may write what he likes there, so these are hashed with care.
    peers: HashMap<Box<[u8]>, u32>,
    /// The one that was last: most have few callers, and to compare is cheaper than to hash.
    last_peer: (Vec<u8>, u32),
    pub(super) identities: Vec<Identity>,
    /// Whom certificates name.
    principals: HashMap<Box<str>, u32>,
    /// The one that was last.
    last_principal: (Box<str>, u32),
    /// What labels that somebody configured say.
    pub(super) values: HashMap<String, u32>,
    /// Which [`MetricRules`] hold.
    pub(super) rules: u64,
}

impl Seen {
    /// What is counted on a listener.
    pub(super) fn listener(&mut self, at: usize, of: &WorkerListeners) -> &ListenerCells {
        if self.listeners.len() <= at {
            self.listeners = of.up_to(at);
        }
        &self.listeners[at]
    }

    /// Who is on the other side: 1 more than his place among those who are known, 0 for nobody.
    pub(super) fn peer(&mut self, metadata: &[u8], most: usize) -> u32 {
        if metadata.is_empty() {
            return 0;
        }
        let (last, peer) = &self.last_peer;
        if *last == metadata {
            return *peer;
        }
        if let Some(known) = self.peers.get(metadata) {
            let known = *known;
            self.met(metadata, known);
            return known;
        }
        let identity = peers::identity(metadata);
        if self.peers.len() >= most {
            // Peers come and go, and names of places hang on them.
            self.peers.clear();
            self.identities.clear();
            self.series.clear();
        }
        let peer = identity.map_or(0, |identity| {
            self.identities.push(identity);
            // Fewer than there are series.
            self.identities.len() as u32
        });
        self.peers.insert(metadata.into(), peer);
        self.met(metadata, peer);
        peer
    }

    /// Who is on the other side by his certificate; see [`Place::principal`].
    pub(super) fn principal(&mut self, tls: Option<&TlsFacts>, most: usize) -> u32 {
        let Some(tls) = tls else {
            return 0;
        };
        let Some(principal) = labels::principal(tls) else {
            return 1;
        };
        let (last, known) = &self.last_principal;
        if **last == *principal {
            return *known;
        }
        let known = match self.principals.get(principal) {
            Some(known) => *known,
            None => {
                if self.principals.len() >= most {
                    // As those whom metadata name.
                    self.principals.clear();
                    self.series.clear();
                }
                // Fewer than there are series.
                let new = self.principals.len() as u32 + 2;
                self.principals.insert(principal.into(), new);
                new
            }
        };
        self.last_principal = (principal.into(), known);
        known
    }

    /// The memory for it is kept.
    fn met(&mut self, metadata: &[u8], peer: u32) {
        let (last, known) = &mut self.last_peer;
        last.clear();
        last.extend_from_slice(metadata);
        *known = peer;
    }

    pub(super) fn of(snapshot: &Snapshot, metrics: &Metrics) -> Self {
        Self {
            revision: snapshot.revision,
            rules: metrics.hold(snapshot),
            ..Self::default()
        }
    }
}
