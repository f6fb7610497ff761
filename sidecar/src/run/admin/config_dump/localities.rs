//! How a cluster shares traffic over localities, and how new endpoints get theirs.

use outrigger_core::snapshot::{LocalityPolicy, LocalityWeight, WarmUp};
use serde_json::{Map, Value, json};

use super::{duration, list};

/// What is shared out by locality; null where localities do not matter.
pub(super) fn policy(policy: &LocalityPolicy) -> Value {
    match policy {
        LocalityPolicy::Alike => Value::Null,
        LocalityPolicy::Weighted(all) => {
            let one = |w: &LocalityWeight| json!({ "priority": w.priority, "locality": w.locality, "weight": w.weight });
            json!({ "weighted": list(all, one) })
        }
        LocalityPolicy::ZoneAware(zones) => {
            let proxies = zones.proxies.iter();
            let proxies = proxies.map(|(locality, count)| (locality.to_string(), json!(count)));
            json!({ "zone_aware": {
                "own": zones.own,
                "proxies": proxies.collect::<Map<_, _>>(),
                "min_cluster_size": zones.min_endpoints,
            }})
        }
    }
}

/// By Envoy's names.
pub(super) fn slow_start(warm_up: WarmUp) -> Value {
    json!({
        "window": duration(warm_up.duration),
        "min_weight_percent": warm_up.minimum * 100.0,
        "aggression": warm_up.aggression,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outrigger_core::snapshot::ZoneAware;

    use super::*;

    #[test]
    fn settings_are_shown() {
        let weighted = LocalityPolicy::Weighted(
            [LocalityWeight {
                priority: 1,
                locality: "r/z".into(),
                weight: 70,
            }]
            .into(),
        );
        let zones = LocalityPolicy::ZoneAware(Box::new(ZoneAware {
            own: "r/a".into(),
            proxies: [("r/a".into(), 2), ("r/b".into(), 1)].into(),
            min_endpoints: 6,
        }));
        for (shown, want) in [
            (LocalityPolicy::Alike, Value::Null),
            (
                weighted,
                json!({ "weighted": [{ "priority": 1, "locality": "r/z", "weight": 70 }] }),
            ),
            (
                zones,
                json!({ "zone_aware": {
                    "own": "r/a", "proxies": { "r/a": 2, "r/b": 1 }, "min_cluster_size": 6,
                }}),
            ),
        ] {
            assert_eq!(policy(&shown), want, "{shown:?}");
        }
        let warm_up = WarmUp {
            duration: Duration::from_millis(1500),
            minimum: 0.5,
            aggression: 2.0,
        };
        let want = json!({ "window": "1.5s", "min_weight_percent": 50.0, "aggression": 2.0 });
        assert_eq!(slow_start(warm_up), want);
    }
}
