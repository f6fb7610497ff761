//! A snapshot as one worker uses it.

use core::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::WorkerSettings;
use super::tokens::Tokens;
use crate::cluster::Choice;
use crate::decision::{LocalityChoice, Picked};
use crate::entropy::mix;
use crate::policy::{Balancer, balance};
use crate::snapshot::{ClientTls, ClusterId, Snapshot};
use crate::time::{Duration, Instant};

/// A snapshot and this worker's balancer positions in it. Requests hold the one they began with.
#[derive(Debug)]
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// By cluster id; made when first used.
    balancers: RefCell<Vec<Option<Box<Balancer>>>>,
    seed: u64,
    /// Tokens that were accepted, which all views of a worker share.
    pub(crate) tokens: Rc<Tokens>,
}

impl View {
    pub(super) fn new(snapshot: Arc<Snapshot>, seed: u64, tokens: Rc<Tokens>) -> Self {
        let balancers = RefCell::new(vec![None; snapshot.clusters.len()]);
        Self {
            snapshot,
            balancers,
            seed,
            tokens,
        }
    }

    /// The view of the next snapshot: balancers keep their positions where the cluster is still there.
    pub(super) fn next(&self, snapshot: Arc<Snapshot>, now: Instant) -> Self {
        let next = Self::new(snapshot, self.seed, Rc::clone(&self.tokens));
        let old = self.balancers.borrow();
        for (at, balancer) in old.iter().enumerate() {
            let Some(balancer) = balancer else { continue };
            let name = &self.snapshot.clusters[at].name;
            if let Some(id) = next.snapshot.clusters.find(name) {
                let at = id.0 as usize;
                let carried = balancer.carry(&next.snapshot.clusters[at], next.seed_of(at), now);
                next.balancers.borrow_mut()[at] = Some(Box::new(carried));
            }
        }
        drop(old);
        next
    }

    /// How long first bytes are waited for that tell what is spoken: as the mesh says, else as the program was told.
    pub(crate) fn detection_timeout(&self, settings: &WorkerSettings) -> Option<Duration> {
        let of_mesh = self.snapshot.settings.protocol_detection_timeout;
        of_mesh.or(settings.protocol_detection_timeout)
    }

    /// Picks an endpoint of a cluster: its position, and why it. Endpoints whose ejection is over by now come back first.
    #[must_use]
    pub fn pick(&self, id: ClusterId, context: &balance::Context<'_>) -> Option<(usize, Picked)> {
        let cluster = self.snapshot.cluster(id);
        cluster.sweep(context.now, context.entropy);
        let at = id.0 as usize;
        let mut balancers = self.balancers.borrow_mut();
        let balancer = balancers[at]
            .get_or_insert_with(|| Box::new(Balancer::new(cluster, self.seed_of(at), context.now)));
        let picked = balancer.pick(cluster, context);
        if let Some(choice) = picked.and_then(|(_, picked)| choice(picked)) {
            cluster.state.count_choice(choice);
        }
        picked
    }

    /// Whether an endpoint of this snapshot has this id, and its connections are protected so.
    pub(super) fn has_host(&self, id: u32, tls: Option<&Arc<ClientTls>>) -> bool {
        self.snapshot.clusters.iter().any(|cluster| {
            let mut endpoints = cluster.endpoints.iter();
            let found = endpoints.find(|endpoint| endpoint.state.id() == id);
            found.is_some_and(|endpoint| cluster.tls_to(endpoint) == tls)
        })
    }

    fn seed_of(&self, at: usize) -> u64 {
        mix(self.seed ^ at as u64)
    }
}

/// What is counted of a pick.
const fn choice(picked: Picked) -> Option<Choice> {
    match picked.locality {
        _ if picked.is_panic => Some(Choice::Panic),
        LocalityChoice::Any | LocalityChoice::Weighted => None,
        LocalityChoice::Own => Some(Choice::AllInZone),
        LocalityChoice::Kept => Some(Choice::KeptInZone),
        LocalityChoice::Other => Some(Choice::CrossZone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::PickedBy;

    #[test]
    fn what_is_out_of_the_ordinary_is_counted() {
        use LocalityChoice::{Any, Kept, Other, Own, Weighted};
        for (locality, is_panic, want) in [
            (Any, false, None),
            (Weighted, false, None),
            (Any, true, Some(Choice::Panic)),
            (Own, false, Some(Choice::AllInZone)),
            (Kept, false, Some(Choice::KeptInZone)),
            (Other, false, Some(Choice::CrossZone)),
        ] {
            let picked = Picked {
                locality,
                is_panic,
                ..Picked::simply(PickedBy::Turn)
            };
            assert_eq!(choice(picked), want, "{picked:?}");
        }
        let state = crate::cluster::ClusterState::default();
        state.count_choice(Choice::Panic);
        state.count_choice(Choice::CrossZone);
        state.count_choice(Choice::CrossZone);
        let all = [
            Choice::Panic,
            Choice::AllInZone,
            Choice::KeptInZone,
            Choice::CrossZone,
        ];
        assert_eq!(
            all.map(|choice| state.counted_choices(choice)),
            [1, 0, 0, 2]
        );
    }
}
