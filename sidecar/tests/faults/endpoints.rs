//! The endpoints of rows: an address each, and who plays there.

use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, SockRef, Socket, Type};

use super::certificates::Certificates;
use super::page::Row;
use super::peer::{Peer, Role, Signals};
use super::script::Step;
use super::support::PATIENCE;

/// Where the endpoint of a row is.
pub(crate) enum Endpoint {
    /// Somebody listens.
    Open(TcpListener),
    /// Nobody does; the address stays taken.
    Refusing(Socket),
    /// A queue of connections that has no room left, and those that fill it.
    Full(
        Socket,
        #[allow(dead_code, reason = "they are kept open")] Vec<Socket>,
    ),
}

impl Endpoint {
    pub(crate) fn of(row: &Row) -> Self {
        match row.endpoint.first().and_then(|script| script.first()) {
            Some(Step::Refuse) => Self::Refusing(bound()),
            Some(Step::Full) => {
                let socket = bound();
                socket.listen(0).unwrap();
                let addr = socket.local_addr().unwrap();
                let fill = |_| {
                    let one = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                    one.set_nonblocking(true).unwrap();
                    let _ = one.connect(&addr);
                    one
                };
                Self::Full(socket, (0..4).map(fill).collect())
            }
            _ => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                // On Linux this is how long `accept` waits, too.
                let waits = SockRef::from(&listener).set_read_timeout(Some(PATIENCE));
                waits.unwrap();
                Self::Open(listener)
            }
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Open(listener) => listener.local_addr().unwrap(),
            Self::Refusing(socket) | Self::Full(socket, _) => {
                socket.local_addr().unwrap().as_socket().unwrap()
            }
        }
    }

    /// Plays the scripts of a row, one connection after the other.
    pub(crate) fn play(
        &self,
        row: &Row,
        signals: &Signals,
        certificates: &Certificates,
    ) -> Result<(), String> {
        let Self::Open(listener) = self else {
            return Ok(());
        };
        for script in &row.endpoint {
            let accepted = listener.accept();
            let (stream, _) = accepted.map_err(|why| format!("Endpoint: nobody came: {why}"))?;
            let peer = Peer::new(Role::Endpoint, stream, certificates, &row.host);
            peer.play(script, signals)?;
        }
        Ok(())
    }

    /// A connection that no script waits for.
    pub(crate) fn unasked(&self) -> Option<TcpStream> {
        let Self::Open(listener) = self else {
            return None;
        };
        listener.set_nonblocking(true).unwrap();
        let more = listener.accept().ok();
        listener.set_nonblocking(false).unwrap();
        more.map(|(stream, _)| stream)
    }
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket
}
