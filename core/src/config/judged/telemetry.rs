//! Telemetry: tracing, metrics and access logs.

use super::selection;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::{Object, object};

const MODES: &[(&str, i32, ())] = &[
    ("CLIENT_AND_SERVER", 0, ()),
    ("CLIENT", 1, ()),
    ("SERVER", 2, ()),
];

const METRICS: &[(&str, i32, ())] = &[
    ("ALL_METRICS", 0, ()),
    ("REQUEST_COUNT", 1, ()),
    ("REQUEST_DURATION", 2, ()),
    ("REQUEST_SIZE", 3, ()),
    ("RESPONSE_SIZE", 4, ()),
    ("TCP_OPENED_CONNECTIONS", 5, ()),
    ("TCP_CLOSED_CONNECTIONS", 6, ()),
    ("TCP_SENT_BYTES", 7, ()),
    ("TCP_RECEIVED_BYTES", 8, ()),
    ("GRPC_REQUEST_MESSAGES", 9, ()),
    ("GRPC_RESPONSE_MESSAGES", 10, ()),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Operation {
    #[default]
    Upsert,
    Remove,
}

const OPERATIONS: &[(&str, i32, Operation)] = &[
    ("UPSERT", 0, Operation::Upsert),
    ("REMOVE", 1, Operation::Remove),
];

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    selection::judge(o);
    let tracings = o.messages("tracing", tracing).len();
    if tracings > 1 {
        o.report().raise_in(
            "tracing",
            Code::OnlyFirstUsed,
            "only the first entry is used",
            "",
        );
    }
    o.messages("metrics", metrics);
    o.messages("accessLogging", |o| {
        providers(o);
        o.message("match", mode);
        o.optional_boolean("disabled");
        o.message("filter", |filter| filter.string("expression"));
    });
}

fn providers(o: &mut Object<'_, '_>) -> usize {
    let providers = o.messages("providers", |provider| {
        if provider.string("name").is_empty() {
            provider
                .report()
                .raise(Code::RequiredField, "a provider needs a name", "");
        }
    });
    providers.len()
}

fn mode(o: &mut Object<'_, '_>) {
    o.symbol("mode", MODES);
}

fn tracing(o: &mut Object<'_, '_>) {
    if providers(o) > 1 {
        o.report().raise_in(
            "providers",
            Code::OnlyFirstUsed,
            "only the first provider is used",
            "",
        );
    }
    o.message("match", mode);
    for field in [
        "disableSpanReporting",
        "useRequestIdForTraceSampling",
        "enableIstioTags",
        "disableContextPropagation",
    ] {
        o.optional_boolean(field);
    }
    if let Some(share) = o.number("randomSamplingPercentage")
        && !(0.0..=100.0).contains(&share)
    {
        let message = format!("`{share}` percent is not between 0 and 100");
        o.report().raise_in(
            "randomSamplingPercentage",
            Code::InvalidPercent,
            message,
            "",
        );
    }
    o.map("customTags", |report, entry| {
        if entry.key.text.is_empty() {
            report.raise(Code::RequiredField, "a tag needs a name", "");
        }
        if entry.value.is_null() {
            report.raise(Code::RequiredField, "a tag needs a value", "");
        }
        object(report, &entry.value, custom_tag);
        Some(())
    });
}

fn custom_tag(o: &mut Object<'_, '_>) {
    for (kind, field) in [
        ("literal", "value"),
        ("formatter", "value"),
        ("header", "name"),
        ("environment", "name"),
    ] {
        o.message(kind, |tag| {
            if tag.string(field).is_empty() {
                tag.report().raise(
                    Code::RequiredField,
                    format!("a {kind} tag needs `{field}`"),
                    "",
                );
            }
            tag.string("defaultValue");
        });
    }
    o.one_of(&["literal", "header", "environment", "formatter"]);
}

fn metrics(o: &mut Object<'_, '_>) {
    providers(o);
    let interval = o.duration("reportingInterval");
    checks::duration_in("reportingInterval", interval, o.report());
    o.messages("overrides", |o| {
        o.optional_boolean("disabled");
        o.message("match", |o| {
            o.symbol("metric", METRICS);
            mode(o);
            o.one_of(&["metric", "customMetric"]);
            if o.optional_string("customMetric")
                .is_some_and(|name| name.is_empty())
            {
                o.report().raise_in(
                    "customMetric",
                    Code::RequiredField,
                    "a metric needs a name",
                    "",
                );
            }
        });
        o.map("tagOverrides", |report, entry| {
            object(report, &entry.value, tag_override);
            Some(())
        });
    });
}

fn tag_override(o: &mut Object<'_, '_>) {
    let operation = o.symbol("operation", OPERATIONS).unwrap_or_default();
    let value = o.string("value");
    match operation {
        Operation::Upsert if value.is_empty() => {
            o.report()
                .raise(Code::RequiredField, "a tag that is set needs a `value`", "");
        }
        Operation::Remove if !value.is_empty() => {
            o.report().raise_in(
                "value",
                Code::InvalidPolicy,
                "a tag that is removed has no value",
                "",
            );
        }
        Operation::Upsert | Operation::Remove => {}
    }
}
