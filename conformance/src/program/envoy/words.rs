//! Small values in the spelling of Envoy's configuration.

use outrigger_core::snapshot::{PerMillion, TextMatch};
use outrigger_core::time::Duration;
use serde_json::{Value, json};

/// A duration as protobuf's JSON writes it.
pub(super) fn duration(time: Duration) -> Value {
    format!("{}.{:09}s", time.as_secs(), time.subsec_nanos()).into()
}

/// A limit of time; to Envoy zero is none.
pub(super) fn duration_or_none(time: Option<Duration>) -> Value {
    duration(time.unwrap_or_default())
}

/// A share of requests, for which a runtime key may stand in.
pub(super) fn runtime_share(share: PerMillion) -> Value {
    json!({ "default_value": fraction(share) })
}

/// A share of requests.
pub(super) fn fraction(share: PerMillion) -> Value {
    json!({ "numerator": share.get(), "denominator": "MILLION" })
}

/// What a text must be; `None` when it need only be there.
pub(super) fn text_match(wanted: &TextMatch) -> Option<Value> {
    Some(match wanted {
        TextMatch::Exact(text) => json!({ "exact": text }),
        TextMatch::Prefix(text) => json!({ "prefix": text }),
        TextMatch::Regex(regex) => json!({ "safe_regex": { "regex": regex.pattern } }),
        TextMatch::Present => return None,
    })
}

/// An extension with its configuration.
pub(super) fn extension(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = type_url(kind);
    json!({ "name": name, "typed_config": config })
}

/// The type that stands beside a message.
pub(super) fn type_url(kind: &str) -> Value {
    format!("type.googleapis.com/{kind}").into()
}
