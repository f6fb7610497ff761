//! Listening sockets: one for each worker on each address, so that the kernel spreads connections and nobody shares a
//! queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::peer::ListenerKind;
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, for each worker.
const BACKLOG: i32 = 4096;

/// For how long an address that is in use is asked for again. A process that was killed holds its sockets a little longer
/// where the kernel must first undo what it had begun for them.
const BIND_PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts.
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// An address to listen on.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// What comes in there.
    pub kind: ListenerKind,
    /// Where. Port 0 lets the system pick one, the same for all workers.
    pub addr: SocketAddr,
}

/// Binds one address `count` times. Returns the address with its real port.
///
/// # Errors
/// The address is in use by anybody (another instance of this program included), is not ours, or may not be bound.
pub(crate) fn bind(addr: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    retry_bind(|| bind_once(addr, count))
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

fn bind_once(addr: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    if addr.port() != 0 {
        // Sockets that share a port are all accepted by the kernel, also when a second instance is started by mistake.
        // One that does not share is refused while anybody listens. It must not listen itself: who connected to it would
        // be reset.
        socket(addr, false)?;
    }
    let mut addr = addr;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let listener: TcpListener = socket(addr, true)?.into();
        addr = listener.local_addr()?;
        listeners.push(listener);
    }
    for listener in &listeners {
        socket2::SockRef::from(listener).listen(BACKLOG)?;
    }
    Ok((addr, listeners))
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

    #[test]
    fn all_workers_get_the_port_of_the_first() {
        let (addr, listeners) = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert_ne!(addr.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), addr);
        }
    }

    #[test]
    fn an_address_that_becomes_free_soon_is_waited_for() {
        let (addr, held) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let (refused, was_refused) = std::sync::mpsc::channel();
        let holder = thread::spawn(move || {
            was_refused.recv().unwrap();
            drop(held);
        });
        let bound = retry_bind(|| {
            let outcome = bind_once(addr, 1);
            if outcome.is_err() {
                let _ = refused.send(());
            }
            outcome
        });
        assert_eq!(bound.unwrap().0, addr);
        holder.join().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_is_turned_away_is_never_reset() {
        use std::net::TcpStream;
        let (addr, mut held) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
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
        let (addr, _held) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let error = bind(addr, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
