//! Rate limits and limits that follow response times: a token is given once, and a state is never half of two.

use std::sync::Arc;

use loom::thread;

use crate::cluster::{AdaptiveConcurrency, Bucket, BucketSize, ClusterState, Sample};
use crate::time::{Duration, Instant};

/// Two workers ask for the last token, by clocks that differ.
pub fn the_last_token_is_given_once() {
    let size = BucketSize::new(2, 1, Duration::from_secs(1));
    let bucket = Arc::new(Bucket::default());
    assert!(bucket.take(size, Instant::from_millis(5_000)));
    let take = |millis: u64| {
        let bucket = Arc::clone(&bucket);
        move || bucket.take(size, Instant::from_millis(millis))
    };
    let other = thread::spawn(take(5_001));
    let taken = [take(5_000)(), other.join().unwrap_or_default()];
    assert!(
        taken == [true, false] || taken == [false, true],
        "{taken:?}"
    );
    assert_eq!(bucket.tokens(size, Instant::from_millis(5_001)), 0);
}

/// Two workers report a response, the first of which ends a measurement.
pub fn a_limit_is_never_a_mixture() {
    let settings = AdaptiveConcurrency {
        min: 1,
        max: 9,
        initial: 2,
        buffer: 0.5,
        interval: Duration::from_secs(10),
        window: 1,
    };
    let cluster = Arc::new(ClusterState::default());
    let report = {
        let cluster = Arc::clone(&cluster);
        move || {
            let sample = Sample {
                took: Duration::from_millis(100),
                in_flight: 1,
                at: Instant::from_millis(100),
            };
            cluster.adaptive().report(&settings, sample);
            let limit = cluster.adaptive().limit(&settings);
            assert!((1..=9).contains(&limit), "{limit}");
        }
    };
    for _ in 0..3 {
        report();
        assert_eq!(cluster.adaptive().unbusy(), None, "it is being measured");
    }
    let other = thread::spawn(report.clone());
    report();
    assert!(other.join().is_ok());
    let unbusy = cluster.adaptive().unbusy();
    assert_eq!(unbusy, Some(Duration::from_millis(100)));
    let limit = cluster.adaptive().limit(&settings);
    // The second response was passed over, or moved it on by a window.
    assert!(limit == 2 || limit == 4, "{limit}");
}
