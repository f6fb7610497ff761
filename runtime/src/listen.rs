//! Listening sockets: one for each worker on each address, so that the kernel spreads connections and nobody shares a
//! queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::SocketPlace;
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, Socket, Type};

use crate::claim::Claim;
use crate::unix;

/// Connections that may wait to be accepted, for each worker.
const BACKLOG: i32 = 4096;

/// For how long an address that is in use is asked for again. A process that was killed holds its sockets a little longer
/// where the kernel must first undo what it had begun for them.
const BIND_PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts.
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// How connections come to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Who made them meant to.
    #[default]
    Direct,
    /// The kernel rewrote where they go (REDIRECT), and is asked where that was.
    Redirected,
    /// The kernel routed them here as they are (TPROXY).
    Transparent,
    /// Who made them meant this place, which decides where they go as any other does that connections are brought from.
    Own,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What comes in there.
    pub kind: ListenerKind,
    /// Where. Port 0 lets the system pick one, the same for all workers.
    pub addr: SocketAddr,
    /// The path of a Unix socket, for which the address only stands; `@name` for an abstract one.
    pub unix: Option<Box<str>>,
    /// How.
    pub arrival: Arrival,
    /// Which connections are for it. Several may share an address where they are told apart by where the kernel brought
    /// connections from; who is for none of them is turned away.
    pub whom: Whom,
}

/// Which connections are for a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whom {
    /// All that come.
    #[default]
    All,
    /// Those that were to go to this port.
    To(u16),
    /// Those that were to go somewhere else, and to the port of no other listener.
    Brought,
}

impl Listen {
    /// For clients that mean it.
    #[must_use]
    pub const fn direct(kind: ListenerKind, addr: SocketAddr) -> Self {
        Self {
            kind,
            addr,
            unix: None,
            arrival: Arrival::Direct,
            whom: Whom::All,
        }
    }

    /// For clients of a place of its own.
    #[must_use]
    pub fn own(kind: ListenerKind, place: &SocketPlace) -> Self {
        Self {
            arrival: Arrival::Own,
            unix: match place {
                SocketPlace::Address(_) => None,
                SocketPlace::Unix(path) => Some(path.clone()),
            },
            ..Self::direct(kind, place.stands_for())
        }
    }

    /// Where it is, in words.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.unix {
            Some(path) => format!("unix://{path}"),
            None => self.addr.to_string(),
        }
    }

    /// Whether both are for connections that come in the same way at the same address.
    pub(crate) fn shares_socket(&self, other: &Self) -> bool {
        let is_told_apart = self.whom != Whom::All && other.whom != Whom::All;
        let is_captured = self.arrival != Arrival::Direct && self.arrival == other.arrival;
        self.addr == other.addr && self.addr.port() != 0 && is_told_apart && is_captured
    }
}

/// What is listened on at one address, by one worker.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: Bound,
    pub(crate) arrival: Arrival,
    /// Whose the connections are.
    pub(crate) owners: Vec<Owner>,
}

/// A socket that is bound.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpListener),
    /// With the address that stands for it. All workers have the same one.
    Unix(UnixListener, SocketAddr),
}

/// Who gets connections of an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) kind: ListenerKind,
    /// See [`Listen::whom`].
    pub(crate) whom: Whom,
}

impl Listening {
    /// Whose a connection is that was to go there, if that is known.
    pub(crate) fn owner(owners: &[Owner], original: Option<SocketAddr>) -> Option<Owner> {
        let is_meant = |owner: &&Owner| match (owner.whom, original) {
            (Whom::All, _) => true,
            (Whom::To(port), Some(original)) => port == original.port(),
            // Who came here by himself meant the only one.
            (Whom::To(_), None) => owners.len() == 1,
            (Whom::Brought, _) => false,
        };
        let takes_others = |owner: &&Owner| owner.whom == Whom::Brought && original.is_some();
        let mut all = owners.iter();
        let meant = all
            .find(is_meant)
            .or_else(|| owners.iter().find(takes_others));
        meant.copied()
    }
}

/// Binds one address `count` times; nobody gets through before [`listen`].
///
/// # Errors
/// The address is in use by anybody (another instance of this program included), is not ours, or may not be bound.
fn bind(addr: SocketAddr, arrival: Arrival, count: usize) -> io::Result<Taken<TcpListener>> {
    retry_bind(|| bind_once(addr, arrival, count, Beside::Nobody))
}

