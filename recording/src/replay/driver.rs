//! A worker that is replayed, its connections with what they wait for, and what it has just said.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::peer::{ClientId, ConnId, ExchangeId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Exchange, Input, Interest, Output, Worker, WorkerSettings};

use super::difference::{Stop, What};
use super::socket::Socket;
use crate::decided::differences;
use crate::frame::Came;
use crate::input_bytes::Bytes;
use crate::said::{Said, Saying, take_output};

pub(super) struct Driver {
    worker: Worker,
    sockets: BTreeMap<ConnId, Socket>,
    /// Closed by the last call; their numbers can still be told.
    closed: Vec<ConnId>,
    /// The client that the last call was about, by its number in the file.
    about: Option<u64>,
    /// When that was.
    now: Instant,
    /// What it said to that, and whether that was compared.
    said: Vec<u8>,
    is_compared: bool,
    ended: Ended,
    /// They are told until the next call.
    ended_ids: Vec<ExchangeId>,
}

/// Requests that ended in one call, and copies.
#[derive(Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) requests: u64,
    pub(super) copies: u64,
}

impl Driver {
    pub(super) fn new(snapshot: Arc<Snapshot>, settings: WorkerSettings, seed: u64) -> Self {
        Self {
            worker: Worker::new(snapshot, settings, seed),
            sockets: BTreeMap::new(),
            closed: Vec::new(),
            about: None,
            now: Instant::ZERO,
            said: Vec::new(),
            is_compared: true,
            ended: Ended::default(),
            ended_ids: Vec::new(),
        }
    }

    /// It ends. Its place stays, and a fresh worker keeps nothing.
    pub(super) fn end(&mut self) {
        let (worker, is_compared) = (&self.worker, self.is_compared);
        let snapshot = Arc::clone(&worker.view().snapshot);
        let fresh = Self::new(snapshot, *worker.settings(), 0);
        *self = Self {
            is_compared,
            ..fresh
        };
    }

