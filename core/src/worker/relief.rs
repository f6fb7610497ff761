//! A full machine: what was done about it changes, and those who idle are looked at again.

use super::turns::Turns;
use crate::overload::{Action, Actions};
use crate::time::Instant;

/// The change.
pub(super) struct Relieving<'t> {
    pub(super) turns: &'t mut Turns,
    pub(super) now: Instant,
}

impl Relieving<'_> {
    /// This is done from now on.
    pub(super) fn take(self, actions: Actions) {
        let Turns {
            local,
            sockets,
            touched_clients,
            ..
        } = &mut *self.turns;
        let before = local.relief.set(actions);
        let begins = |action| actions.has(action) && !before.has(action);
        if begins(Action::ReduceTimeouts) {
            touched_clients.extend(sockets.clients.keys());
        }
        if begins(Action::CloseIdleUpstream) {
            let all = sockets.upstreams.keys();
            let idle: Vec<_> = all.filter(|id| local.pool.is_idle(*id)).collect();
            let count = idle.len() as u64;
            local.relief.count(|shed| shed.kept += count);
            self.turns.close_kept(idle, self.now);
        }
    }
}
