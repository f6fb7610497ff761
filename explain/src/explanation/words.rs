//! Words for settings: times, shares, retry policies. Those for conditions are core's.

use outrigger_core::snapshot::{
    FaultAnswer, HeaderValue, PerMillion, RetryOn, RetryPolicy, ValuePart,
};
use outrigger_core::time::Duration;

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
