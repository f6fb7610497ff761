//! Which traffic policy holds for one port of one subset (Istio reference §2.14).
//!
//! Blocks replace as units: a subset that sets `connectionPool.http` loses the rule's `connectionPool.tcp`. A port-level
//! entry replaces the whole policy it stands in.

use crate::config::destination_rule::{
    ClientTlsSettings, ConnectionPoolSettings, ConsistentHash, Extensions, LoadBalancerPolicy,
    LoadBalancerSettings, OutlierDetection, PortTrafficPolicy, ProxyProtocol, RetryBudget,
    TrafficPolicy, TunnelSettings,
};

/// The blocks that hold, each as it was written somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effective<'a> {
    /// How endpoints are picked.
    pub load_balancer: Option<&'a LoadBalancerSettings>,
    /// Limits and timeouts of connections.
    pub connection_pool: Option<&'a ConnectionPoolSettings>,
    /// Which endpoints are ejected.
    pub outlier_detection: Option<&'a OutlierDetection>,
    /// TLS to the upstream.
    pub tls: Option<&'a ClientTlsSettings>,
    /// Tunnel TCP through a proxy.
    pub tunnel: Option<&'a TunnelSettings>,
    /// PROXY protocol to the upstream.
    pub proxy_protocol: Option<&'a ProxyProtocol>,
    /// Limit of concurrent retries.
    pub retry_budget: Option<&'a RetryBudget>,
    /// What the rule's annotations add, for every port and subset alike.
    pub extensions: Option<&'a Extensions>,
}

/// The policy of a rule and of one of its subsets, for one service port.
#[must_use]
pub fn effective<'a>(
    top: Option<&'a TrafficPolicy>,
    subset: Option<&'a TrafficPolicy>,
    port: u16,
) -> Effective<'a> {
    let base = match top {
        None => Effective::default(),
        Some(top) => port_level(top, port).map_or_else(|| of_policy(top), of_port),
    };
    let Some(subset) = subset else { return base };
    match port_level(subset, port) {
        Some(entry) => Effective {
            tunnel: base.tunnel,
            proxy_protocol: base.proxy_protocol,
            retry_budget: base.retry_budget,
            ..of_port(entry)
        },
        None => {
            let over = of_policy(subset);
            Effective {
                load_balancer: over.load_balancer.or(base.load_balancer),
                connection_pool: over.connection_pool.or(base.connection_pool),
                outlier_detection: over.outlier_detection.or(base.outlier_detection),
                tls: over.tls.or(base.tls),
                tunnel: over.tunnel.or(base.tunnel),
                proxy_protocol: over.proxy_protocol.or(base.proxy_protocol),
                retry_budget: over.retry_budget.or(base.retry_budget),
                extensions: None,
            }
        }
    }
}

/// What routes to a port of a subset hash requests by: the first consistent hash among the subset's port, the subset,
/// the rule's port and the rule. Unlike blocks, one that does not hash hides none behind it.
#[must_use]
pub fn hashed_by<'a>(
    top: Option<&'a TrafficPolicy>,
    subset: Option<&'a TrafficPolicy>,
    port: u16,
) -> Option<&'a ConsistentHash> {
    let of = |policy: &'a TrafficPolicy| {
        let of_port = port_level(policy, port).and_then(|entry| entry.load_balancer.as_ref());
        let both = [of_port, policy.load_balancer.as_ref()]
            .into_iter()
            .flatten();
        both.filter_map(|balancer| match &balancer.policy {
            Some(LoadBalancerPolicy::ConsistentHash(hash)) => Some(hash),
            Some(LoadBalancerPolicy::Simple(_)) | None => None,
        })
        .next()
    };
    subset.and_then(of).or_else(|| top.and_then(of))
}

/// The policies that one is made of, the nearest first: of the subset's port, of the subset, of the port, of the rule.
/// Each with its path below the policy that it stands in.
pub(super) fn places<'a>(
    policy: Option<&'a TrafficPolicy>,
    port: u16,
) -> impl Iterator<Item = (String, Effective<'a>)> {
    let of_port = policy.and_then(|policy| {
        let entries = &policy.port_level_settings;
        let entry = port_level(policy, port)?;
        let at = entries
            .iter()
            .position(|other| core::ptr::eq(other, entry))?;
        Some((format!(".portLevelSettings[{at}]"), of_port(entry)))
    });
    of_port
        .into_iter()
        .chain(policy.map(|policy| (String::new(), of_policy(policy))))
}

fn port_level(policy: &TrafficPolicy, port: u16) -> Option<&PortTrafficPolicy> {
    let mut entries = policy.port_level_settings.iter();
    entries.find(|entry| entry.port == Some(u32::from(port)))
}

fn of_policy(policy: &TrafficPolicy) -> Effective<'_> {
    Effective {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        tls: policy.tls.as_ref(),
        tunnel: policy.tunnel.as_ref(),
        proxy_protocol: policy.proxy_protocol.as_ref(),
        retry_budget: policy.retry_budget.as_ref(),
        extensions: None,
    }
}

fn of_port(entry: &PortTrafficPolicy) -> Effective<'_> {
    Effective {
        load_balancer: entry.load_balancer.as_ref(),
        connection_pool: entry.connection_pool.as_ref(),
        outlier_detection: entry.outlier_detection.as_ref(),
        tls: entry.tls.as_ref(),
        ..Effective::default()
    }
}

#[cfg(test)]
mod tests;
