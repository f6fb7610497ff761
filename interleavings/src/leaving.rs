//! Endpoints that leave their cluster and come back while workers eject them and sweep: what is counted is what is, and who
//! has left is not taken out, whatever reload falls between which two steps.

use std::sync::Arc;

use loom::thread;

use crate::cluster::OutlierDetection;
use crate::cluster::ejection::{Outcome, report};
use crate::ejection::{Pool, after, key, second};

/// One of two may be out, and is. A worker finds the other one to fail, for which there is no room, while that leaves.
pub fn a_refused_one_may_leave() {
    let detection = OutlierDetection {
        max_ejection_percent: 50,
        ..after(1)
    };
    let (pool, mut registry) = Pool::new(2, detection);
    let pool = Arc::new(pool);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    registry.sweep();
    let stays = registry.host(key(0));
    let other = pool.there(|pool| pool.fails(1, second(0)));
    registry.sweep(); // names the first alone
    assert!(other.join().is_ok());
    pool.at_rest();
    drop(stays);
    // There is room again, but not for who has left.
    pool.sweep(second(1));
    pool.fails(1, second(1));
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
    // Until it is back.
    drop(registry.host(key(1)));
    pool.fails(1, second(1));
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (1, 1));
}

/// An endpoint that had left is taken up again while another worker, which never heard of it, ejects it.
pub fn it_may_join_while_it_is_ejected() {
    let (pool, mut registry) = Pool::new(1, after(1));
    let pool = Arc::new(pool);
    registry.sweep();
    registry.sweep(); // named by nobody
    let other = pool.there(|pool| pool.fails(0, second(0)));
    drop(registry.host(key(0)));
    registry.sweep();
    assert!(other.join().is_ok());
    pool.at_rest();
    // Whatever came of the first error: it is one that can be ejected.
    if pool.out() == 0 {
        let success = Outcome::Response(200);
        report(&pool.detection, &pool.hosts[0], success, second(0));
        pool.fails(0, second(0));
    }
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (1, 1));
}

/// Two workers find that the time of an ejection is over, while a reload drops the endpoint.
pub fn two_may_sweep_while_it_leaves() {
    let (pool, mut registry) = Pool::new(1, after(1));
    let pool = Arc::new(pool);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    registry.sweep();
    let other = [1, 2].map(|at| pool.there(move |pool| pool.sweep(second(at))));
    registry.sweep();
    for other in other {
        assert!(other.join().is_ok());
    }
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
}

/// The same, and the reload is followed by another one that takes it up again.
pub fn two_may_sweep_while_it_leaves_and_joins() {
    let (pool, mut registry) = Pool::new(1, after(1));
    let pool = Arc::new(pool);
    pool.sweep(second(0));
    pool.fails(0, second(0));
    registry.sweep();
    let other = [1, 2].map(|at| pool.there(move |pool| pool.sweep(second(at))));
    registry.sweep();
    drop(registry.host(key(0)));
    registry.sweep();
    for other in other {
        assert!(other.join().is_ok());
    }
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (0, 0));
    pool.fails(0, second(3));
    assert_eq!((pool.out(), pool.cluster.ejections_active()), (1, 1));
}

/// A reload leaves one of two endpoints, of which half may be out, while both fail: not more are out than were ever allowed,
/// and once all have heard of it the count is exact.
pub fn a_cluster_may_shrink_while_it_ejects() {
    let detection = OutlierDetection {
        max_ejection_percent: 50,
        ..after(1)
    };
    let (pool, mut registry) = Pool::new(2, detection);
    let pool = Arc::new(pool);
    registry.sweep();
    let other = [0, 1].map(|host| pool.there(move |pool| pool.fails(host, second(0))));
    let stays = registry.host(key(0));
    pool.cluster.set_endpoints(1);
    registry.sweep();
    for other in other {
        assert!(other.join().is_ok());
    }
    pool.at_rest();
    assert!(!pool.hosts[1].is_ejected(), "it has left");
    assert!(pool.out() <= 1);
    drop(stays);
}

/// Starts a worker beside this one.
impl Pool {
    fn there(self: &Arc<Self>, does: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let pool = Arc::clone(self);
        thread::spawn(move || does(&pool))
    }
}
