//! Upgraded and CONNECT connections: bytes pass both ways until both sides are done.

use super::call::Response;
use super::{Exchange, Phase, Turn};
use crate::cluster::ejection::Outcome;
use crate::decision::Details;
use crate::io::Output;
use crate::message::ResponseHead;
use crate::peer::ConnId;

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
        let Some(to_client) = self.down.id() else {
            return false;
        };
        let Some(to_endpoint) = self.up.conn else {
            return false;
        };
        let sockets = &mut *turn.sockets;
        let client = sockets.clients.get_mut(to_client);
        let upstream = sockets.upstreams.get_mut(to_endpoint);
        let Some((client, upstream)) = client.zip(upstream) else {
            return false;
        };
        let (client, endpoint) = (&mut client.connection, &mut upstream.connection);
        if !client.inbox.is_empty() {
            self.record.bytes_received += client.inbox.len() as u64;
            endpoint.pass(client.inbox.split().freeze(), turn.local);
        }
        if !endpoint.inbox.is_empty() {
            self.record.bytes_sent += endpoint.inbox.len() as u64;
            client.pass(endpoint.inbox.split().freeze(), turn.local);
        }
        let Phase::Tunnel(tunnel) = &mut self.phase else {
            return false;
        };
        if tunnel.downstream == Direction::Ending && endpoint.outbox.is_empty() {
            tunnel.downstream = Direction::Ended;
            let upstream = ConnId::Upstream(to_endpoint);
            turn.outputs.push_back(Output::ShutdownWrite(upstream));
        }
        if tunnel.upstream == Direction::Ending && client.outbox.is_empty() {
            tunnel.upstream = Direction::Ended;
            let client = ConnId::Client(to_client);
            turn.outputs.push_back(Output::ShutdownWrite(client));
        }
        if tunnel.downstream == Direction::Ended && tunnel.upstream == Direction::Ended {
            self.end_record(turn);
            self.close(turn);
            return true;
        }
        false
    }
}
