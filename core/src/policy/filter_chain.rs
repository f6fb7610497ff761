//! What becomes of a connection: HTTP, a rule for connections, or what is done with those that nobody knows.
//!
//! A pure function over what is listened for and what has been seen. How what is spoken is found out, and how long that is
//! waited for, is decided elsewhere.

use core::net::IpAddr;

use crate::peer::{ListenerKind, Peer, TlsFacts};
use crate::snapshot::{
    Alpn, ChainRule, GatewayListener, GatewayServer, HttpSpoken, Listener, Snapshot, Spoken,
};

/// What has been seen of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing was looked at.
    Nothing,
    /// It begins as HTTP does.
    Http,
    /// It begins as TLS does.
    Tls {
        /// The name that is asked for, in lower case, if any is.
        name: Option<&'a str>,
        /// Whether a protocol of the mesh's own is offered.
        of_mesh: bool,
    },
    /// It begins otherwise, or its client waits for the other side to speak.
    Other,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Its requests are routed.
    Http,
    /// It is to be looked at what is spoken on it.
    Look,
    /// This rule is for it.
    Rule(ChainRule),
    /// Nobody knows where it goes: the egress policy decides.
    Unknown,
    /// Nothing is behind it: it is closed.
    Nowhere,
}

/// Chooses for a client's connection. A port that nobody was brought to is spoken to in HTTP, unless it is an application's of
/// which something else is said.
#[must_use]
pub fn of_peer(snapshot: &Snapshot, peer: &Peer, tls: Option<&TlsFacts>, seen: Seen<'_>) -> Chosen {
    let listener = match (peer.listener, peer.original) {
        (ListenerKind::Outbound, None) => return Chosen::Http,
        (ListenerKind::Outbound, Some(to)) => snapshot.listeners.find(to),
        (ListenerKind::Inbound(_), _) => {
            let Some(at) = snapshot.inbound_ports.position(peer) else {
                return Chosen::Nowhere;
            };
            return match snapshot.inbound_listeners.get(at) {
                None => Chosen::Http,
                Some(listener) => of_application(listener, peer, tls, seen),
            };
        }
        (ListenerKind::Gateway(port), _) => {
            let listener = snapshot.gateways.find(port, peer.local.ip());
            return listener.map_or(Chosen::Nowhere, |one| of_gateway(one, peer, tls, seen));
        }
    };
    choose(listener, peer.destination().ip(), seen)
}

/// Whether HTTP is spoken to an application by a client who has come this way.
#[must_use]
pub const fn spoken_to_application(listener: &Listener, peer: &Peer) -> HttpSpoken {
    match (listener.http, peer.original) {
        (HttpSpoken::Unsaid, None) => HttpSpoken::Always,
        (HttpSpoken::Unsaid, Some(_)) => HttpSpoken::Perhaps,
        (said, _) => said,
    }
}

/// Chooses at a port of the application. Where nobody says what is spoken there, a sidecar does by what its TLS has agreed on, as in
/// Istio's filter chains.
fn of_application(
    listener: &Listener,
    peer: &Peer,
    tls: Option<&TlsFacts>,
    seen: Seen<'_>,
) -> Chosen {
    let agreed = tls.and_then(|tls| Alpn::spoken(tls.alpn.as_deref()?));
    let seen = match (listener.http, agreed) {
        (HttpSpoken::Perhaps | HttpSpoken::Unsaid, Some(Spoken::Bytes)) => Seen::Other,
        (HttpSpoken::Perhaps | HttpSpoken::Unsaid, Some(Spoken::Http1 | Spoken::Http2)) => {
            return Chosen::Http;
        }
        _ if spoken_to_application(listener, peer) == HttpSpoken::Always => return Chosen::Http,
        _ => seen,
    };
    choose(Some(listener), peer.destination().ip(), seen)
}

/// Chooses at a port of Gateways. TLS is known there before anything else: it was taken off, or it passes.
fn of_gateway(
    listener: &GatewayListener,
    peer: &Peer,
    tls: Option<&TlsFacts>,
    seen: Seen<'_>,
) -> Chosen {
    if listener.tls.is_some() && tls.is_none() {
        return match seen {
            Seen::Nothing => Chosen::Look,
            Seen::Tls { name, of_mesh } => {
                let chain = listener.passed.find(peer.destination().ip(), name);
                let chain = chain.filter(|chain| of_mesh || !chain.mesh_only);
                chain.map_or(Chosen::Nowhere, |chain| Chosen::Rule(chain.rule))
            }
            Seen::Http | Seen::Other => Chosen::Nowhere,
        };
    }
    let server_name = tls.and_then(|tls| tls.sni.as_deref());
    match listener.server(server_name) {
        Some(GatewayServer::Http(_)) => Chosen::Http,
        Some(GatewayServer::Tcp(Some(rule))) => Chosen::Rule(*rule),
        Some(GatewayServer::Tcp(None)) | None => Chosen::Nowhere,
    }
}

/// Chooses. `listener`: who listens where it was to go, `destination`.
#[must_use]
pub fn choose(listener: Option<&Listener>, destination: IpAddr, seen: Seen<'_>) -> Chosen {
    let Some(listener) = listener else {
        return Chosen::Unknown;
    };
    let name = match (seen, listener.http) {
        (_, HttpSpoken::Always) | (Seen::Http, HttpSpoken::Perhaps | HttpSpoken::Unsaid) => {
            return Chosen::Http;
        }
        (Seen::Nothing, _) if listener.is_to_look() => return Chosen::Look,
        (Seen::Tls { name, .. }, _) => name,
        (Seen::Nothing | Seen::Http | Seen::Other, _) => None,
    };
    let chain = listener.find(destination, name);
    chain.map_or(Chosen::Unknown, |chain| Chosen::Rule(chain.rule))
}
