//! The joint at which everything plugs in that shows requests: each worker has a sink, and tells it of each that has ended.
//!
//! What is made of that (metrics, access logs, spans, a list of recent requests) lives behind the joint, in the package
//! `telemetry`. Without a sink a request costs nothing here.

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::Record;
use outrigger_core::decision::access_log::Surroundings;
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, Peer, TlsFacts};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Exchange, Facts};

use crate::clock::since_epoch;

/// A request that has ended, or a connection that is not HTTP, while it lasts too: its record, and what the runtime knows and
/// the record does not.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Its name, among those of its worker that have not ended.
    pub id: ExchangeId,
    /// The whole story.
    pub record: &'a Record,
    /// The configuration that decided it.
    pub snapshot: &'a Arc<Snapshot>,
    /// The head of the response that its client saw. Where there was none, what was last seen of an endpoint, or nothing.
    pub response: &'a ResponseHead,
    /// Who asked. Of a copy for a mirror, who asked for what it is a copy of.
    pub peer: Peer,
    /// Which of the listeners it came in on ([`ListenerStats::at`](crate::ListenerStats::at)); `None` for a copy for a mirror, which
    /// came in on none.
    pub listener: Option<usize>,
    /// What is known of the connection to the endpoint that answered, or was asked last. Our own address is there where a
    /// sink asks for it ([`Sink::wants_local_addresses`]).
    pub facts: &'a Facts,
    /// What TLS has proved of the client; `None` for clear text.
    pub client_tls: Option<&'a TlsFacts>,
    /// The time.
    pub now: Instant,
}

impl<'a> Ended<'a> {
    pub(crate) fn of(
        id: ExchangeId,
        exchange: &'a Exchange,
        listener: Option<usize>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            record: exchange.record(),
            snapshot: exchange.snapshot(),
            response: exchange.response(),
            peer: *exchange.peer(),
            listener,
            facts: exchange.facts(),
            client_tls: exchange.client_tls().map(|tls| &**tls),
            now,
        }
    }

    /// When it began, since 1970-01-01 UTC. Asks the calendar: only who shows it should.
    #[must_use]
    pub fn began(&self) -> Duration {
        since_epoch().saturating_sub(self.now.since(self.record.began))
    }

    /// Our own address on the connection of its last attempt; `None` where it had none, or no sink asks for it.
    #[must_use]
    pub fn upstream_local(&self) -> Option<SocketAddr> {
        let local = self.facts.local;
        local.filter(|_| !self.record.attempts.is_empty())
    }

    /// What a line of a log shows beside the record. Asks the calendar.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            began: self.began(),
            downstream_remote: self.peer.remote,
            downstream_local: self.peer.destination(),
            upstream_local: self.upstream_local(),
        }
    }
}

/// What one worker tells of requests. It lives on the worker's thread, which waits while it is told: it must be quick, and
/// wait for nobody.
pub trait Sink {
    /// A request has ended. Says when [`Sink::flush`] is to be called, if something waits to be handed on and that has not
    /// been said yet.
    fn on_end(&mut self, ended: &Ended<'_>) -> Option<Duration>;

    /// How often [`Sink::on_lasting`] is to be called, by the configuration in use; `None` where it need not be.
    fn hears_of_lasting(&self, snapshot: &Snapshot) -> Option<Duration> {
        let _ = snapshot;
        None
    }

    /// A connection that is not HTTP has bytes passing, or may have; its record has not ended.
    fn on_lasting(&mut self, lasting: &Ended<'_>) {
        let _ = lasting;
    }

    /// Hands on what waits. Also called once before the worker ends.
    fn flush(&mut self);

    /// Whether [`Ended::facts`] is to have our own address on connections to endpoints, which costs a system call for each
    /// connection.
    fn wants_local_addresses(&self) -> bool {
        false
    }
}

/// Where the sinks of all workers lead.
pub trait Sinks: Send + Sync {
    /// A sink for a worker, on its own thread.
    fn sink(&self, worker: usize) -> Box<dyn Sink>;

    /// All workers have ended, and their sinks are gone: what still waits is handed on. May wait for others, for a bounded
    /// time.
    fn finish(&self);
}

impl fmt::Debug for dyn Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}
