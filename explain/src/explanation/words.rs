//! Words for settings: conditions, times, shares, retry policies.

use outrigger_core::snapshot::{
    Condition, FaultAnswer, FieldMatch, PathMatch, PerMillion, RetryOn, RetryPolicy, TextMatch,
};
use outrigger_core::time::Duration;

/// What a condition asks for, one entry for each part.
pub(super) fn conditions(condition: &Condition) -> Vec<String> {
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
pub(super) fn path(wanted: &PathMatch) -> String {
    let (how, path, ignore_case) = match wanted {
        PathMatch::Exact { path, ignore_case } => ("exactly", path, *ignore_case),
        PathMatch::Prefix { path, ignore_case } => ("prefix", path, *ignore_case),
        PathMatch::Regex(regex) => ("regex", &regex.pattern, false),
    };
    let case = if ignore_case { ", in any case" } else { "" };
    format!("path {how} `{path}`{case}")
}

/// A match on a text.
pub(super) fn text(wanted: &TextMatch) -> String {
    match wanted {
        TextMatch::Exact(exact) => format!("exactly `{exact}`"),
        TextMatch::Prefix(prefix) => format!("prefix `{prefix}`"),
        TextMatch::Regex(regex) => format!("regex `{}`", regex.pattern),
        TextMatch::Present => "present".to_owned(),
    }
}

/// A match on a field.
pub(super) fn field(wanted: &FieldMatch) -> String {
    let not = if wanted.negated { "not " } else { "" };
    format!(
        "header `{}` {not}{}",
        wanted.name.as_str(),
        text(&wanted.value)
    )
}

/// `300ms`, `2s`.
pub(super) fn time(time: Duration) -> String {
    format!("{time:?}")
}

/// `12.5 %`.
pub(super) fn share(share: PerMillion) -> String {
    format!("{} %", f64::from(share.get()) / 10_000.0)
}

/// What an injected abort answers.
pub(super) fn fault_answer(answer: FaultAnswer) -> String {
    match answer {
        FaultAnswer::Http(status) => status.as_u16().to_string(),
        FaultAnswer::Grpc(code) => format!("grpc-status {code}"),
    }
}

/// Everything that a policy says, apart from what is told elsewhere.
pub(super) fn retries(policy: &RetryPolicy) -> String {
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
