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
            clients: self.clients.0.get(),
            endpoints: self.endpoints.0.get(),
        }
    }
}

/// One side.
#[derive(Debug, Default)]
pub(crate) struct Side(Rc<Cell<Http2Side>>);

impl Side {
    /// One more connection speaks HTTP/2.
    pub(crate) fn open(&self) -> Http2Account {
        let mut side = self.0.get();
        side.connections += 1;
        side.active += 1;
        self.0.set(side);
        Http2Account {
            side: Rc::clone(&self.0),
            streams: 0,
        }
    }
}

/// What one connection stands for. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Http2Account {
    side: Rc<Cell<Http2Side>>,
    streams: u64,
}

impl Http2Account {
    /// The connection says how it is.
    pub(crate) fn on_report(&mut self, report: &Report) {
        let streams = report.streams as u64;
        if streams == self.streams && report.met.is_none() {
            return;
        }
        let mut side = self.side.get();
        side.streams = side.streams - self.streams + streams;
        self.streams = streams;
        if let Some(met) = &report.met {
            side.met.add(met);
        }
        self.side.set(side);
    }
}

impl Drop for Http2Account {
    fn drop(&mut self) {
        let mut side = self.side.get();
        side.active -= 1;
        side.streams -= self.streams;
        self.side.set(side);
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
            let side = side.0.get();
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
        drop((one, other));
        assert_eq!(gauges(), [2, 0, 0, 7]);
    }
}
