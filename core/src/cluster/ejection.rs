//! Outlier detection: what counts against an endpoint, when it is taken out, and when it comes back.
//!
//! Envoy's consecutive detectors as Istio sets them up (Envoy reference §2; success rate and failure percentage are
//! never on there). There is no timer: whoever picks or reports hands in the time, and the ticks that have passed are
//! made up for first, so that the outcome is that of a timer.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use super::health::Ejection;
use super::host::HostState;
use super::outlier::OutlierDetection;
use super::state::ClusterState;
use crate::time::{Duration, Instant};

/// The longest ejection, unless the first one is longer already (Envoy's default).
const MAX_EJECTION_TIME: Duration = Duration::from_secs(300);

/// What an attempt says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a connection to it, new or kept.
    Connected,
    /// It answered; a gRPC status counts as the HTTP status that stands for it.
    Response(u16),
    /// It did not answer in time.
    Timeout,
    /// No connection, or one that ended or broke the protocol before the response was complete.
    Failed,
}

/// What an outcome counts as, by the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// As a response with this status.
    Status(u16),
    /// For the connection.
    LocalSuccess,
    /// Against the connection.
    LocalFailure,
    /// As nothing.
    Nothing,
}

/// Envoy reference §2.2.
#[must_use]
pub fn evidence(detection: &OutlierDetection, outcome: Outcome) -> Evidence {
    match (outcome, detection.split_local_origin) {
        (Outcome::Response(status), _) => Evidence::Status(effective_status(detection, status)),
        (Outcome::Connected, true) => Evidence::LocalSuccess,
        (Outcome::Connected, false) => Evidence::Nothing,
        (Outcome::Timeout | Outcome::Failed, true) => Evidence::LocalFailure,
        (Outcome::Timeout, false) => Evidence::Status(504),
        (Outcome::Failed, false) => Evidence::Status(503),
    }
}

/// With a list of errors, what is not listed is a success, and what is listed is an error even below 500.
fn effective_status(detection: &OutlierDetection, status: u16) -> u16 {
    if detection.error_codes.is_empty() {
        status
    } else if detection.error_codes.binary_search(&status).is_err() {
        200
    } else if status < 500 {
        500
    } else {
        status
    }
}

/// Counts an outcome, and takes the endpoint out when it is one too many. Call [`sweep`] first.
pub fn report(detection: &OutlierDetection, host: &HostState, outcome: Outcome, now: Instant) {
    let health = host.health();
    let fire = |counter: &AtomicU32| {
        let ejection = health.eject(host.cluster(), detection, now);
        host.cluster().count_ejection(ejection);
        match ejection {
            Ejection::Done | Ejection::Refused => counter.store(0, Ordering::Relaxed),
            Ejection::Already => {}
        }
    };
    let count = |counter: &AtomicU32, threshold: Option<NonZeroU32>| {
        let counted = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // Equal, not above: of several workers one sees it, and above it nothing fires twice.
        if threshold.is_some_and(|threshold| threshold.get() == counted) {
            fire(counter);
        }
    };
    match evidence(detection, outcome) {
        Evidence::Status(status @ 500..=599) => {
            if matches!(status, 502..=504) {
                count(&health.consecutive_gateway, detection.consecutive_gateway);
            } else {
                health.consecutive_gateway.store(0, Ordering::Relaxed);
            }
            count(&health.consecutive_5xx, detection.consecutive_5xx);
        }
        Evidence::Status(_) => {
            health.consecutive_gateway.store(0, Ordering::Relaxed);
            health.consecutive_5xx.store(0, Ordering::Relaxed);
        }
        Evidence::LocalSuccess => health.consecutive_local_origin.store(0, Ordering::Relaxed),
        Evidence::LocalFailure => {
            let threshold = detection.consecutive_local_origin;
            count(&health.consecutive_local_origin, threshold);
        }
        Evidence::Nothing => {}
    }
}

/// Makes up for the ticks that have passed: endpoints whose time is over come back. `hosts` are all of the cluster.
pub fn sweep<'a>(
    detection: &OutlierDetection,
    cluster: &ClusterState,
    hosts: impl Iterator<Item = &'a HostState>,
    now: Instant,
) {
    if let Some(ticks) = cluster.take_ticks(detection.interval, now) {
        hosts.for_each(|host| host.health().tick(cluster, detection, &ticks));
    }
}

/// How long an ejection lasts at least; it ends with the first tick after that.
pub(super) fn ejection_time(detection: &OutlierDetection, multiplier: u32) -> Duration {
    let most = max_ejection_time(detection);
    let wanted = detection.base_ejection_time.checked_mul(multiplier);
    wanted.map_or(most, |wanted| wanted.min(most))
}

pub(super) fn max_ejection_time(detection: &OutlierDetection) -> Duration {
    MAX_EJECTION_TIME.max(detection.base_ejection_time)
}

#[cfg(test)]
mod tests;
