//! The request's body and what its head says of it: how far it has arrived, what is kept of it for another attempt, and how
//! much of it may wait in memory.
//!
//! Blocks are lent by the worker. A connection has them while bytes move and no longer: thousands of clients may have sent
//! half a head, wait for a slow endpoint, or hold a tunnel open that says nothing. How much room a read gets is the
//! connection's.

use bytes::Bytes;
use http::Method;

use super::Turn;
use super::attempt::Attempt;
use super::client_stream::ClientStream;
use super::replay::{Replay, STALE_LIMIT};
use super::web::Web;
use crate::connection::READ_BLOCK;
use crate::decision::{Record, Refused};
use crate::local::{Charge, KEPT_WHEN_SHORT};
use crate::message::Headers;
use crate::policy::grpc_frames::Frames;
use crate::request;
use crate::stream::{Begins, BodyLength, Broken, Part};
use crate::time::Instant;

/// Reading from a client pauses when this much waits in memory for a connection to the endpoint.
const INBOX_LIMIT: usize = 64 * 1024;

/// How far the request has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrival {
    Coming,
    /// All of it, then.
    Whole(Instant),
    /// No more of it is read, because it broke the rules.
    #[default]
    Refused,
}

/// What came of moving it on.
#[must_use]
pub(super) enum Pumped {
    /// No more can be moved now.
    Waits,
    /// All of it has just arrived.
    Whole,
    Refused(Refused),
    /// The client has given the request up.
    Left(Broken),
}

/// A request's body.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// What the head says of the rest.
    pub(super) begins: Begins,
    pub(super) arrival: Arrival,
    /// As far as it arrived.
    pub(super) replay: Replay,
    pub(super) trailers: Option<Box<Headers>>,
    /// Some of the request has been written to an endpoint.
    pub(super) is_sent: bool,
    /// The request is a gRPC call, whose messages are counted.
    pub(super) frames: Option<Frames>,
}

impl Body {
    /// Another request begins; the memory of the last one's body is kept.
    pub(super) fn restart(&mut self, begins: Begins, now: Instant) {
        self.arrival = match begins.body {
            BodyLength::None => Arrival::Whole(now),
            BodyLength::Known(_) | BodyLength::Unknown => Arrival::Coming,
        };
        self.begins = begins;
        self.replay.begin(STALE_LIMIT);
        (self.trailers, self.is_sent, self.frames) = (None, false, None);
    }

    /// One of our own, for a request with this method.
    pub(super) fn of(method: &Method, body: Bytes, now: Instant) -> Self {
        let length = match body.len() {
            0 if method == Method::GET || method == Method::HEAD => BodyLength::None,
            length => BodyLength::Known(length as u64),
        };
        let upgrade = None;
        Self {
            begins: Begins {
                body: length,
                upgrade,
            },
            arrival: Arrival::Whole(now),
            replay: Replay::of(body),
            ..Self::default()
        }
    }

