//! Where a service of a case really listens.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ::tokio::net::TcpListener;
use ::tokio::sync::broadcast;
use outrigger_sim::Peer;
use socket2::{Domain, Socket, Type};

use super::connection::play_peer;
use crate::actor::SharedBoard;
use crate::case::Service;
use crate::named::Named;
use crate::script::{Action, Awaited, Step};
use crate::subject::service_actor;

/// A bound address.
#[derive(Debug)]
pub(super) struct Place {
    addr: SocketAddr,
    /// Kept so that nobody else gets the port; listens unless the service refuses.
    socket: Socket,
    count: Rc<Cell<usize>>,
    scripts: usize,
}

/// How many connections a service's scripts stand for.
pub(super) fn scripts(service: &Service) -> usize {
    match service {
        Service::Scripts(scripts) => scripts.len(),
        Service::Always(_) | Service::Named(_) | Service::Refuse | Service::Ignore => 0,
    }
}

impl Place {
    pub(super) fn bind(service: &Service) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let addr = socket.local_addr()?.as_socket();
        if !matches!(service, Service::Refuse) {
            socket.listen(128)?;
        }
        Ok(Self {
            addr: addr.ok_or_else(|| io::Error::other("no IP address"))?,
            socket,
            count: Rc::default(),
            scripts: scripts(service),
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

    /// Accepts connections for as long as the case runs.
    pub(super) fn serve(
        &self,
        file: &str,
        address: &str,
        service: &Service,
        board: &SharedBoard,
        signals: &broadcast::Sender<String>,
    ) {
        let (file, address) = (file.to_owned(), address.to_owned());
        let (service, board) = (service.clone(), Rc::clone(board));
        let (signals, count) = (signals.clone(), Rc::clone(&self.count));
        let Ok(listener) = self
            .socket
            .try_clone()
            .and_then(|s| TcpListener::from_std(s.into()))
        else {
            return;
        };
        if matches!(service, Service::Refuse) {
            return;
        }
        ::tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.get();
                count.set(number + 1);
                let mut peer: Box<dyn Peer> = match &service {
                    Service::Named(name) => Box::new(Named::new(name)),
                    service => match service_actor(&file, &address, service, number, &board) {
                        Some(actor) => Box::new(actor),
                        None => continue,
                    },
                };
                let (sender, receiver) = (signals.clone(), signals.subscribe());
                let _ = signals.send("connected".to_owned());
                ::tokio::task::spawn_local(async move {
                    play_peer(&mut *peer, Some(stream), sender, receiver).await;
                });
            }
        });
    }
}

/// A script with real addresses in the place of the case's.
pub(super) fn relocated(steps: &Rc<[Step]>, places: &BTreeMap<String, Place>) -> Rc<[Step]> {
    let text = |text: &str| {
        places
            .iter()
            .fold(text.to_owned(), |text, (address, place)| {
                text.replace(address, &place.addr.to_string())
            })
    };
    let bytes = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(utf8) => text(utf8).into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    let step = |step: &Step| Step {
        line: step.line,
        action: match &step.action {
            Action::Send(b) => Action::Send(bytes(b)),
            Action::Await(wanted) => Action::Await(Awaited {
                fields: wanted
                    .fields
                    .iter()
                    .map(|(n, v)| (n.clone(), text(v)))
                    .collect(),
                ..wanted.clone()
            }),
            other => other.clone(),
        },
    };
    steps.iter().map(step).collect()
}
