//! A cluster with its settings, and for each of them where it stands and what it took the place of.

use outrigger_core::cluster::{OutlierDetection, RetryLimit};
use outrigger_core::snapshot::{
    Balancing, Cluster, ClusterOrigin, ConsistentHash, HashPolicy, HashTableKind, Limits,
    LocalityPolicy, Origin, Snapshot,
};

use super::{ClusterTold, EndpointTold, Place, Told, spoken, transport, words};

/// Everything about a cluster.
pub(crate) fn tell(cluster: &Cluster, snapshot: &Snapshot) -> ClusterTold {
    let origin = cluster.origin.as_deref();
    let place = |origin: &Origin| Place::new(origin, snapshot);
    let made_of = origin.map(|origin| origin.service.iter().chain(&origin.subset));
    let passed_over = origin.map_or(&[][..], |origin| &origin.passed_over);
    ClusterTold {
        name: cluster.name.to_string(),
        made_of: made_of.into_iter().flatten().filter_map(place).collect(),
        settings: settings(cluster, origin, snapshot),
        passed_over: passed_over.iter().filter_map(place).collect(),
        original_destination: cluster.balancing == Balancing::Passthrough,
        endpoints: cluster.endpoints.iter().map(endpoint).collect(),
    }
}

fn endpoint(endpoint: &outrigger_core::snapshot::Endpoint) -> EndpointTold {
    EndpointTold {
        address: endpoint.text.to_string(),
        weight: endpoint.weight,
        locality: endpoint.locality.to_string(),
        priority: endpoint.priority,
        active: endpoint.state.active(),
        ejected: endpoint.state.ejected().map(|e| e.reason.to_string()),
        chosen: false,
    }
}

/// Settings, each under the block of a traffic policy that it is read from.
fn settings(cluster: &Cluster, origin: Option<&ClusterOrigin>, snapshot: &Snapshot) -> Vec<Told> {
    let mut told = Vec::new();
    let mut say = |what: &'static str, block: &str, value: String| {
        let mut blocks = origin.map_or(&[][..], |origin| &origin.blocks).iter();
        let block = blocks.find(|of| of.name == block);
        let place = |origin: &Origin| Place::new(origin, snapshot);
        let is_reset = block.is_some_and(|block| !block.is_set);
        told.push(Told {
            what,
            value: match is_reset {
                true => format!(
                    "{value} (the default: settings of the port take the place of all others)"
                ),
                false => value,
            },
            origin: block.and_then(|block| place(&block.origin)),
            overrides: block
                .map_or(&[][..], |block| &block.overrides)
                .iter()
                .filter_map(place)
                .collect(),
        });
    };
    say("balancer", "loadBalancer", balancer(cluster));
    if let Some(locality) = locality(&cluster.locality_policy) {
        say("localities", "loadBalancer", locality);
    }
    if let Some(warm_up) = cluster.warm_up {
        let text = format!(
            "new endpoints get all of their share after {}",
            words::time(warm_up.duration)
        );
        say("warm-up", "loadBalancer", text);
    }
    say(
        "protocol",
        "connectionPool",
        spoken::protocol(cluster.protocol),
    );
    say("tls", "tls", transport::tls(cluster));
    let pool = format!(
        "{}, {}",
        words::time(cluster.connect_timeout),
        limits(cluster.limits)
    );
    say(
        "connections",
        "connectionPool",
        format!("made within {pool}"),
    );
    let ejection = cluster.outlier_detection.as_deref();
    let ejection = ejection.map_or_else(|| "nobody is ejected".to_owned(), outlier);
    say("ejection", "outlierDetection", ejection);
    if let Some(RetryLimit::Share(budget)) = cluster.limits.map(|limits| limits.retries) {
        let share = f64::from(budget.per_million) / 10_000.0;
        let text = format!("{share} % of requests under way, at least {}", budget.least);
        say("retry budget", "retryBudget", text);
    }
    if let Some(budget) = cluster.token_budget {
        let share = f64::from(budget.per_million) / 10_000.0;
        let text = format!(
            "{share} % of requests over {}, and {} a second",
            words::time(budget.ttl),
            budget.per_second
        );
        say("retry budget", "annotations", text);
    }
    if let Some(adaptive) = cluster.adaptive {
        let text = format!(
            "{} to {} requests at a time, by response times",
            adaptive.min, adaptive.max
        );
        say("adaptive concurrency", "annotations", text);
    }
    told
}

