//! What a peer does too often: counted, and ended.
//!
//! Each rule costs its peer at least as much as it costs us until a limit is met, and the connection then.

use super::code::{Fatal, flood};
use super::limits::{Counts, Limits, Rate};
use crate::cluster::{Bucket, BucketSize};
use crate::time::{Duration, Instant};

/// WINDOW_UPDATE frames that are free, and those for each stream: as Envoy has it.
const FREE_WINDOW_UPDATES: u64 = 5;
const WINDOW_UPDATES_OF_STREAM: u64 = 2;

/// Counts what one peer does.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) counts: Counts,
    resets: Bucket,
    made_resets: Bucket,
    /// Frames in a row that carried nothing, of no stream that is alive.
    empty: u32,
    priorities: u64,
    window_updates: u64,
    streams: u64,
    data_frames: u64,
}

const RESETS: Fatal = flood(
    "http2.inbound_reset_flood",
    "the peer resets too many streams",
);
const MADE_RESETS: Fatal = flood(
    "http2.outbound_reset_flood",
    "too many streams of the peer had to be reset",
);
const EMPTY: Fatal = flood(
    "http2.inbound_empty_frames_flood",
    "too many frames that carry nothing",
);
const PRIORITIES: Fatal = flood(
    "http2.inbound_priority_frames_flood",
    "too many PRIORITY frames",
);
const WINDOW_UPDATES: Fatal = flood(
    "http2.inbound_window_update_frames_flood",
    "too many WINDOW_UPDATE frames",
);

fn take(bucket: &Bucket, rate: Rate, now: Instant) -> bool {
    let second = Duration::from_secs(1);
    bucket.take(BucketSize::new(rate.burst, rate.per_second, second), now)
}

impl Guard {
    /// A stream was opened, by either side.
    pub(super) const fn opened(&mut self) {
        self.streams += 1;
    }

    /// A DATA frame was written.
    pub(super) const fn sent_data(&mut self) {
        self.data_frames += 1;
    }

    /// The peer reset a stream that had not ended (rapid reset).
    pub(super) fn on_reset(&mut self, limits: &Limits, now: Instant) -> Result<(), Fatal> {
        self.counts.resets += 1;
        if take(&self.resets, limits.resets, now) {
            return Ok(());
        }
        self.counts.reset_floods += 1;
        Err(RESETS)
    }

    /// The peer made us reset a stream ("made you reset").
    pub(super) fn on_made_reset(&mut self, limits: &Limits, now: Instant) -> Result<(), Fatal> {
        self.counts.made_resets += 1;
        if take(&self.made_resets, limits.made_resets, now) {
            return Ok(());
        }
        self.counts.made_reset_floods += 1;
        Err(MADE_RESETS)
    }

    /// A frame came that may carry something. `is_empty`: it does not, and ends nothing; `before` is how many in a row did
    /// not before it. How many there are now.
    pub(super) fn on_payload(
        &mut self,
        before: u32,
        is_empty: bool,
        limits: &Limits,
    ) -> Result<u32, Fatal> {
        let now = if is_empty { before + 1 } else { 0 };
        if now <= limits.empty_frames {
            return Ok(now);
        }
        self.counts.empty_frames += 1;
        Err(EMPTY)
    }

    /// The same for frames that are of no stream which is alive: header blocks, and what is late.
    pub(super) fn on_other_payload(
        &mut self,
        is_empty: bool,
        limits: &Limits,
    ) -> Result<(), Fatal> {
        self.empty = self.on_payload(self.empty, is_empty, limits)?;
        Ok(())
    }

    pub(super) fn on_priority(&mut self, limits: &Limits) -> Result<(), Fatal> {
        self.priorities += 1;
        if self.priorities <= u64::from(limits.priority_frames) * (1 + self.streams) {
            return Ok(());
        }
        self.counts.priority_frames += 1;
        Err(PRIORITIES)
    }

    pub(super) fn on_window_update(&mut self, limits: &Limits) -> Result<(), Fatal> {
        self.window_updates += 1;
        let fair = self.streams + u64::from(limits.window_updates) * self.data_frames;
        if self.window_updates <= FREE_WINDOW_UPDATES + WINDOW_UPDATES_OF_STREAM * fair {
            return Ok(());
        }
        self.counts.window_updates += 1;
        Err(WINDOW_UPDATES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        resets: Rate {
            burst: 3,
            per_second: 2,
        },
        ..Limits::SERVER
    };

    #[test]
    fn resets_have_a_burst_and_a_rate() {
        let mut guard = Guard::default();
        for (millis, may) in [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (499, false),
            (500, true),
            (500, false),
            (9000, true),
            (9000, true),
            (9000, true),
            (9000, false),
        ] {
            let got = guard.on_reset(&LIMITS, Instant::from_millis(millis));
            assert_eq!(got.is_ok(), may, "{millis}");
        }
        assert_eq!(guard.counts.resets, 11);
        assert_eq!(guard.counts.reset_floods, 4);
        assert!(guard.on_made_reset(&LIMITS, Instant::ZERO).is_ok());
    }

    #[test]
    fn work_earns_frames() {
        let mut guard = Guard::default();
        for (streams, data, updates) in [(0, 0, 5), (1, 0, 7), (0, 3, 67)] {
            (0..streams).for_each(|_| guard.opened());
            (0..data).for_each(|_| guard.sent_data());
            while guard.window_updates < updates {
                assert!(guard.on_window_update(&LIMITS).is_ok());
            }
        }
        assert!(guard.on_window_update(&LIMITS).is_err());
        for _ in 0..200 {
            assert!(guard.on_priority(&LIMITS).is_ok());
        }
        assert!(guard.on_priority(&LIMITS).is_err());
        for (is_empty, may) in [(true, true), (false, true), (true, true), (true, false)] {
            assert_eq!(guard.on_other_payload(is_empty, &LIMITS).is_ok(), may);
        }
    }
}
