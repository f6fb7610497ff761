//! How far a drain has come, for each direction.
//!
//! Owns the stages and their order; when the next one begins, who drains decides.

use outrigger_core::peer::ListenerKind;

/// What drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Listeners in front of the application, and those of Gateways.
    Inbound,
    /// All listeners.
    All,
}

/// How far the drain of one direction has come. It never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It has not begun.
    #[default]
    Serving,
    /// Connections are accepted, and responses say `connection: close`. Inbound connections that wait for a request are
    /// kept; outbound ones end: their clients are beside us, and nobody has to hear elsewhere first.
    Graceful,
    /// Connections are accepted, and end as soon as nothing is in flight on them.
    Ending,
    /// Nothing more is accepted, and connections end as soon as nothing is in flight on them.
    Stopped,
}

/// The stages of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stages {
    pub(crate) inbound: Stage,
    pub(crate) outbound: Stage,
}

impl Stages {
    /// Of this listener.
    pub(crate) const fn of(self, listener: ListenerKind) -> Stage {
        match listener {
            ListenerKind::Inbound(_) | ListenerKind::Gateway(_) => self.inbound,
            ListenerKind::Outbound => self.outbound,
        }
    }

    /// Whether connections of this listener end as soon as nothing is in flight on them.
    pub(crate) fn ends(self, listener: ListenerKind) -> bool {
        match listener {
            ListenerKind::Inbound(_) | ListenerKind::Gateway(_) => self.inbound >= Stage::Ending,
            ListenerKind::Outbound => self.outbound >= Stage::Graceful,
        }
    }

    /// Goes forward to a stage; false where it has been reached before.
    pub(crate) fn reach(&mut self, direction: Direction, stage: Stage) -> bool {
        let before = *self;
        self.inbound = self.inbound.max(stage);
        if direction == Direction::All {
            self.outbound = self.outbound.max(stage);
        }
        *self != before
    }
}
