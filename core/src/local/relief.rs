//! What a worker sheds while the machine is full, and how much of it.

use core::cell::Cell;

use super::WorkerSettings;
use crate::overload::{Action, Actions};
use crate::time::Duration;

/// What was shed by a worker so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Requests that were answered 503.
    pub requests: u64,
    /// Responses after which connections of clients ended.
    pub keep_alives: u64,
    /// Connections of clients that were closed between requests sooner than otherwise.
    pub idle: u64,
    /// Connections to endpoints that were not kept.
    pub kept: u64,
}

/// What is done now.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    actions: Actions,
    shed: Cell<Shed>,
}

impl Relief {
    /// From now on this is done. What was done before.
    pub(crate) const fn set(&mut self, actions: Actions) -> Actions {
        core::mem::replace(&mut self.actions, actions)
    }

    /// Whether this is done.
    pub(crate) const fn does(&self, action: Action) -> bool {
        self.actions.has(action)
    }

    /// For how long a client may stay between requests.
    pub(crate) fn idle_timeout(&self, settings: &WorkerSettings) -> Option<Duration> {
        let is_full = self.does(Action::ReduceTimeouts);
        let most = is_full.then_some(settings.overloaded_idle_timeout);
        settings.idle_timeout.into_iter().chain(most).min()
    }

    /// Something was shed.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Shed)) {
        let mut shed = self.shed.get();
        count(&mut shed);
        self.shed.set(shed);
    }

    pub(crate) const fn shed(&self) -> Shed {
        self.shed.get()
    }
}
