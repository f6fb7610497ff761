//! A client's connection: what it is between requests, how long it may be that, and who it serves within one.
//!
//! What a request is, and what becomes of it, is the exchange's.

use crate::cluster::Bucket;
use crate::entropy::Entropy;
use crate::io::Interest;
use crate::local::{Charge, Local};
use crate::outbox::Outbox;
use crate::peer::{ExchangeId, Peer};
use crate::time::{Duration, Instant};

use super::ToClient;

/// A connection that drains and was used, or made, less than this ago waits for another request. Its client may be sending
/// one, and could not tell whether it was served. One that has idled for longer is closed at once.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// Where a client's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests, since then.
    Rest(Instant),
    /// Within a head, of which the first byte came then.
    Head(Instant),
    /// This request is being served.
    Serving(ExchangeId),
    /// Everything is written, nothing more will be; what the client still sends is thrown away until then.
    Linger(Instant),
}

/// A connection to a client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: ToClient,
    pub(crate) peer: Peer,
    pub(crate) phase: Phase,
    /// The client will send nothing more.
    pub(crate) eof: bool,
    /// It was told to end with what is in flight.
    pub(crate) is_ending: bool,
    /// For rate limits that each connection has for itself.
    pub(crate) own_bucket: Bucket,
    /// What the runtime was last told to wait for.
    pub(crate) told: Interest,
    /// What its boxes hold, in the account of the worker.
    charge: Charge,
    entropy: Entropy,
    /// Requests that have begun.
    begun: u64,
}

impl Client {
    pub(crate) fn new(peer: Peer, entropy: Entropy, now: Instant, local: &Local) -> Self {
        Self {
            connection: ToClient::new(local.settings().tells_bodies),
            peer,
            phase: Phase::Rest(now),
            eof: false,
            is_ending: false,
            own_bucket: Bucket::default(),
            told: Interest::default(),
            charge: local.charge(),
            entropy,
            begun: 0,
        }
    }

    /// The random number of the next request.
    pub(crate) fn next_entropy(&mut self) -> Entropy {
        let entropy = self.entropy.of_request(self.begun);
        self.begun += 1;
        entropy
    }

    /// When it has waited for too long, while it serves nobody.
    pub(crate) fn deadline(&self, local: &Local) -> Option<Instant> {
        let settings = local.settings();
        match self.phase {
            Phase::Head(since) => settings.request_head_timeout.map(|most| since + most),
            Phase::Rest(since) => {
                let drain = self.is_ending.then_some(DRAIN_IDLE);
                let idle = settings.idle_timeout.into_iter().chain(drain).min();
                idle.map(|most| since + most)
            }
            Phase::Linger(until) => Some(until),
            Phase::Serving(_) => None,
        }
    }

    /// What it waits for while it serves nobody.
    pub(crate) const fn interest(&self) -> Interest {
        Interest {
            read: true,
            write: !self.connection.outbox.is_empty(),
        }
    }

    /// After every input while it serves nobody: memory goes back.
    pub(crate) fn settle(&mut self, local: &mut Local) {
        if matches!(self.phase, Phase::Linger(_)) {
            self.connection.inbox.clear();
        }
        self.connection.rest(local);
        self.count();
    }

    /// Counts what its boxes hold.
    pub(crate) fn count(&mut self) {
        let (inbox, outbox) = self.connection.lengths();
        self.charge.set(inbox + outbox);
    }

    /// What is to be written to it.
    pub(crate) const fn outbox(&self) -> &Outbox {
        &self.connection.outbox
    }
}
