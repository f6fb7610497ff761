//! Upgraded and CONNECT connections: bytes pass both ways until both sides are done.

use super::Turn;
use super::attempt::Attempt;
use super::call::Call;
use crate::cluster::ejection::Outcome;
use crate::decision::AttemptEnd;
use crate::message::ResponseHead;

/// An attempt whose connection is the client's, and which directions are still open.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) attempt: Attempt,
    from_client: Direction,
    from_endpoint: Direction,
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

    fn begin(
        attempt: Attempt,
        protocol: Option<&str>,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Self {
        call.client.switch(&call.ledger.response, protocol, turn);
        call.clocks.route = None;
        Self {
            attempt,
            from_client: Direction::Open,
            from_endpoint: Direction::Open,
        }
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

    /// Moves what has arrived, and passes on the ends. Says whether the tunnel is over.
    pub(super) fn advance(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> bool {
        let (client, endpoint) = (call.client, self.attempt.stream);
        if let Some(bytes) = client.take(turn) {
            call.ledger.record.bytes_received += bytes.len() as u64;
            endpoint.pass(bytes, turn);
        }
        if let Some(bytes) = endpoint.take(turn) {
            call.ledger.record.bytes_sent += bytes.len() as u64;
            client.pass(bytes, turn);
        }
        if self.from_client == Direction::Ending && endpoint.has_left(turn) {
            self.from_client = Direction::Ended;
            endpoint.shut_down(turn);
        }
        if self.from_endpoint == Direction::Ending && client.has_left(turn) {
            self.from_endpoint = Direction::Ended;
            client.shut_down(turn);
        }
        self.from_client == Direction::Ended && self.from_endpoint == Direction::Ended
    }
}

/// The connection carries something else than messages from here on, as this status says.
fn agree(status: u16, attempt: &Attempt, call: &mut Call, turn: &Turn<'_>) {
    let ledger = &mut call.ledger;
    ledger.end_attempt(attempt.at, AttemptEnd::Response(status));
    ledger.report(Outcome::Response(status), turn.now);
    ledger.answer(status);
}
