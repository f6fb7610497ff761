//! Ejection: the share that may be out is never passed, and the count of those that are is exact, whatever workers report,
//! sweep and reload at the same time.

use core::num::NonZeroU32;
use std::sync::Arc;

use loom::thread;

use crate::cluster::ejection::{Outcome, report, sweep};
use crate::cluster::{
    ClusterState, Detector, FailurePercentage, HostKey, HostState, Origin, OutlierDetection,
    Reason, Registry,
};
use crate::entropy::Entropy;
use crate::time::{Duration, Instant};

/// Errors in a row that are too many; everybody may go; sweeps every second, out for one.
pub(crate) fn after(errors: u32) -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: NonZeroU32::new(errors),
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(1),
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    }
}

/// The endpoints of one cluster, and how they are ejected.
pub(crate) struct Pool {
    pub(crate) detection: OutlierDetection,
    pub(crate) cluster: Arc<ClusterState>,
    pub(crate) hosts: Vec<Arc<HostState>>,
}

impl Pool {
    pub(crate) fn new(hosts: usize, detection: OutlierDetection) -> (Self, Registry) {
        let mut registry = Registry::default();
        let cluster = registry.cluster("c");
        cluster.set_endpoints(hosts as u32);
        let pool = Self {
            hosts: (0..hosts).map(|at| registry.host(key(at))).collect(),
            cluster,
            detection,
        };
        (pool, registry)
    }

    pub(crate) fn fails(&self, host: usize, now: Instant) {
        report(&self.detection, &self.hosts[host], Outcome::Failed, now);
    }

    pub(crate) fn sweep(&self, now: Instant) {
        let hosts = self.hosts.iter().map(|host| &**host);
        sweep(&self.detection, &self.cluster, hosts, now, Entropy(0));
    }

    pub(crate) fn out(&self) -> u32 {
        self.hosts
            .iter()
            .map(|host| u32::from(host.is_ejected()))
            .sum()
    }

    /// Nothing is under way any more: what is counted is what is.
    pub(crate) fn at_rest(&self) {
        assert_eq!(self.cluster.ejections_active(), self.out());
    }
}

pub(crate) fn key(at: usize) -> HostKey {
    HostKey {
        cluster: "c".into(),
        address: at.to_string().into(),
    }
}

pub(crate) const fn second(number: u64) -> Instant {
    Instant::from_millis(1000 * number)
}

/// Two workers at once; the results of both.
fn both<A: 'static, B>(
    pool: &Arc<Pool>,
    there: impl FnOnce(&Pool) -> A + 'static,
    here: impl FnOnce(&Pool) -> B,
) -> (Option<A>, B) {
    let theirs = Arc::clone(pool);
    let other = thread::spawn(move || there(&theirs));
    let here = here(pool);
    (other.join().ok(), here)
}

/// Two endpoints fail on two workers, and one of two may be out.
pub fn the_share_is_never_passed() {
    let detection = OutlierDetection {
        max_ejection_percent: 50,
        ..after(1)
    };
    let pool = Arc::new(Pool::new(2, detection).0);
    let fails = |host| {
        move |pool: &Pool| {
            pool.fails(host, second(0));
            assert!(pool.cluster.ejections_active() <= 1);
        }
    };
    both(&pool, fails(0), fails(1));
    pool.at_rest();
    assert_eq!(pool.out(), 1, "one may go, so one goes");
    let tally = pool.cluster.tally();
    assert_eq!((tally.enforced_total(), tally.overflow()), (1, 1));
}

/// Two errors on two workers are two in a row.
pub fn errors_of_all_workers_add_up() {
    let pool = Arc::new(Pool::new(1, after(2)).0);
    both(
        &pool,
        |pool| pool.fails(0, second(0)),
        |pool| pool.fails(0, second(0)),
    );
    pool.at_rest();
    assert_eq!(pool.out(), 1);
}

/// Nobody may be out. Of three errors on two workers two are too many, which is found once.
pub fn a_threshold_is_found_once() {
    let detection = OutlierDetection {
        max_ejection_percent: 1,
        ..after(2)
    };
    let pool = Arc::new(Pool::new(1, detection).0);
    both(
        &pool,
        |pool| {
            pool.fails(0, second(0));
            pool.fails(0, second(0));
        },
        |pool| pool.fails(0, second(0)),
    );
    pool.at_rest();
    let tally = pool.cluster.tally();
    assert_eq!(tally.detected(Detector::Consecutive5xx), 1);
    assert_eq!((tally.enforced_total(), tally.overflow()), (0, 1));
}

