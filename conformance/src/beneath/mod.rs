//! What is spoken beneath HTTP when a case is played: how peers come to speak TLS, and what proves something to and for the sidecar.
//!
//! | module | owns |
//! |---|---|
//! | `made` | real certificates for the names of a case |
//! | `proofs` | what proves something to the sidecar of a case, for runtimes and for the simulation |
//! | `shielded` | a peer that speaks TLS over a real connection |
//! | `setup` | what its connections are made with |
//! | `bare` | one that does not, where somebody may want to |

mod bare;
mod made;
pub(crate) mod proofs;
mod setup;
mod shielded;

use outrigger_core::snapshot::{Alpn, Spoken};
use outrigger_core::stream::Protocol;
use outrigger_core::time::Instant;
use outrigger_sim::{Accept, Peer, Proving, Serve, Speaks};

use crate::case::{Backend, Case};
use crate::script::Action;
use crate::trust::{Tls, Trust};
use bare::Bare;
use shielded::Shielded;

impl Tls {
    fn protocols(&self, usual: &[&str]) -> Vec<String> {
        let usual = || usual.iter().map(|name| (*name).to_owned()).collect();
        self.alpn.clone().unwrap_or_else(usual)
    }

    fn speaks(&self, trust: &Trust, usual: &[&str]) -> Speaks {
        let protocols = self.protocols(usual).into_iter();
        Speaks {
            certificate: self.certificate.as_ref().map(|name| trust.shown(name)),
            sni: self.sni.as_deref().map(Into::into),
            protocols: protocols.map(Into::into).collect(),
            demands: self.demands.as_deref().map(Into::into),
            is_old: self.is_old,
        }
    }
}

/// How peers come to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// They say what they speak, and are told what came of it.
    Told,
    /// They speak it.
    Real,
}

impl Stage {
    /// A client of a case, over what it speaks beneath HTTP.
    pub(crate) fn client(
        self,
        case: &Case,
        tls: Option<&Tls>,
        peer: Box<dyn Peer>,
    ) -> Box<dyn Peer> {
        let Some(tls) = tls else {
            return peer;
        };
        let usual = Alpn::Mesh.offered(match case.pairing.client {
            Protocol::Http1 => Spoken::Http1,
            Protocol::Http2 => Spoken::Http2,
        });
        match self {
            Self::Told => Box::new(Proving::new(peer, tls.speaks(&case.trust, usual))),
            Self::Real => Box::new(Shielded::client(peer, tls, &case.trust, usual)),
        }
    }

    /// A service of a case likewise.
    pub(crate) fn service(
        self,
        case: &Case,
        address: &str,
        service: Box<dyn Serve>,
    ) -> Box<dyn Serve> {
        let is_http2 = case.pairing.service == Protocol::Http2 || case.names_http2();
        let usual: &[&str] = if is_http2 {
            &["h2", "http/1.1"]
        } else {
            &["http/1.1"]
        };
        match (self, case.tls.get(address)) {
            (Self::Told, None) => service,
            (Self::Told, Some(tls)) => {
                Box::new(Proving::new(service, tls.speaks(&case.trust, usual)))
            }
            // Where nobody speaks TLS nobody is to be told from who does.
            (Self::Real, None) if case.trust == Trust::default() => service,
            // It may be what passes that it awaits.
            (Self::Real, None) if awaits_bytes(case, address) => service,
            (Self::Real, tls) => Box::new(Behind {
                service,
                tls: tls.cloned(),
                trust: case.trust.clone(),
                usual,
            }),
        }
    }
}

/// Whether a service awaits bytes as they are.
fn awaits_bytes(case: &Case, address: &str) -> bool {
    let Some(Backend::Scripts(scripts)) = case.services.get(address) else {
        return false;
    };
    let mut first = scripts.iter().filter_map(|steps| steps.first());
    first.any(|step| step.action == Action::Raw)
}

/// A service on real connections, over what it speaks beneath HTTP.
struct Behind {
    service: Box<dyn Serve>,
    tls: Option<Tls>,
    trust: Trust,
    usual: &'static [&'static str],
}

impl Serve for Behind {
    fn accept(&mut self, now: Instant) -> Accept {
        match (self.service.accept(now), &self.tls) {
            (Accept::Peer(peer), None) => Accept::Peer(Box::new(Bare::new(peer))),
            (Accept::Peer(peer), Some(tls)) => {
                let shielded = Shielded::service(peer, tls, &self.trust, self.usual);
                Accept::Peer(Box::new(shielded))
            }
            (other @ (Accept::Refuse | Accept::Ignore), _) => other,
        }
    }
}
