//! Listening sockets on their way between two processes: from the one before this, and to the one after it.
//!
//! Owns what is said of them, whether they are what a listener asks for, and how workers share them. How they travel is the
//! program's business; when nobody accepts on them and when somebody does again is in `places`.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use socket2::SockRef;

use crate::listen::{Arrival, Bound, Listen};

/// A place that is listened at, and its sockets.
#[derive(Debug)]
pub struct Handed {
    /// Where, in the words of [`Listen::place`].
    pub place: String,
    /// They get connections to any address that is routed to them (TPROXY).
    pub is_transparent: bool,
    /// One or more. Those of TCP share the port, each with a queue of its own.
    pub sockets: Vec<OwnedFd>,
}

/// What comes from the process before this one, and whether there may be one after it.
#[derive(Debug, Default)]
pub struct Handover {
    /// Where that listens. What the configuration asks for of it is taken over, the rest is dropped; then nobody accepts anywhere, and
    /// the sockets stay as they are, until [`Handle::wake`](crate::Handle::wake). `None`: there was none.
    pub from: Option<Vec<Handed>>,
    /// Whether a copy of each listening socket is kept to be handed on, which takes a descriptor.
    pub keeps: bool,
}

impl Handover {
    /// What was handed over for a listener, if anything was.
    ///
    /// # Errors
    /// It is for another kind of connections, or no listening socket of that place.
    pub(crate) fn take(&mut self, wanted: &Listen) -> io::Result<Option<Vec<Bound>>> {
        let Some(from) = &mut self.from else {
            return Ok(None);
        };
        let place = wanted.place();
        let Some(at) = from.iter().position(|handed| handed.place == place) else {
            return Ok(None);
        };
        let handed = from.swap_remove(at);
        if handed.is_transparent != (wanted.arrival == Arrival::Transparent) {
            return Err(io::Error::other(
                "the process before this one has another `--interception` there, which its sockets cannot change: stop it, and start \
                 this one without `--takeover`",
            ));
        }
        let sockets = handed
            .sockets
            .into_iter()
            .map(|socket| bound(socket, wanted));
        sockets.collect::<io::Result<_>>().map(Some)
    }
}

fn bound(socket: OwnedFd, wanted: &Listen) -> io::Result<Bound> {
    let other = || io::Error::other("what was handed over for it is no listening socket there");
    {
        let socket = SockRef::from(&socket);
        let addr = socket.local_addr()?;
        let is_there = match &wanted.unix {
            Some(_) => addr.is_unix(),
            None => addr.as_socket() == Some(wanted.addr),
        };
        #[cfg(target_os = "linux")]
        let is_there = is_there && socket.is_listener()?;
        if !is_there {
            return Err(other());
        }
    }
    Ok(match &wanted.unix {
        Some(_) => Bound::Unix(UnixListener::from(socket), wanted.addr),
        None => Bound::Tcp(TcpListener::from(socket)),
    })
}

impl Bound {
    /// The same socket under another descriptor.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket, addr) => Self::Unix(socket.try_clone()?, *addr),
        })
    }

    /// As systems take it over, whatever the process that had it has made of it: it may block, and turn clients away
    /// ([`turn_away`](crate::turn_away)) because that process was about to end.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let socket = self.as_fd();
        let socket = SockRef::from(&socket);
        // Where there is no filter this is an error, and nothing more.
        #[cfg(target_os = "linux")]
        let _ = socket.detach_filter();
        socket.set_nonblocking(true)
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket, _) => socket.as_fd(),
        }
    }
}

/// Copies to be handed on: one of each queue.
///
/// # Errors
/// There is no descriptor left.
pub(crate) fn copies(sockets: &[Vec<Bound>]) -> io::Result<Vec<Bound>> {
    let mut copies = Vec::new();
    for socket in sockets.iter().flatten() {
        copies.push(socket.try_clone()?);
        if matches!(socket, Bound::Unix(..)) {
            break;
        }
    }
    Ok(copies)
}

/// Gives each worker its sockets: one each, or none and two where there are fewer or more. A Unix socket is everybody's.
///
/// # Errors
/// There is no descriptor left.
pub(crate) fn divide(sockets: Vec<Bound>, workers: usize) -> io::Result<Vec<Vec<Bound>>> {
    let mut shares: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for (at, socket) in sockets.into_iter().enumerate() {
        if matches!(socket, Bound::Unix(..)) {
            for share in &mut shares[1..] {
                share.push(socket.try_clone()?);
            }
        }
        shares[at % workers].push(socket);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use outrigger_core::peer::ListenerKind;

    use super::*;

    fn tcp() -> (SocketAddr, OwnedFd) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket.into())
    }

    fn from(place: &str, socket: OwnedFd, is_transparent: bool) -> Handover {
        Handover {
            from: Some(vec![Handed {
                place: place.into(),
                is_transparent,
                sockets: vec![socket],
            }]),
            keeps: false,
        }
    }

    #[test]
    fn a_listener_takes_what_was_handed_over_for_its_place() {
        let (addr, socket) = tcp();
        let mut handover = from(&addr.to_string(), socket, false);
        let wanted = Listen::direct(ListenerKind::Outbound, addr);
        let (elsewhere, _) = tcp();
        let other = Listen::direct(ListenerKind::Outbound, elsewhere);
        assert!(handover.take(&other).unwrap().is_none());
        assert_eq!(handover.take(&wanted).unwrap().unwrap().len(), 1);
        assert!(handover.take(&wanted).unwrap().is_none(), "only once");
        assert!(Handover::default().take(&wanted).unwrap().is_none());
    }

    #[test]
    fn what_is_not_that_place_is_refused() {
        let (addr, socket) = tcp();
        let wanted = Listen::direct(ListenerKind::Outbound, addr);
        let told = |mut handover: Handover| handover.take(&wanted).unwrap_err().to_string();
        let (_, elsewhere) = tcp();
        let connected = std::net::TcpStream::connect(addr).unwrap();
        for (socket, is_transparent, words) in [
            (
                socket.try_clone().unwrap(),
                true,
                "another `--interception`",
            ),
            (elsewhere, false, "no listening socket there"),
            (connected.into(), false, "no listening socket there"),
        ] {
            let told = told(from(&addr.to_string(), socket, is_transparent));
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn every_queue_has_a_worker() {
        for (sockets, workers, want) in [
            (3, 3, vec![1, 1, 1]),
            (3, 2, vec![2, 1]),
            (5, 2, vec![3, 2]),
            (2, 3, vec![1, 1, 0]),
        ] {
            let sockets = (0..sockets).map(|_| Bound::Tcp(tcp().1.into())).collect();
            let shares = divide(sockets, workers).unwrap();
            let got: Vec<_> = shares.iter().map(Vec::len).collect();
            assert_eq!(got, want);
        }
        let (one, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let socket = Bound::Unix(OwnedFd::from(one).into(), tcp().0);
        let shares = divide(vec![socket], 3).unwrap();
        assert!(shares.iter().all(|share| share.len() == 1));
        assert_eq!(copies(&shares).unwrap().len(), 1, "it is one queue");
    }
}
