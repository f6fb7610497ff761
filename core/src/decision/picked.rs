//! Why an endpoint was picked, with the numbers that were seen.

use serde::{Deserialize, Serialize};

use super::hashing::{HashedBy, LoadBound};
use crate::time::Duration;

/// Why this endpoint was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picked {
    /// Its priority.
    pub priority: u32,
    /// The share of traffic that its priority had, in percent.
    pub load: u8,
    /// Whether so few endpoints of its priority were healthy that health was ignored.
    pub is_panic: bool,
    /// Why its locality.
    pub locality: LocalityChoice,
    /// Why it, among those that were left.
    pub by: PickedBy,
}

impl Picked {
    /// In a cluster with one priority, in which nothing else was to be decided.
    #[must_use]
    pub const fn simply(by: PickedBy) -> Self {
        Self {
            priority: 0,
            load: 100,
            is_panic: false,
            locality: LocalityChoice::Any,
            by,
        }
    }
}

/// Why a locality was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocalityChoice {
    /// Localities did not matter.
    Any,
    /// By its weight.
    Weighted,
    /// It is the proxy's own, where all requests stay.
    Own,
    /// It is the proxy's own, where as many stay as it can carry.
    Kept,
    /// It has room that the proxy's own one has not.
    Other,
}

/// How an endpoint was picked among its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PickedBy {
    /// It was the only one.
    Only,
    /// Its turn had come.
    Turn,
    /// It was drawn at random.
    Random,
    /// It had fewer requests in flight than the other one drawn, or was drawn twice.
    LeastRequest {
        /// Requests in flight on the picked one.
        active: u32,
        /// The position of the other one drawn.
        other: u32,
        /// Requests in flight on the other one.
        other_active: u32,
    },
    /// The weighted scheduler's next (earliest deadline first).
    Weighted {
        /// The share of its weight that it had while warming up, in thousandths; 1000 once it is warm.
        warmth: u16,
    },
    /// Its hash led there.
    Hashed {
        /// The hash.
        hash: u64,
        /// What was hashed.
        by: HashedBy,
        /// The entry of the ring or of the Maglev table.
        entry: u32,
        /// How busy it was, where loads are bounded.
        bound: Option<LoadBound>,
    },
    /// It was likely to answer sooner than the other one drawn.
    PeakEwma {
        /// Its average response time, for each request it would have.
        cost: Duration,
        /// The position of the other one drawn.
        other: u32,
        /// The same of that one.
        other_cost: Duration,
    },
    /// Where the client wanted to go.
    OriginalDestination,
    /// The client named this pod of a headless service.
    Named,
}
