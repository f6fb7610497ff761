//! Words for settings: conditions, times, shares, retry policies.

use outrigger_core::snapshot::{
    Condition, FaultAnswer, FieldMatch, HeaderValue, PathMatch, PerMillion, RetryOn, RetryPolicy,
    TextMatch, ValuePart,
};
use outrigger_core::time::Duration;

/// What a condition asks for, one entry for each part.
pub(crate) fn conditions(condition: &Condition) -> Vec<String> {
    let mut all: Vec<String> = condition.path.iter().map(path).collect();
    for (name, wanted) in [
        ("method", &condition.method),
        ("scheme", &condition.scheme),
        ("authority", &condition.authority),
    ] {
        all.extend(
            wanted
                .iter()
                .map(|wanted| format!("{name} {}", text(wanted))),
        );
    }
    all.extend(condition.fields.iter().map(field));
    all.extend((condition.query.iter()).map(|query| {
        let value = text(&query.value);
        format!("query parameter `{}` {value}", query.name)
    }));
    all
}

/// A match on a path.
pub(crate) fn path(wanted: &PathMatch) -> String {
    let (how, path, ignore_case) = match wanted {
        PathMatch::Exact { path, ignore_case } => ("exactly", path, *ignore_case),
        PathMatch::Prefix { path, ignore_case } => ("prefix", path, *ignore_case),
        PathMatch::Regex(regex) => ("regex", &regex.pattern, false),
    };
    let case = if ignore_case { ", in any case" } else { "" };
    format!("path {how} `{path}`{case}")
}

/// A match on a text.
pub(crate) fn text(wanted: &TextMatch) -> String {
    match wanted {
        TextMatch::Exact(exact) => format!("exactly `{exact}`"),
        TextMatch::Prefix(prefix) => format!("prefix `{prefix}`"),
        TextMatch::Regex(regex) => format!("regex `{}`", regex.pattern),
        TextMatch::Present => "present".to_owned(),
    }
}

/// A match on a field.
pub(crate) fn field(wanted: &FieldMatch) -> String {
    let not = if wanted.negated { "not " } else { "" };
    format!(
        "header `{}` {not}{}",
        wanted.name.as_str(),
        text(&wanted.value)
    )
}

/// `300ms`, `2s`.
pub(crate) fn time(time: Duration) -> String {
    format!("{time:?}")
}

/// `12.5 %`.
pub(crate) fn share(share: PerMillion) -> String {
    format!("{} %", f64::from(share.get()) / 10_000.0)
}

/// What an injected abort answers.
pub(crate) fn fault_answer(answer: FaultAnswer) -> String {
    match answer {
        FaultAnswer::Http(status) => status.as_u16().to_string(),
        FaultAnswer::Grpc(code) => format!("grpc-status {code}"),
    }
}

/// Everything that a policy says, apart from what is told elsewhere.
pub(crate) fn retries(policy: &RetryPolicy) -> String {
    let tokens = RetryOn::TOKENS.iter();
    let on = tokens.filter(|(_, condition)| policy.on.has(*condition));
    let mut on: Vec<_> = on.map(|(token, _)| (*token).to_owned()).collect();
    on.extend(policy.status_codes.iter().map(ToString::to_string));
    let mut told = format!("{} on {}", policy.retries, on.join(","));
    told += &format!(", back-off {}", time(policy.backoff));
    if let Some(most) = policy.retry_after {
        told += &format!(", retry-after up to {}", time(most));
    }
    for (is_so, words) in [
        (policy.hedge_on_per_try_timeout, ", hedged"),
        (!policy.ignore_previous_hosts, ", on hosts that were tried"),
        (policy.remote_localities, ", in other localities"),
    ] {
        told += if is_so { words } else { "" };
    }
    told
}

/// The value that a header operation writes, with its operators as they are written.
pub(crate) fn value(value: &HeaderValue) -> String {
    let part = |part: &ValuePart| match part {
        ValuePart::Literal(text) => text.to_string(),
        ValuePart::Request(field) => format!("%REQ({})%", field.name),
        ValuePart::Response(field) => format!("%RESP({})%", field.name),
        ValuePart::DownstreamRemoteAddress { without_port: true } => {
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%".to_owned()
        }
        ValuePart::DownstreamRemoteAddress {
            without_port: false,
        } => "%DOWNSTREAM_REMOTE_ADDRESS%".to_owned(),
        ValuePart::DownstreamLocalAddress { without_port: true } => {
            "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%".to_owned()
        }
        ValuePart::DownstreamLocalAddress {
            without_port: false,
        } => "%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
        ValuePart::Protocol => "%PROTOCOL%".to_owned(),
        ValuePart::UpstreamHost => "%UPSTREAM_HOST%".to_owned(),
        ValuePart::RouteName => "%ROUTE_NAME%".to_owned(),
        ValuePart::ResponseCode => "%RESPONSE_CODE%".to_owned(),
    };
    value.parts.iter().map(part).collect()
}
