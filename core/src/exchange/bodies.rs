//! Where bodies lie in what was read: for a recording that leaves them out.
//!
//! No decision depends on what a body says, only on where it begins and ends, so other bytes of the same length in its
//! place lead to the same decisions.

use std::ops::Range;

use super::{Exchange, Phase, Side};

impl Exchange {
    /// Which of the last `count` bytes of [`Exchange::space`], which were just read and not told yet, are of bodies, or are
    /// only passed on or thrown away. Ranges count from the first of them.
    #[must_use]
    pub fn bodies_read(&self, side: Side, count: usize) -> Vec<Range<usize>> {
        if matches!(self.phase, Phase::Tunnel(_) | Phase::Linger { .. }) {
            return Vec::from([Range {
                start: 0,
                end: count,
            }]);
        }
        let (bodies, unread) = match (side, &self.aside) {
            (Side::Downstream, _) => {
                let client = &self.down.connection;
                (client.bodies_ahead(), client.inbox.len())
            }
            (Side::Aside, Some(aside)) => {
                let endpoint = &aside.up.connection;
                (endpoint.bodies_ahead(), endpoint.inbox.len())
            }
            (Side::Upstream, _) | (Side::Aside, None) => {
                let endpoint = &self.up.connection;
                (endpoint.bodies_ahead(), endpoint.inbox.len())
            }
        };
        let before = unread.saturating_sub(count);
        let bodies = bodies.into_iter();
        bodies
            .map(|body| body.start.saturating_sub(before)..body.end.saturating_sub(before))
            .filter(|body| !body.is_empty())
            .collect()
    }
}
