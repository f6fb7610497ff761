//! Detectors that look at the rates of an interval: success rate and failure percentage (Envoy reference §2.4).
//!
//! Rates are compared as Envoy compares them, in doubles, so that what is exactly at a threshold falls on the same side.

use super::bucket::{Origin, Results};
use super::health::Ejection;
use super::host::HostState;
use super::outlier::{FailurePercentage, OutlierDetection, SuccessRate};
use super::reason::Reason;
use super::state::ClusterState;
use crate::entropy::{Draw, Entropy};
use crate::time::Instant;

/// An endpoint that had results.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    host: &'a HostState,
    results: Results,
    rate: f64,
}

/// A sweep's look at one kind of results.
struct Look<'a> {
    detection: &'a OutlierDetection,
    cluster: &'a ClusterState,
    origin: Origin,
    at: Instant,
    entropy: Entropy,
}

/// The interval is over at this instant: looks at all endpoints, ejects those with bad rates, and begins to count anew.
pub(super) fn look<'a>(
    detection: &OutlierDetection,
    cluster: &ClusterState,
    hosts: impl Iterator<Item = &'a HostState> + Clone,
    at: Instant,
    entropy: Entropy,
) {
    for origin in origins(detection) {
        let look = Look {
            detection,
            cluster,
            origin: *origin,
            at,
            entropy,
        };
        look.run(hosts.clone());
    }
}

/// A sweep in which nobody had results.
pub(super) fn show_nothing<'a>(
    detection: &OutlierDetection,
    cluster: &ClusterState,
    hosts: impl Iterator<Item = &'a HostState> + Clone,
) {
    for origin in origins(detection) {
        cluster.rate_statistics(*origin).clear();
        for host in hosts.clone() {
            host.health().last_rate(*origin).set(None);
        }
    }
}

const fn origins(detection: &OutlierDetection) -> &'static [Origin] {
    if detection.split_local_origin {
        &[Origin::External, Origin::Local]
    } else {
        &[Origin::External]
    }
}

impl Look<'_> {
    fn run<'a>(&self, hosts: impl Iterator<Item = &'a HostState>) {
        self.cluster.rate_statistics(self.origin).clear();
        let (mut endpoints, mut candidates) = (0, Vec::new());
        for host in hosts {
            endpoints += 1;
            let results = host.health().rotate(self.origin);
            if let Some(rate) = results.success_rate()
                && !host.is_ejected()
            {
                candidates.push(Candidate {
                    host,
                    results,
                    rate,
                });
            }
        }
        let (success_rate, failure_percentage) = (
            self.detection.success_rate,
            self.detection.failure_percentage,
        );
        let needs = [
            success_rate.map(|s| (s.minimum_hosts, s.request_volume)),
            failure_percentage.map(|f| (f.minimum_hosts, f.request_volume)),
        ];
        let needs = needs.into_iter().flatten();
        if needs.clone().all(|(minimum, _)| endpoints < minimum) {
            return;
        }
        let volume = needs.map(|(_, volume)| volume).min();
        for candidate in candidates
            .iter()
            .filter(|c| Some(c.results.total) >= volume)
        {
            let shown = candidate.host.health().last_rate(self.origin);
            shown.set(Some(candidate.rate));
        }
        if let Some(settings) = success_rate {
            self.compare(&settings, &candidates);
        }
        if let Some(settings) = failure_percentage {
            self.measure(&settings, &candidates);
        }
    }

    /// Ejects those that succeed less often than the others.
    fn compare(&self, settings: &SuccessRate, candidates: &[Candidate<'_>]) {
        let enough = with_volume(candidates, settings.request_volume);
        let Some((mean, least)) = least_success_rate(enough.clone().map(|c| c.rate), settings)
        else {
            return;
        };
        let statistics = self.cluster.rate_statistics(self.origin);
        statistics.mean.set(Some(mean));
        statistics.least.set(Some(least));
        for candidate in enough.filter(|c| c.rate < least) {
            let reason = Reason::SuccessRate {
                origin: self.origin,
                results: candidate.results,
                least,
            };
            self.eject(candidate.host, reason, settings.enforcing);
        }
    }

    /// Ejects those that fail too often.
    fn measure(&self, settings: &FailurePercentage, candidates: &[Candidate<'_>]) {
        let enough = with_volume(candidates, settings.request_volume);
        if !is_enough(enough.clone().count(), settings.minimum_hosts) {
            return;
        }
        let threshold = settings.threshold;
        for candidate in enough.filter(|c| 100.0 - c.rate >= f64::from(threshold)) {
            let reason = Reason::FailurePercentage {
                origin: self.origin,
                results: candidate.results,
                threshold,
            };
            self.eject(candidate.host, reason, settings.enforcing);
        }
    }

    fn eject(&self, host: &HostState, reason: Reason, enforcing: u8) {
        let (tally, detector) = (self.cluster.tally(), reason.detector());
        tally.count_detected(detector);
        let index = (u64::from(host.id()) << 3) | detector.index() as u64;
        let roll = self.entropy.draw(Draw::Enforcement, index) % 100;
        let enforced = roll < u64::from(enforcing);
        let health = host.health();
        match health.eject(self.cluster, self.detection, reason, enforced, self.at) {
            Ejection::Done => tally.count_enforced(detector),
            Ejection::Refused => tally.count_overflow(),
            // The other detector, or a response of this moment, was first: it is out once and counted once.
            Ejection::Gone | Ejection::Moving | Ejection::NotEnforced => {}
        }
    }
}

fn with_volume<'a, 'h>(
    candidates: &'a [Candidate<'h>],
    volume: u32,
) -> impl Iterator<Item = &'a Candidate<'h>> + Clone {
    let enough = move |c: &&Candidate<'_>| c.results.total >= volume;
    candidates.iter().filter(enough)
}

