//! What Telemetry resources make of Istio's standard metrics.
//!
//! Owns how the entries of `metrics` come together: each changes what those before it left, field by field, if its providers
//! (or those that it inherits) are scraped by Prometheus.

use std::collections::BTreeMap;

use super::telemetry::{Applicable, Entry};
use crate::config::cel;
use crate::config::mesh::{MeshConfig, ProviderKind};
use crate::config::telemetry::{
    IstioMetric, MetricSelector, Metrics, MetricsOverride, TagOverride,
};
use crate::config::{Code, Finding};
use crate::snapshot::telemetry::{Expression, Metric, MetricRule, MetricRules, TagRule};

/// A metric while it is being put together.
#[derive(Clone, Debug, Default)]
struct Draft {
    is_disabled: bool,
    tags: BTreeMap<String, Option<Expression>>,
}

type Drafts = [Draft; Metric::ALL.len()];

/// Compiles them.
pub(super) fn metrics(
    telemetries: &Applicable<'_>,
    mesh: &MeshConfig,
    findings: &mut Vec<Finding>,
) -> MetricRules {
    let (mut outbound, mut inbound) = (Drafts::default(), Drafts::default());
    let mut reporting_interval = MetricRules::REPORTING_INTERVAL;
    let mut inherited: &[String] = &mesh.default_providers.metrics;
    for entry in telemetries.entries("metrics", |t| &t.metrics) {
        if !entry.entry.providers.is_empty() {
            inherited = &entry.entry.providers;
            tell_others(&entry, mesh, findings);
        }
        let is_prometheus = |name: &String| {
            let provider = mesh.provider(name);
            provider.is_some_and(|provider| provider.kind == ProviderKind::Prometheus)
        };
        if !inherited.iter().any(is_prometheus) {
            continue;
        }
        reporting_interval = entry.entry.reporting_interval.unwrap_or(reporting_interval);
        for (at, change) in entry.entry.overrides.iter().enumerate() {
            let change = Change {
                entry: &entry,
                at,
                change,
            };
            change.apply(&mut outbound, &mut inbound, findings);
        }
    }
    MetricRules {
        outbound: outbound.map(finished),
        inbound: inbound.map(finished),
        reporting_interval,
    }
}

fn finished(draft: Draft) -> MetricRule {
    let tags = draft.tags.into_iter();
    MetricRule {
        is_disabled: draft.is_disabled,
        tags: tags
            .map(|(name, value)| TagRule {
                name: name.into(),
                value,
            })
            .collect(),
    }
}

/// Tells providers that are no Prometheus: nothing is told to them.
fn tell_others(entry: &Entry<'_, Metrics>, mesh: &MeshConfig, findings: &mut Vec<Finding>) {
    for (at, name) in entry.entry.providers.iter().enumerate() {
        match mesh.provider(name).map(|provider| &provider.kind) {
            None | Some(ProviderKind::Prometheus) => {}
            Some(
                ProviderKind::FileAccessLog(_)
                | ProviderKind::Traces(_)
                | ProviderKind::Authorizer(_)
                | ProviderKind::Other(_),
            ) => {
                let message = format!("provider `{name}` is told no metrics");
                let path = format!("providers[{at}]");
                let help = "metrics are told to providers with `prometheus`";
                findings.push(entry.finding(&path, Code::NotInEffect, message, help));
            }
        }
    }
}

/// One override.
struct Change<'a, 'b> {
    entry: &'b Entry<'a, Metrics>,
    at: usize,
    change: &'a MetricsOverride,
}

impl Change<'_, '_> {
    fn apply(&self, outbound: &mut Drafts, inbound: &mut Drafts, findings: &mut Vec<Finding>) {
        let metrics = self.metrics(findings);
        let tags = self.tags(findings);
        let mode = self.change.mode;
        let sides = [
            (outbound, mode.is_for_client()),
            (inbound, mode.is_for_server()),
        ];
        for (drafts, _) in sides.into_iter().filter(|(_, is_for)| *is_for) {
            for metric in metrics {
                let draft = &mut drafts[*metric as usize];
                draft.is_disabled = self.change.disabled.unwrap_or(draft.is_disabled);
                draft.tags.extend(tags.iter().cloned());
            }
        }
    }

