//! One client and one endpoint of a worker, who speak a version of HTTP each and take all bytes that they are given at once.

use std::io;
use std::sync::Arc;

use outrigger_core::peer::{ConnId, ExchangeId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Output, WorkerSettings};
use outrigger_recording::{Joint, Recorder, Tap};
use outrigger_runtime::{Ended, Sink};
use outrigger_telemetry::metrics::MetricsSettings;
use outrigger_telemetry::{Settings, Telemetry};

use crate::frames::{self, Spoken};

/// What the client and its endpoint speak, and what is done besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The client's version of HTTP.
    pub client: Spoken,
    /// The endpoint's, which must be what the configuration says of it.
    pub endpoint: Spoken,
    /// Requests are counted for metrics.
    pub is_counted: bool,
    /// The run is recorded, and the file thrown away.
    pub is_recorded: bool,
}

/// A worker with one client.
pub struct Client {
    joint: Joint,
    id: ConnId,
    manner: Manner,
    /// The connection that the request under way is on.
    upstream: Option<UpstreamId>,
    /// What an endpoint that speaks HTTP/2 was asked, and whether its connection is new.
    asked: Option<frames::Asked>,
    /// What an endpoint was sent; only its memory is kept.
    sent: Vec<u8>,
    requests: u32,
    status: u16,
    /// Told of each request that has ended.
    sink: Option<Box<dyn Sink>>,
}

impl Client {
    /// A connection in clear text and HTTP/1.1 that has made enough requests for every endpoint to have a kept connection.
    #[must_use]
    pub fn warm(snapshot: Arc<Snapshot>) -> Self {
        Self::of(snapshot, Manner::default())
    }

    /// The same in another manner.
    ///
    /// # Panics
    /// The thread that writes a recording cannot be started.
    #[must_use]
    pub fn of(snapshot: Arc<Snapshot>, manner: Manner) -> Self {
        let listener = match snapshot.inbound.is_empty() {
            true => ListenerKind::Outbound,
            false => ListenerKind::Inbound(0),
        };
        let peer = Peer {
            remote: ([127, 0, 0, 1], 40_000).into(),
            local: ([127, 0, 0, 1], 15_001).into(),
            original: None,
            listener,
        };
        let tap = manner.is_recorded.then(|| Tap::new(recorder(), 0));
        let joint = Joint::new(snapshot, WorkerSettings::default(), 1, tap);
        let id = joint.accept(peer, Instant::ZERO);
        let mut client = Self {
            joint,
            id: ConnId::Client(id),
            manner,
            upstream: None,
            asked: None,
            sent: Vec::new(),
            requests: 0,
            status: 0,
            sink: manner.is_counted.then(sink),
        };
        client.perform();
        if manner.client == Spoken::Http2 {
            client.receive(client.id, frames::CLIENT_BEGINS);
        }
        for _ in 0..32 {
            client.request();
        }
        client
    }

    /// One GET with the fields a browser sends, answered with 1 KiB. Returns the status the client saw.
    pub fn request(&mut self) -> u16 {
        self.status = 0;
        self.requests += 1;
        match self.manner.client {
            Spoken::Http1 => self.receive(self.id, frames::REQUEST),
            // Streams of clients are odd, and each is above the one before (RFC 9113 §5.1.1).
            Spoken::Http2 => self.receive(self.id, &frames::request(2 * self.requests - 1)),
        }
        let Some(upstream) = self.upstream else {
            return self.status;
        };
        match self.manner.endpoint {
            Spoken::Http1 => self.receive(upstream.into(), &frames::RESPONSE),
            Spoken::Http2 => {
                if let Some(asked) = self.asked.take() {
                    let (response, length) = frames::response(asked);
                    self.receive(upstream.into(), &response[..length]);
                }
            }
        }
        self.status
    }

    /// Bytes arrive on a connection, and everything that follows is done.
    fn receive(&mut self, id: ConnId, bytes: &[u8]) {
        let read = (self.joint).with_space(id, |space| space.extend_from_slice(bytes));
        if read.is_some() {
            self.tell(id, Input::Read(bytes.len()));
        }
        self.perform();
    }

