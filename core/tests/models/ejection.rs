//! Ejection against the plain model of it (`fuzz/src/ejection.rs`): random settings and random events.

mod multiplier;

use std::num::NonZeroU32;

use outrigger_core::cluster::ejection::Outcome;
use outrigger_core::cluster::{FailurePercentage, OutlierDetection, SuccessRate};
use outrigger_core::time::{Duration, Instant};
use proptest::prelude::*;

use crate::ejection_model::{Model, Pool, same};

fn any_settings() -> impl Strategy<Value = OutlierDetection> {
    let threshold = || (0u32..4).prop_map(NonZeroU32::new);
    let times = (
        1u64..3000,
        prop_oneof![1u64..4000, 90_000u64..400_000],
        // The longest in thousandths of the first: few ejections are enough to get there.
        0u64..4000,
    );
    let codes = prop_oneof![Just(vec![]), Just(vec![404, 500, 503])];
    let enforcing = || prop_oneof![3 => Just(100u8), 1 => Just(0)];
    let success_rate = (0u32..6, 0u32..6, 0u32..3000, enforcing()).prop_map(
        |(minimum_hosts, request_volume, stdev_factor, enforcing)| SuccessRate {
            minimum_hosts,
            request_volume,
            stdev_factor,
            enforcing,
        },
    );
    let failure_percentage = (0u8..=100, 0u32..6, 0u32..6, enforcing()).prop_map(
        |(threshold, minimum_hosts, request_volume, enforcing)| FailurePercentage {
            threshold,
            minimum_hosts,
            request_volume,
            enforcing,
        },
    );
    (
        (threshold(), threshold(), threshold()),
        (any::<bool>(), codes, any::<bool>(), 1u8..=100),
        times,
        (
            prop::option::of(success_rate),
            prop::option::of(failure_percentage),
        ),
    )
        .prop_map(|(thresholds, (split, codes, one, percent), times, rates)| {
            let (interval, base, longer) = times;
            OutlierDetection {
                consecutive_5xx: thresholds.0,
                consecutive_gateway: thresholds.1,
                split_local_origin: split,
                consecutive_local_origin: thresholds.2.filter(|_| split),
                error_codes: codes.into(),
                interval: Duration::from_millis(interval),
                base_ejection_time: Duration::from_millis(base),
                max_ejection_time: Duration::from_millis(base + base * longer / 1000),
                max_ejection_percent: percent,
                always_eject_one: one,
                min_health_percent: 0,
                success_rate: rates.0,
                failure_percentage: rates.1,
            }
        })
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Outcome { host: usize, outcome: Outcome },
    Reload(Vec<bool>),
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = || prop::sample::select(vec![200, 404, 500, 501, 502, 503, 504, 599]);
    let outcome = prop_oneof![
        8 => status().prop_map(Outcome::Response),
        1 => status().prop_map(Outcome::Grpc),
        6 => Just(Outcome::Failed),
        2 => Just(Outcome::Timeout),
        2 => Just(Outcome::Connected),
    ];
    prop_oneof![
        30 => (any::<usize>(), outcome).prop_map(|(host, outcome)| Event::Outcome { host, outcome }),
        1 => prop::collection::vec(any::<bool>(), 12).prop_map(Event::Reload),
    ]
}

/// Little time passes, some, or much.
fn any_wait() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..20, 3 => 0u64..1500, 1 => 0u64..30_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ejects_and_returns_as_the_model_does(
        settings in any_settings(),
        hosts in 1usize..12,
        events in prop::collection::vec((any_wait(), any_event()), 1..200),
    ) {
        let mut pool = Pool::new(hosts);
        let mut model = Model::new(settings.clone(), hosts);
        let mut now = 0;
        for (wait, event) in events {
            now += wait;
            match event {
                Event::Outcome { host, outcome } => {
                    pool.report(&settings, host % hosts.min(6), outcome, Instant::from_millis(now));
                    model.report(host % hosts.min(6), outcome, now);
                }
                Event::Reload(named) => {
                    pool.reload(&named[..hosts]);
                    model.reload(&named[..hosts]);
                }
            }
            same(&pool, &model, now);
        }
    }
}
