//! Where a client sees objects of a kind at all: who knows ten services of a mesh of thousands is not asked about the others, one by one.
//!
//! Owns the search alone; whether an object that was found is seen is said by [`Scope::sees`].

use std::collections::BTreeSet;

use outrigger_xds::{Key, Kind};

use crate::facts::{Facts, kind};
use crate::scope::Scope;
use crate::world::{Known, World};

/// Namespaces in which something may be seen.
type Places<'a> = BTreeSet<&'a str>;

impl Scope {
    /// All objects of a kind that it sees, in their order.
    pub(crate) fn all<'a>(
        &'a self,
        world: &'a World,
        of: &'static Kind,
    ) -> Vec<(&'a Key, &'a Known)> {
        let is_seen = |(key, known): &(&'a Key, &'a Known)| self.sees(world, key, known);
        if of == kind("", "Node")
            && let Some(nodes) = self.nodes(world)
        {
            let nodes = nodes.into_iter();
            // Whoever sees a pod sees its node.
            return nodes.filter_map(|name| world.named(of, "", name)).collect();
        }
        match self.places(world, of) {
            None => world.of_kind(of).filter(is_seen).collect(),
            Some(places) => {
                let there = places.into_iter();
                let there = there.flat_map(|namespace| world.in_namespace(of, namespace));
                there.filter(is_seen).collect()
            }
        }
    }

    /// The nodes of the pods that it sees; `None`: it may see pods everywhere.
    fn nodes<'a>(&'a self, world: &'a World) -> Option<BTreeSet<&'a str>> {
        let pods = kind("", "Pod");
        self.places(world, pods)?;
        let pods = self.all(world, pods).into_iter();
        let nodes = pods.filter_map(|(_, known)| match &known.facts {
            Facts::Pod { node, .. } => Some(&**node),
            _ => None,
        });
        Some(nodes.collect())
    }

    /// `None` is everywhere.
    fn places<'a>(&'a self, world: &'a World, of: &Kind) -> Option<Places<'a>> {
        let (own, root) = (self.namespace(), &*world.mesh().root_namespace);
        match (of.group, of.kind) {
            ("", "Secret") => Some([own].into()),
            ("networking.istio.io", "Sidecar" | "EnvoyFilter")
            | ("security.istio.io", "AuthorizationPolicy" | "RequestAuthentication")
            | ("telemetry.istio.io", _) => Some([own, root].into()),
            ("", "Service") | ("discovery.k8s.io", "EndpointSlice") => self.of_services(world),
            // Where a rule leads to may stand in an entry of any namespace.
            ("networking.istio.io", "ServiceEntry") if !self.implies() => self.of_services(world),
            ("", "Pod") => {
                let mut places = self.of_workloads(world)?;
                places.extend(self.named_by_slices(world, &places));
                Some(places)
            }
            ("networking.istio.io", "WorkloadEntry") => self.of_workloads(world),
            _ => None,
        }
    }

    /// Those of services that it imports, and of those that rules lead to.
    fn of_services<'a>(&'a self, world: &'a World) -> Option<Places<'a>> {
        let mut places = self.imported_namespaces()?;
        places.insert(self.namespace());
        places.extend(self.implied_namespaces(&world.mesh().cluster_domain));
        Some(places)
    }

    /// And of entries that select workloads, which do so in their own namespace.
    fn of_workloads<'a>(&'a self, world: &'a World) -> Option<Places<'a>> {
        let mut places = self.of_services(world)?;
        let entries = self.all(world, kind("networking.istio.io", "ServiceEntry"));
        places.extend(entries.iter().map(|(key, _)| &*key.namespace));
        Some(places)
    }

    /// Kubernetes' slices name pods of their own namespace; those of files may name others.
    fn named_by_slices<'a>(&'a self, world: &'a World, places: &Places<'a>) -> Places<'a> {
        let of = kind("discovery.k8s.io", "EndpointSlice");
        let there = places.iter();
        let slices = there.flat_map(|namespace| world.in_namespace(of, namespace));
        let pods = slices.filter_map(|(_, known)| match &known.facts {
            Facts::Slice { pods, .. } => Some(pods),
            _ => None,
        });
        pods.flatten().map(|pod| &*pod.namespace).collect()
    }
}