    fn tell(&self, id: ConnId, input: Input) {
        let now = Instant::from_millis(u64::from(self.requests));
        self.joint.handle_input(id, input, now);
    }

    fn perform(&mut self) {
        while let Some(output) = self.joint.poll_output() {
            match output {
                Output::Connect(id, ..) => {
                    self.upstream = Some(id);
                    self.tell(id.into(), Input::Connected(Box::default()));
                }
                Output::Wait(id, interest) if interest.write => self.take(id),
                Output::Ended(id) => self.end(id),
                _ => {}
            }
        }
    }

    /// Whoever is at the other end takes what is to be written.
    fn take(&mut self, id: ConnId) {
        let speaks_http2 = self.manner.endpoint == Spoken::Http2;
        let sent = &mut self.sent;
        let is_endpoint = matches!(id, ConnId::Upstream(_));
        let count = self.joint.with_outbox(id, |outbox| {
            if is_endpoint && speaks_http2 {
                sent.clear();
                outbox
                    .pieces()
                    .for_each(|piece| sent.extend_from_slice(piece));
            }
            outbox.len()
        });
        if let ConnId::Upstream(id) = id {
            let asked = frames::asked(&self.sent);
            if asked.is_some() || !speaks_http2 {
                self.upstream = Some(id);
                self.asked = asked;
            }
        }
        self.tell(id, Input::Wrote(count.unwrap_or_default()));
    }

    fn end(&mut self, id: ExchangeId) {
        let sink = &mut self.sink;
        let status = self.joint.with_ended(id, |exchange| {
            if let Some(sink) = sink {
                sink.on_end(&Ended {
                    id: ExchangeId::default(),
                    record: exchange.record(),
                    snapshot: exchange.snapshot(),
                    response: exchange.response(),
                    peer: *exchange.peer(),
                    listener: Some(0),
                    facts: exchange.facts(),
                    client_tls: exchange.client_tls().map(|tls| &**tls),
                    now: exchange.record().ended,
                });
            }
            exchange.record().status
        });
        self.status = status.unwrap_or_default();
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// What is recorded beyond this run is worth nothing, so one that ends early would make the run look cheap.
fn recorder() -> Recorder {
    let on_end = |end| unreachable!("nothing limits this recording: {end}");
    let recorder = Recorder::start(Box::new(io::sink()), u64::MAX, on_end);
    recorder.expect("a thread can be started")
}

fn sink() -> Box<dyn Sink> {
    let telemetry = Telemetry::start(Settings {
        metrics: Some(MetricsSettings::default()),
        ..Settings::default()
    });
    let sinks = telemetry.sinks().expect("metrics are on");
    sinks.sink(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{
        guarded, many_rules, many_services, one_service, one_service_speaking, snapshot,
    };

    #[test]
    fn every_manner_works() {
        let versions = [Spoken::Http1, Spoken::Http2];
        for (endpoint, protocol) in versions.into_iter().zip(["HTTP", "HTTP2"]) {
            for client in versions {
                for (is_counted, is_recorded) in [(false, false), (true, false), (false, true)] {
                    let manner = Manner {
                        client,
                        endpoint,
                        is_counted,
                        is_recorded,
                    };
                    let mut client = Client::of(snapshot(&one_service_speaking(protocol)), manner);
                    for _ in 0..200 {
                        assert_eq!(client.request(), 200, "{manner:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_size_works() {
        for text in [one_service(), many_services(50), many_rules(50)] {
            let mut client = Client::warm(snapshot(&text));
            assert_eq!(client.request(), 200);
        }
    }

    #[test]
    fn who_may_ask_is_looked_for_among_many() {
        for policies in [0, 10, 1000] {
            let mut client = Client::warm(guarded(policies));
            assert_eq!(client.request(), 200, "{policies}");
        }
    }
}
