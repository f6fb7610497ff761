//! A request played to its end by the machine that serves real ones, with endpoints that answer as is assumed.
//!
//! Owns the part of the endpoints and of the clock. What is decided is decided by a [`Worker`]: there is no second one that
//! would have to be kept in step. Nothing leaves this file and nothing of the running proxy is touched, because the
//! snapshot has live state of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{
    ClientId, ConnId, ExchangeId, ListenerKind, Peer, PeerCertificate, TlsFacts, TlsVersion,
};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{
    ConnectFault, Exchange, Input, Interest, Output, Worker, WorkerSettings,
};

use crate::frames;
use crate::question::Question;

/// How every endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this status, at once and without a body.
    Status(u16),
    /// It takes the request, and never answers.
    Silence,
    /// It takes no connection.
    Refusal,
}

/// Who asks, when, and with which random number.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The random number of the request, as records have it.
    pub random: Entropy,
    /// Who is connected.
    pub peer: Peer,
    /// What TLS has proved of them; `None` for clear text.
    pub tls: Option<Arc<TlsFacts>>,
    /// The settings of the worker that is asked.
    pub settings: WorkerSettings,
    /// When the request comes.
    pub now: Instant,
}

impl Circumstances {
    /// The same, for a request that comes to this listener.
    #[must_use]
    pub fn on(self, listener: ListenerKind, local: SocketAddr) -> Self {
        let peer = Peer {
            local,
            listener,
            ..self.peer
        };
        Self { peer, ..self }
    }

    /// The same, for a request whose connection was to go to this address, and was brought here.
    #[must_use]
    pub fn brought_from(mut self, original: SocketAddr) -> Self {
        self.peer.original = Some(original);
        self
    }

    /// The same, for a client whose certificate of the mesh has this SPIFFE ID.
    #[must_use]
    pub fn by(self, id: &str) -> Self {
        let peer = PeerCertificate {
            uri_names: [id.into()].into(),
            ..PeerCertificate::default()
        };
        let tls = TlsFacts {
            version: TlsVersion::Tls13,
            cipher: "TLS_AES_128_GCM_SHA256".into(),
            sni: None,
            alpn: Some("istio-http/1.1".into()),
            resumed: false,
            peer: Some(peer),
        };
        Self {
            tls: Some(Arc::new(tls)),
            ..self
        }
    }
}

impl Default for Circumstances {
    fn default() -> Self {
        Self {
            random: Entropy(0),
            peer: Peer {
                remote: ([127, 0, 0, 1], 40_000).into(),
                local: ([127, 0, 0, 1], 15_001).into(),
                original: None,
                listener: ListenerKind::Outbound,
            },
            tls: None,
            settings: WorkerSettings::default(),
            now: Instant::ZERO,
        }
    }
}

/// What has not ended by then ends never: no time that anybody sets is as long.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Things that may happen in one play. Retries, hedges and mirrors are bounded by the rules; this holds if they were not.
const MOST_STEPS: usize = 100_000;

/// A request that was played.
pub struct Played {
    worker: Worker,
    ended: Option<ExchangeId>,
}

impl Played {
    /// The request with its record; `None` when it would wait for ever.
    #[must_use]
    pub fn ended(&self) -> Option<&Exchange> {
        self.worker.ended(self.ended?)
    }

    /// The request as it is: ended, or what would wait for ever.
    #[must_use]
    pub fn exchange(&self) -> Option<&Exchange> {
        let own = || {
            let mut under_way = self.worker.exchanges().map(|(_, exchange)| exchange);
            under_way.find(|exchange| exchange.client().is_some())
        };
        self.ended().or_else(own)
    }
}

/// Plays a request on a snapshot that nobody else uses ([`Snapshot::to_try`]).
#[must_use]
pub fn play(
    snapshot: Arc<Snapshot>,
    question: &Question,
    circumstances: &Circumstances,
    answer: Answer,
) -> Played {
    let mut stage = Stage {
        worker: Worker::new(snapshot, circumstances.settings, 0),
        answer,
        endpoints: BTreeMap::new(),
        interests: BTreeMap::new(),
        connecting: Vec::new(),
        securing: None,
        ended: None,
        now: circumstances.now,
    };
    stage.play(question, circumstances);
    Played {
        worker: stage.worker,
        ended: stage.ended,
    }
}

/// A connection to an endpoint.
#[derive(Default)]
struct Endpoint {
    /// What it was sent and has not answered.
    heard: Vec<u8>,
    /// Known from the first bytes.
    speaks: Option<Spoken>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
}

struct Stage {
    worker: Worker,
    answer: Answer,
    endpoints: BTreeMap<ConnId, Endpoint>,
    /// What is waited for, the client's connection included.
    interests: BTreeMap<ConnId, Interest>,
    /// Connections that are asked for.
    connecting: Vec<ConnId>,
    /// The client, while it is not known what it speaks beneath HTTP.
    securing: Option<ClientId>,
    ended: Option<ExchangeId>,
    now: Instant,
}

