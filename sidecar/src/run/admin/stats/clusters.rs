//! What `/stats` tells of clusters, under Envoy's names.

use outrigger_core::cluster::{
    ClusterState, Counted, Detector, HostState, Origin, RetryEvent, RetryLimit,
};
use outrigger_core::snapshot::{Cluster, Limits};
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value, label_text};
use outrigger_telemetry::metrics::{
    ClusterConnections, ClusterEvent, ClusterRequests, StatusCounts,
};

use super::balancing::{add_adaptive, add_choices, add_table};

const FAMILY: &str = "envoy_cluster";

/// A cluster of the configuration in use, and what was counted of requests at it.
pub(super) fn add(sheet: &mut Sheet, cluster: &Cluster, requests: Option<&ClusterRequests>) {
    let text = format!("cluster.{}", cluster.name);
    let labels = label_text(&[("cluster_name", &cluster.name)]);
    let scope = Scope {
        text: &text,
        family: FAMILY,
        labels: &labels,
    };
    let nothing = ClusterRequests::default();
    add_members(sheet, &scope, cluster);
    let requests = requests.unwrap_or(&nothing);
    add_requests(sheet, &scope, requests);
    add_connections(sheet, &cluster.name, &labels, &requests.tcp);
    add_retries(sheet, &scope, &cluster.state);
    add_limit_answers(sheet, &scope, &cluster.state);
    add_tls(sheet, &scope, &cluster.state);
    add_choices(sheet, &scope, &cluster.state);
    add_breakers(sheet, &scope, cluster);
    if let Some(table) = cluster.tables.get(0) {
        add_table(sheet, &scope, cluster.balancing, table);
    }
    if let Some(settings) = &cluster.adaptive {
        add_adaptive(sheet, &scope, settings, cluster.state.adaptive());
    }
    if cluster.outlier_detection.is_some() {
        add_ejections(sheet, &scope, &cluster.state);
    }
}

/// The cluster of hosts that no service has, which is in no configuration.
pub(super) fn add_passthrough(sheet: &mut Sheet, name: &str, requests: &ClusterRequests) {
    let (text, labels) = (
        format!("cluster.{name}"),
        label_text(&[("cluster_name", name)]),
    );
    let scope = Scope {
        text: &text,
        family: FAMILY,
        labels: &labels,
    };
    add_requests(sheet, &scope, requests);
    add_connections(sheet, name, &labels, &requests.tcp);
}

/// What passed through to a cluster without being HTTP; a cluster that nothing did has no lines.
fn add_connections(sheet: &mut Sheet, name: &str, labels: &str, tcp: &ClusterConnections) {
    let ClusterConnections {
        total,
        received,
        sent,
        idle,
        long,
    } = *tcp;
    if total == 0 {
        return;
    }
    let scope = Scope {
        text: &format!("tcp.{name}"),
        family: "envoy_tcp",
        labels: &labels.replacen("cluster_name", "tcp_prefix", 1),
    };
    for (name, help, count) in [
        ("downstream_cx_total", "Connections", total),
        (
            "downstream_cx_rx_bytes_total",
            "Bytes from clients",
            received,
        ),
        ("downstream_cx_tx_bytes_total", "Bytes to clients", sent),
        (
            "idle_timeout",
            "Connections on which nothing moved for too long",
            idle,
        ),
        (
            "max_downstream_connection_duration",
            "Connections that lasted as long as they may",
            long,
        ),
    ] {
        sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
    }
}

fn gauge(sheet: &mut Sheet, scope: &Scope<'_>, stat: Stat<'_>, value: impl Into<f64>) {
    sheet.add(scope, stat, Value::Gauge(value.into()));
}

fn add_members(sheet: &mut Sheet, scope: &Scope<'_>, cluster: &Cluster) {
    let sum = |count: &dyn Fn(&HostState) -> u64| {
        let endpoints = cluster.endpoints.iter();
        endpoints
            .map(|endpoint| count(&endpoint.state))
            .sum::<u64>()
    };
    // No cluster has so many endpoints, and no endpoint so many connections, that a number is not exact.
    let of = |count: u64| count as f64;
    let healthy = sum(&|h| u64::from(!h.is_ejected()));
    for (name, help, value) in [
        (
            "membership_total",
            "Endpoints",
            of(cluster.endpoints.len() as u64),
        ),
        (
            "membership_healthy",
            "Endpoints that are not ejected",
            of(healthy),
        ),
        (
            "membership_degraded",
            "Endpoints that are degraded: there are none",
            0.0,
        ),
        (
            "membership_excluded",
            "Endpoints that are excluded: there are none",
            0.0,
        ),
        (
            "upstream_cx_active",
            "Connections, idle ones included",
            of(sum(&|h| h.connections().into())),
        ),
        (
            "upstream_rq_active",
            "Requests under way",
            of(sum(&|h| h.active().into())),
        ),
        (
            "upstream_rq_pending_active",
            "Requests that have no connection yet, where limits count them",
            f64::from(cluster.state.gauges().current(Counted::Pending)),
        ),
    ] {
        sheet.add(scope, Stat::new(name, help), Value::Gauge(value));
    }
    for (name, help, count) in [
        (
            "upstream_cx_total",
            "Connections begun",
            sum(&|h| h.connections_begun()),
        ),
        (
            "upstream_cx_connect_fail",
            "Connections that could not be made",
            sum(&|h| h.connect_failures()),
        ),
        (
            "upstream_rq_total",
            "Attempts that got a connection",
            sum(&|h| h.requests()),
        ),
    ] {
        sheet.add(scope, Stat::new(name, help), Value::Counter(count));
    }
}

