//! Where a service of a case really listens.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use ::tokio::net::TcpListener;
use outrigger_sim::Accept;
use socket2::{Domain, SockRef, Socket, Type};

use super::connection::{Position, Wired, grow, play_peer};
use crate::beneath::Stage as Beneath;
use crate::board::SharedBoard;
use crate::case::{Backend, Case};
use crate::subject::served::{self, Connections};
use crate::subject::world::{Side, World};

/// A bound address.
#[derive(Debug)]
pub(super) struct BoundAddress {
    addr: SocketAddr,
    /// Kept so that nobody else gets the port; listens unless the service refuses.
    socket: Socket,
    count: Connections,
    /// Somebody accepts.
    listens: bool,
    scripts: usize,
    /// Who stands before everybody else where nobody is ever answered.
    _first: Option<TcpStream>,
}

/// How many connections a service's scripts stand for.
pub(super) fn scripts(service: &Backend) -> usize {
    match service {
        Backend::Scripts(scripts) => scripts.len(),
        Backend::Always(_) | Backend::Named(_) | Backend::Refuse | Backend::Ignore => 0,
    }
}

impl BoundAddress {
    /// Binds the address; port 0 is any port.
    pub(super) fn bind(service: &Backend, site: SocketAddr, world: &World) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(site), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if world.has_window() {
            grow(SockRef::from(&socket));
        }
        // Only a port that is named can have been used a moment ago.
        socket.set_reuse_address(site.port() != 0)?;
        let taken = |e: io::Error| io::Error::new(e.kind(), format!("{site}: {e}"));
        socket.bind(&site.into()).map_err(taken)?;
        let addr = socket.local_addr()?.as_socket();
        let addr = addr.ok_or_else(|| io::Error::other("no IP address"))?;
        let first = match service {
            Backend::Refuse => None,
            // The kernel drops attempts to connect while the queue of a listener is full (listen(2)), so that one who
            // stands in a queue for one is all that it takes.
            Backend::Ignore if !world.has_window() => {
                socket.listen(0)?;
                Some(TcpStream::connect(addr)?)
            }
            Backend::Ignore | Backend::Named(_) | Backend::Scripts(_) | Backend::Always(_) => {
                socket.listen(128)?;
                None
            }
        };
        Ok(Self {
            addr,
            socket,
            count: Connections::default(),
            listens: !matches!(service, Backend::Refuse | Backend::Ignore),
            scripts: scripts(service),
            _first: first,
        })
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.count.get()
    }

    /// Connections so far to a service that has a script for each.
    pub(super) fn connections_of_scripts(&self) -> usize {
        self.count.get().min(self.scripts)
    }

    /// Accepts connections for as long as the case runs. The first one's peer has this position.
    pub(super) fn serve(
        &mut self,
        case: &Case,
        address: &str,
        board: &SharedBoard,
        position: &Position,
    ) {
        let (mut service, count) = served::service(case, address, board, Beneath::Real);
        self.count = count;
        let signals = position.sender.clone();
        let (world, at) = (Arc::clone(&position.world), self.addr);
        let mut number = position.number;
        let Ok(listener) = self
            .socket
            .try_clone()
            .and_then(|s| TcpListener::from_std(s.into()))
        else {
            return;
        };
        if !self.listens {
            return;
        }
        let accept = Arc::clone(&world);
        ::tokio::task::spawn_local(accept.task(Side::Peers, async move {
            while let Ok((stream, remote)) = listener.accept().await {
                let wired = Wired::accepted(&world, stream, remote, at);
                let Accept::Peer(mut peer) = service.accept(world.time()) else {
                    continue;
                };
                let position = Position {
                    world: Arc::clone(&world),
                    number,
                    sender: signals.clone(),
                };
                number += 1;
                let _ = signals.send("connected".to_owned());
                ::tokio::task::spawn_local(world.task(Side::Peers, async move {
                    play_peer(&mut *peer, Some(wired), position).await;
                }));
            }
        }));
    }
}
