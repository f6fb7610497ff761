//! TLS towards the endpoints of a cluster: by the DestinationRule that holds, else of the mesh for endpoints that take it.
//!
//! Owns what each mode comes to (Istio's defaults for names, protocols and roots), and the identities that the endpoints of
//! a service may have. Which traffic policy holds is `traffic_policy`'s business, which endpoints there are `endpoints`'.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Input;
use super::endpoints::{Candidate, Upstream};
use super::peer_authentication::PeerPolicies;
use super::services::{Definition, RegistryService, Source};
use crate::config::destination_rule::{ClientTlsMode, ClientTlsSettings};
use crate::config::kubernetes::Service;
use crate::config::mesh::MeshConfig;
use crate::config::service_entry::Location;
use crate::peer::SpiffeId;
use crate::snapshot::{Alpn, ClientTls, KeyName, MutualTls, PeerNames, RootsName, Sni, Trust};

/// The file name that stands for the roots of the operating system.
const SYSTEM: &str = "system";

/// What comes before the name of a secret that is one of Kubernetes.
const KUBERNETES: &str = "kubernetes://";

/// The names that servers of a service may have: those that its ServiceEntry lists or annotations of its Service name, and the
/// identities of its endpoints in each of the mesh's trust domains. Sorted, each once.
#[must_use]
pub(super) fn names(
    mesh: &MeshConfig,
    service: &RegistryService<'_>,
    upstreams: &[Upstream],
) -> Box<[Box<str>]> {
    let mut names: BTreeSet<Box<str>> = BTreeSet::new();
    if let Definition::Entry(entry) = service.definition {
        let written = entry.subject_alt_names.iter();
        names.extend(written.map(|name| name.as_str().into()));
    }
    let annotated = service.ports.first().and_then(|port| port.sources.first());
    if let Some(Source::Kubernetes(service, _)) = annotated {
        names.extend(annotated_names(mesh, service));
    }
    for upstream in upstreams {
        let candidates = match upstream {
            Upstream::Endpoints(candidates) => candidates.as_slice(),
            Upstream::OriginalDestination => &[],
        };
        let accounts: BTreeSet<(&str, &str)> = candidates.iter().filter_map(account).collect();
        for (namespace, service_account) in accounts {
            names.extend(mesh.trust_domains().map(|trust_domain| {
                let id = SpiffeId {
                    trust_domain,
                    namespace,
                    service_account,
                };
                id.to_string().into()
            }));
        }
    }
    names.into_iter().collect()
}

/// Annotations of a Service with the accounts that may answer for it, by commas: names in its namespace, and whole SPIFFE IDs.
const ACCOUNTS: &str = "alpha.istio.io/kubernetes-serviceaccounts";
const WHOLE_ACCOUNTS: &str = "alpha.istio.io/canonical-serviceaccounts";

/// The names that a Service says its servers may have, beside those of its endpoints.
fn annotated_names(mesh: &MeshConfig, service: &Service) -> Vec<Box<str>> {
    let meta = &service.meta;
    let listed = |name: &str| {
        let text = meta.annotations.get(name).map_or("", String::as_str);
        text.split(',').map(str::trim).filter(|one| !one.is_empty())
    };
    let accounts = listed(ACCOUNTS).flat_map(|service_account| {
        mesh.trust_domains().map(move |trust_domain| SpiffeId {
            trust_domain,
            namespace: &meta.namespace,
            service_account,
        })
    });
    let accounts = accounts.map(|id| id.to_string().into());
    let whole = listed(WHOLE_ACCOUNTS).map(|id| match id.contains("://") {
        true => id.into(),
        false => format!("spiffe://{id}").into(),
    });
    accounts.chain(whole).collect()
}

/// The namespace and the service account of an endpoint, where they are known.
fn account(candidate: &Candidate) -> Option<(&str, &str)> {
    let account = &*candidate.service_account;
    (!account.is_empty()).then_some((&*candidate.identity.namespace, account))
}

/// TLS towards a cluster, and which of its endpoints it holds for.
#[derive(Clone, Debug, Default)]
pub(super) enum Secured {
    /// Clear text to all.
    #[default]
    Nobody,
    /// To all.
    All(Arc<ClientTls>),
    /// To endpoints that take TLS of the mesh.
    OfMesh(Arc<ClientTls>),
}

impl Secured {
    /// What the connections that are protected speak.
    #[must_use]
    pub(super) fn tls(&self) -> Option<Arc<ClientTls>> {
        match self {
            Self::Nobody => None,
            Self::All(tls) | Self::OfMesh(tls) => Some(Arc::clone(tls)),
        }
    }

    /// Whether those to an endpoint are.
    #[must_use]
    pub(super) fn holds_for(&self, candidate: &Candidate, policies: &PeerPolicies<'_>) -> bool {
        match self {
            Self::Nobody => false,
            Self::All(_) => true,
            Self::OfMesh(_) => takes_mesh_tls(candidate, policies),
        }
    }
}

/// Whom sidecars ask for in TLS of the mesh: the cluster, by the name that it has at a gateway between networks.
#[must_use]
pub(super) fn cluster_sni(port: u16, subset: &str, host: &str) -> Box<str> {
    format!("outbound_.{port}_.{subset}_.{host}").into()
}

/// Whether an endpoint has a sidecar, and no PeerAuthentication says that it takes clear text only.
pub(super) fn takes_mesh_tls(candidate: &Candidate, policies: &PeerPolicies<'_>) -> bool {
    candidate.has_mesh_tls
        && !(policies.disable_somewhere() && {
            let applied = policies.of(&candidate.identity.namespace, &candidate.labels);
            let port = candidate.address.port();
            port.is_some_and(|port| applied.mode(port) == MutualTls::Disable)
        })
}

