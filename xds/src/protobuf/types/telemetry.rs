//! Telemetry (`telemetry/v1alpha1/telemetry.proto`).

use super::security::{POLICY_TARGET_REFERENCE, WORKLOAD_SELECTOR};
use crate::protobuf::table::{
    Kind, Message, Symbols, double, duration, flag, map, message, symbol, text,
};

pub(super) static TELEMETRY: Message = Message::new(
    "Telemetry",
    &[
        message(1, "selector", &WORKLOAD_SELECTOR),
        message(2, "tracing", &TRACING).list(),
        message(3, "metrics", &METRICS).list(),
        message(4, "accessLogging", &ACCESS_LOGGING).list(),
        message(5, "targetRef", &POLICY_TARGET_REFERENCE),
        message(6, "targetRefs", &POLICY_TARGET_REFERENCE).list(),
    ],
);

static TRACING: Message = Message::new(
    "Tracing",
    &[
        message(2, "providers", &PROVIDER_REF).list(),
        double(3, "randomSamplingPercentage").wrapped(),
        flag(4, "disableSpanReporting").wrapped(),
        map(5, "customTags", &Kind::Message(&TRACING_CUSTOM_TAG)),
        flag(6, "useRequestIdForTraceSampling").wrapped(),
        message(7, "match", &TRACING_SELECTOR),
        flag(8, "enableIstioTags").wrapped(),
        flag(9, "disableContextPropagation").wrapped(),
    ],
);

static TRACING_SELECTOR: Message = Message::new(
    "Tracing.TracingSelector",
    &[symbol(1, "mode", WORKLOAD_MODE)],
);

static PROVIDER_REF: Message = Message::new("ProviderRef", &[text(1, "name")]);

static TRACING_CUSTOM_TAG: Message = Message::new(
    "Tracing.CustomTag",
    &[
        message(1, "literal", &TRACING_LITERAL),
        message(2, "environment", &TRACING_ENVIRONMENT),
        message(3, "header", &TRACING_REQUEST_HEADER),
        message(4, "formatter", &FORMATTER),
    ],
);

static TRACING_LITERAL: Message = Message::new("Tracing.Literal", &[text(1, "value")]);

static TRACING_ENVIRONMENT: Message = Message::new(
    "Tracing.Environment",
    &[text(1, "name"), text(2, "defaultValue")],
);

static TRACING_REQUEST_HEADER: Message = Message::new(
    "Tracing.RequestHeader",
    &[text(1, "name"), text(2, "defaultValue")],
);

static FORMATTER: Message = Message::new("Tracing.Formatter", &[text(1, "value")]);

static METRICS: Message = Message::new(
    "Metrics",
    &[
        message(1, "providers", &PROVIDER_REF).list(),
        message(2, "overrides", &METRICS_OVERRIDES).list(),
        duration(3, "reportingInterval"),
    ],
);

static METRICS_OVERRIDES: Message = Message::new(
    "MetricsOverrides",
    &[
        message(1, "match", &METRIC_SELECTOR),
        flag(2, "disabled").wrapped(),
        map(3, "tagOverrides", &Kind::Message(&TAG_OVERRIDE)),
    ],
);

static METRIC_SELECTOR: Message = Message::new(
    "MetricSelector",
    &[
        symbol(1, "metric", METRIC_SELECTOR_ISTIO_METRIC),
        text(2, "customMetric"),
        symbol(3, "mode", WORKLOAD_MODE),
    ],
);

static TAG_OVERRIDE: Message = Message::new(
    "MetricsOverrides.TagOverride",
    &[
        symbol(1, "operation", TAG_OVERRIDE_OPERATION),
        text(2, "value"),
    ],
);

static ACCESS_LOGGING: Message = Message::new(
    "AccessLogging",
    &[
        message(1, "providers", &PROVIDER_REF).list(),
        flag(2, "disabled").wrapped(),
        message(3, "filter", &FILTER),
        message(4, "match", &LOG_SELECTOR),
    ],
);

static LOG_SELECTOR: Message = Message::new(
    "AccessLogging.LogSelector",
    &[symbol(1, "mode", WORKLOAD_MODE)],
);

static FILTER: Message = Message::new("AccessLogging.Filter", &[text(1, "expression")]);

const WORKLOAD_MODE: Symbols = &[(0, "CLIENT_AND_SERVER"), (1, "CLIENT"), (2, "SERVER")];

const METRIC_SELECTOR_ISTIO_METRIC: Symbols = &[
    (0, "ALL_METRICS"),
    (1, "REQUEST_COUNT"),
    (2, "REQUEST_DURATION"),
    (3, "REQUEST_SIZE"),
    (4, "RESPONSE_SIZE"),
    (5, "TCP_OPENED_CONNECTIONS"),
    (6, "TCP_CLOSED_CONNECTIONS"),
    (7, "TCP_SENT_BYTES"),
    (8, "TCP_RECEIVED_BYTES"),
    (9, "GRPC_REQUEST_MESSAGES"),
    (10, "GRPC_RESPONSE_MESSAGES"),
];

const TAG_OVERRIDE_OPERATION: Symbols = &[(0, "UPSERT"), (1, "REMOVE")];
