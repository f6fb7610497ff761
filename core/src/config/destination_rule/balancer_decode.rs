//! Reading load balancer settings.

use super::{
    ConsistentHash, HashKey, HashRing, HttpCookie, HttpCookieAttribute, LoadBalancerPolicy,
    LoadBalancerSettings, LocalityDistribute, LocalityFailover, LocalityLbSetting, SimpleLb,
    WarmupConfiguration, ZoneAwareLbSetting,
};
use crate::config::decode::Object;
use crate::config::scalar;

const SIMPLE: &[(&str, i32, SimpleLb)] = &[
    ("UNSPECIFIED", 0, SimpleLb::Unspecified),
    ("LEAST_CONN", 1, SimpleLb::LeastConn),
    ("RANDOM", 2, SimpleLb::Random),
    ("PASSTHROUGH", 3, SimpleLb::Passthrough),
    ("ROUND_ROBIN", 4, SimpleLb::RoundRobin),
    ("LEAST_REQUEST", 5, SimpleLb::LeastRequest),
];

pub(super) fn load_balancer(o: &mut Object<'_, '_>) -> LoadBalancerSettings {
    o.one_of(&["simple", "consistentHash"]);
    o.deprecated("warmupDurationSecs", "use `warmup: {duration: …}`");
    let simple = o.symbol("simple", SIMPLE).map(LoadBalancerPolicy::Simple);
    let hash = o
        .message("consistentHash", consistent_hash)
        .map(LoadBalancerPolicy::ConsistentHash);
    LoadBalancerSettings {
        policy: simple.or(hash),
        locality_lb_setting: o.message("localityLbSetting", locality),
        zone_aware_lb_setting: o.message("zoneAwareLbSetting", zone_aware),
        warmup_duration_secs: o.duration("warmupDurationSecs"),
        warmup: o.message("warmup", |o| WarmupConfiguration {
            duration: o.duration("duration"),
            minimum_percent: o.number("minimumPercent"),
            aggression: o.number("aggression"),
        }),
    }
}

fn consistent_hash(o: &mut Object<'_, '_>) -> ConsistentHash {
    o.one_of(&[
        "httpHeaderName",
        "httpCookie",
        "useSourceIp",
        "httpQueryParameterName",
    ]);
    o.one_of(&["ringHash", "maglev"]);
    o.deprecated("minimumRingSize", "use `ringHash: {minimumRingSize: …}`");
    let header = o.optional_string("httpHeaderName").map(HashKey::HeaderName);
    let cookie = o.message("httpCookie", cookie).map(HashKey::Cookie);
    let source = o.optional_boolean("useSourceIp").map(HashKey::SourceIp);
    let query = o
        .optional_string("httpQueryParameterName")
        .map(HashKey::QueryParameterName);
    let ring = o.message("ringHash", |o| HashRing::Ring(o.integer("minimumRingSize")));
    let maglev = o.message("maglev", |o| {
        HashRing::Maglev(o.optional_integer("tableSize"))
    });
    ConsistentHash {
        key: header.or(cookie).or(source).or(query),
        ring: ring.or(maglev),
        minimum_ring_size: o.integer("minimumRingSize"),
    }
}

fn cookie(o: &mut Object<'_, '_>) -> HttpCookie {
    HttpCookie {
        name: o.string("name"),
        path: o.string("path"),
        ttl: o.duration("ttl"),
        attributes: o.messages("attributes", |o| HttpCookieAttribute {
            name: o.string("name"),
            value: o.string("value"),
        }),
    }
}

pub(super) fn locality(o: &mut Object<'_, '_>) -> LocalityLbSetting {
    LocalityLbSetting {
        distribute: o.messages("distribute", |o| LocalityDistribute {
            from: o.string("from"),
            to: o.map("to", |report, entry| scalar::integer(report, &entry.value)),
        }),
        failover: o.messages("failover", failover),
        failover_priority: o.strings("failoverPriority"),
        enabled: o.optional_boolean("enabled"),
    }
}

fn failover(o: &mut Object<'_, '_>) -> LocalityFailover {
    LocalityFailover {
        from: o.string("from"),
        to: o.string("to"),
    }
}

pub(super) fn zone_aware(o: &mut Object<'_, '_>) -> ZoneAwareLbSetting {
    ZoneAwareLbSetting {
        enabled: o.optional_boolean("enabled"),
        failover: o.messages("failover", failover),
        failover_priority: o.strings("failoverPriority"),
        min_cluster_size: o.optional_integer("minClusterSize"),
    }
}
