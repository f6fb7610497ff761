//! Upgraded and CONNECT connections: bytes pass both ways until both sides are done.

use super::call::Response;
use super::{Ambient, Exchange, Output, Phase, Side};
use crate::cluster::ejection::Outcome;
use crate::decision::Details;
use crate::message::ResponseHead;
use crate::request;
use crate::worker::Worker;

/// Which directions are still open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tunnel {
    downstream: Direction,
    upstream: Direction,
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

impl Tunnel {
    pub(super) fn reads(&self, side: Side) -> bool {
        match side {
            Side::Downstream => self.downstream == Direction::Open,
            Side::Upstream => self.upstream == Direction::Open,
            Side::Aside => false,
        }
    }

    pub(super) fn on_eof(&mut self, side: Side) {
        let direction = match side {
            Side::Downstream => &mut self.downstream,
            Side::Upstream => &mut self.upstream,
            // A tunnel has one endpoint.
            Side::Aside => return,
        };
        if *direction == Direction::Open {
            *direction = Direction::Ending;
        }
    }
}

impl Exchange {
    /// The endpoint agreed to switch protocols.
    pub(super) fn begin_upgrade_tunnel(
        &mut self,
        protocol: Option<Box<str>>,
        ambient: Ambient,
        worker: &mut Worker,
    ) {
        self.up.adaptive = None;
        self.up.on_status(101, &mut self.record);
        request::outcome::report(Outcome::Response(101), &mut self.record, ambient.now);
        self.record.status = 101;
        self.record.details = Details::ViaUpstream;
        request::on_response_head(
            &self.peer,
            None,
            &mut self.record,
            &mut self.response,
            worker.date(),
        );
        self.tell_rate_limit(ambient);
        self.begin_tunnel(protocol.as_deref(), worker);
    }

    /// The connection that a CONNECT asked for is made (RFC 9110 §9.3.6).
    pub(super) fn begin_connect_tunnel(&mut self, ambient: Ambient, worker: &mut Worker) {
        self.response = ResponseHead::default();
        self.up.on_status(200, &mut self.record);
        request::outcome::report(Outcome::Response(200), &mut self.record, ambient.now);
        self.record.status = 200;
        self.record.details = Details::ViaUpstream;
        self.begin_tunnel(None, worker);
    }

    fn begin_tunnel(&mut self, protocol: Option<&str>, worker: &mut Worker) {
        let client = &mut self.down.connection;
        client.switch(&self.response, protocol, worker);
        self.call.response = Response::Streaming;
        self.call.route_deadline = None;
        self.phase = Phase::Tunnel(Tunnel::default());
    }

    /// Moves what has arrived, and passes on the ends. Says whether the tunnel is over.
    pub(super) fn advance_tunnel(&mut self, ambient: Ambient, worker: &mut Worker) -> bool {
        let (client, endpoint) = (&mut self.down.connection, &mut self.up.connection);
        if !client.inbox.is_empty() {
            self.record.bytes_received += client.inbox.len() as u64;
            endpoint.pass(client.inbox.split().freeze(), worker);
        }
        if !endpoint.inbox.is_empty() {
            self.record.bytes_sent += endpoint.inbox.len() as u64;
            client.pass(endpoint.inbox.split().freeze(), worker);
        }
        let Phase::Tunnel(tunnel) = &mut self.phase else {
            return false;
        };
        if tunnel.downstream == Direction::Ending && self.up.connection.outbox.is_empty() {
            tunnel.downstream = Direction::Ended;
            self.outputs
                .push_back(Output::ShutdownWrite(Side::Upstream));
        }
        if tunnel.upstream == Direction::Ending && self.down.connection.outbox.is_empty() {
            tunnel.upstream = Direction::Ended;
            self.outputs
                .push_back(Output::ShutdownWrite(Side::Downstream));
        }
        if tunnel.downstream == Direction::Ended && tunnel.upstream == Direction::Ended {
            self.end_record(ambient);
            self.close();
            return true;
        }
        false
    }
}
