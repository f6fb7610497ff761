//! Which PeerAuthentication holds for a workload and its ports, and what the inbound listeners take accordingly.
//!
//! Owns Istio's precedence: a port's mode in the resource that selects the workload, then that resource's own, then the
//! namespace's, then the mesh's, then PERMISSIVE; what is unset is as the next wider scope says. Of several of one scope the
//! oldest holds. A selector counts outside of the root namespace only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::applications::Application;
use super::policy_origins::at;
use super::resources::ResourceTable;
use super::{Input, Workload, in_order};
use crate::config::names::selects;
use crate::config::peer_authentication::{PeerAuthentication, PeerMode};
use crate::config::{Code, Finding};
use crate::snapshot::{MutualTls, Origin, ServerTls};

/// All resources that may be put to work, the oldest first.
#[derive(Debug)]
pub(super) struct PeerPolicies<'a> {
    all: Vec<&'a PeerAuthentication>,
    root: &'a str,
}

/// What holds for one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    mode: MutualTls,
    ports: BTreeMap<u16, MutualTls>,
}

impl Applied {
    /// What clients speak on a port of the workload.
    #[must_use]
    pub(super) fn mode(&self, port: u16) -> MutualTls {
        self.ports.get(&port).copied().unwrap_or(self.mode)
    }

    /// The ports that have a mode of their own.
    pub(super) fn named_ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied()
    }
}

impl<'a> PeerPolicies<'a> {
    /// Those of a configuration.
    #[must_use]
    pub(super) fn new(input: &Input<'a>) -> Self {
        Self {
            all: in_order(&input.resources.peer_authentications, |r| &r.meta),
            root: &input.mesh.root_namespace,
        }
    }

