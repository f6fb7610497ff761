//! Making upstream connections, and what a failure is called.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::outbox::Outbox;
use outrigger_core::peer::TlsFacts;
use outrigger_core::snapshot::Address;
use outrigger_core::worker::{ConnectFault, Manner, ends_at_ourselves};

use crate::race::race;
use crate::system::{Stream, System};

/// A connection being made. Dropping it gives up.
pub(crate) type Connecting<T> = Pin<Box<dyn Future<Output = Result<Made<T>, ConnectFault>>>>;

/// A connection that is made, and what TLS on it has proved.
pub(crate) type Made<T> = (T, Option<TlsFacts>);

/// Who says where names lead that clients give.
pub trait Names: fmt::Debug + Send + Sync {
    /// The addresses of a name, in the order in which they are to be tried.
    fn resolve(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// Where connections may lead, and who says so of names.
#[derive(Debug)]
pub(crate) struct Reach {
    /// To which no request is forwarded: what the program serves itself beside its listeners.
    pub(crate) others: Box<[SocketAddr]>,
    /// The same: listeners for outbound requests, and those of their own. Not held across a wait.
    pub(crate) listening: RefCell<Vec<SocketAddr>>,
    /// `None` has the system do it.
    pub(crate) names: Option<Arc<dyn Names>>,
}

impl Reach {
    /// Whether that is so of what is ours.
    fn is(&self, so: impl Fn(&[SocketAddr]) -> bool) -> bool {
        so(&self.others) || so(&self.listening.borrow())
    }
}

/// Begins to connect, says what is to be said first, and agrees on TLS if the connection is to be protected. How long it may take is the exchange's
/// deadline.
pub(crate) fn connect<S: System>(
    system: &S,
    address: Address,
    manner: Manner,
    reach: &Rc<Reach>,
) -> Connecting<S::Stream> {
    let (system, reach) = (system.clone(), Rc::clone(reach));
    match (address, manner) {
        // What most connections are waits in as little memory as it needs.
        (Address::Socket(addr), manner) if manner == PLAIN => Box::pin(async move {
            let stream = tcp(&system, addr, None, &reach).await;
            stream.map(|stream| (stream, None)).map_err(|e| fault(&e))
        }),
        (address, manner) => Box::pin(async move {
            let mut stream = match address {
                Address::Socket(addr) => {
                    let stream = tcp(&system, addr, None, &reach).await;
                    stream.map_err(|e| fault(&e))
                }
                Address::Local(addr, from) => {
                    let stream = tcp(&system, addr, Some(from), &reach).await;
                    stream.map_err(|e| fault(&e))
                }
                Address::Name(name, port) => by_name(&system, &name, port, &reach).await,
                Address::Unix(path) => {
                    let stream = system.connect_unix(Path::new(&*path)).await;
                    stream.map_err(|e| fault(&e))
                }
            }?;
            if let Some(keepalive) = manner.keepalive {
                stream.keep_alive(keepalive).map_err(|e| fault(&e))?;
            }
            if let Some(preface) = &manner.preface {
                say(&mut stream, preface).await.map_err(|e| fault(&e))?;
            }
            let Some(handshake) = manner.handshake else {
                return Ok((stream, None));
            };
            let secured = system.secure_as_client(stream, &handshake).await;
            secured
                .map(|(stream, facts)| (stream, Some(facts)))
                .map_err(ConnectFault::Tls)
        }),
    }
}

/// Nothing but a connection.
const PLAIN: Manner = Manner {
    keepalive: None,
    preface: None,
    handshake: None,
};

/// Writes this much on a stream on which nothing was written yet.
async fn say<T: Stream>(stream: &mut T, words: &[u8]) -> io::Result<()> {
    let mut outbox = Outbox::default();
    outbox.put(words);
    while !outbox.is_empty() {
        let count = poll_fn(|cx| stream.poll_write(cx, &outbox)).await?;
        outbox.advance(count);
    }
    Ok(())
}

async fn tcp<S: System>(
    system: &S,
    addr: SocketAddr,
    from: Option<IpAddr>,
    reach: &Reach,
) -> io::Result<S::Stream> {
    let stream = system.connect(addr, from).await?;
    // A port that is not ours spares asking the system for both addresses.
    if reach.is(|ours| ours.iter().any(|own| own.port() == addr.port()))
        // A connection that has lost its addresses has ended, and cannot go round.
        && let (Some(peer), Some(local)) = (stream.peer_addr(), stream.local_addr())
        // An application is on this machine, whoever its connections come from.
        && reach.is(|ours| ends_at_ourselves(peer, from.map_or(local, |_| peer), ours))
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
    reach: &Reach,
) -> Result<S::Stream, ConnectFault> {
    let addresses = match &reach.names {
        None => system.resolve(name, port).await,
        // Another thread answers.
        Some(names) => system.told(names.resolve(name)).await.map(|addresses| {
            let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
            sockets.collect()
        }),
    };
    let addresses: Vec<SocketAddr> = addresses.map_err(|_| ConnectFault::Unresolved)?;
    let timer = system.timer(system.now());
    let begin = |addr| tcp(system, addr, None, reach);
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
