//! Whether one endpoint is in its cluster's rotation, and what it did to be taken out.
//!
//! Owns the atomics and the steps between states; when to take one is in `ejection` and `rates`. The place of an endpoint
//! changes by compare-and-exchange only, and whoever brings it out of `CLAIMED` owns the cluster's count for it, so the
//! count of endpoints that are out is exact whatever happens at the same time.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::bucket::{Bucket, Origin, Results, Shown};
use super::outlier::OutlierDetection;
use super::reason::{Ejected, EjectedCell, Reason};
use super::state::ClusterState;
use super::ticks::Ticks;
use crate::time::{Duration, Instant};

/// The part of a place that says which it is; the rest counts ejections. So an ejection that was seen is not taken for a
/// later one.
const WHICH: u64 = 0b11;
/// Beside [`LEFT`]: it is an endpoint, but the newest snapshot ejects nothing in its cluster.
const SAFE: u64 = WHICH + 1;
/// One more ejection.
const NEXT: u64 = SAFE << 1;

/// In rotation.
const IN: u64 = 0;
/// Somebody is moving it from `IN` to `OUT` or back.
const CLAIMED: u64 = 1;
/// Ejected.
const OUT: u64 = 2;
/// No longer an endpoint of the newest snapshot, or [`SAFE`]; requests and older snapshots still hold it.
const LEFT: u64 = 3;

/// It never came back from an ejection.
const NEVER: u64 = u64::MAX;

/// What became of an ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ejection {
    /// It is out now.
    Done,
    /// Too many others are out.
    Refused,
    /// It was only to be found out.
    NotEnforced,
    /// It is out already, or no endpoint any more.
    Gone,
    /// It is being moved at this very moment.
    Moving,
}

/// The health of one endpoint.
#[derive(Debug)]
pub(super) struct Health {
    place: AtomicU64,
    pub(super) consecutive_5xx: AtomicU32,
    pub(super) consecutive_gateway: AtomicU32,
    pub(super) consecutive_local_origin: AtomicU32,
    external: Monitor,
    local: Monitor,
    /// Means something while it is out.
    ejected: EjectedCell,
    /// Nanoseconds, or `NEVER`.
    returned_at: AtomicU64,
    /// How many times the base time the current ejection lasts, or the last one did.
    multiplier: AtomicU32,
}

/// What the rates of one kind of results are made of.
#[derive(Debug, Default)]
struct Monitor {
    bucket: Bucket,
    last_rate: Shown,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            place: AtomicU64::new(IN),
            consecutive_5xx: AtomicU32::default(),
            consecutive_gateway: AtomicU32::default(),
            consecutive_local_origin: AtomicU32::default(),
            external: Monitor::default(),
            local: Monitor::default(),
            ejected: EjectedCell::default(),
            returned_at: AtomicU64::new(NEVER),
            multiplier: AtomicU32::default(),
        }
    }
}

impl Health {
    fn place(&self) -> u64 {
        self.place.load(Ordering::Acquire)
    }

    pub(super) fn is_out(&self) -> bool {
        self.place() & WHICH == OUT
    }

    /// How often it has been taken out.
    pub(super) fn ejections(&self) -> u64 {
        self.place() / NEXT
    }

    /// Whether the newest snapshot does not name it.
    pub(super) fn has_left(&self) -> bool {
        self.place() & (WHICH | SAFE) == LEFT
    }

    /// The ejection that lasts.
    pub(super) fn ejected(&self) -> Option<Ejected> {
        loop {
            let seen = self.place();
            if seen & WHICH != OUT {
                return None;
            }
            let ejected = self.ejected.get();
            // Had any of it been of a later ejection, its claim would be seen here.
            if self.place() == seen {
                return Some(ejected);
            }
        }
    }

