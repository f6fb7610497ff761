//! Everything that can happen in a simulation.

use outrigger_core::exchange::ConnectFault;
use outrigger_core::snapshot::Address;

use crate::network::{End, Travel, Wire};

/// A peer, by its seat and how many had that seat before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// An exchange of one sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExchangeId {
    pub(crate) sidecar: usize,
    pub(crate) number: u64,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialler {
    Peer(PeerId),
    /// The attempt's number tells an attempt that was given up from a later one.
    Exchange(ExchangeId, u64),
}

/// One thing that happens.
pub(crate) enum Happening {
    /// Bytes, ends and room on a wire.
    Travel(Travel),
    /// A wish to connect reaches its target.
    Dial(Dialler, Address),
    /// The answer is back.
    Dialled(Dialler, Result<(Wire, End), ConnectFault>),
    /// A peer's sleep is over, unless it began another one.
    Woken(PeerId, u64),
    /// A peer comes back for another connection.
    Return(PeerId),
    /// The next of those who come by themselves, with this number.
    Arrive(usize),
    /// An exchange's deadline, unless it waits for another one by now.
    Deadline(ExchangeId),
    /// An exchange that waits for a connection was woken, or a copy for a mirror begins.
    Turn(ExchangeId),
    /// This sidecar, and all that share its limits, look at what they keep, because somebody waits or let go.
    Announced(usize),
    /// A sidecar looks for idle connections that have been idle for too long.
    Expire(usize),
}

impl From<Travel> for Happening {
    fn from(travel: Travel) -> Self {
        Self::Travel(travel)
    }
}
