//! Live state of one cluster: what holds for all its endpoints together.

use super::adaptive::AdaptiveLimit;
use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::bucket::{Origin, Shown};
use super::choices::Choices;
use super::limit_answers::LimitAnswers;
use super::limits::Gauges;
use super::outlier::OutlierDetection;
use super::retries::Retries;
use super::tally::Tally;
use super::ticks::{LastTick, Ticks};
use super::tls_counts::TlsCounts;
use crate::time::{Duration, Instant};

/// What all workers share about one cluster, from one snapshot to the next.
#[derive(Debug, Default)]
pub struct ClusterState {
    /// Endpoints of the newest snapshot.
    endpoints: AtomicU32,
    /// Counts changes of anybody's health.
    health_version: AtomicU64,
    /// Endpoints that are out, and places taken for ones about to be.
    ejections_active: AtomicU32,
    tally: Tally,
    external: RateStatistics,
    local: RateStatistics,
    last_tick: LastTick,
    gauges: Gauges,
    retries: Retries,
    adaptive: AdaptiveLimit,
    choices: Choices,
    limit_answers: LimitAnswers,
    tls: TlsCounts,
}

/// What the last sweep made of the success rates of a cluster's endpoints.
#[derive(Debug, Default)]
pub(super) struct RateStatistics {
    pub(super) mean: Shown,
    pub(super) least: Shown,
}

impl RateStatistics {
    pub(super) fn clear(&self) {
        self.mean.set(None);
        self.least.set(None);
    }
}

impl ClusterState {
    /// What is counted against the circuit limits.
    #[must_use]
    pub const fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// The limit that follows response times, where there is one.
    #[must_use]
    pub const fn adaptive(&self) -> &AdaptiveLimit {
        &self.adaptive
    }

    /// What the service that keeps global rate limits said of its requests.
    #[must_use]
    pub const fn limit_answers(&self) -> &LimitAnswers {
        &self.limit_answers
    }

    /// What became of TLS on connections to its endpoints.
    #[must_use]
    pub const fn tls(&self) -> &TlsCounts {
        &self.tls
    }

    pub(super) const fn retries(&self) -> &Retries {
        &self.retries
    }

    pub(super) const fn choices(&self) -> &Choices {
        &self.choices
    }

    /// How many endpoints the newest snapshot gives the cluster.
    #[must_use]
    pub fn endpoints(&self) -> u32 {
        self.endpoints.load(Ordering::Relaxed)
    }

    /// The cluster has that many endpoints now.
    pub fn set_endpoints(&self, count: u32) {
        if self.endpoints.swap(count, Ordering::Relaxed) != count {
            self.health_changed();
        }
    }

    /// Grows whenever the health of an endpoint changes: who keeps a list of healthy ones makes it anew then.
    #[must_use]
    pub fn health_version(&self) -> u64 {
        // Acquire: whoever sees the number sees the change that it counts.
        self.health_version.load(Ordering::Acquire)
    }

    /// Endpoints that are ejected (`ejections_active`).
    #[must_use]
    pub fn ejections_active(&self) -> u32 {
        self.ejections_active.load(Ordering::Relaxed)
    }

    /// What became of ejections so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The mean success rate of the endpoints that the success-rate detector compared with the last sweep, in percent,
    /// and the least one that it let pass. `None` when it did not compare any.
    #[must_use]
    pub fn success_rate(&self, origin: Origin) -> (Option<f64>, Option<f64>) {
        let statistics = self.rate_statistics(origin);
        (statistics.mean.get(), statistics.least.get())
    }

    pub(super) const fn rate_statistics(&self, origin: Origin) -> &RateStatistics {
        match origin {
            Origin::External => &self.external,
            Origin::Local => &self.local,
        }
    }

    pub(super) fn health_changed(&self) {
        self.health_version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn take_ticks(&self, interval: Duration, now: Instant) -> Option<Ticks> {
        self.last_tick.take(interval, now)
    }

    /// One of its endpoints begins as one that is out.
    pub(super) fn begin_ejected(&self) {
        self.ejections_active.fetch_add(1, Ordering::Relaxed);
        self.health_changed();
    }

    /// Counts one more endpoint as out, unless that were more than the allowed share of all (Envoy reference §2.5).
    pub(super) fn reserve_ejection(&self, detection: &OutlierDetection) -> bool {
        self.ejections_active
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |active| {
                self.one_more(detection, active)
            })
            .is_ok()
    }

    /// Whether one more endpoint may be out now.
    pub(super) fn has_room(&self, detection: &OutlierDetection) -> bool {
        self.one_more(detection, self.ejections_active()).is_some()
    }

    fn one_more(&self, detection: &OutlierDetection, active: u32) -> Option<u32> {
        let allowed = u64::from(detection.max_ejection_percent) * u64::from(self.endpoints());
        let after = active.checked_add(1)?;
        let is_allowed = 100 * u64::from(after) <= allowed;
        (is_allowed || (detection.always_eject_one && active == 0)).then_some(after)
    }

    pub(super) fn release_ejection(&self) {
        self.ejections_active.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_healthy_are_made_anew_when_the_number_of_endpoints_changes() {
        let state = ClusterState::default();
        for (count, versions) in [(3, 1), (3, 0), (2, 1), (2, 0), (0, 1)] {
            let before = state.health_version();
            state.set_endpoints(count);
            assert_eq!(state.endpoints(), count);
            assert_eq!(state.health_version() - before, versions, "{count}");
        }
    }
}