/// Three errors of one endpoint on two workers, and two are too many.
pub fn a_threshold_fires_and_ejects_once() {
    let pool = Arc::new(Pool::new(1, after(2)).0);
    both(
        &pool,
        |pool| {
            pool.fails(0, second(0));
            pool.fails(0, second(0));
        },
        |pool| pool.fails(0, second(0)),
    );
    pool.at_rest();
    assert_eq!(pool.out(), 1);
    assert_eq!(pool.cluster.tally().enforced_total(), 1);
}

/// One worker sees an error, the other a success.
pub fn a_success_does_no_harm_at_any_moment() {
    let pool = Arc::new(Pool::new(1, after(1)).0);
    both(
        &pool,
        |pool| pool.fails(0, second(0)),
        |pool| {
            let outcome = Outcome::Response(200);
            report(&pool.detection, &pool.hosts[0], outcome, second(0));
        },
    );
    pool.at_rest();
    assert_eq!(pool.out(), 1, "one error is too many whenever it is seen");
}

/// Two detectors fire on two workers for the same endpoint.
pub fn of_two_detectors_one_ejects() {
    let detection = OutlierDetection {
        split_local_origin: true,
        consecutive_local_origin: NonZeroU32::new(1),
        ..after(1)
    };
    let pool = Arc::new(Pool::new(2, detection).0);
    both(
        &pool,
        |pool| pool.fails(0, second(0)),
        |pool| {
            let outcome = Outcome::Response(500);
            report(&pool.detection, &pool.hosts[0], outcome, second(0));
        },
    );
    pool.at_rest();
    assert_eq!(pool.out(), 1);
    assert_eq!(pool.cluster.tally().enforced_total(), 1);
    assert!(pool.hosts[0].ejected().is_some());
}

