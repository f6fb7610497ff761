//! The response of an attempt on its way to the client, with backpressure: it has begun, so no other attempt follows.

use super::Turn;
use super::attempt::{Attempt, Time, reason_of};
use super::call::Call;
use crate::cluster::Ending;
use crate::decision::ResetReason;
use crate::request::outcome;
use crate::stream::{BodyLength, Part};

/// An attempt whose response is the client's.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) attempt: Attempt,
    /// How its trailers say that it went.
    ending: Ending,
}

/// What came of moving the response on.
#[must_use]
pub(super) enum Relayed {
    /// No more can be moved now.
    Waits,
    /// All of it has been moved.
    Whole,
    /// It cannot be completed.
    Cut(ResetReason),
}

impl Relay {
    pub(super) fn of(attempt: Attempt) -> Self {
        Self {
            attempt,
            ending: outcome::on_trailers(None),
        }
    }

    /// Moves as much of the response as the client takes.
    pub(super) fn pump(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Relayed {
        // Their end follows at once.
        let mut trailers = None;
        loop {
            call.clocks.is_unread = call.is_client_slow(turn);
            if call.clocks.is_unread {
                break;
            }
            match self.attempt.stream.body(turn) {
                None | Some(Ok(Part::NeedMore)) => break,
                Some(Ok(Part::Data(data))) => {
                    call.send(data, turn);
                }
                Some(Ok(Part::Trailers(read))) => trailers = Some(read),
                Some(Ok(Part::End)) => {
                    self.ending = outcome::on_trailers(trailers.as_ref());
                    call.send_end(trailers.as_ref(), turn);
                    return Relayed::Whole;
                }
                Some(Err(broken)) => return Relayed::Cut(reason_of(broken)),
            }
        }
        Relayed::Waits
    }

    /// The endpoint closed: a body that lasts until then is complete.
    pub(super) fn on_eof(&self, call: &mut Call, turn: &mut Turn<'_>) -> Relayed {
        if self.attempt.stream.on_eof(turn).is_err() {
            return Relayed::Cut(ResetReason::ProtocolError);
        }
        call.send_end(None, turn);
        Relayed::Whole
    }

    /// The response is complete. Whether the client's connection can carry another request after it.
    pub(super) fn complete(&mut self, call: &Call, turn: &mut Turn<'_>) -> bool {
        let is_well = (self.attempt.held).on_end(self.ending, &call.ledger, turn.now);
        // A service that fails is quick about it.
        if is_well {
            self.attempt.report_adaptive(&call.ledger, turn.now);
        }
        let is_complete = call.body.is_complete();
        self.attempt.release(is_complete, &call.ledger, turn);
        // What the head said holds, unless the response overtook its request. A client that was not told is never cut off:
        // the next response says close if we drain.
        call.can_keep_alive(turn)
    }
}

/// The head of an attempt's response is the client's, and so much body follows.
pub(super) fn begin(attempt: &mut Attempt, body: BodyLength, call: &mut Call, turn: &mut Turn<'_>) {
    if !call.owes_mirrors() {
        call.body.replay.end_repeats(attempt.upload.cursor);
    }
    attempt.time = Time::Unset;
    // On a stream trailers may follow no data.
    let body = match attempt.stream.is_shared() {
        true => body,
        false => call.length_of(body, turn),
    };
    call.pass_on(body, turn);
}
