//! What Telemetry resources make of Istio's standard metrics.

use core::ops::Range;

use super::Expression;
use crate::time::Duration;

/// A metric of requests, or of connections that are not HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `istio_requests_total`.
    Requests,
    /// `istio_request_duration_milliseconds`.
    Duration,
    /// `istio_request_bytes`.
    RequestBytes,
    /// `istio_response_bytes`.
    ResponseBytes,
    /// `istio_request_messages_total`, of gRPC.
    RequestMessages,
    /// `istio_response_messages_total`, of gRPC.
    ResponseMessages,
    /// `istio_tcp_connections_opened_total`.
    ConnectionsOpened,
    /// `istio_tcp_connections_closed_total`.
    ConnectionsClosed,
    /// `istio_tcp_sent_bytes_total`: to clients.
    BytesSent,
    /// `istio_tcp_received_bytes_total`: from clients.
    BytesReceived,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::Duration,
        Self::RequestBytes,
        Self::ResponseBytes,
        Self::RequestMessages,
        Self::ResponseMessages,
        Self::ConnectionsOpened,
        Self::ConnectionsClosed,
        Self::BytesSent,
        Self::BytesReceived,
    ];

    /// Those of every request, among [`Metric::ALL`].
    pub const OF_REQUESTS: Range<usize> = 0..4;

    /// Those of gRPC calls alone.
    pub const OF_CALLS: Range<usize> = 4..6;

    /// Those of connections that are not HTTP.
    pub const OF_CONNECTIONS: Range<usize> = 6..10;
}

/// What is changed of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricRule {
    /// It is not told.
    pub is_disabled: bool,
    /// Its labels that are changed, by name.
    pub tags: Box<[TagRule]>,
}

/// A label that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// Its name.
    pub name: Box<str>,
    /// What it says instead; `None` leaves it out.
    pub value: Option<Expression>,
}

/// What is changed of the metrics of one side, in the order of [`Metric::ALL`].
pub type SideRules = [MetricRule; Metric::ALL.len()];

/// What is changed of Istio's metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRules {
    /// For requests that the workload sends.
    pub outbound: SideRules,
    /// For requests that it receives.
    pub inbound: SideRules,
    /// How often connections that are not HTTP are counted while they last (`reportingInterval`), from 1 ms.
    pub reporting_interval: Duration,
}

impl Default for MetricRules {
    fn default() -> Self {
        Self {
            outbound: SideRules::default(),
            inbound: SideRules::default(),
            reporting_interval: Self::REPORTING_INTERVAL,
        }
    }
}

impl MetricRules {
    /// How often where nobody says, as in Istio.
    pub const REPORTING_INTERVAL: Duration = Duration::from_secs(5);

    /// What is changed on one side; `None` where nothing is.
    #[must_use]
    pub fn of(&self, is_inbound: bool) -> Option<&SideRules> {
        let rules = match is_inbound {
            true => &self.inbound,
            false => &self.outbound,
        };
        let is_changed = |rule: &MetricRule| rule.is_disabled || !rule.tags.is_empty();
        rules.iter().any(is_changed).then_some(rules)
    }
}
