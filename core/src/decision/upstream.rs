//! Where a request was to go, whether or not it got there.

use super::record::{Record, RouteDecision};
use crate::snapshot::{Action, ClusterId, DestinationCluster, Rule, Snapshot, UnknownHosts};

/// Where a request was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// To a cluster of the snapshot.
    Cluster(ClusterId),
    /// To where its client wanted to go, whom no service knows (`PassthroughCluster`).
    Passthrough,
    /// To a host that no service has, which is not allowed (`BlackHoleCluster`).
    BlackHole,
    /// Nowhere: it was answered by itself, no rule applied, or what the rule names does not exist.
    Nowhere,
}

impl Record {
    /// The rule that applied.
    #[must_use]
    pub fn rule<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Rule> {
        let RouteDecision::Rule {
            virtual_host, rule, ..
        } = self.route
        else {
            return None;
        };
        let rules = &snapshot.virtual_host(virtual_host).rules;
        rules.get(rule as usize)
    }

    /// Where the request was to go: where the attempt that counts went, else where the rule sends it.
    #[must_use]
    pub fn upstream(&self, snapshot: &Snapshot) -> Upstream {
        if let Some(attempt) = self.attempt() {
            return attempt
                .cluster
                .map_or(Upstream::Passthrough, Upstream::Cluster);
        }
        let of = |cluster: &DestinationCluster| match cluster {
            DestinationCluster::Known(id) => Upstream::Cluster(*id),
            DestinationCluster::Passthrough => Upstream::Passthrough,
            DestinationCluster::Missing(_) => Upstream::Nowhere,
        };
        let RouteDecision::Rule { destination, .. } = self.route else {
            return match (&self.route, &snapshot.settings.unknown_hosts) {
                (RouteDecision::UnknownHost, UnknownHosts::AllowAny) => Upstream::Passthrough,
                (RouteDecision::UnknownHost, UnknownHosts::RegistryOnly) => Upstream::BlackHole,
                (RouteDecision::UnknownHost, UnknownHosts::EgressProxy(proxy)) => of(proxy),
                (
                    RouteDecision::NotReached
                    | RouteDecision::NoRule { .. }
                    | RouteDecision::Rule { .. }
                    | RouteDecision::Mirror { .. },
                    _,
                ) => Upstream::Nowhere,
            };
        };
        match self.rule(snapshot).map(|rule| &*rule.action) {
            Some(Action::Forward(forward)) => destination
                .and_then(|at| forward.destinations.get(at as usize))
                .map_or(Upstream::Nowhere, |destination| of(&destination.cluster)),
            Some(Action::Redirect(_) | Action::Respond(_)) | None => Upstream::Nowhere,
        }
    }
}
