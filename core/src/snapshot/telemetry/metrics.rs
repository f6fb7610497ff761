//! What Telemetry resources make of Istio's standard metrics.

use super::Expression;

/// A metric of requests.
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
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::Duration,
        Self::RequestBytes,
        Self::ResponseBytes,
        Self::RequestMessages,
        Self::ResponseMessages,
    ];

    /// How many of them, from the first, are of every request; the rest are of gRPC calls alone.
    pub const OF_REQUESTS: usize = 4;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricRules {
    /// For requests that the workload sends.
    pub outbound: SideRules,
    /// For requests that it receives.
    pub inbound: SideRules,
}

impl MetricRules {
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
