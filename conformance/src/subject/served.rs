//! The services of a case, as whoever runs it lets them listen.

use std::cell::Cell;
use std::rc::Rc;

use outrigger_core::time::Instant;
use outrigger_sim::{Accept, Serve, TranslatedService};

use super::service_actor;
use crate::beneath::Stage;
use crate::board::SharedBoard;
use crate::case::{Backend, Case};
use crate::named::Named;
use crate::pairing::Pairing;

/// How many connections a service has had, as its scripts count them.
pub(super) type Connections = Rc<Cell<usize>>;

/// A service of a case, in the versions that the case is played in.
pub(super) fn service(
    case: &Case,
    address: &str,
    board: &SharedBoard,
    stage: Stage,
) -> (Box<dyn Serve>, Connections) {
    let count = Connections::default();
    let scripted = Box::new(Scripted {
        file: case.file.clone(),
        address: address.to_owned(),
        service: case
            .services
            .get(address)
            .cloned()
            .unwrap_or(Backend::Refuse),
        count: Rc::clone(&count),
        board: Rc::clone(board),
    });
    // Who is written in frames speaks HTTP/2 by itself.
    let is_as_it_stands =
        case.is_in_frames() || case.pairing == Pairing::ONE && !case.names_http2();
    let service: Box<dyn Serve> = match is_as_it_stands {
        true => scripted,
        false => Box::new(TranslatedService::new(scripted, &board.borrow().complaints)),
    };
    (stage.service(case, address, service), count)
}

struct Scripted {
    file: String,
    address: String,
    service: Backend,
    count: Connections,
    board: SharedBoard,
}

impl Serve for Scripted {
    fn accept(&mut self, _now: Instant) -> Accept {
        let number = self.count.get();
        self.count.set(number + 1);
        match &self.service {
            Backend::Refuse => Accept::Refuse,
            Backend::Ignore => Accept::Ignore,
            Backend::Named(name) => Accept::Peer(Box::new(Named::new(name))),
            Backend::Always(_) | Backend::Scripts(_) => {
                let (address, service) = (&self.address, &self.service);
                match service_actor(&self.file, address, service, number, &self.board) {
                    Some(peer) => Accept::Peer(peer),
                    None => Accept::Refuse,
                }
            }
        }
    }
}