fn add_requests(sheet: &mut Sheet, scope: &Scope<'_>, requests: &ClusterRequests) {
    let ClusterRequests {
        codes,
        events,
        time,
        tcp: _,
    } = requests;
    let completed = Stat::new("upstream_rq_completed", "Responses");
    sheet.add(scope, completed, Value::Counter(codes.total()));
    for ((_, name, help), count) in ClusterEvent::ALL.iter().zip(events) {
        sheet.add(scope, Stat::new(name, help), Value::Counter(*count));
    }
    add_codes(
        sheet,
        scope,
        "upstream_rq",
        ("upstream_rq_xx", "upstream_rq"),
        codes,
    );
    let time = Value::Micros(time);
    let stat = Stat::new(
        "upstream_rq_time",
        "From the beginning of an attempt to the end of its response, in milliseconds",
    );
    sheet.add(scope, stat, time);
}

/// Responses by hundreds and by status.
pub(super) fn add_codes(
    sheet: &mut Sheet,
    scope: &Scope<'_>,
    name: &str,
    families: (&'static str, &'static str),
    codes: &StatusCounts,
) {
    for class in 1..=5 {
        let value = class.to_string();
        let stat = Stat {
            text: &format!("{name}_{class}xx"),
            family: families.0,
            label: Some(("response_code_class", &value)),
            help: "Responses by the hundreds of their status",
        };
        sheet.add(scope, stat, Value::Counter(codes.class(class)));
    }
    for (status, count) in codes.iter().filter(|(status, _)| *status > 0) {
        let value = status.to_string();
        let stat = Stat {
            text: &format!("{name}_{status}"),
            family: families.1,
            label: Some(("response_code", &value)),
            help: "Responses by status",
        };
        sheet.add(scope, stat, Value::Counter(count));
    }
}

/// What is counted against circuit limits. Where nothing is limited, nothing is counted either, and no gate is open.
fn add_breakers(sheet: &mut Sheet, scope: &Scope<'_>, cluster: &Cluster) {
    let gauges = cluster.state.gauges();
    let limits = cluster.limits;
    let retries = limits.and_then(|limits| match limits.retries {
        RetryLimit::Count(most) => Some(most),
        // What a share allows depends on the requests of the moment.
        RetryLimit::Share(_) => None,
    });
    let most = |of: fn(&Limits) -> u32| limits.as_ref().map(of);
    for (open, remaining, counted, most) in [
        (
            "circuit_breakers.default.cx_open",
            "circuit_breakers.default.remaining_cx",
            Counted::Connections,
            most(|l| l.connections),
        ),
        (
            "circuit_breakers.default.rq_pending_open",
            "circuit_breakers.default.remaining_pending",
            Counted::Pending,
            most(|l| l.pending),
        ),
        (
            "circuit_breakers.default.rq_open",
            "circuit_breakers.default.remaining_rq",
            Counted::Requests,
            most(|l| l.requests),
        ),
        (
            "circuit_breakers.default.rq_retry_open",
            "circuit_breakers.default.remaining_retries",
            Counted::Retries,
            retries,
        ),
    ] {
        let most = most.unwrap_or(u32::MAX);
        let left = most.saturating_sub(gauges.current(counted));
        let is_open = most < u32::MAX && left == 0;
        let stat = Stat::new(open, "Whether a circuit limit is reached");
        gauge(sheet, scope, stat, u8::from(is_open));
        let help = "What is left until a circuit limit is reached; 4294967295 where there is none";
        gauge(sheet, scope, Stat::new(remaining, help), left);
    }
}