fn balancer(cluster: &Cluster) -> String {
    match cluster.balancing {
        Balancing::LeastRequest => {
            "LEAST_REQUEST: fewest requests in flight of two drawn".to_owned()
        }
        Balancing::RoundRobin => "ROUND_ROBIN: in turn".to_owned(),
        Balancing::Random => "RANDOM".to_owned(),
        Balancing::Passthrough => "PASSTHROUGH: where the client wanted to go".to_owned(),
        Balancing::PeakEwma => "PEAK_EWMA: likely to answer sooner of two drawn".to_owned(),
        Balancing::ConsistentHash(hash) => consistent_hash(hash, cluster.hash_policy.as_deref()),
    }
}

fn consistent_hash(hash: ConsistentHash, policy: Option<&HashPolicy>) -> String {
    let table = match hash.table {
        HashTableKind::Ring { min_size } => format!("a ring of at least {min_size}"),
        HashTableKind::Maglev { size } => format!("a Maglev table of {size}"),
    };
    let by = match policy {
        None => "nothing, so at random".to_owned(),
        Some(HashPolicy::Field(field)) => format!("header `{}`", field.as_str()),
        Some(HashPolicy::Cookie(cookie)) => format!("cookie `{}`", cookie.name),
        Some(HashPolicy::SourceAddress) => "the client's address".to_owned(),
        Some(HashPolicy::QueryParameter(name)) => format!("query parameter `{name}`"),
    };
    let bound = hash.balance_factor;
    let bound = bound.map_or_else(String::new, |factor| format!(", loads within {factor} %"));
    format!("consistent hash of {by}, in {table}{bound}")
}

fn locality(policy: &LocalityPolicy) -> Option<String> {
    match policy {
        LocalityPolicy::Alike => None,
        LocalityPolicy::Weighted(weights) => {
            let name = |locality: &str| match locality {
                "" => "elsewhere".to_owned(),
                locality => locality.to_owned(),
            };
            let weights = weights.iter();
            let weights: Vec<String> = weights
                .map(|w| format!("{} {}", name(&w.locality), w.weight))
                .collect();
            Some(format!("by weight: {}", weights.join(", ")))
        }
        LocalityPolicy::ZoneAware(zones) => {
            Some(format!("in {} as far as it can carry them", zones.own))
        }
    }
}

fn limits(limits: Option<Limits>) -> String {
    let Some(limits) = limits else {
        return "without limits".to_owned();
    };
    let retries = match limits.retries {
        RetryLimit::Count(count) => count,
        RetryLimit::Share(_) => u32::MAX,
    };
    let named = [
        ("connections", limits.connections),
        ("waiting requests", limits.pending),
        ("requests", limits.requests),
        ("retries", retries),
    ];
    let limited: Vec<String> = (named.into_iter())
        .filter(|(_, most)| *most < u32::MAX)
        .map(|(name, most)| format!("{most} {name}"))
        .collect();
    match limited.is_empty() {
        true => "without limits".to_owned(),
        false => format!("at most {}", limited.join(", ")),
    }
}

fn outlier(detection: &OutlierDetection) -> String {
    let mut reasons = Vec::new();
    for (count, what) in [
        (detection.consecutive_5xx, "errors"),
        (detection.consecutive_gateway, "gateway errors"),
        (
            detection.consecutive_local_origin,
            "failures without an answer",
        ),
    ] {
        reasons.extend(count.map(|count| format!("{count} {what} in a row")));
    }
    if detection.success_rate.is_some() {
        reasons.push("a low rate of successes".to_owned());
    }
    if detection.failure_percentage.is_some() {
        reasons.push("a high share of failures".to_owned());
    }
    format!(
        "after {}, for {} or longer, at most {} % of endpoints",
        reasons.join(" or "),
        words::time(detection.base_ejection_time),
        detection.max_ejection_percent
    )
}
