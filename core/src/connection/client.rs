//! A client's connection: what it is between requests, how long it may be that, and who it serves within one.
//!
//! What a request is, and what becomes of it, is the exchange's.

use std::rc::Rc;
use std::sync::Arc;

use crate::cluster::Bucket;
use crate::entropy::Entropy;
use crate::http2::Fatal;
use crate::io::Interest;
use crate::local::{Charge, Http2Account, Local};
use crate::outbox::{HIGH_WATER, Outbox};
use crate::overload::Action;
use crate::peer::{ExchangeId, Peer, Said, TlsFacts};
use crate::stream::StreamId;
use crate::time::{Duration, Instant};

use super::{Sniffed, Streams, ToClient};

/// A connection that drains and was used, or made, less than this ago waits for another request. Its client may be sending
/// one, and could not tell whether it was served. One that has idled for longer is closed at once.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// Where a client's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A proxy is to say whose connection it is, since then.
    Introducing(Instant),
    /// It is not known yet what is spoken beneath HTTP, or TLS is being agreed on, since then. Nothing is read.
    Securing(Instant),
    /// It was brought here, and its first bytes tell what is spoken: since then they are waited for.
    Sniffing(Instant),
    /// Between requests, since then.
    Rest(Instant),
    /// Within a head, of which the first byte came then.
    Head(Instant),
    /// This request is being served.
    Serving(ExchangeId),
    /// Its requests are streams. Since when it has had none, while it has none.
    Streams(Instant),
    /// The client is told why there will be no other request, and then nothing more is written; at the latest then.
    Farewell(Instant),
    /// Everything is written, nothing more will be; what the client still sends is thrown away until then.
    Linger(Instant),
}

/// Who is on a connection. Each of its requests has it too, and may live longer.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) peer: Peer,
    /// What TLS has proved of it; `None` for clear text.
    pub(crate) tls: Option<Arc<TlsFacts>>,
    /// What its endpoint is told of its certificate.
    pub(crate) said: Said,
}

/// A connection to a client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: ToClient,
    pub(crate) who: Rc<Who>,
    pub(crate) phase: Phase,
    /// The client will send nothing more.
    pub(crate) eof: bool,
    /// It was told to end with what is in flight.
    pub(crate) is_ending: bool,
    /// For rate limits that each connection has for itself.
    pub(crate) own_bucket: Bucket,
    /// What the runtime was last told to wait for.
    pub(crate) told: Interest,
    /// What its boxes and streams hold, in the account of the worker.
    charge: Charge,
    /// What it is counted as while it speaks HTTP/2.
    http2: Option<Http2Account>,
    entropy: Entropy,
    /// Requests that have begun.
    begun: u64,
    /// It has been told to begin no other stream soon; from then on it may begin none.
    closing_at: Option<Instant>,
}

impl Client {
    pub(crate) fn new(peer: Peer, entropy: Entropy, now: Instant, local: &Local) -> Self {
        Self {
            connection: ToClient::new(local.settings()),
            who: Rc::new(Who {
                peer,
                tls: None,
                said: Said::default(),
            }),
            phase: Phase::Rest(now),
            eof: false,
            is_ending: false,
            own_bucket: Bucket::default(),
            told: Interest::default(),
            charge: local.charge(),
            http2: None,
            entropy,
            begun: 0,
            closing_at: None,
        }
    }

    /// Before the first request: what the client speaks.
    pub(crate) fn sniff(&mut self, local: &Local, now: Instant) -> Sniffed {
        if self.begun > 0 {
            return Sniffed::Http1;
        }
        let sniffed = self.connection.sniff(&local.settings().client_streams);
        if sniffed == Sniffed::Http2 {
            self.phase = Phase::Streams(now);
            self.http2 = Some(local.http2.clients.open());
            if self.is_ending {
                self.close_streams(now);
            }
        }
        sniffed
    }

