//! What `/stats` tells of how endpoints of a cluster are picked, under Envoy's names.

use outrigger_core::cluster::{AdaptiveConcurrency, AdaptiveLimit, Choice, ClusterState};
use outrigger_core::snapshot::{Balancing, ConsistentHash, HashTable, HashTableKind};
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};

/// The table of hashes of the first priority, once a request has needed it, as it is while nobody is out.
pub(super) fn add_table(
    sheet: &mut Sheet,
    scope: &Scope<'_>,
    balancing: Balancing,
    table: &HashTable,
) {
    let (least, most) = table.entries_per_host();
    let is_maglev = matches!(
        balancing,
        Balancing::ConsistentHash(ConsistentHash {
            table: HashTableKind::Maglev { .. },
            ..
        })
    );
    let of = |count: u64| count as f64;
    let size = if is_maglev {
        None
    } else {
        Some(("ring_hash_lb.size", of(table.size() as u64)))
    };
    let names = if is_maglev {
        [
            "maglev_lb.min_entries_per_host",
            "maglev_lb.max_entries_per_host",
        ]
    } else {
        [
            "ring_hash_lb.min_hashes_per_host",
            "ring_hash_lb.max_hashes_per_host",
        ]
    };
    let shares = names.into_iter().zip([of(least as u64), of(most as u64)]);
    for (name, value) in size.into_iter().chain(shares) {
        let stat = Stat::new(name, "Entries of the table of hashes");
        sheet.add(scope, stat, Value::Gauge(value));
    }
}

/// Only what has happened: few clusters panic or know zones.
pub(super) fn add_choices(sheet: &mut Sheet, scope: &Scope<'_>, state: &ClusterState) {
    for (name, choice) in [
        ("lb_healthy_panic", Choice::Panic),
        ("lb_zone_routing_all_directly", Choice::AllInZone),
        ("lb_zone_routing_sampled", Choice::KeptInZone),
        ("lb_zone_routing_cross_zone", Choice::CrossZone),
    ] {
        let count = state.counted_choices(choice);
        if count > 0 {
            let stat = Stat::new(name, "Requests whose endpoint was picked so");
            sheet.add(scope, stat, Value::Counter(count));
        }
    }
}

/// A limit that follows response times.
pub(super) fn add_adaptive(
    sheet: &mut Sheet,
    scope: &Scope<'_>,
    settings: &AdaptiveConcurrency,
    limit: &AdaptiveLimit,
) {
    let unbusy = limit.unbusy();
    let blocked = Stat::new(
        "adaptive_concurrency.gradient_controller.rq_blocked",
        "Requests that the limit refused",
    );
    sheet.add(scope, blocked, Value::Counter(limit.blocked()));
    let millis = unbusy.unwrap_or_default().as_millis() as f64;
    for (name, help, value) in [
        (
            "adaptive_concurrency.gradient_controller.concurrency_limit",
            "Requests that may be under way",
            f64::from(limit.limit(settings)),
        ),
        (
            "adaptive_concurrency.gradient_controller.min_rtt_calculation_active",
            "Whether the response time without load is being measured",
            f64::from(u8::from(unbusy.is_none())),
        ),
        (
            "adaptive_concurrency.gradient_controller.min_rtt_msecs",
            "The response time without load, in milliseconds",
            millis,
        ),
    ] {
        sheet.add(scope, Stat::new(name, help), Value::Gauge(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::snapshot::shares;
    use outrigger_telemetry::exposition::Form;

    const SCOPE: Scope<'static> = Scope {
        text: "c",
        family: "envoy_cluster",
        labels: "",
    };

    /// The lines that are written.
    fn told(add: impl FnOnce(&mut Sheet)) -> Vec<String> {
        let mut sheet = Sheet::new(Form::Text, None, false);
        add(&mut sheet);
        let page: String = sheet.finish().collect();
        page.lines().map(str::to_owned).collect()
    }

    #[test]
    fn tables_of_hashes_are_told_under_envoys_names() {
        let hosts = shares([("a", 1), ("b", 3)].into_iter(), 1.0);
        let of = |table| {
            let hash = ConsistentHash {
                table,
                balance_factor: None,
            };
            let made = HashTable::new(table, &hosts);
            told(|sheet| add_table(sheet, &SCOPE, Balancing::ConsistentHash(hash), &made))
        };
        assert_eq!(
            of(HashTableKind::Ring { min_size: 8 }),
            [
                "c.ring_hash_lb.max_hashes_per_host: 6",
                "c.ring_hash_lb.min_hashes_per_host: 2",
                "c.ring_hash_lb.size: 8",
            ]
        );
        assert_eq!(
            of(HashTableKind::Maglev { size: 7 }),
            [
                "c.maglev_lb.max_entries_per_host: 5",
                "c.maglev_lb.min_entries_per_host: 2",
            ]
        );
    }

    #[test]
    fn a_limit_of_response_times_is_told_under_envoys_names() {
        let settings = AdaptiveConcurrency {
            min: 3,
            max: 1000,
            initial: 20,
            buffer: 0.5,
            interval: std::time::Duration::from_secs(10),
            window: 50,
        };
        let limit = AdaptiveLimit::default();
        limit.count_blocked();
        assert_eq!(
            told(|sheet| add_adaptive(sheet, &SCOPE, &settings, &limit)),
            [
                "concurrency_limit: 8",
                "min_rtt_calculation_active: 1",
                "min_rtt_msecs: 0",
                "rq_blocked: 1",
            ]
            .map(|line| format!("c.adaptive_concurrency.gradient_controller.{line}"))
        );
    }
}
