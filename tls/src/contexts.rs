//! What handshakes of one kind share: how they go, what they prove and want proved, and the sessions that may be taken up again.
//!
//! Made when first needed and kept until what proves something is swapped. Each has its own tickets, so that a session is only
//! ever taken up in the context that began it: under the same rules, by the same roots, with the same lists.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrigger_core::peer::TlsFault;
use outrigger_core::snapshot::{
    Alpn, ClientProof, ClientTls, ClientTrust, KeyName, RootsName, ServerTls, Sni, Spoken,
    Termination, Trust,
};
use outrigger_core::worker::Handshake;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureAlgorithm, SignatureScheme};

use crate::identities::{Identities, Proofs};
use crate::provider;
use crate::verify::{Authorities, Clients, Servers, Visitors};

/// Contexts that are kept at a time; with one more all are made anew. There are as many as settings in use.
const MOST: usize = 1024;

/// Sessions with endpoints that one context remembers.
const SESSIONS: usize = 64;

/// All contexts of a process.
pub(crate) struct Contexts {
    identities: Arc<Identities>,
    /// Bytes of a ClientHello.
    pub(crate) longest_hello: usize,
    /// Looked into once a handshake.
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// Of which these are.
    generation: u64,
    clients: HashMap<(ClientTls, Spoken), Arc<ClientConfig>>,
    servers: Vec<(ServerTls, bool, Arc<ServerConfig>)>,
    /// Of gateways: by what a server says, the port, and whether there is a protocol to answer.
    gateways: HashMap<(Termination, u16, bool), Arc<ServerConfig>>,
}

impl Contexts {
    /// `longest_hello`: bytes of a ClientHello.
    pub(crate) fn new(identities: Arc<Identities>, longest_hello: usize) -> Self {
        Self {
            identities,
            longest_hello,
            made: Mutex::default(),
        }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.identities.generation();
        if made.generation != generation
            || made.clients.len() + made.servers.len() + made.gateways.len() > MOST
        {
            *made = Made {
                generation,
                ..Made::default()
            };
        }
        made
    }

    /// The context of a connection to an endpoint.
    ///
    /// # Errors
    /// Something is missing that it takes.
    pub(crate) fn client(&self, handshake: &Handshake) -> Result<Arc<ClientConfig>, TlsFault> {
        let mut made = self.made();
        let key = ((*handshake.tls).clone(), handshake.spoken);
        if let Some(known) = made.clients.get(&key) {
            return Ok(Arc::clone(known));
        }
        let config = client(&handshake.tls, handshake.spoken, &self.identities.proofs())?;
        let config = Arc::new(config);
        made.clients.insert(key, Arc::clone(&config));
        Ok(config)
    }

    /// The context of a client's connection. `answers`: the client offers a protocol that can be answered.
    ///
    /// # Errors
    /// Something is missing that it takes.
    pub(crate) fn server(
        &self,
        tls: &ServerTls,
        answers: bool,
    ) -> Result<Arc<ServerConfig>, TlsFault> {
        let mut made = self.made();
        let known = made.servers.iter();
        let known = known
            .rev()
            .find(|(of, with, _)| *with == answers && of == tls);
        if let Some((.., known)) = known {
            return Ok(Arc::clone(known));
        }
        let (termination, proofs) = (of_mesh(tls), self.identities.proofs());
        let config = server(&termination, &tls.trust_domains, answers, &proofs)?;
        let config = Arc::new(config);
        let entry = (tls.clone(), answers, Arc::clone(&config));
        made.servers.push(entry);
        Ok(config)
    }