/// An address with its real port, and sockets that are bound there.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    pub(crate) addr: SocketAddr,
    pub(crate) sockets: Vec<T>,
    /// To be kept until they listen.
    pub(crate) claim: Option<Claim>,
}

/// Who listens at the port of an address already, whom nobody minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nobody,
    /// A listener of ours: one of the two is for all addresses, and the other for one.
    Ours,
}

/// Binds what a listener asks for. `beside`: `None` at the start, when an address in use is asked for again for a while.
///
/// # Errors
/// As [`bind`] and [`unix::bind`].
pub(crate) fn bind_for(
    wanted: &Listen,
    count: usize,
    beside: Option<Beside>,
) -> io::Result<Taken<Bound>> {
    let Some(path) = &wanted.unix else {
        let taken = match beside {
            None => bind(wanted.addr, wanted.arrival, count)?,
            Some(beside) => bind_once(wanted.addr, wanted.arrival, count, beside)?,
        };
        return Ok(Taken {
            addr: taken.addr,
            sockets: taken.sockets.into_iter().map(Bound::Tcp).collect(),
            claim: taken.claim,
        });
    };
    let socket = unix::bind(path)?;
    let sockets = (0..count).map(|_| Ok(Bound::Unix(socket.try_clone()?, wanted.addr)));
    Ok(Taken {
        addr: wanted.addr,
        sockets: sockets.collect::<io::Result<_>>()?,
        claim: None,
    })
}

/// Binds so many more where sockets of ours are already, or were handed over.
///
/// # Errors
/// The system refuses it.
pub(crate) fn bind_more(wanted: &Listen, count: usize) -> io::Result<Vec<Bound>> {
    let more = (0..count).map(|_| bind_shared(wanted.addr, wanted.arrival).map(Bound::Tcp));
    more.collect()
}

/// Lets who connects get through.
///
/// # Errors
/// Somebody else listens there by now.
pub(crate) fn listen(bound: &Bound) -> io::Result<()> {
    match bound {
        Bound::Tcp(socket) => socket2::SockRef::from(socket).listen(BACKLOG),
        Bound::Unix(socket, _) => socket2::SockRef::from(socket).listen(BACKLOG),
    }
}

/// Does what binds an address, and does it again for about a second while the address is in use.
///
/// # Errors
/// That of the last attempt.
pub fn retry_bind<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let since = Instant::now();
    loop {
        match bind() {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && since.elapsed() < BIND_PATIENCE =>
            {
                thread::sleep(BIND_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Lets nobody begin to connect to this listener any more, while who has begun still gets through and can be accepted.
/// Closing a listener resets who is neither refused yet nor accepted; after this there will soon be nobody like that.
///
/// A client that begins now hears nothing, asks again after a second (RFC 6298, 2.1), and is refused then. Where the system
/// has no filters for sockets, this does nothing.
pub fn turn_away(listener: &impl AsFd) {
    #[cfg(target_os = "linux")]
    {
        // A filter of a TCP socket sees segments from their header on: byte 13 has the flags, 2 is SYN. What it returns is
        // how much of the segment is kept.
        const FLAGS: u32 = 13;
        const SYN: u32 = 2;
        let code = |code: u32| u16::try_from(code).unwrap_or(u16::MAX);
        let filter = [
            SockFilter::new(
                code(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS),
                0,
                0,
                FLAGS,
            ),
            SockFilter::new(
                code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K),
                0,
                1,
                SYN,
            ),
            SockFilter::new(code(libc::BPF_RET | libc::BPF_K), 0, 0, 0),
            SockFilter::new(code(libc::BPF_RET | libc::BPF_K), 0, 0, u32::MAX),
        ];
        // Refused by a sandbox, it is as where there are none.
        let _ = socket2::SockRef::from(listener).attach_filter(&filter);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

fn bind_once(
    addr: SocketAddr,
    arrival: Arrival,
    count: usize,
    beside: Beside,
) -> io::Result<Taken<TcpListener>> {
    let is_alone = addr.port() != 0 && beside == Beside::Nobody;
    let claim = is_alone.then(|| Claim::to(addr)).transpose()?;
    if is_alone {
        // Sockets that share a port are all accepted by the kernel, also when a second instance is started by mistake.
        // One that does not share is refused while anybody listens. It must not listen itself: who connected to it would
        // be reset.
        socket(addr, false)?;
    }
    let mut addr = addr;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let listener = bind_shared(addr, arrival)?;
        addr = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(Taken {
        addr,
        sockets: listeners,
        claim,
    })
}

fn bind_shared(addr: SocketAddr, arrival: Arrival) -> io::Result<TcpListener> {
    let socket = socket(addr, true)?;
    if arrival == Arrival::Transparent {
        be_transparent(&socket, addr)?;
    }
    Ok(socket.into())
}

/// It gets connections to any address that are routed to it.
#[cfg(target_os = "linux")]
fn be_transparent(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    match addr {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true),
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true),
    }
}

#[cfg(not(target_os = "linux"))]
fn be_transparent(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Linux has TPROXY",
    ))
}

/// Where a connection that REDIRECT brought was to go; `None` where nothing was rewritten.
pub fn original_destination(stream: &impl AsFd) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        let is_v4 = socket
            .local_addr()
            .ok()?
            .as_socket()?
            .ip()
            .to_canonical()
            .is_ipv4();
        let original = match is_v4 {
            true => socket.original_dst_v4(),
            false => socket.original_dst_v6(),
        };
        original.ok()?.as_socket()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        None
    }
}

