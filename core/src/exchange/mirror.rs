//! Copies of a request for the mirrors of its rule (VirtualService `mirror`, `mirrors`).
//!
//! A copy is an exchange of its own without a client: it begins with a request that is complete, goes through the same
//! attempt as any other, and writes its response to nowhere. It is made when the whole request is here, so the client's
//! side waits for no mirror, and how much of one is under way is bounded by the worker. What it does is written in a
//! record of its own; why there is none stands in the record of the request.

use std::rc::Rc;

use super::call::{Call, RequestBody, Response};
use super::{Exchange, Phase, Turn};
use crate::decision::{MirrorFate, Mirrored, Record};
use crate::local::MirrorPlace;
use crate::request::{self, Context};
use crate::time::Duration;

/// How long a copy may take when its rule has no timeout, because a mirror that never answers would otherwise keep its
/// place in the worker for ever: Envoy's time for a stream on which nothing happens.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a copy may still take once its worker drains.
const LONGEST_IN_DRAIN: Duration = Duration::from_secs(1);

impl Exchange {
    /// Makes the copies that are still to be made. The request is complete.
    pub(super) fn send_mirrors(&mut self, turn: &mut Turn<'_>) {
        for at in 0..self.record.mirrors.len() {
            let Mirrored { mirror, fate } = self.record.mirrors[at];
            if fate == MirrorFate::Incomplete {
                self.record.mirrors[at].fate = self.send_mirror(mirror, turn);
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

    fn send_mirror(&mut self, mirror: u32, turn: &mut Turn<'_>) -> MirrorFate {
        if !self.call.replay.is_whole() {
            return MirrorFate::BodyTooLong;
        }
        let Some(place) = turn.local.place_for_mirror(self.call.replay.len()) else {
            return MirrorFate::Dropped;
        };
        let begun = self.ask(
            |context, record, _| {
                let context = Context {
                    upgrade: None,
                    complete_since: Some(context.now),
                    ..*context
                };
                request::begin_mirror(mirror, &context, record)
            },
            turn,
        );
        let (record, target) = match begun {
            Ok(begun) => begun,
            Err(fate) => return fate,
        };
        let mut copy = Box::new(self.copy(record, place, turn));
        copy.hurry_if_drained(turn);
        copy.begin_attempt(target, turn);
        copy.advance(turn);
        turn.put(copy);
        MirrorFate::Sent
    }

    fn copy(&mut self, record: Record, place: MirrorPlace, turn: &mut Turn<'_>) -> Self {
        let timeout = record.timeouts.whole.unwrap_or(LONGEST);
        let call = Call {
            begins: self.call.begins.clone(),
            request_body: RequestBody::Complete,
            replay: self.call.replay.share(),
            request_trailers: self.call.request_trailers.clone(),
            request_complete: Some(turn.now),
            route_deadline: Some(turn.now + timeout),
            ..Call::default()
        };
        Self {
            id: turn.exchanges.insert(None),
            phase: Phase::Call,
            call,
            view: Rc::clone(&self.view),
            record,
            moved_at: turn.now,
            place: Some(place),
            ..Self::new(self.peer, turn.local)
        }
    }

    /// The connections of its direction are to end: nobody waits for a copy, so the end of the worker does not wait long
    /// for one.
    pub(crate) fn hurry_if_drained(&mut self, turn: &Turn<'_>) {
        if !turn.local.hurries(self.peer.listener) {
            return;
        }
        let latest = turn.now + LONGEST_IN_DRAIN;
        let deadline = &mut self.call.route_deadline;
        *deadline = Some(deadline.map_or(latest, |at| at.min(latest)));
    }
}
