//! How ejections of one host grow longer, up to the cap, and are forgiven: the model's own rules, in a world so narrow that
//! every edge of them comes up. What ejects is not its business.

use outrigger_core::cluster::OutlierDetection;
use outrigger_core::cluster::ejection::Outcome;
use outrigger_core::time::{Duration, Instant};
use proptest::prelude::*;

use crate::ejection_model::{Model, Pool, same};

/// Milliseconds.
const INTERVAL: u64 = 100;

/// The first failure ejects. `longest` is in thousandths of `base`.
fn settings(base: u64, longest: u64) -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: Some(std::num::NonZeroU32::MIN),
        interval: Duration::from_millis(INTERVAL),
        base_ejection_time: Duration::from_millis(base),
        max_ejection_time: Duration::from_millis(base * longest / 1000),
        max_ejection_percent: 100,
        ..OutlierDetection::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn grows_and_is_forgiven_as_the_models_does(
        base in prop::sample::select(vec![INTERVAL / 2, INTERVAL, 3 * INTERVAL]),
        // Often a multiple of the base, where the cap is met exactly.
        longest in prop_oneof![3 => (1u64..6).prop_map(|n| n * 1000), 1 => 1000u64..6000],
        // Bursts make it grow to the cap, and rests of any length let it shrink.
        bursts in prop::collection::vec((1usize..9, 0u64..12), 1..12),
    ) {
        let settings = settings(base, longest);
        let (pool, mut model) = (Pool::new(1), Model::new(settings.clone(), 1));
        let mut now = 0;
        for (failures, rest) in bursts {
            for _ in 0..failures {
                pool.report(&settings, 0, Outcome::Failed, Instant::from_millis(now));
                model.report(0, Outcome::Failed, now);
                same(&pool, &model, now);
                // The first tick that brings it back.
                let back = model.hosts[0].out.map_or(now, |out| out.until);
                now = back.next_multiple_of(INTERVAL);
            }
            now += rest * INTERVAL;
        }
    }
}
