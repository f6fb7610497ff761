//! Memory that an exchange holds: how much of it there may be, and when it is given back.
//!
//! Blocks are lent by the worker. A connection has them while bytes move and no longer: thousands of clients may have sent
//! half a head, wait for a slow endpoint, or hold a tunnel open that says nothing. How much room a read gets is the
//! connection's.

use bytes::BytesMut;

use super::{Exchange, Phase, Side};
use crate::connection::READ_BLOCK;
use crate::worker::{KEPT_WHEN_SHORT, Worker};

/// Reading from a client pauses when this much waits in memory for a connection to the endpoint.
const INBOX_LIMIT: usize = 64 * 1024;

impl Exchange {
    /// Where to append what is read from a side; it has room.
    pub fn space(&mut self, side: Side, worker: &mut Worker) -> &mut BytesMut {
        let is_short = self.charge.is_short();
        match side {
            Side::Downstream => self.down.connection.space(is_short, worker),
            Side::Upstream => self.up.connection.space(is_short, worker),
            Side::Aside => self.aside_side().connection.space(is_short, worker),
        }
    }

    /// Nothing was read into [`Exchange::space`] after all.
    pub fn leave_space(&mut self, worker: &mut Worker) {
        self.return_buffers(worker);
    }

    /// Bytes of messages and tunnels that are held now.
    pub(super) fn buffered(&self) -> usize {
        let (client, endpoint) = (&self.down.connection, &self.up.connection);
        // What waits for the endpoint and is kept for another attempt is the same memory.
        let request = endpoint.outbox.len().max(self.call.replay.kept());
        let aside = self.aside.as_ref();
        let aside = aside.map_or(0, |aside| aside.up.connection.inbox.len());
        client.inbox.len() + endpoint.inbox.len() + aside + client.outbox.len() + request
    }

    /// How much of what a client sends may wait in memory for a connection to the endpoint.
    pub(super) fn inbox_limit(&self) -> usize {
        match self.charge.is_short() {
            false => INBOX_LIMIT,
            true => READ_BLOCK,
        }
    }

    /// How much of a body may be kept for another attempt, besides its own limit.
    pub(super) fn replay_limit(&self) -> usize {
        match self.charge.is_short() {
            false => usize::MAX,
            true => KEPT_WHEN_SHORT,
        }
    }

    /// After every input.
    pub(super) fn return_buffers(&mut self, worker: &mut Worker) {
        let (client, endpoint) = (&mut self.down.connection, &mut self.up.connection);
        match self.phase {
            Phase::Head { .. } | Phase::Closed => {
                if client.inbox.is_empty() {
                    endpoint.rest(worker);
                }
                client.rest(worker);
            }
            Phase::Call | Phase::Flush { .. } | Phase::Tunnel(_) | Phase::Linger { .. } => {
                client.pause(worker);
                endpoint.pause(worker);
            }
        }
    }
}