fn is_enough(candidates: usize, minimum: u32) -> bool {
    candidates > 0 && candidates >= minimum as usize
}

/// The mean of success rates, and what is so many standard deviations (of the population) below it. `None` when there are
/// too few of them.
fn least_success_rate(
    rates: impl Iterator<Item = f64> + Clone,
    settings: &SuccessRate,
) -> Option<(f64, f64)> {
    let count = rates.clone().count();
    if !is_enough(count, settings.minimum_hosts) {
        return None;
    }
    let count = count as f64;
    let mean = rates.clone().sum::<f64>() / count;
    let variance = rates.map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count;
    let factor = f64::from(settings.stdev_factor) / 1000.0;
    Some((mean, mean - factor * variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_rate_is_so_many_deviations_below_the_mean() {
        let settings = |stdev_factor, minimum_hosts| SuccessRate {
            minimum_hosts,
            request_volume: 1,
            stdev_factor,
            enforcing: 100,
        };
        let five_good = [100.0, 100.0, 100.0, 100.0, 100.0, 40.0];
        for (rates, factor, minimum_hosts, want) in [
            // Envoy reference §2.4: mean 90, deviation 22.36.
            (
                &five_good[..],
                1900,
                5,
                Some((90.0, 90.0 - 1.9 * 500f64.sqrt())),
            ),
            (&five_good, 1000, 6, Some((90.0, 90.0 - 500f64.sqrt()))),
            (&five_good, 0, 6, Some((90.0, 90.0))),
            (&five_good, 1900, 7, None),
            (&[50.0], 1900, 1, Some((50.0, 50.0))),
            (&[0.0, 100.0], 5000, 0, Some((50.0, -200.0))),
            (&[], 1900, 0, None),
        ] {
            let got = least_success_rate(rates.iter().copied(), &settings(factor, minimum_hosts));
            assert_eq!(got, want, "{rates:?} {factor} {minimum_hosts}");
        }
        let (_, least) = least_success_rate(five_good.into_iter(), &settings(1900, 5)).unwrap();
        assert!((47.51..47.52).contains(&least), "{least}");
    }
}
