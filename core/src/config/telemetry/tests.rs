//! Telemetry resources, what is read of them, and what is said about them.

use std::sync::Arc;

use super::*;
use crate::config::fixture::judged_document;
use crate::config::{Source, load};
use crate::config::{cel, log_format};
use crate::snapshot::telemetry::LogText;

fn document(spec: &str) -> String {
    format!(
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {{name: t}}\nspec: {spec}\n"
    )
}

fn read(spec: &str) -> Telemetry {
    let text = document(spec);
    let source = Source {
        name: "telemetry.yaml",
        bytes: text.as_bytes(),
    };
    let mut loaded = load(&[source], "default");
    assert_eq!(loaded.resources.telemetries.len(), 1, "{spec}");
    loaded.resources.telemetries.remove(0)
}

#[test]
fn sections_are_read_field_for_field() {
    let tracing = read(
        "{tracing: [{match: {mode: CLIENT}, providers: [{name: zipkin}], randomSamplingPercentage: 12.5,\
         disableSpanReporting: true, useRequestIdForTraceSampling: false, enableIstioTags: false,\
         disableContextPropagation: true, customTags: {\
         a: {literal: {value: b}}, c: {header: {name: d, defaultValue: e}}, f: {environment: {name: g}},\
         h: {formatter: {value: '%PROTOCOL%'}}}}]}",
    )
    .tracing;
    let tag = |name: &str, default: &str| (name.to_owned(), default.to_owned());
    let ((header, header_default), (environment, environment_default)) =
        (tag("d", "e"), tag("g", ""));
    let tags = [
        ("a", CustomTag::Literal("b".into())),
        (
            "c",
            CustomTag::Header {
                name: header,
                default: header_default,
            },
        ),
        (
            "f",
            CustomTag::Environment {
                name: environment,
                default: environment_default,
            },
        ),
        (
            "h",
            CustomTag::Formatter(
                "%PROTOCOL%".into(),
                LogText {
                    omits_empty: true,
                    ..log_format::text("%PROTOCOL%", &mut Vec::new())
                },
            ),
        ),
    ];
    let want = Tracing {
        mode: WorkloadMode::Client,
        providers: vec!["zipkin".into()],
        random_sampling_percentage: Some(12.5),
        disable_span_reporting: Some(true),
        custom_tags: Some(
            tags.into_iter()
                .map(|(name, tag)| (name.to_owned(), tag))
                .collect(),
        ),
        use_request_id_for_trace_sampling: Some(false),
        enable_istio_tags: Some(false),
        disable_context_propagation: Some(true),
    };
    assert_eq!(tracing, [want]);
    assert_eq!(read("{tracing: [{}]}").tracing, [Tracing::default()]);
    assert_eq!(
        read("{tracing: [{customTags: {}}]}").tracing[0].custom_tags,
        Some(BTreeMap::new())
    );

    let metrics = read(
        "{metrics: [{providers: [{name: prometheus}], reportingInterval: 5s, overrides: [\
         {match: {metric: REQUEST_COUNT, mode: SERVER}, disabled: true},\
         {match: {customMetric: mine}, tagOverrides: {a: {value: request.host}, b: {operation: REMOVE}}}]}]}",
    )
    .metrics;
    let want = Metrics {
        providers: vec!["prometheus".into()],
        reporting_interval: Some(crate::time::Duration::from_secs(5)),
        overrides: vec![
            MetricsOverride {
                metric: MetricSelector::Istio(IstioMetric::RequestCount),
                mode: WorkloadMode::Server,
                disabled: Some(true),
                tag_overrides: BTreeMap::new(),
            },
            MetricsOverride {
                metric: MetricSelector::Custom("mine".into()),
                tag_overrides: [
                    ("a".into(), TagOverride::Upsert("request.host".into())),
                    ("b".into(), TagOverride::Remove),
                ]
                .into(),
                ..MetricsOverride::default()
            },
        ],
    };
    assert_eq!(metrics, [want]);

    let telemetry = read(
        "{selector: {matchLabels: {app: a}}, accessLogging: [{match: {mode: SERVER}, providers: [{name: envoy}],\
         disabled: false, filter: {expression: 'response.code >= 400'}}, {}]}",
    );
    assert_eq!(telemetry.selector["app"], "a");
    let want = AccessLogging {
        mode: WorkloadMode::Server,
        providers: vec!["envoy".into()],
        disabled: Some(false),
        filter: cel::condition("response.code >= 400").ok().map(Arc::new),
    };
    assert_eq!(telemetry.access_logging, [want, AccessLogging::default()]);
}

#[test]
fn what_is_wrong_is_told() {
    for (spec, expected) in [
        ("{selector: {matchLabels: {a: b}}}", &[][..]),
        (
            "{targetRef: {group: '', kind: Service, name: a}}",
            &["not-in-effect spec"],
        ),
        (
            "{tracing: [{customTags: {t: {formatter: {value: '%NO%'}}, u: {formatter: {value: '%CEL(a)%'}}}}]}",
            &[
                "invalid-log-format spec.tracing[0].customTags[\"t\"].formatter",
                "operator-not-in-effect spec.tracing[0].customTags[\"u\"].formatter",
            ],
        ),
        (
            "{tracing: [{randomSamplingPercentage: 101}]}",
            &["invalid-percent spec.tracing[0].randomSamplingPercentage"],
        ),
        ("{tracing: [{}, {}]}", &["only-first-used spec.tracing"]),
        (
            "{tracing: [{providers: [{name: a}, {name: b}]}]}",
            &["only-first-used spec.tracing[0].providers"],
        ),
        (
            "{tracing: [{customTags: {a: {header: {}}}}]}",
            &["required-field spec.tracing[0].customTags[\"a\"].header"],
        ),
        (
            "{tracing: [{customTags: {a: {header: {name: b}, literal: {value: c}}}}]}",
            &["one-of spec.tracing[0].customTags[\"a\"]"],
        ),
        (
            "{tracing: [{customTags: {a: {literal: {value: b, defaultValue: c}}}}]}",
            &["no-such-field spec.tracing[0].customTags[\"a\"].literal.defaultValue"],
        ),
        (
            "{metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}}}]}]}",
            &["required-field spec.metrics[0].overrides[0].tagOverrides[\"a\"]"],
        ),
        (
            "{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: b}}}]}]}",
            &["invalid-policy spec.metrics[0].overrides[0].tagOverrides[\"a\"].value"],
        ),
        (
            "{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE}}}]}]}",
            &[],
        ),
        (
            "{metrics: [{reportingInterval: 0s}]}",
            &["invalid-duration spec.metrics[0].reportingInterval"],
        ),
        (
            "{accessLogging: [{providers: [{}]}]}",
            &["required-field spec.accessLogging[0].providers[0]"],
        ),
        (
            "{accessLogging: [{filter: {expression: response.code > '400'}}]}",
            &["invalid-expression spec.accessLogging[0].filter.expression"],
        ),
        (
            "{accessLogging: [{mode: CLIENT}]}",
            &["no-such-field spec.accessLogging[0].mode"],
        ),
    ] {
        let mut said = judged_document(&document(spec));
        let pending = ["tracing", "metrics"];
        said.retain(|said| {
            pending
                .iter()
                .all(|f| *said != format!("not-in-effect spec.{f}"))
        });
        assert_eq!(said, expected, "{spec}");
    }
}
