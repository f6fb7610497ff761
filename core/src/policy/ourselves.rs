//! Whether a connection leads to this program.
//!
//! At a listener for outbound requests a request on it would come back with the same host and go round until no descriptors
//! are left; at the admin endpoints a client of the proxy could end it. What can be told from the address that a client named
//! is refused before anything connects ([`leads_to_ourselves`]); which names and addresses mean this machine only the
//! resolver and the connection know ([`ends_at_ourselves`]).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::snapshot::Address;

/// Whether a connection to an address that a client named surely leads back to the listener that the client used, which is
/// at `listener`.
#[must_use]
pub fn leads_to_ourselves(address: &Address, listener: SocketAddr) -> bool {
    let (ip, port) = (listener.ip(), listener.port());
    match address {
        Address::Socket(to) | Address::Local(to, _) => {
            to.port() == port
                && (to.ip() == ip || to.ip().is_loopback() || to.ip().is_unspecified())
        }
        Address::Name(name, to) => {
            *to == port
                && name.eq_ignore_ascii_case("localhost")
                && (ip.is_loopback() || ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
        Address::Unix(_) => false,
    }
}

/// Whether a connection between these two addresses ends at one of `ours`, the addresses at which this program listens.
#[must_use]
pub fn ends_at_ourselves(peer: SocketAddr, local: SocketAddr, ours: &[SocketAddr]) -> bool {
    // The system connects to addresses of its own from the same address, and nowhere else from loopback.
    let is_this_machine = peer.ip() == local.ip() || local.ip().is_loopback();
    ours.iter().any(|own| {
        own.port() == peer.port()
            && (own.ip() == peer.ip() || own.ip().is_unspecified() && is_this_machine)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_listener_is_known_before_anything_connects() {
        let (loopback, pod, any) = ("127.0.0.1:15001", "10.0.0.7:15001", "0.0.0.0:15001");
        let socket = |text: &str| Address::Socket(text.parse().unwrap());
        let name = |name: &str, port| Address::Name(name.into(), port);
        for (listener, to, want) in [
            (loopback, socket("127.0.0.1:15001"), true),
            (loopback, socket("127.0.0.1:15006"), false),
            (loopback, socket("10.0.0.7:15001"), false),
            (loopback, socket("0.0.0.0:15001"), true),
            (loopback, socket("[::1]:15001"), true),
            (pod, socket("10.0.0.7:15001"), true),
            (pod, socket("10.0.0.8:15001"), false),
            (pod, socket("127.0.0.2:15001"), true),
            (pod, socket("10.0.0.7:80"), false),
            // By name only where this name surely leads here.
            (loopback, name("LocalHost", 15001), true),
            (any, name("localhost", 15001), true),
            (pod, name("localhost", 15001), false),
            (loopback, name("localhost", 80), false),
            (loopback, name("other", 15001), false),
            (loopback, Address::Unix("/localhost:15001".into()), false),
        ] {
            let leads = leads_to_ourselves(&to, listener.parse().unwrap());
            assert_eq!(leads, want, "{listener} {to}");
        }
    }

    #[test]
    fn a_connection_to_ourselves_is_known_by_its_addresses() {
        let (one, all) = ("127.0.0.1:15001", "0.0.0.0:15001");
        for (peer, local, ours, want) in [
            ("127.0.0.1:15001", "127.0.0.1:4000", &[one][..], true),
            // At one address: who connects to it from another one of this machine ends there too.
            ("10.0.0.7:15001", "10.0.0.8:4000", &["10.0.0.7:15001"], true),
            ("127.0.0.2:15001", "127.0.0.2:4000", &[one], false),
            ("127.0.0.1:15006", "127.0.0.1:4000", &[one], false),
            // At all addresses: those of this machine.
            ("127.0.0.1:15001", "127.0.0.1:4000", &[all], true),
            ("10.0.0.7:15001", "10.0.0.7:4000", &[all], true),
            ("10.0.0.8:15001", "10.0.0.7:4000", &[all], false),
            ("10.0.0.8:15001", "127.0.0.6:4000", &[all], true),
            ("10.0.0.7:80", "10.0.0.7:4000", &[all], false),
            ("[::1]:15001", "[::1]:4000", &["[::]:15001"], true),
            ("[fd00::8]:15001", "[fd00::7]:4000", &["[::]:15001"], false),
            // At any of several: the admin endpoints, say.
            ("127.0.0.1:1", "127.0.0.1:4000", &[all, "127.0.0.1:1"], true),
            ("127.0.0.1:15001", "127.0.0.1:4000", &[], false),
        ] {
            let address = |text: &str| text.parse::<SocketAddr>().unwrap();
            let ours: Vec<_> = ours.iter().map(|own| address(own)).collect();
            let ends = ends_at_ourselves(address(peer), address(local), &ours);
            assert_eq!(ends, want, "{peer} from {local}, ours: {ours:?}");
        }
    }
}
