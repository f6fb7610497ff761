//! Time as a value.
//!
//! Owns the instant type that every function of this crate takes when it needs to know the time. There is no way to
//! ask for the time here: runtimes make instants from their clock, the simulator from its own, and a log can be read
//! back. Calendar time (for access logs and `date`) is a runtime's business; it adds a fixed offset to an instant.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, Sub};
pub use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since the runtime started. Monotonic within one process; comparable only within one runtime.
///
/// Up to 2^64 - 2 of them, which no runtime lives to see: one that may not be there takes no more memory than one that is, and
/// every connection and request holds several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// One more than the nanoseconds.
    NonZeroU64,
);

impl Instant {
    /// The moment the runtime started.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// An instant `nanos` nanoseconds after the runtime started.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// An instant `millis` milliseconds after the runtime started.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis * 1_000_000)
    }

    /// Nanoseconds since the runtime started.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Time passed since `earlier`; zero when `earlier` is later, because clocks of two threads may disagree slightly.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_nanos()).finish()
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_nanos().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_nanos)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{IntoDeserializer, value};

    use super::*;

    #[test]
    fn one_that_may_be_missing_takes_no_more_memory() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
        for nanos in [0, 1, u64::MAX - 1] {
            let at = Instant::from_nanos(nanos);
            assert_eq!(at.as_nanos(), nanos);
            let read = IntoDeserializer::<value::Error>::into_deserializer(nanos);
            assert_eq!(Instant::deserialize(read), Ok(at));
        }
        assert_eq!(Instant::default(), Instant::from_nanos(0));
    }

    #[test]
    fn arithmetic_saturates() {
        let late = Instant::from_nanos(u64::MAX - 1);
        assert_eq!(late + Duration::from_secs(1), Instant::from_nanos(u64::MAX));
        assert_eq!(Instant::ZERO - late, Duration::ZERO);
        assert_eq!(
            (Instant::from_millis(1500) - Instant::from_millis(500)).as_millis(),
            1000
        );
    }
}
