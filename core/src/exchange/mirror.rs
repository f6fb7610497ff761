//! Copies of a request for the mirrors of its rule (VirtualService `mirror`, `mirrors`).
//!
//! A copy is an exchange of its own without a client: it begins with a request that is complete, goes through the same
//! attempt as any other, and writes its response to nowhere. It is made when the whole request is here, so the client's
//! side waits for no mirror, and how much of one is under way is bounded by the worker. What it does is written in a
//! record of its own; why there is none stands in the record of the request.

use super::call::Call;
use super::timers::Clocks;
use super::{Exchange, Turn};
use crate::decision::{MirrorFate, Mirrored};
use crate::request::{self, Context, Verdict};
use crate::time::Duration;

/// How long a copy may take when its rule has no timeout, because a mirror that never answers would otherwise keep its
/// place in the worker for ever: Envoy's time for a stream on which nothing happens.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a copy may still take once its worker drains.
const LONGEST_IN_DRAIN: Duration = Duration::from_secs(1);

impl Call {
    /// Makes the copies that are still to be made. The request is complete.
    pub(super) fn send_mirrors(&mut self, turn: &mut Turn<'_>) {
        for at in 0..self.ledger.record.mirrors.len() {
            let Mirrored { mirror, fate } = self.ledger.record.mirrors[at];
            if fate == MirrorFate::Incomplete {
                self.ledger.record.mirrors[at].fate = self.send_mirror(mirror, turn);
            }
        }
    }

    fn send_mirror(&mut self, mirror: u32, turn: &mut Turn<'_>) -> MirrorFate {
        if !self.body.replay.is_whole() {
            return MirrorFate::BodyTooLong;
        }
        let Some(place) = turn.local.place_for_mirror(self.body.replay.len()) else {
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
        let mut copy = Self::new(&self.ledger.who, turn.local);
        copy.id = turn.exchanges.insert(None);
        copy.ledger.look_at(&self.ledger.view);
        copy.clocks = Clocks {
            route: Some(turn.now + record.timeouts.whole.unwrap_or(LONGEST)),
            moved_at: turn.now,
            ..Clocks::default()
        };
        copy.ledger.record = record;
        copy.body = self.body.share(turn.now);
        copy.place = Some(place);
        copy.hurry_if_drained(turn);
        Exchange::begin_copy(copy, Verdict::Attempt(target), turn);
        MirrorFate::Sent
    }

    /// The connections of its direction are to end: nobody waits for a copy, so the end of the worker does not wait long
    /// for one.
    pub(super) fn hurry_if_drained(&mut self, turn: &Turn<'_>) {
        if !turn.local.drain.hurries(self.ledger.who.peer.listener) {
            return;
        }
        let latest = turn.now + LONGEST_IN_DRAIN;
        let deadline = &mut self.clocks.route;
        *deadline = Some(deadline.map_or(latest, |at| at.min(latest)));
    }
}