/// The time of an ejection is over, and both workers find out.
pub fn an_ejection_ends_once() {
    let pool = Arc::new(Pool::new(2, after(1)).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    both(
        &pool,
        |pool| pool.sweep(second(1)),
        |pool| pool.sweep(second(1)),
    );
    pool.at_rest();
    assert_eq!(pool.out(), 0);
}

/// The time of an ejection is over, and at the same moment the endpoint fails again.
pub fn it_may_fail_while_it_comes_back() {
    let pool = Arc::new(Pool::new(1, after(1)).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    both(
        &pool,
        |pool| pool.sweep(second(1)),
        |pool| pool.fails(0, second(1)),
    );
    pool.at_rest();
    // Out again, or in with a counter that lets the next error fire, or one that a success has to begin anew.
    let enforced = pool.cluster.tally().enforced_total();
    assert_eq!(enforced, 1 + u64::from(pool.out()));
    // The time of that ejection was not ended by a sweep for the first.
    if let Some(ejected) = pool.hosts[0].ejected() {
        assert_eq!(ejected.since, second(1));
    }
}

/// A sweep for an ejection that has ended meanwhile does not end the next one.
pub fn an_old_sweep_does_not_end_a_new_ejection() {
    let pool = Arc::new(Pool::new(1, after(1)).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    both(
        &pool,
        |pool| pool.sweep(second(1)),
        |pool| {
            pool.sweep(second(2));
            pool.fails(0, second(2));
        },
    );
    pool.at_rest();
    if let Some(ejected) = pool.hosts[0].ejected() {
        let first = ejected.since == second(0);
        assert!(first || ejected.since == second(2));
    }
    pool.sweep(second(9));
    assert_eq!(pool.out(), 0);
    assert_eq!(pool.cluster.ejections_active(), 0);
}

/// A reload drops an endpoint and takes it up again while a worker ejects it.
pub fn it_may_leave_and_join_while_it_is_ejected() {
    let (pool, mut registry) = Pool::new(1, after(1));
    let pool = Arc::new(pool);
    registry.sweep();
    both(
        &pool,
        |pool| pool.fails(0, second(0)),
        |_| {
            registry.sweep(); // named by nobody
            drop(registry.host(key(0)));
            registry.sweep();
        },
    );
    pool.at_rest();
}

/// A reload drops an endpoint while its ejection ends.
pub fn it_may_leave_while_it_comes_back() {
    let (pool, mut registry) = Pool::new(1, after(1));
    let pool = Arc::new(pool);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    registry.sweep();
    both(&pool, |pool| pool.sweep(second(1)), |_| registry.sweep());
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
}

/// A reload turns ejection off while a worker that has not heard of it ejects.
pub fn nobody_is_out_where_nothing_is_ejected() {
    let pool = Arc::new(Pool::new(1, after(1)).0);
    both(
        &pool,
        |pool| pool.fails(0, second(0)),
        |pool| pool.hosts[0].settle(None),
    );
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
    pool.fails(0, second(0));
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
}

/// The reason of an ejection is read while it ends and another begins.
pub fn a_reason_is_never_a_mixture() {
    let detection = OutlierDetection {
        consecutive_gateway: NonZeroU32::new(1),
        ..after(1)
    };
    let pool = Arc::new(Pool::new(1, detection).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    both(
        &pool,
        |pool| {
            pool.sweep(second(1));
            let outcome = Outcome::Response(500);
            report(&pool.detection, &pool.hosts[0], outcome, second(1));
        },
        |pool| {
            let Some(ejected) = pool.hosts[0].ejected() else {
                return;
            };
            let times = (ejected.since, ejected.until, ejected.reason);
            let first = (second(0), second(1), Reason::ConsecutiveGateway(1));
            // The second lasts two base times.
            let next = (second(1), second(3), Reason::Consecutive5xx(1));
            assert!(times == first || times == next, "{times:?}");
        },
    );
    pool.at_rest();
}

/// A result is counted while a sweep begins the next interval: it belongs to one of the two and to no other.
pub fn a_result_counts_in_one_interval() {
    let detection = OutlierDetection {
        failure_percentage: Some(FailurePercentage {
            threshold: 100,
            minimum_hosts: 1,
            request_volume: 2,
            enforcing: 0,
        }),
        consecutive_5xx: None,
        ..after(1)
    };
    let pool = Arc::new(Pool::new(1, detection).0);
    let found = |pool: &Pool| {
        let detector = Detector::FailurePercentage(Origin::External);
        pool.cluster.tally().detected(detector)
    };
    pool.sweep(second(0));
    pool.fails(0, second(0));
    both(
        &pool,
        |pool| pool.fails(0, second(1)),
        |pool| pool.sweep(second(1)),
    );
    let first = found(&pool);
    pool.fails(0, second(1));
    pool.sweep(second(2));
    assert_eq!(
        found(&pool),
        1,
        "{first}: two are enough, and there is one pair"
    );
}

/// Two workers sweep the same interval, after which an endpoint is to be forgiven one step.
pub fn an_interval_forgives_once() {
    let pool = Arc::new(Pool::new(1, after(1)).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    pool.sweep(second(1));
    pool.fails(0, second(1));
    pool.sweep(second(3));
    assert_eq!(pool.out(), 0);
    both(
        &pool,
        |pool| pool.sweep(second(4)),
        |pool| pool.sweep(second(4)),
    );
    pool.fails(0, second(4));
    let until = pool.hosts[0].ejected().map(|ejected| ejected.until);
    assert_eq!(until, Some(second(6)), "two steps, less one, and one more");
}

/// Two workers sweep the same interval: it is looked at once.
pub fn an_interval_is_looked_at_once() {
    let detection = OutlierDetection {
        failure_percentage: Some(FailurePercentage {
            threshold: 50,
            minimum_hosts: 1,
            request_volume: 1,
            enforcing: 100,
        }),
        max_ejection_percent: 50,
        consecutive_5xx: None,
        ..after(1)
    };
    let pool = Arc::new(Pool::new(2, detection).0);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    pool.fails(1, second(0));
    both(
        &pool,
        |pool| pool.sweep(second(1)),
        |pool| pool.sweep(second(1)),
    );
    pool.at_rest();
    let tally = pool.cluster.tally();
    let detector = Detector::FailurePercentage(Origin::External);
    assert_eq!(tally.detected(detector), 2);
    assert_eq!((tally.enforced(detector), tally.overflow()), (1, 1));
}
