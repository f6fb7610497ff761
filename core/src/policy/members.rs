//! The endpoints of one priority in numbers, and what traffic it gets.

use smallvec::SmallVec;

/// Envoy takes a priority for fully available while this much of its traffic, in percent, could be spread over it.
pub const OVERPROVISIONING: u64 = 140;

/// The endpoints of one priority, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Those in rotation.
    pub healthy: u32,
    /// All of them.
    pub all: u32,
}

impl Members {
    /// How much of the cluster's traffic they could carry, 0 to 100: the healthy share, and 40 % more.
    #[must_use]
    pub fn availability(self) -> u8 {
        let carried = OVERPROVISIONING * u64::from(self.healthy);
        let percent = carried.checked_div(u64::from(self.all)).unwrap_or(0);
        percent.min(100) as u8 // at most 100
    }
}

/// What one priority gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Of all traffic, in percent.
    pub load: u8,
    /// Whether its endpoints are used as if all were healthy.
    pub is_panic: bool,
}

/// What every priority gets, the first priority first. The loads total 100 unless there are no priorities.
pub type Shares = SmallVec<[Share; 2]>;
