//! Endpoints of tunnels that nobody looks into: what comes through begins with the number of the request, and what goes back with
//! the number of the arrival.

use std::rc::Rc;

use outrigger_core::time::Instant;
use outrigger_sim::{Accept, Action, Event, Peer, Serve};

use crate::book::{Reply, Shared};
use crate::endpoint::reply;
use crate::whose::Whose;

/// How long a number is, in hexadecimal digits.
pub(crate) const DIGITS: usize = 16;

/// A number, as it begins a tunnel.
pub(crate) fn written(number: usize) -> Vec<u8> {
    format!("{number:016x}").into_bytes()
}

/// The number that a tunnel begins with.
pub(crate) fn read(bytes: &[u8]) -> Result<usize, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "no number".to_owned())?;
    usize::from_str_radix(text, 16).map_err(|_| format!("no number: {text}"))
}

/// An endpoint.
pub(crate) struct Raw {
    pub(crate) book: Shared,
}

impl Serve for Raw {
    fn accept(&mut self, _now: Instant) -> Accept {
        Accept::Peer(Box::new(End {
            book: Rc::clone(&self.book),
            first: Vec::new(),
            arrival: None,
            is_over: false,
        }))
    }
}

struct End {
    book: Shared,
    first: Vec<u8>,
    arrival: Option<usize>,
    is_over: bool,
}

impl End {
    fn hear(&mut self, bytes: &[u8], actions: &mut Vec<Action>) -> Result<(), String> {
        let book = &mut *self.book.borrow_mut();
        let mut bytes = bytes;
        let arrival = match self.arrival {
            Some(arrival) => arrival,
            None => {
                let needed = (DIGITS - self.first.len()).min(bytes.len());
                let (own, rest) = bytes.split_at(needed);
                self.first.extend_from_slice(own);
                bytes = rest;
                if self.first.len() < DIGITS {
                    return Ok(());
                }
                let reply = Reply {
                    trailers: false,
                    ..reply(book, false)
                };
                let arrival = book.arrives_raw(read(&self.first)?, reply)?;
                self.arrival = Some(arrival);
                let mut said = written(arrival);
                said.extend(Whose::Arrival(arrival).bytes(0, reply.body));
                actions.push(Action::Send(said));
                book.arrivals[arrival].is_said = true;
                arrival
            }
        };
        book.body_arrives(arrival, bytes)
    }
}

impl Peer for End {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, actions: &mut Vec<Action>) {
        if self.is_over {
            return;
        }
        let heard = match event {
            Event::Bytes(bytes) => self.hear(bytes, actions),
            Event::Eof => {
                self.is_over = true;
                actions.push(Action::Close);
                match self.arrival {
                    Some(arrival) => self.book.borrow_mut().is_whole(arrival, &[]),
                    None => Ok(()),
                }
            }
            Event::Broken => {
                self.is_over = true;
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(what) = heard {
            self.is_over = true;
            self.book.borrow_mut().complain(format!("a tunnel: {what}"));
            actions.push(Action::Reset);
        }
    }

    fn is_finished(&self) -> bool {
        self.is_over
    }
}