/// A cluster whose retries nothing has happened to has no lines: most have none.
fn add_retries(sheet: &mut Sheet, scope: &Scope<'_>, state: &ClusterState) {
    use RetryEvent::{BackOff, Hedge, LimitExceeded, Overflow, RetryAfter, Success};
    let [exponential, asked, hedged, success, overflow, exceeded] =
        [BackOff, RetryAfter, Hedge, Success, Overflow, LimitExceeded]
            .map(|event| state.counted_retries(event));
    let all = exponential + asked + hedged;
    if all + overflow + exceeded == 0 {
        return;
    }
    for (name, help, count) in [
        ("upstream_rq_retry", "Retries", all),
        (
            "upstream_rq_retry_backoff_exponential",
            "Retries after a wait that doubles",
            exponential,
        ),
        (
            "upstream_rq_retry_backoff_ratelimited",
            "Retries after the wait that a response asked for",
            asked,
        ),
        (
            "upstream_rq_retry_hedged",
            "Retries beside an attempt that took too long",
            hedged,
        ),
        (
            "upstream_rq_retry_success",
            "Retries that ended well",
            success,
        ),
        (
            "upstream_rq_retry_overflow",
            "Retries that a limit of the cluster refused",
            overflow,
        ),
        (
            "upstream_rq_retry_limit_exceeded",
            "Requests whose policy had no retries left",
            exceeded,
        ),
    ] {
        sheet.add(scope, Stat::new(name, help), Value::Counter(count));
    }
}

/// Only of clusters about whose requests a service that keeps rate limits was asked.
fn add_limit_answers(sheet: &mut Sheet, scope: &Scope<'_>, state: &ClusterState) {
    let counts = state.limit_answers().named();
    if counts.iter().all(|(_, count)| *count == 0) {
        return;
    }
    for (name, count) in counts {
        let stat = Stat::new(
            name,
            "Requests by what a service that keeps rate limits said",
        );
        sheet.add(scope, stat, Value::Counter(count));
    }
}

/// Only of clusters to whose endpoints connections are protected.
fn add_tls(sheet: &mut Sheet, scope: &Scope<'_>, state: &ClusterState) {
    for (name, count) in state.tls().named().into_iter().flatten() {
        let stat = Stat::new(
            name,
            "TLS handshakes with endpoints, by what became of them",
        );
        sheet.add(scope, stat, Value::Counter(count));
    }
}

fn add_ejections(sheet: &mut Sheet, scope: &Scope<'_>, state: &ClusterState) {
    let tally = state.tally();
    let active = Stat::new(
        "outlier_detection.ejections_active",
        "Endpoints that are ejected",
    );
    gauge(sheet, scope, active, state.ejections_active());
    for (name, help, count) in [
        (
            "outlier_detection.ejections_enforced_total",
            "Ejections",
            tally.enforced_total(),
        ),
        (
            "outlier_detection.ejections_overflow",
            "Ejections that maxEjectionPercent did not allow",
            tally.overflow(),
        ),
    ] {
        sheet.add(scope, Stat::new(name, help), Value::Counter(count));
    }
    for detector in Detector::ALL {
        let (detected, enforced) = ejection_names(detector);
        let stat = Stat::new(detected, "What a detector found");
        sheet.add(scope, stat, Value::Counter(tally.detected(detector)));
        let stat = Stat::new(enforced, "Ejections that came of a detector");
        sheet.add(scope, stat, Value::Counter(tally.enforced(detector)));
    }
}

/// Envoy's names of what a detector finds and of the ejections that come of it.
const fn ejection_names(detector: Detector) -> (&'static str, &'static str) {
    macro_rules! names {
        ($name:literal) => {
            (
                concat!("outlier_detection.ejections_detected_", $name),
                concat!("outlier_detection.ejections_enforced_", $name),
            )
        };
    }
    match detector {
        Detector::Consecutive5xx => names!("consecutive_5xx"),
        Detector::ConsecutiveGateway => names!("consecutive_gateway_failure"),
        Detector::ConsecutiveLocalOrigin => names!("consecutive_local_origin_failure"),
        Detector::SuccessRate(Origin::External) => names!("success_rate"),
        Detector::SuccessRate(Origin::Local) => names!("local_origin_success_rate"),
        Detector::FailurePercentage(Origin::External) => names!("failure_percentage"),
        Detector::FailurePercentage(Origin::Local) => names!("local_origin_failure_percentage"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_telemetry::exposition::Form;

    const SCOPE: Scope<'static> = Scope {
        text: "c",
        family: FAMILY,
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
    fn ejections_are_told_by_detector_under_envoys_names() {
        let lines = told(|sheet| add_ejections(sheet, &SCOPE, &ClusterState::default()));
        assert_eq!(lines.len(), 17);
        for detector in Detector::ALL {
            for what in ["detected", "enforced"] {
                let name = detector.name();
                let line = format!("c.outlier_detection.ejections_{what}_{name}: 0");
                assert!(lines.contains(&line), "{line} is not among {lines:?}");
            }
        }
        for name in ["active", "enforced_total", "overflow"] {
            let line = format!("c.outlier_detection.ejections_{name}: 0");
            assert!(lines.contains(&line), "{line} is not among {lines:?}");
        }
    }
}
