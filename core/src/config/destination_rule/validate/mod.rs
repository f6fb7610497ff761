//! What a DestinationRule must look like, rule by rule, as Istio's own validation has it.

mod balancer;
pub(in crate::config) mod locality;
pub(in crate::config) mod pool;
mod tls;

use std::collections::BTreeSet;

use super::{
    ClientTlsSettings, ConnectionPoolSettings, DestinationRule, LoadBalancerSettings,
    OutlierDetection, RetryBudget, Subset, TrafficPolicy, TunnelSettings,
};
use crate::config::address::parse_ip;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::report::Report;
use crate::config::value::quoted;

/// Checks a DestinationRule; the report stands at its `spec`.
pub(super) fn validate(rule: &DestinationRule, report: &mut Report) {
    if rule.host.is_empty() {
        report.raise(
            Code::RequiredField,
            "`host` is missing",
            "name the service: `host: …`",
        );
    } else if let Err(why) = names::check_host(&rule.host) {
        let message = format!("host {} {why}", quoted(&rule.host));
        report.raise_in("host", Code::InvalidHost, message, "");
    }
    if let Some(policy) = &rule.traffic_policy {
        report.field("trafficPolicy", |report| check_policy(policy, report));
    }
    check_subsets(&rule.subsets, report);
    report.field("exportTo", |report| {
        checks::export_to(&rule.export_to, &rule.meta.namespace, false, report);
    });
    check_selector(rule, report);
}

fn check_subsets(subsets: &[Subset], report: &mut Report) {
    let mut seen = BTreeSet::new();
    report.each("subsets", subsets, |report, subset| {
        if subset.name.is_empty() {
            report.raise(Code::RequiredField, "`name` is missing", "name the subset");
        } else if let Err(why) = names::check_dns_label(&subset.name) {
            let message = format!("subset {} {why}", quoted(&subset.name));
            report.raise_in("name", Code::InvalidName, message, "");
        } else if !seen.insert(subset.name.as_str()) {
            let message = format!("subset {} stands twice", quoted(&subset.name));
            report.raise_in(
                "name",
                Code::DuplicateSubset,
                message,
                "give each subset a name of its own",
            );
        }
        report.field("labels", |report| checks::labels(&subset.labels, report));
        if let Some(policy) = &subset.traffic_policy {
            report.field("trafficPolicy", |report| check_policy(policy, report));
        }
    });
}

/// A rule for some workloads of a namespace can not be shown to other namespaces.
fn check_selector(rule: &DestinationRule, report: &mut Report) {
    let Some(selector) = &rule.workload_selector else {
        return;
    };
    report.field("workloadSelector", |report| {
        checks::selector("matchLabels", &selector.match_labels, report);
    });
    report.each("exportTo", &rule.export_to, |report, target| {
        if target != "." && *target != rule.meta.namespace {
            report.raise(
                Code::InvalidExportTo,
                format!(
                    "{} is another namespace, and `workloadSelector` selects only in this one",
                    quoted(target)
                ),
                "use `exportTo: [\".\"]` or leave it out",
            );
        }
    });
}

fn check_policy(policy: &TrafficPolicy, report: &mut Report) {
    if *policy == TrafficPolicy::default() {
        report.raise(
            Code::EmptyTrafficPolicy,
            "the traffic policy has no part",
            "remove it, or say what it changes",
        );
    }
    check_parts(
        policy.load_balancer.as_ref(),
        policy.connection_pool.as_ref(),
        policy.outlier_detection.as_ref(),
        policy.tls.as_ref(),
        report,
    );
    report.each(
        "portLevelSettings",
        &policy.port_level_settings,
        |report, settings| {
            match settings.port {
                Some(port) => report.field("port.number", |report| checks::port(port, report)),
                None => report.raise(
                    Code::RequiredField,
                    "`port` is missing",
                    "say which: `port: {number: …}`",
                ),
            }
            let (balancer, pool) = (
                settings.load_balancer.as_ref(),
                settings.connection_pool.as_ref(),
            );
            let (outlier, tls) = (settings.outlier_detection.as_ref(), settings.tls.as_ref());
            if balancer.is_none() && pool.is_none() && outlier.is_none() && tls.is_none() {
                report.raise(
                    Code::EmptyTrafficPolicy,
                    "the settings of this port have no part",
                    "remove them",
                );
            }
            check_parts(balancer, pool, outlier, tls, report);
        },
    );
    if let Some(tunnel) = &policy.tunnel {
        report.field("tunnel", |report| check_tunnel(tunnel, report));
        if policy.proxy_protocol.is_some() {
            report.raise(
                Code::InvalidTunnel,
                "`tunnel` and `proxyProtocol` exclude each other",
                "keep one of them",
            );
        }
    }
    if let Some(budget) = &policy.retry_budget {
        report.field("retryBudget", |report| check_budget(budget, report));
    }
}

