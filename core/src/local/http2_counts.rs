//! What is counted of a worker's connections that speak HTTP/2: how many there are, their streams, and how often each limit
//! was met, of clients and of endpoints.
//!
//! A connection tells what is new whenever it has done something, and gives back what it stands for when it is gone: nobody
//! walks over all of them.

use core::cell::Cell;
use std::rc::Rc;

use crate::http2::{Counts, Report};

/// What is counted on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Side {
    /// Connections so far.
    pub connections: u64,
    /// Connections now.
    pub active: u64,
    /// Streams now.
    pub streams: u64,
    /// How often each limit was met, of all connections there have been.
    pub met: Counts,
}

/// What is counted on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http2Counted {
    /// Of connections of clients.
    pub clients: Http2Side,
    /// Of connections to endpoints.
    pub endpoints: Http2Side,
}

/// Both sides.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) clients: Side,
    pub(crate) endpoints: Side,
}

impl Sides {
    pub(crate) fn counted(&self) -> Http2Counted {
        Http2Counted {
            clients: self.clients.0.counted(),
            endpoints: self.endpoints.0.counted(),
        }
    }

    /// How often something changed.
    pub(crate) fn changes(&self) -> u64 {
        self.clients.0.changes.get() + self.endpoints.0.changes.get()
    }
}

/// One side.
#[derive(Debug, Default)]
pub(crate) struct Side(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    connections: Cell<u64>,
    active: Cell<u64>,
    streams: Cell<u64>,
    met: Cell<Counts>,
    changes: Cell<u64>,
}

impl Shared {
    fn counted(&self) -> Http2Side {
        Http2Side {
            connections: self.connections.get(),
            active: self.active.get(),
            streams: self.streams.get(),
            met: self.met.get(),
        }
    }

    fn changed(&self) {
        self.changes.set(self.changes.get() + 1);
    }
}

impl Side {
    /// One more connection speaks HTTP/2.
    pub(crate) fn open(&self) -> Http2Account {
        let side = Rc::clone(&self.0);
        side.connections.set(side.connections.get() + 1);
        side.active.set(side.active.get() + 1);
        side.changed();
        Http2Account { side, streams: 0 }
    }
}

/// What one connection stands for. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Http2Account {
    side: Rc<Shared>,
    streams: u64,
}

impl Http2Account {
    /// The connection says how it is.
    pub(crate) fn on_report(&mut self, report: &Report) {
        let side = &self.side;
        let streams = report.streams as u64;
        if streams == self.streams && report.met.is_none() {
            return;
        }
        side.streams
            .set(side.streams.get() - self.streams + streams);
        self.streams = streams;
        if let Some(more) = &report.met {
            let mut met = side.met.get();
            met.add(more);
            side.met.set(met);
        }
        side.changed();
    }
}

impl Drop for Http2Account {
    fn drop(&mut self) {
        let side = &self.side;
        side.active.set(side.active.get() - 1);
        side.streams.set(side.streams.get() - self.streams);
        side.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connections_tell_is_added_and_what_they_are_is_given_back() {
        let side = Side::default();
        let report = |streams, stalled| Report {
            met: (stalled > 0).then_some(Counts {
                stalled,
                ..Counts::default()
            }),
            streams,
            held: 0,
        };
        let gauges = || {
            let side = side.0.counted();
            [
                side.connections,
                side.active,
                side.streams,
                side.met.stalled,
            ]
        };
        let mut one = side.open();
        one.on_report(&report(3, 0));
        one.on_report(&report(3, 2));
        let mut other = side.open();
        other.on_report(&report(4, 5));
        assert_eq!(gauges(), [2, 2, 7, 7]);
        one.on_report(&report(1, 0));
        assert_eq!(gauges(), [2, 2, 5, 7]);
        let before = side.0.changes.get();
        other.on_report(&report(4, 0));
        assert_eq!(side.0.changes.get(), before, "nothing is new");
        drop((one, other));
        assert_eq!(gauges(), [2, 0, 0, 7]);
        assert!(side.0.changes.get() > before);
    }
}
