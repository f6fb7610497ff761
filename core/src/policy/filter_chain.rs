//! What becomes of a connection: HTTP, a rule for connections, or what is done with those that nobody knows.
//!
//! A pure function over what is listened for and what has been seen. How what is spoken is found out, and how long that is
//! waited for, is decided elsewhere.

use core::net::IpAddr;

use crate::peer::{ListenerKind, Peer};
use crate::snapshot::{ChainRule, HttpSpoken, Listener, Snapshot};

/// What has been seen of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Nothing was looked at.
    Nothing,
    /// It begins as HTTP does.
    Http,
    /// It begins as TLS does, which asks for this name in lower case, if for any.
    Tls(Option<&'a str>),
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
}

/// Chooses for a client's connection. A port that nobody was brought to is spoken to in HTTP, unless it is an application's of
/// which something else is said.
#[must_use]
pub fn of_peer(snapshot: &Snapshot, peer: &Peer, seen: Seen<'_>) -> Chosen {
    let listener = match (peer.listener, peer.original) {
        (ListenerKind::Outbound, None) => return Chosen::Http,
        (ListenerKind::Outbound, Some(to)) => snapshot.listeners.find(to),
        (ListenerKind::Inbound(at), original) => match snapshot.inbound_listeners.get(at) {
            Some(listener) if listener.http != HttpSpoken::Unsaid || original.is_some() => {
                Some(listener)
            }
            Some(_) | None => return Chosen::Http,
        },
    };
    choose(listener, peer.destination().ip(), seen)
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
        (Seen::Tls(name), _) => name,
        (Seen::Nothing | Seen::Http | Seen::Other, _) => None,
    };
    let chain = listener.find(destination, name);
    chain.map_or(Chosen::Unknown, |chain| Chosen::Rule(chain.rule))
}