    /// Which metrics it is for, of those that are counted.
    fn metrics(&self, findings: &mut Vec<Finding>) -> &'static [Metric] {
        let (field, what) = match &self.change.metric {
            MetricSelector::Istio(metric) => match metric {
                IstioMetric::AllMetrics => return &Metric::ALL,
                IstioMetric::RequestCount => return &[Metric::Requests],
                IstioMetric::RequestDuration => return &[Metric::Duration],
                IstioMetric::RequestSize => return &[Metric::RequestBytes],
                IstioMetric::ResponseSize => return &[Metric::ResponseBytes],
                IstioMetric::TcpOpenedConnections => return &[Metric::ConnectionsOpened],
                IstioMetric::TcpClosedConnections => return &[Metric::ConnectionsClosed],
                IstioMetric::TcpSentBytes => return &[Metric::BytesSent],
                IstioMetric::TcpReceivedBytes => return &[Metric::BytesReceived],
                IstioMetric::GrpcRequestMessages => return &[Metric::RequestMessages],
                IstioMetric::GrpcResponseMessages => return &[Metric::ResponseMessages],
            },
            MetricSelector::Custom(_) => ("customMetric", "metrics that are not Istio's"),
        };
        let message = format!("{what} are not counted, so nothing of them is changed");
        self.tell(
            &format!("match.{field}"),
            Code::NotInEffect,
            message,
            findings,
        );
        &[]
    }

    /// The labels that it changes, as far as they can be.
    fn tags(&self, findings: &mut Vec<Finding>) -> Vec<(String, Option<Expression>)> {
        let mut tags = Vec::new();
        for (name, tag) in &self.change.tag_overrides {
            match tag {
                TagOverride::Remove => tags.push((name.clone(), None)),
                TagOverride::Upsert(text) if !is_label(name) => {
                    let message =
                        format!("`{name}` is no name of a label, so `{text}` is not told");
                    self.tell(
                        &format!("tagOverrides[\"{name}\"]"),
                        Code::NotInEffect,
                        message,
                        findings,
                    );
                }
                TagOverride::Upsert(text) => match cel::value(text) {
                    Ok(value) => tags.push((name.clone(), Some(value))),
                    Err(fault) => {
                        let message = format!("{}; the tag stays as it is", fault.message);
                        let field = format!("tagOverrides[\"{name}\"].value");
                        self.tell(&field, Code::NotInEffect, message, findings);
                    }
                },
            }
        }
        tags
    }

    fn tell(&self, field: &str, code: Code, message: String, findings: &mut Vec<Finding>) {
        let path = format!("overrides[{}].{field}", self.at);
        let help = "docs/metrics.md says what is understood";
        findings.push(self.entry.finding(&path, code, message, help));
    }
}