    /// The context of a connection to a gateway's server.
    ///
    /// # Errors
    /// Something is missing that it takes.
    pub(crate) fn gateway(
        &self,
        tls: &ServerTls,
        termination: &Termination,
        answers: bool,
    ) -> Result<Arc<ServerConfig>, TlsFault> {
        let mut made = self.made();
        let key = (termination.clone(), tls.port, answers);
        if let Some(known) = made.gateways.get(&key) {
            return Ok(Arc::clone(known));
        }
        let proofs = self.identities.proofs();
        let config = server(termination, &tls.trust_domains, answers, &proofs)?;
        let config = Arc::new(config);
        made.gateways.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

/// Whether a client offers one of the protocols that can be answered.
pub(crate) fn can_answer(hello: &ClientHello<'_>, answered: &[&str]) -> bool {
    let offered = hello.alpn().into_iter().flatten();
    let mut offered = offered.filter(|name| answered.iter().any(|p| p.as_bytes() == *name));
    offered.next().is_some()
}

/// What a gateway's server answers.
pub(crate) const fn answered(termination: &Termination) -> &'static [&'static str] {
    match (&termination.clients, termination.is_http) {
        (ClientProof::Mesh, _) => Alpn::ANSWERED,
        (_, true) => Alpn::ANSWERED_BY_HTTP,
        (_, false) => &[],
    }
}

fn lacking(what: impl fmt::Display) -> TlsFault {
    TlsFault::NoIdentity(what.to_string().into())
}

/// TLS of the mesh, as every listener of a sidecar speaks it.
fn of_mesh(tls: &ServerTls) -> Termination {
    Termination {
        key: KeyName::Mesh,
        more_keys: Box::default(),
        clients: ClientProof::Mesh,
        parameters: tls.parameters.clone(),
        is_http: true,
    }
}

fn server(
    termination: &Termination,
    trust_domains: &[Box<str>],
    answers: bool,
    proofs: &Proofs,
) -> Result<ServerConfig, TlsFault> {
    let provider = provider::of(&termination.parameters);
    let keys = keys(termination, proofs)?;
    let verifier = clients(termination, trust_domains, &provider, proofs)?;
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(provider::versions(&termination.parameters));
    let builder = builder.map_err(|error| lacking(format!("a suite: {error}")))?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(ByAlgorithm(keys)));
    if answers {
        let names = answered(termination).iter();
        config.alpn_protocols = names.map(|name| name.as_bytes().to_vec()).collect();
    }
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(|error| lacking(format!("tickets: {error}")))?;
    // One is enough for a client that keeps its connections.
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Whose certificates will do.
fn clients(
    termination: &Termination,
    trust_domains: &[Box<str>],
    provider: &Arc<CryptoProvider>,
    proofs: &Proofs,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let visitors = |trust: &ClientTrust, is_required| {
        Ok(Arc::new(Visitors {
            provider: Arc::clone(provider),
            authorities: authorities(&trust.roots, trust.crl.as_deref(), proofs)?,
            names: trust.names.clone(),
            is_required,
        }) as Arc<dyn ClientCertVerifier>)
    };
    match &termination.clients {
        ClientProof::Nothing => Ok(Arc::new(NoClientAuth)),
        ClientProof::Optional(trust) => visitors(trust, false),
        ClientProof::Required(trust) => visitors(trust, true),
        ClientProof::Mesh => Ok(Arc::new(Clients {
            provider: Arc::clone(provider),
            authorities: authorities(&RootsName::Mesh, None, proofs)?,
            trust_domains: trust_domains.into(),
        })),
    }
}

fn client(tls: &ClientTls, spoken: Spoken, proofs: &Proofs) -> Result<ClientConfig, TlsFault> {
    let provider = provider::of(&tls.parameters);
    let wants = match &tls.trust {
        Trust::Nothing => None,
        Trust::Chain { roots, crl, names } => {
            let authorities = authorities(roots, crl.as_deref(), proofs)?;
            Some((authorities, names.clone()))
        }
    };
    let verifier = Servers {
        provider: Arc::clone(&provider),
        wants,
        names_nobody: tls.sni == Sni::None,
    };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(provider::versions(&tls.parameters));
    let builder = builder.map_err(|error| lacking(format!("a suite: {error}")))?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(name) => builder.with_client_cert_resolver(Arc::new(Only(key(name, proofs)?))),
    };
    let offered = tls.alpn.offered(spoken).iter();
    config.alpn_protocols = offered.map(|name| name.as_bytes().to_vec()).collect();
    config.enable_sni = tls.sni != Sni::None;
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.enable_early_data = false;
    Ok(config)
}

/// All that are there of what may be shown; one has to be.
fn keys(termination: &Termination, proofs: &Proofs) -> Result<Box<[Arc<CertifiedKey>]>, TlsFault> {
    let first = key(&termination.key, proofs);
    let more = termination.more_keys.iter();
    let more: Vec<_> = more.filter_map(|name| key(name, proofs).ok()).collect();
    match (first, more.is_empty()) {
        (Err(missing), true) => Err(missing),
        (first, _) => Ok(first.into_iter().chain(more).collect()),
    }
}

fn key(name: &KeyName, proofs: &Proofs) -> Result<Arc<CertifiedKey>, TlsFault> {
    let found = proofs.find_key(name).map(Arc::clone);
    found.ok_or_else(|| lacking(format!("no certificate and key of {name}")))
}

fn authorities(
    name: &RootsName,
    crl: Option<&str>,
    proofs: &Proofs,
) -> Result<Authorities, TlsFault> {
    let roots = proofs.find_roots(name).map(Arc::clone);
    let roots = roots.ok_or_else(|| lacking(format!("no roots of {name}")))?;
    let is_mesh = *name == RootsName::Mesh;
    let mut revoked = Vec::new();
    if let Some(file) = crl {
        let lists = proofs.find_revoked(file).map(Arc::clone);
        revoked.push(lists.ok_or_else(|| lacking(format!("no revoked certificates of {file}")))?);
    }
    revoked.extend(proofs.find_revoked_in_mesh().filter(|_| is_mesh).cloned());
    Ok(Authorities {
        roots,
        revoked,
        is_mesh,
    })
}

/// The first that a client can check, one of ECDSA before the others (Envoy).
#[derive(Debug)]
struct ByAlgorithm(Box<[Arc<CertifiedKey>]>);

impl ResolvesServerCert for ByAlgorithm {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let fits = |one: &&Arc<CertifiedKey>| one.key.choose_scheme(schemes).is_some();
        let is_ecdsa = |one: &&Arc<CertifiedKey>| one.key.algorithm() == SignatureAlgorithm::ECDSA;
        let mut ecdsa = self.0.iter().filter(is_ecdsa);
        let found = ecdsa.find(fits).or_else(|| self.0.iter().find(fits));
        found.or_else(|| self.0.first()).map(Arc::clone)
    }
}

/// The one certificate that there is, whoever asks.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesClientCert for Only {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
