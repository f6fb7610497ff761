//! What of the world a client is to know: what is in its namespace or exported to it, and what its Sidecar imports.
//!
//! Never less than core needs for the client's snapshot, which decides once more and exactly; more only where telling it apart
//! would cost more than sending it.

use std::collections::BTreeSet;

use outrigger_core::compile::{is_subset, is_visible};
use outrigger_core::config::names;
use outrigger_xds::Key;
use outrigger_xds::carried::name_of;

use crate::facts::{Facts, Labels, kind};
use crate::imports::Imports;
use crate::viewer::Viewer;
use crate::world::{Known, Touched, World};

/// What one client is to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    viewer: Viewer,
    /// Of the Sidecar that holds for it; `None` where all that is exported is known.
    imports: Option<Imports>,
    /// Full names of hosts that rules it knows send requests to.
    implicit: BTreeSet<String>,
    /// Secrets that its gateways name, as `namespace/name`.
    secrets: BTreeSet<String>,
}

impl Scope {
    /// That of a client in a world.
    #[must_use]
    pub fn new(viewer: &Viewer, world: &World) -> Self {
        let mut scope = Self {
            viewer: viewer.clone(),
            imports: None,
            implicit: BTreeSet::new(),
            secrets: BTreeSet::new(),
        };
        if viewer.is_gateway {
            scope.secrets = scope.named_secrets(world);
        } else {
            scope.imports = scope.imported(world);
            if scope.imports.is_some() {
                scope.implicit = scope.destinations(world);
            }
        }
        scope
    }

    /// Whether what has changed may make it another one; then it is made anew, and everything compared.
    #[must_use]
    pub fn is_concerned(&self, touched: &Touched, world: &World) -> bool {
        touched.causes.iter().any(|(key, facts)| match facts {
            Facts::ConfigMap => true,
            Facts::Sidecar { .. } => {
                !self.viewer.is_gateway
                    && (*key.namespace == *self.viewer.namespace
                        || *key.namespace == *world.mesh().root_namespace)
            }
            Facts::Gateway { .. } | Facts::ApiGateway { .. } => self.viewer.is_gateway,
            Facts::Rule { .. } | Facts::Route { .. } => self.imports.is_some(),
            _ => false,
        })
    }

    /// Whether the client is to know an object.
    pub(crate) fn sees(&self, world: &World, key: &Key, known: &Known) -> bool {
        let (own, mesh) = (&*self.viewer.namespace, world.mesh());
        let namespace = &*key.namespace;
        let is_near = namespace == own || namespace == mesh.root_namespace;
        match &known.facts {
            Facts::Service { .. } | Facts::ServiceEntry { .. } => {
                self.sees_service(world, key, &known.facts)
            }
            Facts::Rule {
                export_to,
                for_mesh,
                ..
            } => {
                (*for_mesh || self.viewer.is_gateway)
                    && is_visible(
                        export_to,
                        &mesh.default_virtual_service_export_to,
                        namespace,
                        own,
                    )
                    && self.imports_rule(world, key, &known.facts)
            }
            // Those of its own namespace hold there whomever they are exported to (Istio).
            Facts::DestinationRule { host, export_to } => {
                let default = &mesh.default_destination_rule_export_to;
                (namespace == own || is_visible(export_to, default, namespace, own))
                    && self.knows_host(world, host, namespace)
            }
            Facts::Slice { service, .. } => {
                let known = world.get(service);
                known.is_some_and(|known| self.sees_service(world, service, &known.facts))
            }
            Facts::Pod { labels, .. } => {
                let mut slices = world.slices_of(key);
                slices.any(|slice| {
                    let known = world.get(slice);
                    known.is_some_and(|known| self.sees(world, slice, known))
                }) || self.sees_selecting(world, namespace, labels)
            }
            Facts::WorkloadEntry { labels } => self.sees_selecting(world, namespace, labels),
            Facts::Sidecar { .. } => !self.viewer.is_gateway && is_near,
            Facts::Gateway { selector, .. } => {
                self.viewer.is_gateway && is_subset(selector, &self.viewer.labels)
            }
            Facts::Route { for_mesh, .. } => self.viewer.is_gateway || *for_mesh,
            Facts::ApiGateway { .. } | Facts::Namespace => self.viewer.is_gateway,
            Facts::PeerAuthentication | Facts::ConfigMap | Facts::GatewayApi => true,
            Facts::Policy => is_near,
            Facts::Secret => self.viewer.is_proven && self.secrets.contains(&name_of(key)),
            Facts::Node => {
                let mut pods = world.pods_on(&key.name);
                pods.any(|pod| {
                    let known = world.get(pod);
                    known.is_some_and(|known| self.sees(world, pod, known))
                })
            }
        }
    }

    fn sees_service(&self, world: &World, key: &Key, facts: &Facts) -> bool {
        let (own, mesh) = (&*self.viewer.namespace, world.mesh());
        let (namespace, default) = (&*key.namespace, &mesh.default_service_export_to);
        match facts {
            Facts::Service {
                export_to,
                selector,
            } => {
                let is_own = || {
                    namespace == own
                        && !selector.is_empty()
                        && is_subset(selector, &self.viewer.labels)
                };
                let host = || names::service_host(&key.name, namespace, &mesh.cluster_domain);
                is_own()
                    || is_visible(export_to, default, namespace, own) && self.knows(namespace, host)
            }
            Facts::ServiceEntry {
                hosts, export_to, ..
            } => {
                is_visible(export_to, default, namespace, own)
                    && hosts
                        .iter()
                        .any(|host| self.knows(namespace, || host.clone()))
            }
            _ => false,
        }
    }

