//! Upgraded and CONNECT connections, and those that are not HTTP from the start: bytes pass both ways until both sides are
//! done.

mod ends;

use core::mem;

use super::Turn;
use super::attempt::Attempt;
use super::call::Call;
use super::connection;
use crate::cluster::ejection::Outcome;
use crate::decision::AttemptEnd;
use crate::message::ResponseHead;
use crate::stream::Part;
use ends::{ClientEnd, EndpointEnd};

/// An attempt whose connection is the client's, and which directions are still open.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) attempt: Attempt,
    from_client: Direction,
    from_endpoint: Direction,
}

/// What comes of moving bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    GoesOn,
    /// Both directions have ended.
    Over,
    /// One side has given its stream up, and so the other one's is.
    Broken,
}

/// One direction, named by the side it is read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Direction {
    #[default]
    Open,
    /// The side ended; what it sent is still being written to the other.
    Ending,
    /// The other side has been told.
    Ended,
}

impl Direction {
    fn end(&mut self) {
        if *self == Self::Open {
            *self = Self::Ending;
        }
    }
}

impl Tunnel {
    /// The endpoint agreed to switch protocols.
    pub(super) fn upgrade(
        mut attempt: Attempt,
        protocol: Option<&str>,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Self {
        attempt.held.adaptive = None;
        agree(101, &attempt, call, turn);
        call.finish_response_head(None, turn);
        Self::begin(attempt, protocol, call, turn)
    }

    /// The connection that a CONNECT asked for is made (RFC 9110 §9.3.6).
    pub(super) fn connect(attempt: Attempt, call: &mut Call, turn: &mut Turn<'_>) -> Self {
        call.ledger.response = ResponseHead::default();
        agree(200, &attempt, call, turn);
        Self::begin(attempt, None, call, turn)
    }

    /// A connection that is not HTTP has its other half. What its client said before, and that it says no more, is passed on.
    pub(super) fn relay(attempt: Attempt, call: &mut Call, turn: &mut Turn<'_>) -> Self {
        call.ledger
            .end_attempt(attempt.at, AttemptEnd::Connected, turn.now);
        connection::arm(call, turn.now);
        let from_client = match call.client.has_ended(turn) {
            true => Direction::Ending,
            false => Direction::Open,
        };
        Self {
            attempt,
            from_client,
            from_endpoint: Direction::Open,
        }
    }

    fn begin(
        attempt: Attempt,
        protocol: Option<&str>,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Self {
        ClientEnd(call.client).switch(&call.ledger.response, protocol, turn);
        (call.clocks.route, call.clocks.duration) = (None, None);
        Self {
            attempt,
            from_client: Direction::Open,
            from_endpoint: Direction::Open,
        }
    }

    /// One side has given its connection or stream up, and so the endpoint's is: what was cut must not look whole.
    pub(super) fn abort(&mut self, turn: &mut Turn<'_>) {
        EndpointEnd(mem::take(&mut self.attempt.stream)).abort(turn);
    }

    pub(super) fn on_client_eof(&mut self) {
        self.from_client.end();
    }

    pub(super) fn on_endpoint_eof(&mut self) {
        self.from_endpoint.end();
    }

    /// Whether more is read from the client, and from the endpoint.
    pub(super) fn reads(&self) -> (bool, bool) {
        (
            self.from_client == Direction::Open,
            self.from_endpoint == Direction::Open,
        )
    }

    /// Moves what has arrived, and passes on the ends.
    pub(super) fn advance(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Passing {
        let (client, endpoint) = (call.client, self.attempt.stream);
        let (client_end, endpoint_end) = (ClientEnd(client), EndpointEnd(endpoint));
        let mark = call.charge.high_water();
        while self.from_client != Direction::Ended && !endpoint.is_slow(mark, turn) {
            match client_end.take(turn) {
                Some(Ok(Part::Data(bytes))) => {
                    call.ledger.record.bytes_received += bytes.len() as u64;
                    endpoint_end.pass(bytes, turn);
                }
                Some(Ok(Part::End | Part::Trailers(_))) => {
                    self.from_client.end();
                    break;
                }
                Some(Ok(Part::NeedMore)) | None => break,
                Some(Err(_reset)) => return Passing::Broken,
            }
        }
        while self.from_endpoint != Direction::Ended && !client.is_slow(mark, turn) {
            match endpoint_end.take(turn) {
                Some(Ok(Part::Data(bytes))) => {
                    call.ledger.record.bytes_sent += bytes.len() as u64;
                    client_end.pass(bytes, turn);
                }
                Some(Ok(Part::End | Part::Trailers(_))) => {
                    self.from_endpoint.end();
                    break;
                }
                Some(Ok(Part::NeedMore)) | None => break,
                Some(Err(_reset)) => return Passing::Broken,
            }
        }
        // The end of a stream waits behind its bytes by itself.
        let goes_behind_to_endpoint = endpoint.is_shared();
        if self.from_client == Direction::Ending
            && client.unread(turn) == 0
            && (goes_behind_to_endpoint || endpoint.has_left(turn))
        {
            self.from_client = Direction::Ended;
            endpoint_end.shut_down(turn);
        }
        let goes_behind = client.is_shared(turn);
        if self.from_endpoint == Direction::Ending
            && endpoint_end.unread(turn) == 0
            && (goes_behind || client.has_left(turn))
        {
            self.from_endpoint = Direction::Ended;
            client_end.shut_down(turn);
        }
        if self.from_client != Direction::Ended || self.from_endpoint != Direction::Ended {
            return Passing::GoesOn;
        }
        let stream = mem::take(&mut self.attempt.stream);
        // What is still to be written leaves before a stream ends, and does not keep a connection that it has alone.
        if !goes_behind_to_endpoint || !stream.rest(turn) {
            stream.discard(turn);
        }
        Passing::Over
    }
}

/// The connection carries something else than messages from here on, as this status says.
fn agree(status: u16, attempt: &Attempt, call: &mut Call, turn: &Turn<'_>) {
    let ledger = &mut call.ledger;
    ledger.end_attempt(attempt.at, AttemptEnd::Response(status), turn.now);
    ledger.report(Outcome::Response(status), turn.now);
    ledger.answer(status);
}