    /// The same body for a copy of the request. It is complete.
    pub(super) fn share(&mut self, now: Instant) -> Self {
        Self {
            begins: self.begins.clone(),
            arrival: Arrival::Whole(now),
            replay: self.replay.share(),
            trailers: self.trailers.clone(),
            is_sent: false,
            frames: None,
        }
    }

    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.arrival, Arrival::Whole(_))
    }

    /// When the last byte of the request arrived.
    pub(super) const fn complete_since(&self) -> Option<Instant> {
        match self.arrival {
            Arrival::Whole(at) => Some(at),
            Arrival::Coming | Arrival::Refused => None,
        }
    }

    /// Whether its head announces more than this.
    pub(super) fn is_longer_than(&self, most: Option<u64>) -> bool {
        match (self.begins.body, most) {
            (BodyLength::Known(length), Some(most)) => length > most,
            (BodyLength::None | BodyLength::Known(_) | BodyLength::Unknown, _) => false,
        }
    }

    /// Whether more is read from the client, of whom this much waits in memory, for an attempt.
    pub(super) fn wants_bytes(
        &self,
        to: Option<&Attempt>,
        is_endpoint_slow: bool,
        waiting: usize,
        charge: &Charge,
    ) -> bool {
        // Once the request is complete we read on a little: to see the client leave, and to have the next head early.
        let flowing = self.arrival == Arrival::Coming
            && to.is_some_and(|attempt| attempt.is_attached() && !attempt.upload.is_deaf());
        if flowing {
            !is_endpoint_slow
        } else {
            may_wait(waiting, charge)
        }
    }

    /// Moves as much of it as an attempt takes, if there is one.
    pub(super) fn pump(
        &mut self,
        to: Option<&mut Attempt>,
        client: ClientStream,
        mut web: Option<&mut Web>,
        record: &mut Record,
        charge: &Charge,
        turn: &mut Turn<'_>,
    ) -> Pumped {
        let mut to = to.filter(|attempt| attempt.is_attached());
        if let Some(attempt) = &mut to
            && (attempt.upload.has_ended() || !self.send_again(attempt, charge, turn))
        {
            return Pumped::Waits;
        }
        // An upgrade is a question: the bytes after it belong to the answer, 101 or not.
        while self.arrival == Arrival::Coming && self.takes(to.as_deref(), client, charge, turn) {
            match client.body(turn) {
                None | Some(Ok(Part::NeedMore)) => return Pumped::Waits,
                Some(Ok(Part::Data(data))) => {
                    record.bytes_received += data.len() as u64;
                    let most = turn.local.settings().max_request_body;
                    if most.is_some_and(|most| record.bytes_received > most) {
                        return Pumped::Refused(request::TOO_LARGE);
                    }
                    let data = match web.as_deref_mut().map(|web| web.on_request(&data)) {
                        None | Some(Ok(None)) => data,
                        Some(Ok(Some(data))) if data.is_empty() => continue,
                        Some(Ok(Some(data))) => data,
                        Some(Err(refused)) => return Pumped::Refused(refused),
                    };
                    if let Some(frames) = &mut self.frames {
                        frames.push(&data);
                    }
                    self.keep(&data, charge);
                    if let Some(attempt) = &to {
                        attempt.stream.data(data, turn);
                    }
                }
                Some(Ok(Part::Trailers(trailers))) => self.trailers = Some(trailers.into()),
                Some(Ok(Part::End)) => {
                    if let Some(Err(refused)) = web.map(|web| web.end_request()) {
                        return Pumped::Refused(refused);
                    }
                    self.arrival = Arrival::Whole(turn.now);
                    if let Some(attempt) = &mut to {
                        let (stream, trailers) = (attempt.stream, self.trailers.as_deref());
                        attempt.upload.end(stream, trailers, turn);
                    }
                    return Pumped::Whole;
                }
                Some(Err(Broken::Refused(refused))) => return Pumped::Refused(refused),
                Some(Err(broken @ Broken::Reset(_))) => return Pumped::Left(broken),
            }
        }
        Pumped::Waits
    }

    /// Sends an attempt what had arrived before it began. Says whether it is level with the client now.
    pub(super) fn send_again(
        &mut self,
        attempt: &mut Attempt,
        charge: &Charge,
        turn: &mut Turn<'_>,
    ) -> bool {
        let (is_complete, mark) = (self.is_complete(), charge.high_water());
        let trailers = self.trailers.as_deref();
        let (replay, stream) = (&mut self.replay, attempt.stream);
        (attempt.upload).send_again(stream, replay, is_complete, trailers, mark, turn)
    }

    /// Before there is a connection, a body that can be kept is read nevertheless: the route's timeout runs from its end,
    /// and must not wait for an endpoint that does not answer.
    fn takes(
        &self,
        to: Option<&Attempt>,
        client: ClientStream,
        charge: &Charge,
        turn: &mut Turn<'_>,
    ) -> bool {
        match to {
            Some(attempt) => !attempt.stream.is_slow(charge.high_water(), turn),
            None => self
                .replay
                .has_room(client.unread(turn), replay_limit(charge)),
        }
    }

    /// A request that finds no memory for its body is not sent again, rather than refused.
    fn keep(&mut self, data: &Bytes, charge: &Charge) {
        let limit = replay_limit(charge);
        let replay = &mut self.replay;
        if replay.has_room(data.len(), usize::MAX) && !replay.has_room(data.len(), limit) {
            charge.count_abandoned();
        }
        replay.push(data, limit);
    }

    /// What has already arrived is thrown away, because the request is answered by ourselves: a client that sent it along
    /// with the head can go on using the connection.
    pub(super) fn skip(&mut self, client: ClientStream, record: &mut Record, turn: &mut Turn<'_>) {
        while self.arrival == Arrival::Coming {
            match client.body(turn) {
                Some(Ok(Part::Data(data))) => record.bytes_received += data.len() as u64,
                Some(Ok(Part::End | Part::Trailers(_))) => {
                    self.arrival = Arrival::Whole(turn.now);
                }
                Some(Ok(Part::NeedMore) | Err(_)) | None => return,
            }
        }
    }
}

/// Whether more may wait in memory for a connection to the endpoint, besides so much that does.
pub(super) fn may_wait(waiting: usize, charge: &Charge) -> bool {
    let most = match charge.is_short() {
        false => INBOX_LIMIT,
        true => READ_BLOCK,
    };
    waiting < most
}

/// How much of a body may be kept for another attempt, besides its own limit.
fn replay_limit(charge: &Charge) -> usize {
    match charge.is_short() {
        false => usize::MAX,
        true => KEPT_WHEN_SHORT,
    }
}