    /// For what is not answered.
    pub(super) const fn worker(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// Has the worker do something that it answers.
    pub(super) fn call(
        &mut self,
        offset: u64,
        now: Instant,
        act: impl FnOnce(&mut Worker),
    ) -> Result<(), Stop> {
        self.begin(offset, now)?;
        act(&mut self.worker);
        self.hear();
        Ok(())
    }

    /// A client connected, which got this name, and has this number in the file.
    pub(super) fn accept(
        &mut self,
        offset: u64,
        now: Instant,
        (recorded, number): (ClientId, u64),
        accept: impl FnOnce(&mut Worker) -> ClientId,
    ) -> Result<(), Stop> {
        self.begin(offset, now)?;
        let client = accept(&mut self.worker);
        if client != recorded {
            let named = What::Named {
                recorded,
                now: client,
            };
            return Err(Stop::changed(offset, number, now, named));
        }
        self.about = Some(number);
        self.sockets.insert(client.into(), Socket::client(number));
        self.hear();
        Ok(())
    }

    /// Gives the worker an input. Returns how many bytes came with it.
    pub(super) fn feed(&mut self, offset: u64, came: &Came<'_>) -> Result<u64, Stop> {
        self.begin(offset, came.now)?;
        let id = came.connection;
        let (Some(socket), Some(outbox)) = (self.sockets.get_mut(&id), self.worker.outbox(id))
        else {
            return Err(Stop::damaged(offset, "an input of no connection"));
        };
        self.about = socket.number();
        let about = self.about;
        let changed = |what| Stop::changed(offset, about, came.now, what);
        if !socket.waits_for(&came.input, outbox.len()) {
            return Err(changed(What::NotAwaited(id, came.input.clone())));
        }
        socket.came(&came.input);
        let count = match (&came.input, &came.bytes) {
            (&Input::Read(count), Bytes::Read(bytes)) if count == bytes.len() => {
                if let Some(space) = self.worker.space(id) {
                    space.extend_from_slice(bytes);
                }
                count
            }
            (&Input::Read(count), Bytes::Thinned(bytes)) if bytes.length() == Some(count) => {
                if let Some(space) = self.worker.space(id) {
                    bytes.fill(space);
                }
                count
            }
            (&Input::Wrote(count), Bytes::Written(_)) => {
                if Bytes::of_written(outbox, count) != came.bytes {
                    return Err(changed(What::Written(id, count)));
                }
                count
            }
            (Input::Read(_) | Input::Wrote(_), _) => {
                return Err(Stop::damaged(
                    offset,
                    "an input has other bytes than it says",
                ));
            }
            (_, _) => 0,
        };
        if matches!(came.input, Input::ConnectFailed(_)) {
            self.closed.push(id);
        }
        self.worker.handle_input(id, came.input.clone(), came.now);
        self.hear();
        Ok(count as u64)
    }

    /// Compares what it said last with what it had said. Returns what ended in it.
    pub(super) fn compare(&mut self, offset: u64, recorded: &[u8]) -> Result<Ended, Stop> {
        if self.is_compared {
            return Err(Stop::damaged(offset, "an answer follows nothing"));
        }
        self.is_compared = true;
        if self.said == recorded {
            return Ok(self.ended);
        }
        let (about, what) = self.difference(recorded);
        Err(Stop::changed(offset, about, self.now, what))
    }

    /// Where what it said differs from this, and the client whom that concerns.
    fn difference(&self, recorded: &[u8]) -> (Option<u64>, What) {
        let mut now = Said::read(&self.said);
        for recorded in Said::read(recorded) {
            let Some(recorded) = recorded else {
                return (self.about, What::Unreadable);
            };
            match (recorded, now.next().flatten()) {
                (Saying::Output(recorded), Some(Saying::Output(now))) if recorded == now => {}
                (Saying::Ended(then, recorded), Some(Saying::Ended(id, now))) if then == id => {
                    let fields = differences(&recorded, &now);
                    if !fields.is_empty() {
                        let (client, story) = self.told(id);
                        return (client, What::Decision { fields, story });
                    }
                }
                (recorded, now) => {
                    let recorded = Some(recorded);
                    return (self.about, What::Said { recorded, now });
                }
            }
        }
        let (recorded, now) = (None, now.next().flatten());
        (self.about, What::Said { recorded, now })
    }

    /// Tells of each request that ended in the last call, with its client's number.
    pub(super) fn each_ended(&self, tell: &mut impl FnMut(&Exchange, Option<u64>)) {
        for id in &self.ended_ids {
            if let Some(ended) = self.worker.ended(*id) {
                let client = ended.client().map(ConnId::Client);
                let number = client.and_then(|client| self.sockets.get(&client)?.number());
                tell(ended, number);
            }
        }
    }

    /// A request that has just ended: its client, and its story.
    fn told(&self, id: ExchangeId) -> (Option<u64>, String) {
        let Some(ended) = self.worker.ended(id) else {
            return (self.about, String::new());
        };
        let client = ended.client().map(ConnId::Client);
        let number = client.and_then(|client| self.sockets.get(&client)?.number());
        (number, ended.story().to_string())
    }

    /// Before each call that is answered.
    fn begin(&mut self, offset: u64, now: Instant) -> Result<(), Stop> {
        if !self.is_compared {
            return Err(Stop::damaged(offset, "an input follows before an answer"));
        }
        self.now = now;
        self.about = None;
        for id in self.closed.drain(..) {
            self.sockets.remove(&id);
        }
        Ok(())
    }

    /// Takes what it says to a call.
    fn hear(&mut self) {
        self.said.clear();
        self.is_compared = false;
        self.ended = Ended::default();
        self.ended_ids.clear();
        while let Some(output) = take_output(&mut self.worker, &mut self.said) {
            match output {
                Output::Connect(id, ..) => {
                    self.sockets.insert(id.into(), Socket::connecting());
                }
                Output::Secure(id, ..) => self.socket(id.into(), Socket::secure),
                Output::Wait(id, interest) => self.tell(id, interest),
                Output::Close(id) => self.closed.push(id),
                Output::Refuse(id, _) | Output::Reset(id) => self.closed.push(id.into()),
                Output::Abort(id) => self.closed.push(id.into()),
                Output::Ended(id) => {
                    self.ended_ids.push(id);
                    match self.worker.ended(id) {
                        Some(ended) if ended.is_mirror() => self.ended.copies += 1,
                        Some(_) | None => self.ended.requests += 1,
                    }
                }
                Output::ShutdownWrite(_) | Output::Announce => {}
            }
        }
    }

    fn tell(&mut self, id: ConnId, interest: Interest) {
        self.socket(id, |socket| socket.tell(interest));
    }

    fn socket(&mut self, id: ConnId, act: impl FnOnce(&mut Socket)) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            act(socket);
        }
    }
}