impl Stage {
    fn play(&mut self, question: &Question, circumstances: &Circumstances) {
        let entropy = circumstances.random.connection_of_first();
        let client = self.worker.accept(circumstances.peer, entropy, self.now);
        let bytes = question.bytes();
        self.hear();
        if let Some(client) = self.securing.take() {
            self.tell(client.into(), Input::Secured(circumstances.tls.clone()));
        }
        self.read(client.into(), &bytes);
        for _ in 0..MOST_STEPS {
            // A record is told until the next call.
            if self.ended.is_some() {
                return;
            }
            if self.write() || self.connect() || self.speak() {
                continue;
            }
            match self.worker.next_deadline() {
                Some(at) if at.since(circumstances.now) < FOR_EVER => {
                    self.now = self.now.max(at);
                    self.worker.on_time(self.now);
                    self.hear();
                }
                Some(_) | None => return,
            }
        }
    }

    /// Tells the worker what happened on a connection.
    fn tell(&mut self, id: ConnId, input: Input) {
        self.worker.handle_input(id, input, self.now);
        self.hear();
    }

    /// Gives a connection bytes to read.
    fn read(&mut self, id: ConnId, bytes: &[u8]) {
        if let Some(space) = self.worker.space(id) {
            space.extend_from_slice(bytes);
            self.tell(id, Input::Read(bytes.len()));
        }
    }

    /// Takes what the worker says.
    fn hear(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Connect(id, ..) => self.connecting.push(id.into()),
                Output::Wait(id, interest) => {
                    self.interests.insert(id, interest);
                }
                Output::Close(id) => self.forget(id),
                Output::Refuse(id, _) | Output::Reset(id) => self.forget(id.into()),
                Output::Abort(id) => self.forget(id.into()),
                Output::Ended(id) => {
                    let ended = self.worker.ended(id);
                    if ended.is_some_and(|exchange| exchange.client().is_some()) {
                        self.ended = Some(id);
                    }
                }
                // Who asks has come through whatever protects the listener: what it proved is part of the circumstances.
                Output::Secure(id, ..) => self.securing = Some(id),
                Output::ShutdownWrite(_) => {}
                // Somebody waits for a connection. There is one worker, and it may look at once.
                Output::Announce if self.ended.is_none() => self.worker.on_announced(self.now),
                Output::Announce => {}
            }
        }
    }

    fn forget(&mut self, id: ConnId) {
        self.endpoints.remove(&id);
        self.interests.remove(&id);
        self.connecting.retain(|of| *of != id);
    }

    /// Takes from the next connection what is to be written to it. Whether there was one.
    fn write(&mut self) -> bool {
        let mut writing = self.interests.iter().filter(|(_, interest)| interest.write);
        let found = writing.find_map(|(id, _)| {
            let outbox = self.worker.outbox(*id)?;
            (!outbox.is_empty()).then_some((*id, outbox))
        });
        let Some((id, outbox)) = found else {
            return false;
        };
        let length = outbox.len();
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            let pieces = outbox.pieces();
            pieces.for_each(|piece| endpoint.heard.extend_from_slice(piece));
        }
        self.tell(id, Input::Wrote(length));
        true
    }

    /// Says what came of the next connection that was asked for. Whether there was one.
    fn connect(&mut self) -> bool {
        let Some(id) = self.connecting.pop() else {
            return false;
        };
        match self.answer {
            Answer::Refusal => self.tell(id, Input::ConnectFailed(ConnectFault::Refused.into())),
            Answer::Status(_) | Answer::Silence => {
                self.endpoints.insert(id, Endpoint::default());
                self.tell(id, Input::Connected(Box::default()));
            }
        }
        true
    }

    /// Has the next endpoint answer that was asked something. Whether there was one.
    fn speak(&mut self) -> bool {
        let reading = |id: &ConnId| self.interests.get(id).is_some_and(|i| i.read);
        let mut asked = (self.endpoints.iter_mut()).filter(|(id, _)| reading(id));
        let said = asked.find_map(|(id, endpoint)| {
            let said = endpoint.says(self.answer)?;
            Some((*id, said))
        });
        match said {
            Some((id, said)) => {
                self.read(id, &said);
                true
            }
            None => false,
        }
    }
}

impl Endpoint {
    /// What it says to what it heard, if it is listened to.
    fn says(&mut self, answer: Answer) -> Option<Vec<u8>> {
        if self.heard.is_empty() {
            return None;
        }
        let is_new = self.speaks.is_none();
        let spoken = match self.speaks {
            Some(spoken) => spoken,
            None if self.heard.starts_with(frames::PREFACE) => Spoken::Http2,
            None => Spoken::Http1,
        };
        self.speaks = Some(spoken);
        let status = match answer {
            Answer::Status(status) => Some(status),
            Answer::Silence | Answer::Refusal => None,
        };
        let said = match spoken {
            Spoken::Http1 => {
                let end = find(&self.heard, b"\r\n\r\n")?;
                let is_head = self.heard.starts_with(b"HEAD ");
                self.heard.drain(..end + 4);
                status
                    .map(|status| http1(status, is_head))
                    .unwrap_or_default()
            }
            Spoken::Http2 => frames::answer(&mut self.heard, is_new, status),
        };
        (!said.is_empty()).then_some(said)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn http1(status: u16, is_head: bool) -> Vec<u8> {
    let length = match status {
        // Neither has a body, nor says how long it is (RFC 9110 §8.6).
        100..200 | 204 => "",
        _ if is_head => "",
        _ => "content-length: 0\r\n",
    };
    format!("HTTP/1.1 {status} Assumed\r\n{length}\r\n").into_bytes()
}