    fn step(&self, from: u64, to: u64) -> bool {
        self.place
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes the endpoint out, if the cluster allows one more (Envoy reference §2.5) and if it is to be `enforced`.
    pub(super) fn eject(
        &self,
        cluster: &ClusterState,
        detection: &OutlierDetection,
        reason: Reason,
        enforced: bool,
        now: Instant,
    ) -> Ejection {
        let seen = self.place();
        match seen & WHICH {
            IN => {}
            CLAIMED => return Ejection::Moving,
            _ => return Ejection::Gone,
        }
        if !enforced {
            return if cluster.has_room(detection) {
                Ejection::NotEnforced
            } else {
                Ejection::Refused
            };
        }
        let (claimed, out) = (seen | CLAIMED, (seen | OUT) + NEXT);
        if !self.step(seen, claimed) {
            return Ejection::Moving;
        }
        if !cluster.reserve_ejection(detection) {
            self.step(claimed, seen); // fails when it left meanwhile, and then it has left
            return Ejection::Refused;
        }
        let time = self.next_ejection_time(detection);
        self.ejected.set(Ejected {
            since: now,
            until: now + time,
            reason,
        });
        if !self.step(claimed, out) {
            cluster.release_ejection(); // it left meanwhile
            return Ejection::Gone;
        }
        cluster.health_changed();
        Ejection::Done
    }

    /// Begins as the copy of one that is out. Nobody else knows it yet.
    pub(super) fn begin_out(&self, ejected: Ejected, cluster: &ClusterState) {
        self.ejected.set(ejected);
        self.place.store(OUT + NEXT, Ordering::Release);
        cluster.begin_ejected();
    }

    /// Each ejection lasts one base time longer than the last, up to the longest.
    fn next_ejection_time(&self, detection: &OutlierDetection) -> Duration {
        let (base, most) = (detection.base_ejection_time, detection.max_ejection_time);
        let grown = |multiplier: u32| {
            let so_far = u128::from(multiplier) * base.as_nanos();
            (so_far < most.as_nanos() + base.as_nanos()).then(|| multiplier.saturating_add(1))
        };
        let last = self
            .multiplier
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        let multiplier = last.map_or_else(|full| full, |last| last.saturating_add(1));
        let wanted = base.checked_mul(multiplier);
        wanted.map_or(most, |wanted| wanted.min(most))
    }

    /// What the ticks of a sweep do to it when no detector looks at rates: it comes back, and later is forgiven.
    pub(super) fn tick(&self, cluster: &ClusterState, detection: &OutlierDetection, ticks: &Ticks) {
        self.end_ejection(cluster, ticks);
        self.forgive(detection, ticks);
    }

    /// It comes back with the first tick that is not before its time (Envoy reference §2.6).
    pub(super) fn end_ejection(&self, cluster: &ClusterState, ticks: &Ticks) {
        let seen = self.place();
        if seen & WHICH != OUT {
            return;
        }
        // Should this be of a later ejection, the step fails.
        let Some((at, _)) = ticks.from(self.ejected.until()) else {
            return;
        };
        let (claimed, back) = ((seen & !WHICH) | CLAIMED, (seen & !WHICH) | IN);
        if !self.step(seen, claimed) {
            return;
        }
        self.zero_counters();
        self.returned_at.store(at.as_nanos(), Ordering::Relaxed);
        cluster.release_ejection();
        self.step(claimed, back); // fails when it left meanwhile, and then it has left
        cluster.health_changed();
    }

    /// Each tick that finds it in rotation an interval after its return, or later, makes its next ejection shorter.
    pub(super) fn forgive(&self, detection: &OutlierDetection, ticks: &Ticks) {
        let returned_at = self.returned_at.load(Ordering::Relaxed);
        if returned_at == NEVER || self.is_out() {
            return;
        }
        let stayed = Instant::from_nanos(returned_at) + detection.interval;
        if let Some((_, count)) = ticks.from(stayed) {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let less = |multiplier: u32| Some(multiplier.saturating_sub(count));
            let _ = self
                .multiplier
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less); // never refuses
        }
    }

    /// It is no endpoint of the cluster any more: it counts no longer as out.
    pub(super) fn leave(&self, cluster: &ClusterState) {
        self.stay_in(cluster);
        self.place.fetch_and(!SAFE, Ordering::AcqRel);
    }

    /// Nothing is ejected in its cluster: it counts no longer as out, and what still runs on an older snapshot does not
    /// take it out.
    pub(super) fn stay_in(&self, cluster: &ClusterState) {
        if self.place.fetch_or(LEFT | SAFE, Ordering::AcqRel) & WHICH == OUT {
            cluster.release_ejection();
            cluster.health_changed();
        }
    }

    /// It is an endpoint again, and may be ejected; what it did before it left is forgotten.
    pub(super) fn join(&self) {
        let seen = self.place();
        if seen & WHICH == LEFT {
            self.zero_counters();
            self.forget_results();
            self.returned_at.store(NEVER, Ordering::Relaxed);
            self.multiplier.store(0, Ordering::Relaxed);
            // Only the compiler moves it from here, and there is one.
            self.step(seen, (seen & !(WHICH | SAFE)) | IN);
        }
    }

    /// One more result for the rates.
    pub(super) fn count(&self, origin: Origin, success: bool) {
        self.monitor(origin).bucket.count(success);
    }

    /// The interval's results, of which no rate is shown yet.
    pub(super) fn rotate(&self, origin: Origin) -> Results {
        let monitor = self.monitor(origin);
        monitor.last_rate.set(None);
        monitor.bucket.rotate()
    }

    pub(super) const fn last_rate(&self, origin: Origin) -> &Shown {
        &self.monitor(origin).last_rate
    }

    pub(super) fn forget_results(&self) {
        for origin in [Origin::External, Origin::Local] {
            self.rotate(origin);
        }
    }

    const fn monitor(&self, origin: Origin) -> &Monitor {
        match origin {
            Origin::External => &self.external,
            Origin::Local => &self.local,
        }
    }

    fn zero_counters(&self) {
        self.consecutive_5xx.store(0, Ordering::Relaxed);
        self.consecutive_gateway.store(0, Ordering::Relaxed);
        self.consecutive_local_origin.store(0, Ordering::Relaxed);
    }
}
