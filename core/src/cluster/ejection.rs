//! Outlier detection: what counts against an endpoint, when it is taken out, and when it comes back.
//!
//! Envoy's detectors (Envoy reference §2): the consecutive ones here, those that look at rates in `rates`. There is no
//! timer: whoever picks or reports hands in the time, and the ticks that have passed are made up for first, so that the
//! outcome is that of a timer.

use core::num::NonZeroU32;

use super::atomic::{AtomicU32, Ordering};
use super::bucket::Origin;
use super::health::Ejection;
use super::host::HostState;
use super::outlier::OutlierDetection;
use super::rates;
use super::reason::Reason;
use super::state::ClusterState;
use crate::entropy::Entropy;
use crate::time::Instant;

/// What an attempt says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a connection to it, new or kept.
    Connected,
    /// The same where nothing else will be told of it: bytes pass that nobody understands.
    ConnectedFinally,
    /// It answered.
    Response(u16),
    /// It answered with a gRPC status, which counts as the HTTP status that stands for it whatever is listed as an error.
    Grpc(u16),
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
        (Outcome::Grpc(status), _) => Evidence::Status(status),
        (Outcome::Connected | Outcome::ConnectedFinally, true) => Evidence::LocalSuccess,
        (Outcome::ConnectedFinally, false) => Evidence::Status(200),
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

/// Counts an outcome, and takes the endpoint out when it is one too many; then it says why. Call [`sweep`] first.
pub fn report(
    detection: &OutlierDetection,
    host: &HostState,
    outcome: Outcome,
    now: Instant,
) -> Option<Reason> {
    let health = host.health();
    let rates = detection.looks_at_rates();
    let mut ejected = None;
    let mut count =
        |counter: &AtomicU32, threshold: Option<NonZeroU32>, reason: fn(u32) -> Reason| {
            let counted = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            // Equal, not above: of several workers one sees it, and above it nothing fires twice.
            if threshold.is_some_and(|threshold| threshold.get() == counted) {
                let reason = reason(counted);
                let fired = fire(detection, host, reason, now);
                if fired != Ejection::Gone {
                    counter.store(0, Ordering::Relaxed);
                }
                if fired == Ejection::Done {
                    ejected = Some(reason);
                }
            }
        };
    match evidence(detection, outcome) {
        Evidence::Status(status @ 500..=599) => {
            if rates {
                health.count(Origin::External, false);
            }
            if matches!(status, 502..=504) {
                count(
                    &health.consecutive_gateway,
                    detection.consecutive_gateway,
                    Reason::ConsecutiveGateway,
                );
            } else {
                health.consecutive_gateway.store(0, Ordering::Relaxed);
            }
            count(
                &health.consecutive_5xx,
                detection.consecutive_5xx,
                Reason::Consecutive5xx,
            );
        }
        Evidence::Status(_) => {
            if rates {
                health.count(Origin::External, true);
            }
            health.consecutive_gateway.store(0, Ordering::Relaxed);
            health.consecutive_5xx.store(0, Ordering::Relaxed);
        }
        Evidence::LocalSuccess => {
            if rates {
                health.count(Origin::Local, true);
            }
            health.consecutive_local_origin.store(0, Ordering::Relaxed);
        }
        Evidence::LocalFailure => {
            if rates {
                health.count(Origin::Local, false);
            }
            count(
                &health.consecutive_local_origin,
                detection.consecutive_local_origin,
                Reason::ConsecutiveLocalOrigin,
            );
        }
        Evidence::Nothing => {}
    }
    ejected
}

/// A threshold is reached, and its counter begins anew; but not that of an endpoint that is out already, which counts on
/// and cannot fire.
fn fire(detection: &OutlierDetection, host: &HostState, reason: Reason, now: Instant) -> Ejection {
    let (cluster, detector) = (host.cluster(), reason.detector());
    let ejection = host.health().eject(cluster, detection, reason, true, now);
    let tally = cluster.tally();
    match ejection {
        Ejection::Gone | Ejection::Moving => {}
        Ejection::NotEnforced => tally.count_detected(detector),
        Ejection::Refused => {
            tally.count_detected(detector);
            tally.count_overflow();
        }
        Ejection::Done => {
            tally.count_detected(detector);
            tally.count_enforced(detector);
        }
    }
    ejection
}

/// Makes up for the ticks that have passed: endpoints whose time is over come back, and those whose rates are bad go.
/// `hosts` are all of the cluster; `entropy` decides what is enforced only sometimes.
///
/// What happens is what a timer would have done, however many ticks are made up for at once. Whoever counts a result has
/// made up for all ticks before it. So all results that are counted now came before the first of these ticks, which looks
/// at their rates; the ticks after it find nothing counted, so they eject nobody, and bring back and forgive.
pub fn sweep<'a>(
    detection: &OutlierDetection,
    cluster: &ClusterState,
    hosts: impl Iterator<Item = &'a HostState> + Clone,
    now: Instant,
    entropy: Entropy,
) {
    let Some(ticks) = cluster.take_ticks(detection.interval, now) else {
        return;
    };
    let mut others = Some(ticks);
    if detection.looks_at_rates() {
        let (first, rest) = ticks.split();
        let all = || hosts.clone().map(HostState::health);
        all().for_each(|health| health.end_ejection(cluster, &first));
        rates::look(detection, cluster, hosts.clone(), first.first(), entropy);
        all().for_each(|health| health.forgive(detection, &first));
        if rest.is_some() {
            rates::show_nothing(detection, cluster, hosts.clone());
        }
        others = rest;
    }
    if let Some(ticks) = others {
        hosts.for_each(|host| host.health().tick(cluster, detection, &ticks));
    }
}

#[cfg(test)]
mod tests;
