//! What can go wrong at an instance, and when.

use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::Instant;

use super::latency::Latency;

/// What an instance does instead of answering well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes this much longer.
    Slow(Latency),
    /// It answers with this status.
    Status(u16),
    /// It refuses connections, and resets those it has when something is asked on them.
    Refuse,
    /// Attempts to connect get no answer, nor does what is asked on connections it has.
    Unreachable,
    /// It resets the connection when it is asked.
    Reset,
    /// It sends a head and half of a body, and closes.
    CloseMidBody,
    /// It says that it will send nothing more, answers nothing, and keeps reading.
    HalfClose,
    /// It reads and never answers.
    NeverAnswer,
}

/// A fault for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultWindow {
    /// From this moment on.
    pub from: Instant,
    /// Until just before this one.
    pub until: Instant,
    /// What goes wrong.
    pub fault: Fault,
    /// To which share of connections (refused, unreachable) or requests (the others).
    pub share: PerMillion,
}

impl FaultWindow {
    /// A fault that hits everything, always.
    #[must_use]
    pub const fn always(fault: Fault) -> Self {
        Self {
            from: Instant::ZERO,
            until: Instant::from_nanos(u64::MAX),
            fault,
            share: PerMillion::ALL,
        }
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.from <= now && now < self.until
    }
}
