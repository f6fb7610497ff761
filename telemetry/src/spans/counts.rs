//! What became of spans, and how many wait: the bound that workers keep to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of the spans of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// A collector has taken them.
    pub exported: u64,
    /// There was no room for them, because collectors are away or slow.
    pub dropped: u64,
    /// No collector took them: it was away for too long, refused them, or the process ended.
    pub failed: u64,
    /// They wait for a collector now.
    pub waiting: u64,
}

/// The same, as it changes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicU64,
}

impl Counts {
    /// Lets so many spans wait, if there is room for all of them.
    pub(crate) fn admit(&self, spans: u64, room: u64) -> bool {
        let before = self.waiting.fetch_add(spans, Relaxed);
        let fits = before.saturating_add(spans) <= room;
        if !fits {
            self.waiting.fetch_sub(spans, Relaxed);
            self.dropped.fetch_add(spans, Relaxed);
        }
        fits
    }

    /// So many that waited were taken, and so many were not.
    pub(crate) fn settle(&self, exported: u64, failed: u64) {
        self.exported.fetch_add(exported, Relaxed);
        self.failed.fetch_add(failed, Relaxed);
        self.waiting.fetch_sub(exported + failed, Relaxed);
    }

    pub(crate) fn now(&self) -> SpanCounts {
        SpanCounts {
            exported: self.exported.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_whole() {
        let counts = Counts::default();
        assert!(counts.admit(3, 4));
        assert!(!counts.admit(2, 4));
        assert!(counts.admit(1, 4));
        counts.settle(2, 1);
        assert!(counts.admit(3, 4));
        let want = SpanCounts {
            exported: 2,
            dropped: 2,
            failed: 1,
            waiting: 4,
        };
        assert_eq!(counts.now(), want);
    }
}
