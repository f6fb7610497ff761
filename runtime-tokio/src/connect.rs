//! Making upstream connections, and what a failure is called.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use outrigger_core::exchange::ConnectFault;
use outrigger_core::snapshot::Address;
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use crate::stream::Stream;

/// A connection being made. Dropping it gives up.
pub(crate) type Connecting = Pin<Box<dyn Future<Output = Result<Stream, ConnectFault>>>>;

/// Begins to connect. How long it may take is the exchange's deadline. `ours` are the listeners for outbound requests.
pub(crate) fn connect(address: Address, ours: &Rc<[SocketAddr]>) -> Connecting {
    let ours = Rc::clone(ours);
    match address {
        Address::Socket(addr) => {
            Box::pin(async move { tcp(addr, &ours).await.map_err(|e| fault(&e)) })
        }
        Address::Name(name, port) => Box::pin(by_name(name, port, ours)),
        Address::Unix(path) => Box::pin(async move {
            let stream = UnixStream::connect(&*path).await;
            stream.map(Stream::Unix).map_err(|e| fault(&e))
        }),
    }
}

async fn tcp(addr: SocketAddr, ours: &[SocketAddr]) -> io::Result<Stream> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    let stream: TcpStream = socket.connect(addr).await?;
    if ours.iter().any(|own| own.port() == addr.port()) && is_to_ourselves(&stream, ours)? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(Stream::Tcp(stream))
}

/// Whether a connection ends at one of our listeners for outbound requests. A request on it would come back with the
/// same host and go round until no descriptors are left. Core refuses what it can tell from the authority; which names
/// mean this machine only the resolver and the connection know.
fn is_to_ourselves(stream: &TcpStream, ours: &[SocketAddr]) -> io::Result<bool> {
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    // The system connects to addresses of its own from the same address.
    let is_this_machine = peer.ip() == local.ip();
    let is_ours = |own: &SocketAddr| {
        own.port() == peer.port()
            && (own.ip() == peer.ip() || own.ip().is_unspecified() && is_this_machine)
    };
    Ok(ours.iter().any(is_ours))
}

/// Tries the addresses of a name in the resolver's order; the last failure is the one that is told.
async fn by_name(
    name: Box<str>,
    port: u16,
    ours: Rc<[SocketAddr]>,
) -> Result<Stream, ConnectFault> {
    let addresses = lookup_host((&*name, port))
        .await
        .map_err(|_| ConnectFault::Unresolved)?;
    let mut outcome = Err(ConnectFault::Unresolved);
    for addr in addresses {
        outcome = tcp(addr, &ours).await.map_err(|e| fault(&e));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Whose fault it is: this machine's when it lacks something, otherwise the peer's.
fn fault(error: &io::Error) -> ConnectFault {
    let local = matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::AddrNotAvailable
            | ErrorKind::AddrInUse
            | ErrorKind::OutOfMemory
            | ErrorKind::Unsupported
            | ErrorKind::InvalidInput
    ) || error
        .raw_os_error()
        .is_some_and(|code| matches!(code, libc::EMFILE | libc::ENFILE | libc::ENOBUFS));
    if local {
        ConnectFault::Local
    } else {
        ConnectFault::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart() {
        let cases = [
            (libc::ECONNREFUSED, ConnectFault::Refused),
            (libc::EHOSTUNREACH, ConnectFault::Refused),
            (libc::ENETUNREACH, ConnectFault::Refused),
            (libc::ENOENT, ConnectFault::Refused), // no such Unix socket
            (libc::EMFILE, ConnectFault::Local),
            (libc::ENFILE, ConnectFault::Local),
            (libc::EACCES, ConnectFault::Local),
            (libc::EADDRNOTAVAIL, ConnectFault::Local), // no free port
        ];
        for (code, want) in cases {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(fault(&error), want, "{error}");
        }
    }
}
