//! Where bodies lie in what was read: for a recording that leaves them out.
//!
//! No decision depends on what a body says, only on where it begins and ends, so other bytes of the same length in its
//! place lead to the same decisions.

use std::ops::Range;

use super::{Exchange, Phase, Side};
use crate::http1::{Asked, Heads};

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
        let asked = |upgrade| {
            let method = &self.record.request.method;
            Heads::Response(Asked { method, upgrade })
        };
        let (reader, inbox, heads) = match (side, &self.aside) {
            (Side::Downstream, _) => (&self.down.reader, &self.down.inbox, Heads::Requests),
            (Side::Aside, Some(aside)) => (&aside.up.reader, &aside.up.inbox, asked(false)),
            (Side::Upstream, _) | (Side::Aside, None) => {
                let upgrade = self.call.facts.upgrade.is_some();
                (&self.up.reader, &self.up.inbox, asked(upgrade))
            }
        };
        let before = inbox.len().saturating_sub(count);
        let bodies = reader.bodies_ahead(inbox, heads).into_iter();
        bodies
            .map(|body| body.start.saturating_sub(before)..body.end.saturating_sub(before))
            .filter(|body| !body.is_empty())
            .collect()
    }
}