    /// Whether it knows a service that selects what has these labels.
    fn sees_selecting(&self, world: &World, namespace: &str, labels: &Labels) -> bool {
        let mut selecting = world.selecting(namespace, labels);
        selecting.any(|(key, known)| self.sees_service(world, key, &known.facts))
    }

    /// Whether its Sidecar imports a host of that namespace, or a rule leads there.
    fn knows(&self, namespace: &str, host: impl Fn() -> String) -> bool {
        let Some(imports) = &self.imports else {
            return true;
        };
        imports.may_have(namespace, &host)
            || !self.implicit.is_empty() && self.implicit.contains(&*names::normalize(&host()))
    }

    fn imports_rule(&self, world: &World, key: &Key, facts: &Facts) -> bool {
        let (Some(imports), Facts::Rule { hosts, .. }) = (&self.imports, facts) else {
            return true;
        };
        let domain = &world.mesh().cluster_domain;
        // A delegate has none: its root says whether it is used.
        hosts.is_empty()
            || hosts.iter().any(|host| {
                imports.may_have(&key.namespace, || {
                    names::resolve(host, &key.namespace, domain)
                })
            })
    }

    /// Whether a rule of that namespace for that host is for something that it knows.
    fn knows_host(&self, world: &World, host: &str, namespace: &str) -> bool {
        let Some(imports) = &self.imports else {
            return true;
        };
        if namespace == self.viewer.namespace {
            return true;
        }
        let host = names::resolve(host, namespace, &world.mesh().cluster_domain);
        imports.may_have_anywhere(&host)
            || self
                .implicit
                .iter()
                .any(|known| names::covers(&host, known))
    }

    /// What the Sidecar that holds for it imports: the oldest that selects it, else its namespace's, else the root namespace's.
    fn imported(&self, world: &World) -> Option<Imports> {
        let oldest = |namespace: &str, holds: &dyn Fn(&Option<Labels>) -> bool| {
            let sidecars = world.in_namespace(kind("networking.istio.io", "Sidecar"), namespace);
            let held = sidecars.filter_map(|(_, known)| match &known.facts {
                Facts::Sidecar {
                    age,
                    selector,
                    egress,
                } if holds(selector) => Some((age, egress)),
                _ => None,
            });
            held.min().map(|(_, egress)| egress.clone())
        };
        let own = &*self.viewer.namespace;
        let selecting = |selector: &Option<Labels>| {
            selector
                .as_ref()
                .is_some_and(|wanted| is_subset(wanted, &self.viewer.labels))
        };
        oldest(own, &selecting)
            .or_else(|| oldest(own, &Option::is_none))
            .or_else(|| oldest(&world.mesh().root_namespace, &Option::is_none))
            .filter(|egress| !egress.is_empty())
            .map(|egress| Imports::new(&egress, own))
    }

    /// Where the rules that it knows send requests.
    fn destinations(&self, world: &World) -> BTreeSet<String> {
        let domain = &world.mesh().cluster_domain;
        let mut hosts = BTreeSet::new();
        for (key, known) in world.of_kind(kind("networking.istio.io", "VirtualService")) {
            if let Facts::Rule { destinations, .. } = &known.facts
                && self.sees(world, key, known)
            {
                let full = |host: &String| names::resolve(host, &key.namespace, domain);
                hosts.extend(destinations.iter().map(full));
            }
        }
        let routes = outrigger_xds::KINDS
            .iter()
            .filter(|kind| kind.kind.ends_with("Route"));
        for (key, known) in routes.flat_map(|kind| world.of_kind(kind)) {
            if let Facts::Route {
                destinations,
                for_mesh: true,
            } = &known.facts
            {
                let full = |host: &String| names::service_host(host, &key.namespace, domain);
                hosts.extend(destinations.iter().map(full));
            }
        }
        hosts
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.viewer.namespace
    }

    /// Whether rules that it knows lead to hosts that it may not import.
    pub(crate) fn implies(&self) -> bool {
        !self.implicit.is_empty()
    }

    /// Namespaces of the services among them.
    pub(crate) fn implied_namespaces<'a>(
        &'a self,
        domain: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.implicit.iter().filter_map(move |host| {
            let host = host.strip_suffix(domain)?.strip_suffix(".svc.")?;
            host.rsplit_once('.').map(|(_, namespace)| namespace)
        })
    }

    /// `None`: it imports from all.
    pub(crate) fn imported_namespaces(&self) -> Option<BTreeSet<&str>> {
        self.imports.as_ref()?.namespaces()
    }

    fn named_secrets(&self, world: &World) -> BTreeSet<String> {
        let istio = world.of_kind(kind("networking.istio.io", "Gateway"));
        let kubernetes = world.of_kind(kind("gateway.networking.k8s.io", "Gateway"));
        let mut named = BTreeSet::new();
        for (key, known) in istio.chain(kubernetes) {
            match &known.facts {
                Facts::Gateway { secrets, .. } if self.sees(world, key, known) => {
                    named.extend(secrets.iter().cloned());
                }
                // Which of them it carries is known to it; secrets are for gateways of the same namespace.
                Facts::ApiGateway { secrets } if *key.namespace == *self.viewer.namespace => {
                    named.extend(secrets.iter().cloned());
                }
                _ => {}
            }
        }
        let own = format!("{}/", self.viewer.namespace);
        named.retain(|name| name.starts_with(&own));
        named
    }
}

#[cfg(test)]
mod tests;