/// The parts that a policy and a port's settings have in common.
fn check_parts(
    balancer: Option<&LoadBalancerSettings>,
    pool: Option<&ConnectionPoolSettings>,
    outlier: Option<&OutlierDetection>,
    tls: Option<&ClientTlsSettings>,
    report: &mut Report,
) {
    if let Some(balancer) = balancer {
        report.field("loadBalancer", |report| {
            balancer::check(balancer, outlier.is_some(), report);
        });
    }
    if let Some(pool) = pool {
        report.field("connectionPool", |report| pool::check(pool, report));
    }
    if let Some(outlier) = outlier {
        report.field("outlierDetection", |report| check_outlier(outlier, report));
    }
    if let Some(tls) = tls {
        report.field("tls", |report| tls::check(tls, report));
    }
}

fn check_outlier(outlier: &OutlierDetection, report: &mut Report) {
    checks::duration_in("interval", outlier.interval, report);
    checks::duration_in("baseEjectionTime", outlier.base_ejection_time, report);
    checks::not_negative(
        "consecutiveErrors",
        outlier.consecutive_errors,
        Code::InvalidOutlierDetection,
        report,
    );
    checks::whole_percent(
        "maxEjectionPercent",
        outlier.max_ejection_percent.into(),
        report,
    );
    checks::whole_percent(
        "minHealthPercent",
        outlier.min_health_percent.into(),
        report,
    );
    let local_failures = outlier.consecutive_local_origin_failures.unwrap_or(0);
    if local_failures > 0 && !outlier.split_external_local_origin_errors {
        report.raise_in(
            "consecutiveLocalOriginFailures",
            Code::InvalidOutlierDetection,
            "`consecutiveLocalOriginFailures` counts only with `splitExternalLocalOriginErrors`",
            "set `splitExternalLocalOriginErrors: true`",
        );
    }
    report.each(
        "outlierDetectionHttpErrorCodes",
        &outlier.http_error_codes,
        |report, code| {
            if !(100..=599).contains(code) {
                let message = format!("`{code}` is not a status between 100 and 599");
                report.raise(Code::InvalidOutlierDetection, message, "");
            }
        },
    );
}

fn check_tunnel(tunnel: &TunnelSettings, report: &mut Report) {
    if !matches!(tunnel.protocol.as_str(), "" | "CONNECT" | "POST") {
        let message = format!(
            "{} is neither `CONNECT` nor `POST`",
            quoted(&tunnel.protocol)
        );
        report.raise_in("protocol", Code::InvalidTunnel, message, "");
    }
    if tunnel.target_host.is_empty() {
        report.raise(Code::RequiredField, "`targetHost` is missing", "");
    } else if parse_ip(&tunnel.target_host).is_none()
        && let Err(why) = names::check_fqdn(&tunnel.target_host)
    {
        let message = format!("host {} {why}", quoted(&tunnel.target_host));
        report.raise_in("targetHost", Code::InvalidHost, message, "");
    }
    report.field("targetPort", |report| {
        checks::port(tunnel.target_port, report);
    });
}

fn check_budget(budget: &RetryBudget, report: &mut Report) {
    if let Some(percent) = budget.percent
        && !(0.0..=100.0).contains(&percent)
    {
        let message = format!("`{percent}` percent is not between 0 and 100");
        report.raise_in("percent", Code::InvalidRetryBudget, message, "");
    }
    checks::duration_or_zero_in("budgetInterval", budget.budget_interval, report);
}

#[cfg(test)]
mod tests;