/// A service port and subset, as far as TLS goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Towards<'s> {
    pub(super) service: &'s RegistryService<'s>,
    pub(super) port: u16,
    pub(super) subset: &'s str,
    /// See [`names`].
    pub(super) names: &'s [Box<str>],
}

/// TLS towards a cluster.
#[must_use]
pub(super) fn secured(
    input: &Input<'_>,
    towards: Towards<'_>,
    upstream: &Upstream,
    written: Option<&ClientTlsSettings>,
) -> Secured {
    let Some(written) = written else {
        return automatic(input, towards, upstream);
    };
    let mesh = input.mesh;
    match written.mode {
        ClientTlsMode::Disable => Secured::Nobody,
        ClientTlsMode::IstioMutual => Secured::All(Arc::new(of_mesh(mesh, towards, Some(written)))),
        ClientTlsMode::Simple | ClientTlsMode::Mutual => Secured::All(Arc::new(ClientTls {
            identity: own_certificate(input, written),
            trust: trust(input, towards, written),
            sni: sni(written).unwrap_or(Sni::Host),
            alpn: Alpn::Plain,
            parameters: mesh.tls_defaults.clone(),
        })),
    }
}

/// Where no DestinationRule says, endpoints with a sidecar are spoken to in TLS of the mesh; there must be an identity to do
/// so with, and the service must be one of the mesh.
fn automatic(input: &Input<'_>, towards: Towards<'_>, upstream: &Upstream) -> Secured {
    let is_outside = match towards.service.definition {
        Definition::Kubernetes => false,
        Definition::Entry(entry) => entry.location == Location::External,
    };
    let Upstream::Endpoints(candidates) = upstream else {
        return Secured::Nobody;
    };
    let is_on = input.mesh.enable_auto_mtls && input.workload.spiffe_id.is_some() && !is_outside;
    if is_on && candidates.iter().any(|candidate| candidate.has_mesh_tls) {
        Secured::OfMesh(Arc::new(of_mesh(input.mesh, towards, None)))
    } else {
        Secured::Nobody
    }
}

/// TLS of the mesh.
fn of_mesh(
    mesh: &MeshConfig,
    towards: Towards<'_>,
    written: Option<&ClientTlsSettings>,
) -> ClientTls {
    let Towards {
        service,
        port,
        subset,
        names,
    } = towards;
    let listed = written.map_or(&[][..], |tls| &tls.subject_alt_names);
    let names = match (listed, names) {
        ([], []) => PeerNames::Any,
        ([], names) => PeerNames::Of(names.into()),
        (listed, _) => PeerNames::Of(boxed(listed)),
    };
    let of_cluster = || Sni::Name(cluster_sni(port, subset, &service.host));
    ClientTls {
        identity: Some(KeyName::Mesh),
        trust: Trust::Chain {
            roots: RootsName::Mesh,
            crl: None,
            names,
        },
        sni: written.and_then(sni).unwrap_or_else(of_cluster),
        alpn: Alpn::Mesh,
        parameters: mesh.mesh_mtls.clone(),
    }
}

fn sni(written: &ClientTlsSettings) -> Option<Sni> {
    (!written.sni.is_empty()).then(|| Sni::Name(written.sni.to_ascii_lowercase().into()))
}

fn own_certificate(input: &Input<'_>, written: &ClientTlsSettings) -> Option<KeyName> {
    if written.mode != ClientTlsMode::Mutual {
        return None;
    }
    Some(match secret(input, written) {
        Some((namespace, name)) => KeyName::Secret(namespace, name),
        None => KeyName::Files(
            written.client_certificate.as_str().into(),
            written.private_key.as_str().into(),
        ),
    })
}

/// What a server that is none of the mesh's must prove. Where a ServiceEntry lists names, they hold if the rule lists none.
fn trust(input: &Input<'_>, towards: Towards<'_>, written: &ClientTlsSettings) -> Trust {
    if written.insecure_skip_verify == Some(true) {
        return Trust::Nothing;
    }
    let roots = match secret(input, written) {
        Some((namespace, name)) => RootsName::Secret(namespace, name),
        None if matches!(&*written.ca_certificates, "" | SYSTEM) => RootsName::System,
        None => RootsName::File(written.ca_certificates.as_str().into()),
    };
    let of_entry = match towards.service.definition {
        Definition::Kubernetes => &[],
        Definition::Entry(_) => towards.names,
    };
    let names = match (&*written.subject_alt_names, of_entry) {
        ([], []) => PeerNames::Wanted,
        ([], names) => PeerNames::Of(names.into()),
        (listed, _) => PeerNames::Of(boxed(listed)),
    };
    let crl = (!written.ca_crl.is_empty()).then(|| written.ca_crl.as_str().into());
    Trust::Chain { roots, crl, names }
}

/// The namespace and the name of the secret that is named; it is one of the workload's namespace unless it says another.
#[must_use]
pub(super) fn secret(
    input: &Input<'_>,
    written: &ClientTlsSettings,
) -> Option<(Box<str>, Box<str>)> {
    if written.credential_name.is_empty() {
        return None;
    }
    let name = &written.credential_name;
    let own = input.workload.namespace.as_str();
    let (namespace, name) = match name.strip_prefix(KUBERNETES) {
        Some(name) => name.split_once('/').unwrap_or((own, name)),
        None => (own, name.as_str()),
    };
    Some((namespace.into(), name.into()))
}

fn boxed(names: &[String]) -> Box<[Box<str>]> {
    names.iter().map(|name| name.as_str().into()).collect()
}

#[cfg(test)]
mod tests;
