//! Everything that can happen in a simulation.

use outrigger_core::peer::UpstreamId;
use outrigger_core::snapshot::Address;
use outrigger_core::worker::ConnectFault;

use crate::network::{End, Travel, Wire};

/// A peer, by its seat and how many had that seat before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialler {
    Peer(PeerId),
    /// The connection's name tells one that was given up from a later one.
    Thread(usize, UpstreamId),
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
    /// This thread, and all that share its limits, look at what they keep, because somebody waits or let go.
    Announced(usize),
    /// A thread looks at what has taken too long.
    Look(usize),
    /// A thread of this sidecar hears of a new configuration.
    Published(usize, usize),
}

impl From<Travel> for Happening {
    fn from(travel: Travel) -> Self {
        Self::Travel(travel)
    }
}
