//! Limits of retries (DestinationRule `retryBudget`, annotation `outrigger.dev/retry-budget`), with defaults filled in.

use crate::cluster::{self, RetryLimit, TokenBudget};
use crate::config::destination_rule::{Extensions, RetryBudget};
use crate::snapshot::{Cluster, Limits};

/// Istio's share of requests, in percent.
const PERCENT: f64 = 20.0;

/// Envoy's number of retries that are always allowed.
const LEAST: u32 = 3;

/// Lets a budget take the place of the limit of retries that the connection pool may have set.
pub(super) fn limit(written: &RetryBudget, cluster: &mut Cluster) {
    let limits = cluster.limits.unwrap_or(Limits::NONE);
    cluster.limits = Some(Limits {
        retries: RetryLimit::Share(budget(written)),
        ..limits
    });
}

/// A share of the requests. Zero retries are written by nobody, so zero is the default.
fn budget(written: &RetryBudget) -> cluster::RetryBudget {
    cluster::RetryBudget {
        per_million: per_million(written.percent.unwrap_or(PERCENT) / 100.0),
        least: match written.min_retry_concurrency {
            0 => LEAST,
            least => least,
        },
        interval: written.budget_interval.filter(|time| !time.is_zero()),
    }
}

/// The budget over time, if there is one.
pub(super) fn token_budget(extensions: &Extensions) -> Option<TokenBudget> {
    let written = extensions.retry_budget?;
    Some(TokenBudget {
        per_million: per_million(written.ratio),
        per_second: written.min_per_second,
        ttl: written.ttl,
    })
}

/// Reading keeps a share between 0 and 1000, so its millionths fit.
fn per_million(share: f64) -> u32 {
    (share * 1_000_000.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::from_yaml;
    use crate::time::Duration;

    /// The cluster of a service and the one of its subset, under a DestinationRule with these annotations and this spec.
    fn compiled(annotations: &str, spec: &str) -> [Cluster; 2] {
        let text = format!(
            "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: a}}\nspec: {{hosts: [a.test], \
             resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.0.0.1}}]}}\n\
             ---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\n\
             metadata: {{name: a, annotations: {{{annotations}}}}}\nspec: {{host: a.test, {spec}}}\n"
        );
        let compiled = from_yaml(&text);
        assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
        let clusters = compiled.snapshot.clusters.iter();
        let of_service: Vec<Cluster> = clusters.filter(|c| &*c.host == "a.test").cloned().collect();
        of_service.try_into().unwrap()
    }

    #[test]
    fn a_budget_takes_the_place_of_max_retries() {
        let budget = |per_million, least, interval| {
            RetryLimit::Share(cluster::RetryBudget {
                per_million,
                least,
                interval,
            })
        };
        for (policy, want) in [
            (
                "connectionPool: {http: {maxRetries: 7}}",
                RetryLimit::Count(7),
            ),
            ("retryBudget: {}", budget(200_000, 3, None)),
            (
                "retryBudget: {percent: 0, budgetInterval: 0s}",
                budget(0, 3, None),
            ),
            (
                "retryBudget: {percent: 12.5, minRetryConcurrency: 1, budgetInterval: 10s}",
                budget(125_000, 1, Some(Duration::from_secs(10))),
            ),
            (
                "retryBudget: {percent: 100}, connectionPool: {http: {maxRetries: 7}}",
                budget(1_000_000, 3, None),
            ),
        ] {
            let spec = format!("trafficPolicy: {{{policy}}}, subsets: [{{name: v}}]");
            for cluster in compiled("", &spec) {
                let retries = cluster.limits.map(|limits| limits.retries);
                assert_eq!(retries, Some(want), "{policy}");
            }
        }
    }

    #[test]
    fn an_annotation_holds_for_every_subset() {
        let spec = "subsets: [{name: v, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]";
        for (annotation, want) in [
            ("", None),
            ("outrigger.dev/retry-budget: 'false'", None),
            (
                "outrigger.dev/retry-budget: 'true'",
                Some((200_000, 10, 10)),
            ),
            (
                "outrigger.dev/retry-budget: 'ratio=1.5, min=0, ttl=60s'",
                Some((1_500_000, 0, 60)),
            ),
        ] {
            for cluster in compiled(annotation, spec) {
                let budget = cluster.token_budget;
                let got = budget.map(|b| (b.per_million, b.per_second, b.ttl.as_secs()));
                assert_eq!(got, want, "{annotation}");
                assert_eq!(cluster.limits, None, "nothing needs to be counted for it");
            }
        }
    }
}
