//! Upgraded and CONNECT connections: bytes pass both ways until both sides are done.

use super::call::Response;
use super::{Exchange, Phase, Turn};
use crate::cluster::ejection::Outcome;
use crate::decision::Details;
use crate::message::ResponseHead;

/// Which directions are still open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tunnel {
    pub(super) downstream: Direction,
    pub(super) upstream: Direction,
}

/// One direction, named by the side it is read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    #[default]
    Open,
    /// The side ended; what it sent is still being written to the other.
    Ending,
    /// The other side has been told.
    Ended,
}

impl Tunnel {
    pub(super) fn end_of_client(&mut self) {
        if self.downstream == Direction::Open {
            self.downstream = Direction::Ending;
        }
    }

    pub(super) fn end_of_endpoint(&mut self) {
        if self.upstream == Direction::Open {
            self.upstream = Direction::Ending;
        }
    }
}

impl Exchange {
    /// The endpoint agreed to switch protocols.
    pub(super) fn begin_upgrade_tunnel(&mut self, protocol: Option<Box<str>>, turn: &mut Turn<'_>) {
        self.up.adaptive = None;
        self.up.on_status(101, &mut self.record);
        self.report(Outcome::Response(101), turn.now);
        self.record.status = 101;
        self.record.details = Details::ViaUpstream;
        self.finish_response_head(None, turn);
        self.begin_tunnel(protocol.as_deref(), turn);
    }

    /// The connection that a CONNECT asked for is made (RFC 9110 §9.3.6).
    pub(super) fn begin_connect_tunnel(&mut self, turn: &mut Turn<'_>) {
        self.response = ResponseHead::default();
        self.up.on_status(200, &mut self.record);
        self.report(Outcome::Response(200), turn.now);
        self.record.status = 200;
        self.record.details = Details::ViaUpstream;
        self.begin_tunnel(None, turn);
    }

    fn begin_tunnel(&mut self, protocol: Option<&str>, turn: &mut Turn<'_>) {
        self.down.switch(&self.response, protocol, turn);
        self.call.response = Response::Streaming;
        self.call.route_deadline = None;
        self.phase = Phase::Tunnel(Tunnel::default());
    }

    /// Moves what has arrived, and passes on the ends. Says whether the tunnel is over.
    pub(super) fn advance_tunnel(&mut self, turn: &mut Turn<'_>) -> bool {
        let Phase::Tunnel(tunnel) = &mut self.phase else {
            return false;
        };
        let (client, endpoint) = (self.down, self.up.stream);
        if let Some(bytes) = client.take(turn) {
            self.record.bytes_received += bytes.len() as u64;
            endpoint.pass(bytes, turn);
        }
        if let Some(bytes) = endpoint.take(turn) {
            self.record.bytes_sent += bytes.len() as u64;
            client.pass(bytes, turn);
        }
        if tunnel.downstream == Direction::Ending && endpoint.has_left(turn) {
            tunnel.downstream = Direction::Ended;
            endpoint.shut_down(turn);
        }
        if tunnel.upstream == Direction::Ending && client.has_left(turn) {
            tunnel.upstream = Direction::Ended;
            client.shut_down(turn);
        }
        if tunnel.downstream == Direction::Ended && tunnel.upstream == Direction::Ended {
            self.end_record(turn);
            self.close(turn);
            return true;
        }
        false
    }
}
