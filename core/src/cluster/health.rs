//! Whether one endpoint is in its cluster's rotation, and what it did to be taken out.
//!
//! Owns the atomics and the steps between states; when to take one is in `ejection`. The place of an endpoint changes
//! by compare-and-exchange only, and whoever brings it out of `CLAIMED` owns the cluster's count for it, so the count of
//! endpoints that are out is exact whatever happens at the same time.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::ejection::{ejection_time, max_ejection_time};
use super::outlier::OutlierDetection;
use super::state::ClusterState;
use super::ticks::Ticks;
use crate::time::Instant;

/// In rotation.
const IN: u8 = 0;
/// Somebody is moving it from `IN` to `OUT` or back.
const CLAIMED: u8 = 1;
/// Ejected.
const OUT: u8 = 2;
/// No longer an endpoint of the newest snapshot; requests and older snapshots still hold it.
const LEFT: u8 = 3;

/// In rotation, and nothing is ejected in its cluster, whatever an older snapshot says.
const SAFE: u8 = 4;

/// It never came back from an ejection.
const NEVER: u64 = u64::MAX;

/// What became of an ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ejection {
    /// It is out now.
    Done,
    /// Too many others are out.
    Refused,
    /// It was out already.
    Already,
}

/// The health of one endpoint.
#[derive(Debug)]
pub(super) struct Health {
    place: AtomicU8,
    pub(super) consecutive_5xx: AtomicU32,
    pub(super) consecutive_gateway: AtomicU32,
    pub(super) consecutive_local_origin: AtomicU32,
    /// Nanoseconds; means something while it is out.
    ejected_at: AtomicU64,
    /// Nanoseconds, or `NEVER`.
    returned_at: AtomicU64,
    /// How many times the base time the current ejection lasts, or the last one did.
    multiplier: AtomicU32,
}

impl Health {
    pub(super) const fn new() -> Self {
        Self {
            place: AtomicU8::new(IN),
            consecutive_5xx: AtomicU32::new(0),
            consecutive_gateway: AtomicU32::new(0),
            consecutive_local_origin: AtomicU32::new(0),
            ejected_at: AtomicU64::new(0),
            returned_at: AtomicU64::new(NEVER),
            multiplier: AtomicU32::new(0),
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.place.load(Ordering::Acquire) == OUT
    }

    /// Whether the newest snapshot does not name it.
    pub(super) fn has_left(&self) -> bool {
        self.place.load(Ordering::Acquire) == LEFT
    }

    fn step(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.place
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Takes the endpoint out, if the cluster allows one more (Envoy reference §2.5).
    pub(super) fn eject(
        &self,
        cluster: &ClusterState,
        detection: &OutlierDetection,
        now: Instant,
    ) -> Ejection {
        if let Err(place) = self.step(IN, CLAIMED) {
            // What is being moved at this very moment counts as refused: its counter starts anew.
            return if place == OUT {
                Ejection::Already
            } else {
                Ejection::Refused
            };
        }
        if !cluster.reserve_ejection(detection.max_ejection_percent) {
            let _ = self.step(CLAIMED, IN); // fails when it left meanwhile, and then it has left
            return Ejection::Refused;
        }
        let multiplier = self.multiplier.load(Ordering::Relaxed);
        let base = detection.base_ejection_time.as_nanos();
        if u128::from(multiplier) * base < max_ejection_time(detection).as_nanos() + base {
            self.multiplier.store(multiplier + 1, Ordering::Relaxed);
        }
        self.ejected_at.store(now.as_nanos(), Ordering::Relaxed);
        if self.step(CLAIMED, OUT).is_err() {
            cluster.release_ejection(); // it left meanwhile
            return Ejection::Refused;
        }
        cluster.health_changed();
        Ejection::Done
    }

    /// What the ticks of a sweep do to it: its time out may be over, and its next one may become shorter.
    pub(super) fn tick(&self, cluster: &ClusterState, detection: &OutlierDetection, ticks: &Ticks) {
        if self.is_out() {
            let multiplier = self.multiplier.load(Ordering::Relaxed);
            let ejected_at = Instant::from_nanos(self.ejected_at.load(Ordering::Relaxed));
            let due = ejected_at + ejection_time(detection, multiplier);
            let Some((at, _)) = ticks.from(due) else {
                return;
            };
            self.come_back(cluster, at);
        }
        let returned_at = self.returned_at.load(Ordering::Relaxed);
        if returned_at == NEVER {
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

    /// Envoy reference §2.6.
    fn come_back(&self, cluster: &ClusterState, at: Instant) {
        if self.step(OUT, CLAIMED).is_err() {
            return;
        }
        self.zero_counters();
        self.returned_at.store(at.as_nanos(), Ordering::Relaxed);
        cluster.release_ejection();
        let _ = self.step(CLAIMED, IN); // fails when it left meanwhile, and then it has left
        cluster.health_changed();
    }

    /// It is no endpoint of the cluster any more: it counts no longer as out.
    pub(super) fn leave(&self, cluster: &ClusterState) {
        self.go(LEFT, cluster);
    }

    /// It is an endpoint again; what it did before it left is forgotten.
    pub(super) fn join(&self) {
        self.begin_anew_from(LEFT);
    }

    /// The newest snapshot ejects nothing in its cluster: it is not out, and requests that still run on an older
    /// snapshot do not take it out.
    pub(super) fn stay_in(&self, cluster: &ClusterState) {
        self.go(SAFE, cluster);
    }

    /// It may be ejected.
    pub(super) fn may_go_out(&self) {
        self.begin_anew_from(SAFE);
    }

    /// Whoever has claimed it finds it gone, and takes back what it counted.
    fn go(&self, to: u8, cluster: &ClusterState) {
        if self.place.swap(to, Ordering::AcqRel) == OUT {
            cluster.release_ejection();
            cluster.health_changed();
        }
    }

    fn begin_anew_from(&self, place: u8) {
        if self.place.load(Ordering::Acquire) == place {
            self.zero_counters();
            self.returned_at.store(NEVER, Ordering::Relaxed);
            self.multiplier.store(0, Ordering::Relaxed);
            let _ = self.step(place, IN); // only the compiler moves it from here, and there is one
        }
    }

    fn zero_counters(&self) {
        self.consecutive_5xx.store(0, Ordering::Relaxed);
        self.consecutive_gateway.store(0, Ordering::Relaxed);
        self.consecutive_local_origin.store(0, Ordering::Relaxed);
    }
}