    /// What holds for the workloads of a namespace with these labels.
    #[must_use]
    pub(super) fn of(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Applied {
        let of_all = |namespace: &str| {
            let mut all = self.all.iter();
            all.find(|one| one.meta.namespace == namespace && one.selector.is_empty())
        };
        let of_namespace = (namespace != self.root).then(|| of_all(namespace));
        let selecting = self.selecting(namespace, labels).next();
        let widest_first = [of_all(self.root).copied(), of_namespace.flatten().copied()];
        let scopes = widest_first.into_iter().flatten().chain(selecting);
        let mode = scopes
            .map(|one| one.mode)
            .fold(MutualTls::Permissive, inherited);
        let ports = selecting.into_iter().flat_map(|one| &one.ports);
        Applied {
            mode,
            ports: ports
                .map(|(port, own)| (*port, inherited(mode, *own)))
                .collect(),
        }
    }

    /// What says what clients speak on a port of a workload: a resource and the field that decides. `None` where none says
    /// anything.
    fn deciding(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> Option<(&'a PeerAuthentication, String)> {
        let selecting = self.selecting(namespace, labels).next();
        let of_port = selecting.filter(|one| {
            let mode = one.ports.get(&port);
            mode.is_some_and(|mode| *mode != PeerMode::Unset)
        });
        if let Some(one) = of_port {
            return Some((one, format!("spec.portLevelMtls.{port}.mode")));
        }
        let of_all = |namespace: &str| {
            let mut all = self.all.iter().copied();
            all.find(|one| one.meta.namespace == namespace && one.selector.is_empty())
        };
        let narrowest_first = [selecting, of_all(namespace), of_all(self.root)];
        let mut saying = narrowest_first.into_iter().flatten();
        let one = saying.find(|one| one.mode != PeerMode::Unset)?;
        Some((one, "spec.mtls.mode".to_owned()))
    }

    /// Those that select a workload, the oldest first.
    pub(super) fn selecting(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a PeerAuthentication> {
        let is_root = namespace == self.root;
        let all = self.all.iter().copied();
        all.filter(move |one| {
            !is_root
                && one.meta.namespace == namespace
                && !one.selector.is_empty()
                && selects(&one.selector, labels)
        })
    }

    /// Those without a selector that hold for a namespace, or for the mesh.
    pub(super) fn of_all(&self, namespace: &str) -> impl Iterator<Item = &'a PeerAuthentication> {
        let (all, root) = (self.all.iter().copied(), self.root);
        all.filter(move |one| {
            let of = one.meta.namespace.as_str();
            one.selector.is_empty() && (of == namespace || of == root)
        })
    }

    /// Whether all workloads of a namespace that have these labels, known or not, take clear text alone on all ports; of the
    /// root namespace all workloads of the mesh.
    #[must_use]
    pub(super) fn is_clear_text(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let is_root = namespace == self.root;
        let applied = match is_root {
            true => self.of(namespace, &BTreeMap::new()),
            false => self.of(namespace, labels),
        };
        let wide = self.of(namespace, &BTreeMap::new()).mode;
        let in_clear_text = |mode: &MutualTls| *mode == MutualTls::Disable;
        // Those that hold for some of them only, or go before what holds for all.
        let others = self.all.iter().filter(|one| match is_root {
            true => true,
            false => {
                let is_near = one.meta.namespace == namespace && !one.selector.is_empty();
                is_near && !selects(&one.selector, labels)
            }
        });
        let mut modes = others.flat_map(|one| one.ports.values().chain([&one.mode]));
        in_clear_text(&applied.mode)
            && applied.ports.values().all(in_clear_text)
            && modes.all(|mode| in_clear_text(&inherited(wide, *mode)))
    }

    /// Whether some workload takes no TLS on some port, so that it matters what holds for each.
    #[must_use]
    pub(super) fn disable_somewhere(&self) -> bool {
        self.all.iter().any(|one| {
            let mut modes = one.ports.values().chain([&one.mode]);
            modes.any(|mode| *mode == PeerMode::Disable)
        })
    }
}

/// A mode of a scope within a wider one.
const fn inherited(wider: MutualTls, own: PeerMode) -> MutualTls {
    match own {
        PeerMode::Unset => wider,
        PeerMode::Disable => MutualTls::Disable,
        PeerMode::Permissive => MutualTls::Permissive,
        PeerMode::Strict => MutualTls::Strict,
    }
}

/// What clients speak on each inbound listener. A workload without an identity has nothing to offer where either is taken:
/// it takes clear text. Where TLS is asked for it refuses everybody.
pub(super) fn listeners(
    input: &Input<'_>,
    policies: &PeerPolicies<'_>,
    inbound: &[Application<'_>],
    findings: &mut Vec<Finding>,
) -> Arc<[Arc<ServerTls>]> {
    let workload = input.workload;
    let applied = policies.of(&workload.namespace, &workload.labels);
    let mut selecting = policies.selecting(&workload.namespace, &workload.labels);
    selecting.next();
    for other in selecting {
        findings.push(Finding::about(
            Code::ShadowedPeerAuthentication,
            "PeerAuthentication",
            &other.meta,
            "spec.selector",
            "another PeerAuthentication selects this workload, and is older or comes first by name",
            "merge them",
        ));
    }
    let of = |application: &Application<'_>| {
        let mode = match applied.mode(application.port()) {
            MutualTls::Permissive if workload.spiffe_id.is_none() => MutualTls::Disable,
            mode => mode,
        };
        Arc::new(ServerTls {
            mode,
            parameters: input.mesh.mesh_mtls.clone(),
            trust_domains: input.mesh.trust_domains().map(Into::into).collect(),
            port: application.port(),
            servers: Box::default(),
        })
    };
    inbound.iter().map(of).collect()
}

/// Where it is written what clients speak on each inbound listener.
pub(super) fn origins(
    workload: &Workload,
    policies: &PeerPolicies<'_>,
    inbound: &[Application<'_>],
    resources: &mut ResourceTable,
) -> Arc<[Option<Origin>]> {
    let ports = inbound.iter().map(Application::port);
    let origins = ports.map(|port| {
        let (one, path) = policies.deciding(&workload.namespace, &workload.labels, port)?;
        Some(at("PeerAuthentication", &one.meta, &path, resources))
    });
    origins.collect()
}

#[cfg(test)]
mod tests;
