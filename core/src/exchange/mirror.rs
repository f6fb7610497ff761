//! Copies of a request for the mirrors of its rule (VirtualService `mirror`, `mirrors`).
//!
//! A copy is an exchange of its own without a client: it begins with a request that is complete, goes through the same
//! attempt as any other, and writes its response to nowhere. It is made when the whole request is here, so the client's
//! side waits for no mirror, and how much of one is under way is bounded by the worker. What it does is written in a
//! record of its own; why there is none stands in the record of the request.

use super::call::{Call, RequestBody, Response};
use super::downstream::Downstream;
use super::{Ambient, Exchange, Output, Phase};
use crate::connection::ToClient;
use crate::decision::{MirrorFate, Mirrored, Record};
use crate::request::{self, Context};
use crate::time::Duration;
use crate::worker::{MirrorPlace, Worker};

/// How long a copy may take when its rule has no timeout, because a mirror that never answers would otherwise keep its
/// place in the worker for ever: Envoy's time for a stream on which nothing happens.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a copy may still take once its worker drains.
const LONGEST_IN_DRAIN: Duration = Duration::from_secs(1);

impl Exchange {
    /// A copy that [`Output::Mirror`] spoke of: to be driven like an exchange whose client sends and takes nothing, from
    /// [`Exchange::poll_output`] on.
    pub fn take_mirror(&mut self) -> Option<Self> {
        self.mirrors.pop()
    }

    /// Whether this is a copy, and so has no client.
    #[must_use]
    pub const fn is_mirror(&self) -> bool {
        self.record.is_mirror()
    }

    /// Makes the copies that are still to be made. The request is complete.
    pub(super) fn send_mirrors(&mut self, ambient: Ambient, worker: &mut Worker) {
        for at in 0..self.record.mirrors.len() {
            let Mirrored { mirror, fate } = self.record.mirrors[at];
            if fate == MirrorFate::Incomplete {
                self.record.mirrors[at].fate = self.send_mirror(mirror, ambient, worker);
            }
        }
        if self.call.response != Response::Awaited {
            self.call.replay.end_repeats();
        }
    }

    /// Whether the request's body must be kept for copies that are still to be made.
    pub(super) fn owes_mirrors(&self) -> bool {
        let mut mirrors = self.record.mirrors.iter();
        mirrors.any(|mirrored| mirrored.fate == MirrorFate::Incomplete)
    }

    fn send_mirror(&mut self, mirror: u32, ambient: Ambient, worker: &mut Worker) -> MirrorFate {
        if !self.call.replay.is_whole() {
            return MirrorFate::BodyTooLong;
        }
        let Some(place) = worker.place_for_mirror(self.call.replay.len()) else {
            return MirrorFate::Dropped;
        };
        let context = Context {
            peer: &self.peer,
            upgrade: None,
            now: ambient.now,
            complete_since: Some(ambient.now),
            own_bucket: &self.own_bucket,
        };
        let (record, target) = match request::begin_mirror(mirror, &context, &self.record) {
            Ok(begun) => begun,
            Err(fate) => return fate,
        };
        let mut copy = self.copy(record, place, ambient);
        copy.begin_attempt(target, ambient, worker);
        copy.advance(ambient, worker);
        copy.return_buffers(worker);
        self.mirrors.push(copy);
        self.outputs.push_back(Output::Mirror);
        MirrorFate::Sent
    }

    fn copy(&mut self, record: Record, place: MirrorPlace, ambient: Ambient) -> Self {
        let timeout = record.timeouts.whole.unwrap_or(LONGEST);
        let call = Call {
            begins: self.call.begins.clone(),
            request_body: RequestBody::Complete,
            replay: self.call.replay.share(),
            request_trailers: self.call.request_trailers.clone(),
            request_complete: Some(ambient.now),
            route_deadline: Some(ambient.now + timeout),
            ..Call::default()
        };
        Self {
            phase: Phase::Call,
            down: Downstream {
                connection: ToClient::nowhere(),
                eof: false,
            },
            call,
            record,
            _place: Some(place),
            ..Self::new(self.peer, self.settings, self.charge.another(), ambient.now)
        }
    }

    /// The worker drains: nobody waits for a copy, so the end of the worker does not wait long for one.
    pub(super) fn hurry_mirror(&mut self, ambient: Ambient) {
        let latest = ambient.now + LONGEST_IN_DRAIN;
        let deadline = &mut self.call.route_deadline;
        *deadline = Some(deadline.map_or(latest, |at| at.min(latest)));
    }
}