fn socket(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
        // Accepted connections inherit both, which saves calls for each of them.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Listeners at one address.
    fn open(count: usize) -> (SocketAddr, Vec<TcpListener>) {
        let any = "127.0.0.1:0".parse().unwrap();
        let Taken { addr, sockets, .. } = bind(any, Arrival::Direct, count).unwrap();
        for socket in &sockets {
            socket2::SockRef::from(socket).listen(BACKLOG).unwrap();
        }
        (addr, sockets)
    }

    #[test]
    fn all_workers_get_the_port_of_the_first() {
        let (addr, listeners) = open(3);
        assert_ne!(addr.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), addr);
        }
    }

    #[test]
    fn a_connection_is_whose_port_it_was_to_go_to() {
        let owner = |index, whom| Owner {
            kind: ListenerKind::Inbound(index),
            whom,
        };
        let to = Whom::To;
        let of = |owners: &[Owner], original: Option<&str>| {
            let original = original.map(|to| to.parse().unwrap());
            Listening::owner(owners, original).map(|owner| owner.kind)
        };
        let two = [owner(0, to(80)), owner(1, to(81))];
        let others = [owner(0, Whom::Brought), owner(1, to(81))];
        for (owners, original, want) in [
            (&two[..], Some("10.0.0.1:81"), Some(1)),
            (&two, Some("[::1]:80"), Some(0)),
            (&two, Some("10.0.0.1:82"), None),
            (&two, None, None),
            (&two[..1], None, Some(0)),
            (&two[..1], Some("10.0.0.1:81"), None),
            (&[owner(0, Whom::All)], Some("10.0.0.1:81"), Some(0)),
            (&[owner(0, Whom::All)], None, Some(0)),
            (&others, Some("10.0.0.1:81"), Some(1)),
            (&others, Some("10.0.0.1:82"), Some(0)),
            (&others, None, None),
            (&others[..1], None, None),
        ] {
            let want = want.map(ListenerKind::Inbound);
            assert_eq!(of(owners, original), want, "{owners:?} {original:?}");
        }
    }

    #[test]
    fn an_address_that_becomes_free_soon_is_waited_for() {
        let (addr, held) = open(1);
        let (refused, was_refused) = std::sync::mpsc::channel();
        let holder = thread::spawn(move || {
            was_refused.recv().unwrap();
            drop(held);
        });
        let bound = retry_bind(|| {
            let outcome = bind_once(addr, Arrival::Direct, 1, Beside::Nobody);
            if outcome.is_err() {
                let _ = refused.send(());
            }
            outcome
        });
        assert_eq!(bound.unwrap().addr, addr);
        holder.join().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_is_turned_away_is_never_reset() {
        use std::net::TcpStream;
        let (addr, mut held) = open(1);
        let listener = held.remove(0);
        let early = TcpStream::connect(addr).unwrap();
        turn_away(&listener);
        let late = thread::spawn(move || {
            TcpStream::connect_timeout(&addr, Duration::from_millis(100)).map(drop)
        });
        let error = late.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (_, remote) = listener.accept().unwrap();
        assert_eq!(remote, early.local_addr().unwrap());
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let (addr, _held) = open(1);
        let error = bind(addr, Arrival::Direct, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
