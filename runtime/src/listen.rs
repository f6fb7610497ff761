//! Listening sockets: one for each worker on each address, so that the kernel spreads connections and nobody shares a
//! queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use outrigger_core::exchange::ListenerKind;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, for each worker.
const BACKLOG: i32 = 4096;

/// How often an address in use is tried again, and how long to pause in between: about a second in all. A process that
/// was killed with sockets on an io_uring holds its port until the kernel has ended the ring, up to 100 ms later, and a
/// supervisor starts the next one at once.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// An address to listen on.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// What comes in there.
    pub kind: ListenerKind,
    /// Where. Port 0 lets the system pick one, the same for all workers.
    pub addr: SocketAddr,
}

/// Binds one address `count` times, waiting about a second for somebody who still holds it. Returns the address with its
/// real port.
///
/// # Errors
/// The address stays in use by anybody (another instance of this program included), is not ours, or may not be bound.
pub(crate) fn bind(addr: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let mut tries = TRIES;
    bind_while(addr, count, || {
        thread::sleep(PAUSE);
        tries -= 1;
        tries > 0
    })
}

/// Tries again as long as the address is in use and `may_wait` says so.
fn bind_while(
    addr: SocketAddr,
    count: usize,
    mut may_wait: impl FnMut() -> bool,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    loop {
        match bind_once(addr, count) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && may_wait() => {}
            outcome => return outcome,
        }
    }
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
    fn an_address_in_use_is_an_error() {
        let (addr, _held) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let error = bind(addr, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_address_that_becomes_free_is_taken() {
        let (addr, held) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let mut held = Some(held);
        let mut waits = 0;
        let bound = bind_while(addr, 2, || {
            waits += 1;
            if waits == 3 {
                held = None;
            }
            true
        });
        assert_eq!((bound.unwrap().0, waits), (addr, 3));
    }
}
