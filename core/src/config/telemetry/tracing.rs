//! `tracing`: where spans go, how many requests have one, and what is said in it.

use std::collections::BTreeMap;

use super::{WorkloadMode, mode, providers};
use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::config::log_format;
use crate::snapshot::telemetry::LogText;

/// One entry of `tracing`. What is `None` is inherited from the entry before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracing {
    /// Whose requests.
    pub mode: WorkloadMode,
    /// Names of the mesh's providers, of which only the first is used; empty inherits.
    pub providers: Vec<String>,
    /// The share of requests that are sampled where nobody has decided yet, in percent, 0 to 100.
    pub random_sampling_percentage: Option<f64>,
    /// Whether no span is reported. Headers are passed on all the same.
    pub disable_span_reporting: Option<bool>,
    /// Tags of each span beside the usual ones, by name; all are replaced together. `None` when not written.
    pub custom_tags: Option<BTreeMap<String, CustomTag>>,
    /// Whether the decision is written into `x-request-id` and read from it (default true).
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Whether spans have Istio's own tags (default true).
    pub enable_istio_tags: Option<bool>,
    /// Whether headers that carry a trace are neither written nor passed on (default false).
    pub disable_context_propagation: Option<bool>,
}

/// Where the value of a tag comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomTag {
    /// As written.
    Literal(String),
    /// A header field of the request.
    Header {
        /// Which.
        name: String,
        /// The value where there is none; possibly empty, which is no tag.
        default: String,
    },
    /// A variable of the proxy's environment.
    Environment {
        /// Which.
        name: String,
        /// The value where there is none; possibly empty, which is no tag.
        default: String,
    },
    /// An access log format string, as written and in parts.
    Formatter(String, LogText),
}

pub(super) fn decode(o: &mut Object<'_, '_>) -> Tracing {
    let providers = providers(o);
    if providers.len() > 1 {
        o.report().raise_in(
            "providers",
            Code::OnlyFirstUsed,
            "only the first provider is used",
            "",
        );
    }
    Tracing {
        mode: o.message("match", mode).unwrap_or_default(),
        providers,
        random_sampling_percentage: percentage(o, "randomSamplingPercentage"),
        disable_span_reporting: o.optional_boolean("disableSpanReporting"),
        custom_tags: custom_tags(o),
        use_request_id_for_trace_sampling: o.optional_boolean("useRequestIdForTraceSampling"),
        enable_istio_tags: o.optional_boolean("enableIstioTags"),
        disable_context_propagation: o.optional_boolean("disableContextPropagation"),
    }
}

/// A share in percent.
pub(in crate::config) fn percentage(o: &mut Object<'_, '_>, field: &'static str) -> Option<f64> {
    let share = o.number(field)?;
    if !(0.0..=100.0).contains(&share) {
        let message = format!("`{share}` percent is not between 0 and 100");
        o.report()
            .raise_in(field, Code::InvalidPercent, message, "");
    }
    Some(share)
}

/// A share in percent as so many of 10,000, as Envoy rounds it.
pub(crate) fn of_10000(percent: f64) -> u16 {
    (percent * 100.0).round().clamp(0.0, 10_000.0) as u16
}

/// `customTags`, if it is written.
pub(in crate::config) fn custom_tags(
    o: &mut Object<'_, '_>,
) -> Option<BTreeMap<String, CustomTag>> {
    let has_tags = o.node().field("customTags").is_some();
    let tags = o.map("customTags", |report, entry| {
        if entry.key.text.is_empty() {
            report.raise(Code::RequiredField, "a tag needs a name", "");
        }
        if entry.value.is_null() {
            report.raise(Code::RequiredField, "a tag needs a value", "");
        }
        object(report, &entry.value, custom_tag)
    });
    has_tags.then_some(tags)
}

fn custom_tag(o: &mut Object<'_, '_>) -> Option<CustomTag> {
    let literal = part(o, "literal", "value").map(|(value, _)| CustomTag::Literal(value));
    let formatter = o.message("formatter", formatter);
    let header =
        part(o, "header", "name").map(|(name, default)| CustomTag::Header { name, default });
    let environment = part(o, "environment", "name")
        .map(|(name, default)| CustomTag::Environment { name, default });
    o.one_of(&["literal", "header", "environment", "formatter"]);
    literal.or(header).or(environment).or(formatter)
}

/// What has no value is empty, and a tag that comes to nothing is none, as in Envoy.
fn formatter(tag: &mut Object<'_, '_>) -> CustomTag {
    let written = tag.string("value");
    if written.is_empty() {
        let message = "a formatter tag needs `value`";
        tag.report().raise(Code::RequiredField, message, "");
    }
    let mut faults = Vec::new();
    let mut text = log_format::text(&written, &mut faults);
    text.omits_empty = true;
    for fault in faults {
        fault.tell(tag.report());
    }
    CustomTag::Formatter(written, text)
}

/// What a tag is made of, and its default.
fn part(
    o: &mut Object<'_, '_>,
    kind: &'static str,
    field: &'static str,
) -> Option<(String, String)> {
    o.message(kind, |tag| {
        let text = tag.string(field);
        if text.is_empty() {
            let message = format!("a {kind} tag needs `{field}`");
            tag.report().raise(Code::RequiredField, message, "");
        }
        let default = match field {
            "name" => tag.string("defaultValue"),
            _ => String::new(),
        };
        (text, default)
    })
}
