//! Memory that an exchange holds: how much of it there may be.
//!
//! Blocks are lent by the worker. A connection has them while bytes move and no longer: thousands of clients may have sent
//! half a head, wait for a slow endpoint, or hold a tunnel open that says nothing. How much room a read gets is the
//! connection's.

use super::Exchange;
use crate::connection::READ_BLOCK;
use crate::local::KEPT_WHEN_SHORT;

/// Reading from a client pauses when this much waits in memory for a connection to the endpoint.
const INBOX_LIMIT: usize = 64 * 1024;

impl Exchange {
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
}