    /// It serves this request from now on.
    pub(crate) fn serve(&mut self, exchange: ExchangeId, stream: StreamId) {
        match self.connection.streams_mut() {
            None => self.phase = Phase::Serving(exchange),
            Some(streams) => streams.set_owner(stream, exchange),
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
            Phase::Introducing(since) | Phase::Securing(since) => {
                settings.tls_handshake_timeout.map(|most| since + most)
            }
            Phase::Sniffing(since) => local
                .view()
                .detection_timeout(settings)
                .map(|most| since + most),
            Phase::Head(since) => settings.request_head_timeout.map(|most| since + most),
            Phase::Rest(since) => {
                let drain = self.is_ending.then_some(DRAIN_IDLE);
                let idle = local
                    .relief
                    .idle_timeout(local.settings())
                    .into_iter()
                    .chain(drain)
                    .min();
                idle.map(|most| since + most)
            }
            Phase::Linger(until) | Phase::Farewell(until) => Some(until),
            Phase::Serving(_) => None,
            Phase::Streams(since) => {
                let streams = self.connection.streams();
                let is_quiet = streams.is_none_or(|streams| streams.streams() == 0);
                let idle = local
                    .relief
                    .idle_timeout(local.settings())
                    .filter(|_| is_quiet);
                let idle = idle.map(|most| since + most);
                let codec = streams.and_then(Streams::deadline);
                idle.into_iter().chain(codec).chain(self.closing_at).min()
            }
        }
    }

    /// One of its streams is over.
    pub(crate) fn on_stream_end(&mut self, now: Instant) {
        if let Phase::Streams(since) = &mut self.phase {
            *since = now;
        }
    }

    /// It is to begin no other stream: it is told so, and may still begin those that are on their way.
    pub(crate) fn close_streams(&mut self, now: Instant) {
        if let Some(streams) = self.connection.streams_mut()
            && self.closing_at.is_none()
        {
            streams.drain();
            self.closing_at = Some(now + DRAIN_IDLE);
        }
    }

    /// The time of its streams may be up.
    ///
    /// # Errors
    /// Nothing more can be understood.
    pub(crate) fn on_streams_due(&mut self, now: Instant, local: &Local) -> Result<(), Fatal> {
        let Phase::Streams(since) = self.phase else {
            return Ok(());
        };
        let Some(streams) = self.connection.streams_mut() else {
            return Ok(());
        };
        let idle = local.relief.idle_timeout(local.settings());
        let is_idle = streams.streams() == 0 && idle.is_some_and(|most| since + most <= now);
        if is_idle && local.relief.does(Action::ReduceTimeouts) && !streams.is_closing() {
            local.relief.count(|shed| shed.idle += 1);
        }
        if is_idle || self.closing_at.is_some_and(|at| at <= now) {
            streams.finish_drain();
            self.closing_at = None;
        }
        streams.on_time(now)
    }

    /// Whether no request is on its streams, and none will be.
    pub(crate) fn has_finished_streams(&self) -> bool {
        let streams = self.connection.streams();
        let streams = streams.filter(|_| matches!(self.phase, Phase::Streams(_)));
        streams.is_some_and(|streams| streams.is_closing() && streams.streams() == 0)
    }

    /// This became known of who is on it, before it had requests.
    pub(crate) fn know(&mut self) -> &mut Who {
        Rc::make_mut(&mut self.who)
    }

    /// What it waits for while it serves nobody, or serves streams: each of those bounds by itself what it takes. From a peer
    /// that does not take what is written nothing is read, because that would have to be answered, too.
    pub(crate) const fn interest(&self) -> Interest {
        Interest {
            read: !matches!(self.phase, Phase::Securing(_))
                && !self.connection.outbox.is_above(HIGH_WATER),
            write: !self.connection.outbox.is_empty(),
        }
    }

    /// After every input while it serves nobody: memory goes back.
    pub(crate) fn settle(&mut self, local: &mut Local) {
        if matches!(self.phase, Phase::Linger(_) | Phase::Farewell(_)) {
            self.connection.inbox.clear();
        }
        self.connection.rest(local);
        self.count();
    }

    /// Counts what it holds, and what there is to count of its streams.
    pub(crate) fn count(&mut self) {
        let (inbox, outbox) = self.connection.lengths();
        let report = self.connection.streams_mut().map(Streams::report);
        let on_streams = report.as_ref().map_or(0, |report| report.held);
        self.charge.set(inbox + outbox + on_streams);
        if let Some((account, report)) = self.http2.as_mut().zip(report) {
            account.on_report(&report);
        }
    }

    /// What is to be written to it.
    pub(crate) const fn outbox(&self) -> &Outbox {
        &self.connection.outbox
    }
}
