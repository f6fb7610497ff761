//! Sockets that a Sidecar has opened for applications that come by themselves (`captureMode: NONE`, and Unix sockets).
//!
//! A connection there is as if it had been brought from the socket's own address. A Unix socket has none, and gets one that nobody
//! connects to: of the prefix that is thrown away (RFC 6666, `100::/64`), made of its path.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::cluster::Address;
use super::host_table::HostTable;
use crate::xxhash::xxh64;

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SocketPlace {
    /// There.
    Address(SocketAddr),
    /// At this path, or under this abstract name (`@name`).
    Unix(Box<str>),
}

impl SocketPlace {
    /// The address that stands for it where connections are told apart.
    #[must_use]
    pub fn stands_for(&self) -> SocketAddr {
        match self {
            Self::Address(address) => *address,
            Self::Unix(path) => {
                let low = u128::from(xxh64(path.as_bytes(), 0));
                (Ipv6Addr::from_bits(0x100 << 112 | low), 0).into()
            }
        }
    }
}

impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// A socket that is to be listened on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnSocket {
    /// Where.
    pub place: SocketPlace,
    /// What comes there goes to the application.
    pub is_inbound: bool,
}

/// All of them, and whom clients of Unix sockets reach by name.
#[derive(Clone, Debug, Default)]
pub struct OwnSockets {
    /// In the order of the Sidecar.
    pub all: Box<[OwnSocket]>,
    hosts: Box<[(IpAddr, HostTable)]>,
}

impl OwnSockets {
    /// These, and the hosts of those at Unix sockets that speak HTTP.
    #[must_use]
    pub fn new(all: Vec<OwnSocket>, hosts: Vec<(SocketPlace, HostTable)>) -> Self {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|(place, hosts)| (place.stands_for().ip(), hosts));
        Self {
            all: all.into(),
            hosts: hosts.collect(),
        }
    }

    /// Whether one of them is there.
    #[must_use]
    pub fn has(&self, address: &Address) -> bool {
        let mut all = self.all.iter();
        all.any(|socket| match (&socket.place, address) {
            (SocketPlace::Address(own), Address::Socket(to)) => own == to,
            (SocketPlace::Unix(own), Address::Unix(to)) => own == to,
            (SocketPlace::Address(_) | SocketPlace::Unix(_), _) => false,
        })
    }

    /// The hosts of the Unix socket that an address stands for.
    #[must_use]
    pub fn hosts(&self, of: IpAddr) -> Option<&HostTable> {
        let mut all = self.hosts.iter();
        all.find(|(ip, _)| *ip == of).map(|(_, hosts)| hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_an_address_that_nobody_has() {
        let address = |path: &str| SocketPlace::Unix(path.into()).stands_for();
        let (a, b) = (address("/run/a.sock"), address("/run/b.sock"));
        assert_ne!(a, b);
        assert_eq!(a, address("/run/a.sock"));
        for address in [a, b] {
            let IpAddr::V6(ip) = address.ip() else {
                panic!("{address}")
            };
            assert_eq!(ip.segments()[..4], [0x100, 0, 0, 0]);
            assert_eq!(address.port(), 0);
        }
    }
}
