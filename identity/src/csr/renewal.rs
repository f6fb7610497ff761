//! When a certificate is renewed.

use std::time::{Duration, SystemTime};

/// How much chance moves the time, in hundredths of what is left: that of many that were given at once does not come at once.
const JITTER: f64 = 0.01;

/// When one that was received now is to be renewed: at half of what is left of it, give or take a hundredth of that. `chance` is
/// a random number, all of whose bits count.
#[must_use]
pub fn due(now: SystemTime, not_after: SystemTime, chance: u64) -> SystemTime {
    let left = not_after.duration_since(now).unwrap_or_default();
    now + left.mul_f64(0.5 + JITTER * (2.0 * part(chance) - 1.0))
}

/// From 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a part of a second is enough")]
fn part(chance: u64) -> f64 {
    chance as f64 / u64::MAX as f64
}

/// Longest sleep before the clock is looked at again: calendars jump, and machines stand still.
pub(super) const LOOK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_left_give_or_take_a_hundredth() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (left, chance, after) in [
            (86_400, u64::MAX / 2, 43_200.0),
            (86_400, 0, 42_336.0),
            (86_400, u64::MAX, 44_064.0),
            (100, u64::MAX, 51.0),
            (0, u64::MAX, 0.0),
        ] {
            let due = due(now, now + Duration::from_secs(left), chance);
            let got = due.duration_since(now).unwrap().as_secs_f64();
            assert!((got - after).abs() < 0.001, "{left} s: {got} s");
        }
        assert_eq!(due(now, now - Duration::from_secs(5), 7), now);
    }
}
