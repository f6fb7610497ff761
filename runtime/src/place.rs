//! One place that is listened at: whose it is, what is counted there, and its sockets, as long as the program runs.
//!
//! Owns what happens to it alone. Which there are, and that they are locked, is in `places`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use outrigger_core::peer::ListenerKind;

use crate::counter::Counter;
use crate::handed::{copies, divide};
use crate::listen::{Arrival, Bound, Listen, Listening, Owner, listen};
use crate::stats::ListenerStats;

/// One address, for as long as the program runs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) addr: SocketAddr,
    /// The path of a Unix socket.
    pub(crate) unix: Option<Box<str>>,
    pub(crate) arrival: Arrival,
    pub(crate) owners: Vec<Owner>,
    /// Of each worker.
    pub(crate) counters: Box<[Arc<ListenerStats<Counter>>]>,
    /// How often it was opened.
    pub(crate) opened: u32,
    pub(crate) is_open: bool,
    /// Until when connections may last that came before it was closed last.
    pub(crate) until: Option<Instant>,
    /// What each worker has yet to take.
    pub(crate) sockets: Vec<Vec<Bound>>,
    /// Copies of all of them, to be handed on, while nobody is turned away.
    pub(crate) kept: Vec<Bound>,
    /// Nobody accepts: the process before this one still does, or the one after it begins to.
    pub(crate) rests: bool,
    /// The process before this one had it.
    pub(crate) is_taken_over: bool,
}

impl Place {
    pub(crate) fn new(wanted: &Listen, addr: SocketAddr, workers: usize) -> Self {
        let (kind, whom) = (wanted.kind, wanted.whom);
        let counters = (0..workers).map(|_| Arc::default());
        Self {
            addr,
            unix: wanted.unix.clone(),
            arrival: wanted.arrival,
            owners: vec![Owner { kind, whom }],
            counters: counters.collect(),
            opened: 0,
            is_open: false,
            until: None,
            sockets: Vec::new(),
            kept: Vec::new(),
            rests: false,
            is_taken_over: false,
        }
    }

    /// From now on the workers have these sockets to take.
    pub(crate) fn open(&mut self, sockets: Vec<Vec<Bound>>, keeps: bool) -> io::Result<()> {
        self.kept = match keeps {
            true => copies(&sockets)?,
            false => Vec::new(),
        };
        self.opened += 1;
        self.is_open = true;
        self.sockets = sockets;
        Ok(())
    }

    /// Where it is, in the words of [`Listen::place`].
    pub(crate) fn words(&self) -> String {
        match &self.unix {
            Some(path) => format!("unix://{path}"),
            None => self.addr.to_string(),
        }
    }

    /// Somebody else accepts from now on.
    pub(crate) fn rest(&mut self) {
        self.rests = true;
        self.sockets.clear();
    }

    /// The workers have its sockets to take, again or for the first time.
    pub(crate) fn wake(&mut self, workers: usize) -> io::Result<()> {
        if self.sockets.is_empty() {
            let kept = self.kept.iter().map(Bound::try_clone);
            self.sockets = divide(kept.collect::<io::Result<_>>()?, workers)?;
        }
        for socket in self.sockets.iter().flatten() {
            socket.renew()?;
            listen(socket)?;
        }
        self.rests = false;
        Ok(())
    }

    /// What a worker has not taken.
    pub(crate) fn take(&mut self, worker: usize) -> Vec<Listening> {
        let Some(sockets) = self.sockets.get_mut(worker).filter(|_| !self.rests) else {
            return Vec::new();
        };
        let listening = |socket| Listening {
            socket,
            arrival: self.arrival,
            owners: self.owners.clone(),
        };
        sockets.drain(..).map(listening).collect()
    }

    /// Whether one of both is for all addresses of the port, and the other for one of them.
    pub(crate) fn stands_beside(&self, addr: SocketAddr) -> bool {
        let is_all = |addr: SocketAddr| addr.ip().is_unspecified();
        self.addr.port() == addr.port() && is_all(self.addr) != is_all(addr)
    }

    pub(crate) fn active(&self) -> u64 {
        let counters = self.counters.iter();
        counters.map(|counters| counters.active.value()).sum()
    }

    /// What comes in at a place of its own may have been to go there, too.
    pub(crate) fn is_ours(&self) -> bool {
        let mut owners = self.owners.iter();
        self.arrival == Arrival::Own || owners.any(|owner| owner.kind == ListenerKind::Outbound)
    }

    /// At least one shares a place: it is listened on for somebody.
    pub(crate) fn kind(&self) -> ListenerKind {
        self.owners[0].kind
    }

    pub(crate) fn stats(&self, at: usize) -> ListenerStats {
        let mut sum = ListenerStats {
            at,
            addr: self.addr,
            kind: self.kind(),
            is_open: self.is_open,
            ..ListenerStats::default()
        };
        for counters in &self.counters {
            counters.add_to(&mut sum);
        }
        sum
    }
}
