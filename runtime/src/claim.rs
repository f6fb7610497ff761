//! Who is about to listen at an address, so that of two processes that begin in the same moment one does.
//!
//! Sockets that share a port (`SO_REUSEPORT`) are all accepted by the kernel, and whether anybody listens can only be found out before
//! ours do. Between the two another process may find out the same, and then both would serve, each some of the connections.

use std::io;
use std::net::SocketAddr;

/// Nobody else is about to listen at the address while this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    /// An abstract name is somebody's for as long as his socket is open, in one network namespace as addresses are.
    #[cfg(target_os = "linux")]
    _name: socket2::Socket,
}

impl Claim {
    /// # Errors
    /// Somebody is about to listen there ([`io::ErrorKind::AddrInUse`]).
    #[cfg(target_os = "linux")]
    pub(crate) fn to(addr: SocketAddr) -> io::Result<Self> {
        use socket2::{Domain, SockAddr, Socket, Type};
        let name = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        name.bind(&SockAddr::unix(format!("\0outrigger/listen/{addr}"))?)?;
        Ok(Self { _name: name })
    }

    /// Elsewhere there are no such names, and the moment is left as it is.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn to(_: SocketAddr) -> io::Result<Self> {
        Ok(Self {})
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_claimed_by_one_at_a_time() {
        let addr = SocketAddr::from(([127, 0, 0, 9], 1));
        let first = Claim::to(addr).unwrap();
        assert_eq!(
            Claim::to(addr).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        Claim::to(SocketAddr::from(([127, 0, 0, 8], 1))).unwrap();
        drop(first);
        Claim::to(addr).unwrap();
    }
}
