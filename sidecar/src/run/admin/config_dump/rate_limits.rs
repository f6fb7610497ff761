//! Rate limits in `/config_dump`: which there are, what is in their buckets, and which look at which requests.

use outrigger_core::snapshot::{
    Descriptor, GlobalRateLimit, HostLimits, Limit, Limiter, RateLimit, SizedBucket,
};
use serde_json::{Value, json};

use super::{Dump, duration, header_ops, list, percent};

impl Dump<'_> {
    pub(super) fn rate_limit(&self, limit: &RateLimit) -> Value {
        let bucket = |sized: &SizedBucket| {
            let tokens = sized.bucket.tokens(sized.size, self.1);
            json!({
                "max_tokens": sized.size.max_tokens(),
                "token_every": duration(sized.size.period()),
                // Nobody's in particular when each connection has its own.
                "tokens": (!limit.per_connection).then_some(tokens),
            })
        };
        let descriptor = |descriptor: &Descriptor| {
            json!({
                "entries": list(&descriptor.entries, |(key, value)| json!({ &**key: value })),
                "bucket": bucket(&descriptor.sized),
            })
        };
        json!({
            "origin": self.origin(&limit.origin),
            "holds_for": limit.holds_for,
            "stat_prefix": limit.stat_prefix,
            "bucket": limit.bucket.as_ref().map(bucket),
            "descriptors": list(&limit.descriptors, descriptor),
            "always_consume_default_token_bucket": limit.always_takes,
            "per_connection": limit.per_connection,
            "enabled_percent": percent(limit.enabled),
            "enforced_percent": percent(limit.enforced),
            "status": limit.status.as_u16(),
            "grpc_status": limit.grpc_status,
            "x_ratelimit_headers": limit.tells_clients,
            "response_headers": header_ops(&limit.response),
            "request_headers_when_not_enforced": header_ops(&limit.request),
        })
    }
}

impl Dump<'_> {
    pub(super) fn global_rate_limit(&self, limit: &GlobalRateLimit) -> Value {
        json!({
            "origin": self.origin(&limit.origin),
            "domain": limit.domain,
            "cluster": self.cluster(&limit.cluster),
            "authority": limit.authority,
            "initial_metadata": list(&limit.metadata, |(name, value)| json!({ name.as_str(): value })),
            "timeout": limit.timeout.map(duration),
            "enabled_percent": percent(limit.enabled),
            "enforced_percent": percent(limit.enforced),
            "denied_on_failure_percent": percent(limit.denied_on_failure),
            "status": limit.status.as_u16(),
            "grpc_status": limit.grpc_status,
            "status_on_error": limit.status_on_error.as_u16(),
            "x_ratelimit_headers": limit.tells_clients,
            "x_envoy_ratelimited_header": limit.says_limited,
            "response_headers": header_ops(&limit.response),
        })
    }
}

/// For each rule the positions of its limits in the list of all of their kind, and for requests without a rule.
pub(super) fn of_host(limits: &HostLimits) -> Value {
    let of = |limiters: &[Limiter]| {
        list(limiters, |l| {
            let place = l.place.as_str();
            match &l.limit {
                Limit::Local { id, .. } => json!({ "place": place, "limit": id.0 }),
                Limit::Global { id, described } => json!({
                    "place": place,
                    "global_limit": id.0,
                    "descriptors": described.len(),
                }),
            }
        })
    };
    json!({
        "rules": list(&limits.rules, |limiters| of(limiters)),
        "otherwise": of(&limits.otherwise),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::admin::config_dump::json as dumped;
    use outrigger_core::compile::from_yaml;
    use outrigger_core::time::Instant;

    #[test]
    fn limits_are_shown_with_what_is_left() {
        let compiled = from_yaml(
            "apiVersion: networking.istio.io/v1\n\
             kind: VirtualService\n\
             metadata: {name: shop, annotations: {outrigger.dev/local-rate-limit: '6/m, burst=9'}}\n\
             spec: {hosts: [shop.example], http: [{redirect: {uri: /c}}]}\n",
        );
        let snapshot = &compiled.snapshot;
        let sized = snapshot.rate_limits[0].bucket.as_ref().unwrap();
        assert!(sized.bucket.take(sized.size, Instant::ZERO));
        let dump: Value = serde_json::from_str(&dumped(snapshot, Instant::ZERO)).unwrap();
        let limit = &dump["rate_limits"][0];
        let bucket = json!({ "max_tokens": 9, "token_every": "10s", "tokens": 8 });
        assert_eq!(limit["bucket"], bucket);
        assert_eq!(limit["origin"]["resource"], "VirtualService default/shop");
        let hosts = dump["virtual_hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["name"] == "shop.example:80");
        let limiter = json!({ "place": "before the router", "limit": 0 });
        assert_eq!(host.unwrap()["rate_limits"]["rules"][0][0], limiter);
    }
}