/// Whether Prometheus takes a name for a label.
fn is_label(name: &str) -> bool {
    let mut letters = name.chars();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    letters.next().is_some_and(is_first) && letters.all(|c| is_first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Registry;
    use crate::compile::{Answers, Workload, compile};
    use crate::config::{Source, load};

    /// What becomes of the metrics of both sides, and the findings.
    fn compiled(spec: &str) -> (String, String, Vec<String>) {
        let text = format!(
            "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t}}\nspec: {spec}\n"
        );
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let loaded = load(&[source], "default");
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let compiled = compile(
            &loaded.resources,
            &Workload::default(),
            &MeshConfig::default(),
            &[],
            &Answers::new(),
            &mut Registry::default(),
            0,
        );
        let shown = |is_inbound| {
            let rules = compiled.snapshot.metrics.of(is_inbound);
            let each = rules.into_iter().flatten().zip(Metric::ALL);
            let each = each.map(|(rule, metric)| {
                let off = if rule.is_disabled { " off" } else { "" };
                let tags = rule.tags.iter();
                let tags = tags.map(|tag| {
                    let sign = if tag.value.is_some() { '+' } else { '-' };
                    format!(" {sign}{}", tag.name)
                });
                format!("{metric:?}{off}{}", tags.collect::<String>())
            });
            each.collect::<Vec<_>>().join(", ")
        };
        let said = compiled.findings.iter();
        let said = said.map(|f| format!("{} {}", f.code, f.path)).collect();
        (shown(false), shown(true), said)
    }

    #[test]
    fn overrides_come_together() {
        let all = |rest: &str| {
            let each = Metric::ALL.map(|metric| format!("{metric:?}{rest}"));
            each.join(", ")
        };
        for (spec, outbound, inbound) in [
            (
                "{metrics: [{providers: [{name: prometheus}]}]}",
                "".to_owned(),
                "".to_owned(),
            ),
            (
                "{metrics: [{overrides: [{disabled: true}]}]}",
                all(" off"),
                all(" off"),
            ),
            (
                "{metrics: [{overrides: [{match: {mode: CLIENT}, tagOverrides: {source_app: {operation: REMOVE}, host: {value: request.host}}}]}]}",
                all(" +host -source_app"),
                "".to_owned(),
            ),
            (
                "{metrics: [{overrides: [{disabled: true, match: {mode: SERVER}}, {match: {metric: REQUEST_COUNT, mode: SERVER}, disabled: false}]}]}",
                "".to_owned(),
                all(" off").replacen(" off", "", 1),
            ),
            (
                "{metrics: [{overrides: [{disabled: true, match: {metric: GRPC_REQUEST_MESSAGES}}, {match: {metric: GRPC_RESPONSE_MESSAGES, mode: CLIENT}, tagOverrides: {source_app: {operation: REMOVE}}}]}]}",
                all("")
                    .replace("RequestMessages", "RequestMessages off")
                    .replace("ResponseMessages", "ResponseMessages -source_app"),
                all("").replace("RequestMessages", "RequestMessages off"),
            ),
            (
                "{metrics: [{overrides: [{disabled: true, match: {metric: TCP_OPENED_CONNECTIONS}}, {disabled: true, match: {metric: TCP_CLOSED_CONNECTIONS}}, {match: {metric: TCP_SENT_BYTES, mode: CLIENT}, tagOverrides: {source_app: {operation: REMOVE}}}, {disabled: true, match: {metric: TCP_RECEIVED_BYTES, mode: CLIENT}}]}]}",
                all("")
                    .replace("Opened", "Opened off")
                    .replace("Closed", "Closed off")
                    .replace("BytesSent", "BytesSent -source_app")
                    .replace("BytesReceived", "BytesReceived off"),
                all("")
                    .replace("Opened", "Opened off")
                    .replace("Closed", "Closed off"),
            ),
        ] {
            assert_eq!(compiled(spec), (outbound, inbound, vec![]), "{spec}");
        }
    }

    #[test]
    fn the_last_entry_that_says_so_has_how_often_connections_are_counted() {
        for (spec, seconds) in [
            ("{}", 5),
            ("{metrics: [{reportingInterval: 7s}]}", 7),
            ("{metrics: [{reportingInterval: 7s}, {}]}", 7),
            (
                "{metrics: [{reportingInterval: 7s}, {reportingInterval: 1s}]}",
                1,
            ),
        ] {
            let text = format!(
                "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t}}\nspec: {spec}\n"
            );
            let rules = crate::compile::from_yaml(&text).snapshot.metrics;
            assert_eq!(rules.reporting_interval.as_secs(), seconds, "{spec}");
        }
    }

    #[test]
    fn what_is_not_honoured_is_told() {
        for (spec, said) in [
            (
                "{metrics: [{overrides: [{match: {customMetric: mine}, disabled: true}]}]}",
                "not-in-effect spec.metrics[0].overrides[0].match.customMetric",
            ),
            (
                "{metrics: [{overrides: [{tagOverrides: {a: {value: \"node.metadata['X']\"}}}]}]}",
                "not-in-effect spec.metrics[0].overrides[0].tagOverrides[\"a\"].value",
            ),
            (
                "{metrics: [{overrides: [{tagOverrides: {a.b: {value: request.host}}}]}]}",
                "not-in-effect spec.metrics[0].overrides[0].tagOverrides[\"a.b\"]",
            ),
        ] {
            let (outbound, inbound, told) = compiled(spec);
            assert_eq!(told, [said], "{spec}");
            assert_eq!((&*outbound, &*inbound), ("", ""), "{spec}");
        }
    }
}
