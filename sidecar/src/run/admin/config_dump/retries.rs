//! Retries in the dump: the policy of a rule, the limits of a cluster.

use outrigger_core::cluster::{RetryLimit, TokenBudget};
use outrigger_core::snapshot::{RetryOn, RetryPolicy};
use serde_json::{Value, json};

use super::{duration, list};

/// The policy of a rule, defaults filled in.
pub(super) fn policy(policy: &RetryPolicy) -> Value {
    let tokens = RetryOn::TOKENS.iter();
    let on = tokens.filter(|(_, condition)| policy.on.has(*condition));
    json!({
        "attempts": policy.retries,
        "retry_on": list(on, |(token, _)| json!(token)),
        "status_codes": policy.status_codes,
        "per_try_timeout": policy.per_try_timeout.map(duration),
        "backoff": duration(policy.backoff),
        "retry_after": policy.retry_after.map(duration),
        "hedge_on_per_try_timeout": policy.hedge_on_per_try_timeout,
    })
}

/// A limit of those under way, under Envoy's name for it; nothing when nothing is limited.
pub(super) fn limit(limit: RetryLimit) -> Option<(String, Value)> {
    match limit {
        RetryLimit::NONE => None,
        RetryLimit::Count(max) => Some(("max_retries".to_owned(), json!(max))),
        RetryLimit::Share(budget) => {
            let budget = json!({
                "budget_percent": f64::from(budget.per_million) / 10_000.0,
                "min_retry_concurrency": budget.least,
                "budget_interval": budget.interval.map(duration),
            });
            Some(("retry_budget".to_owned(), budget))
        }
    }
}

/// A budget over time, as its annotation is written.
pub(super) fn token_budget(budget: TokenBudget) -> Value {
    json!({
        "ratio": f64::from(budget.per_million) / 1_000_000.0,
        "min": budget.per_second,
        "ttl": duration(budget.ttl),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::compile::from_yaml;
    use outrigger_core::snapshot::Action;

    #[test]
    fn what_is_limited_and_retried_is_shown() {
        let compiled = from_yaml(
            "apiVersion: networking.istio.io/v1\n\
             kind: ServiceEntry\n\
             metadata: {name: shop}\n\
             spec:\n\
             \x20 hosts: [shop.example]\n\
             \x20 resolution: STATIC\n\
             \x20 ports: [{number: 80, name: http, protocol: HTTP}]\n\
             \x20 endpoints: [{address: 127.0.0.1}]\n\
             ---\n\
             apiVersion: networking.istio.io/v1\n\
             kind: DestinationRule\n\
             metadata: {name: shop, annotations: {outrigger.dev/retry-budget: 'ratio=25%'}}\n\
             spec: {host: shop.example, trafficPolicy: {retryBudget: {percent: 12.5}}}\n\
             ---\n\
             apiVersion: networking.istio.io/v1\n\
             kind: VirtualService\n\
             metadata: {name: shop, annotations: {outrigger.dev/retry-after: 300s}}\n\
             spec:\n\
             \x20 hosts: [shop.example]\n\
             \x20 http: [{retries: {attempts: 2, retryOn: '5xx,429'}, route: [{destination: {host: shop.example}}]}]\n",
        );
        let snapshot = compiled.snapshot;
        let cluster = &snapshot.clusters[0];
        let (_, share) = limit(cluster.limits.unwrap().retries).unwrap();
        let want =
            json!({ "budget_percent": 12.5, "min_retry_concurrency": 3, "budget_interval": null });
        assert_eq!(share, want);
        let tokens = token_budget(cluster.token_budget.unwrap());
        assert_eq!(tokens, json!({ "ratio": 0.25, "min": 10, "ttl": "10s" }));
        let rules = snapshot
            .virtual_hosts
            .iter()
            .flat_map(|host| host.rules.iter());
        let shown = rules.filter_map(|rule| match &*rule.action {
            Action::Forward(forward) => forward.retry.as_deref().map(policy),
            Action::Redirect(_) | Action::Respond(_) => None,
        });
        let want = json!({
            "attempts": 2,
            "retry_on": ["5xx", "retriable-status-codes"],
            "status_codes": [429],
            "per_try_timeout": null,
            "backoff": "0.025s",
            "retry_after": "300s",
            "hedge_on_per_try_timeout": false,
        });
        assert!(shown.into_iter().any(|shown| shown == want));
    }
}
