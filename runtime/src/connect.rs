//! Making upstream connections, and what a failure is called.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;

use outrigger_core::peer::TlsFacts;
use outrigger_core::snapshot::Address;
use outrigger_core::worker::{ConnectFault, Handshake, ends_at_ourselves};

use crate::race::race;
use crate::system::{Stream, System};

/// A connection being made. Dropping it gives up.
pub(crate) type Connecting<T> = Pin<Box<dyn Future<Output = Result<Made<T>, ConnectFault>>>>;

/// A connection that is made, and what TLS on it has proved.
pub(crate) type Made<T> = (T, Option<TlsFacts>);

/// Begins to connect, and to agree on TLS if the connection is to be protected. How long it may take is the exchange's
/// deadline. `ours` are addresses of this program that no request may reach.
pub(crate) fn connect<S: System>(
    system: &S,
    address: Address,
    handshake: Option<Box<Handshake>>,
    ours: &Rc<[SocketAddr]>,
) -> Connecting<S::Stream> {
    let (system, ours) = (system.clone(), Rc::clone(ours));
    match (address, handshake) {
        // What most connections are waits in as little memory as it needs.
        (Address::Socket(addr), None) => Box::pin(async move {
            let stream = tcp(&system, addr, None, &ours).await;
            stream.map(|stream| (stream, None)).map_err(|e| fault(&e))
        }),
        (address, handshake) => Box::pin(async move {
            let stream = match address {
                Address::Socket(addr) => {
                    let stream = tcp(&system, addr, None, &ours).await;
                    stream.map_err(|e| fault(&e))
                }
                Address::Local(addr, from) => {
                    let stream = tcp(&system, addr, Some(from), &ours).await;
                    stream.map_err(|e| fault(&e))
                }
                Address::Name(name, port) => by_name(&system, &name, port, &ours).await,
                Address::Unix(path) => {
                    let stream = system.connect_unix(Path::new(&*path)).await;
                    stream.map_err(|e| fault(&e))
                }
            }?;
            let Some(handshake) = handshake else {
                return Ok((stream, None));
            };
            let secured = system.secure_as_client(stream, &handshake).await;
            secured
                .map(|(stream, facts)| (stream, Some(facts)))
                .map_err(ConnectFault::Tls)
        }),
    }
}

async fn tcp<S: System>(
    system: &S,
    addr: SocketAddr,
    from: Option<IpAddr>,
    ours: &[SocketAddr],
) -> io::Result<S::Stream> {
    let stream = system.connect(addr, from).await?;
    // A port that is not ours spares asking the system for both addresses.
    if ours.iter().any(|own| own.port() == addr.port())
        // A connection that has lost its addresses has ended, and cannot go round.
        && let (Some(peer), Some(local)) = (stream.peer_addr(), stream.local_addr())
        // An application is on this machine, whoever its connections come from.
        && ends_at_ourselves(peer, from.map_or(local, |_| peer), ours)
    {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Connects to one of the addresses of a name; the last failure is the one that is told.
async fn by_name<S: System>(
    system: &S,
    name: &str,
    port: u16,
    ours: &[SocketAddr],
) -> Result<S::Stream, ConnectFault> {
    let addresses = system.resolve(name, port).await;
    let addresses = addresses.map_err(|_| ConnectFault::Unresolved)?;
    let timer = system.timer(system.now());
    let begin = |addr| tcp(system, addr, None, ours);
    match race(addresses, timer, || system.now(), begin).await {
        Some(outcome) => outcome.map_err(|error| fault(&error)),
        None => Err(ConnectFault::Unresolved),
    }
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
