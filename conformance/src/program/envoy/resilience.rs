//! From faults, retries and mirrors of a rule to what Envoy's routes say of them.

use outrigger_core::snapshot::{FaultAnswer, FaultPolicy, RetryOn, RetryPolicy};
use serde_json::{Value, json};

use super::Derived;
use super::words::{duration, fraction};

/// How often a retry picks again to avoid endpoints that were tried (Istio).
const PICKS: u32 = 5;

/// Every second attempt leaves the priorities that were tried (Istio's `retryRemoteLocalities`).
const PRIORITY_FREQUENCY: u32 = 2;

/// Envoy's `HTTPFault`.
pub(super) fn fault(policy: &FaultPolicy) -> Derived<Value> {
    let mut fault = json!({});
    if let Some(delay) = policy.delay {
        let share = fraction(delay.share);
        fault["delay"] = json!({ "fixed_delay": duration(delay.duration), "percentage": share });
    }
    if let Some(abort) = policy.abort {
        fault["abort"] = match abort.answer {
            FaultAnswer::Http(status) => json!({ "http_status": status.as_u16() }),
            FaultAnswer::Grpc(status) => json!({ "grpc_status": status }),
        };
        fault["abort"]["percentage"] = fraction(abort.share);
    }
    let Some(on_request) = policy.on_request else {
        return Ok(fault);
    };
    if policy.delay.is_some() || policy.abort.is_some() {
        return Err("a route of Envoy injects faults of its own or those asked for, not both");
    }
    fault["delay"] = json!({ "header_delay": {}, "percentage": fraction(on_request.delay) });
    fault["abort"] = json!({ "header_abort": {}, "percentage": fraction(on_request.abort) });
    Ok(fault)
}

/// Envoy's `RetryPolicy`.
pub(super) fn retry(policy: &RetryPolicy) -> Value {
    let words = RetryOn::TOKENS.iter().filter(|(_, on)| policy.on.has(*on));
    let words: Vec<&str> = words.map(|(word, _)| *word).collect();
    let mut retry = json!({
        "num_retries": policy.retries,
        "retry_on": words.join(","),
        "retriable_status_codes": policy.status_codes,
        "retry_back_off": { "base_interval": duration(policy.backoff) },
        "host_selection_retry_max_attempts": PICKS,
    });
    if let Some(time) = policy.per_try_timeout {
        retry["per_try_timeout"] = duration(time);
    }
    if let Some(most) = policy.retry_after {
        let field = json!({ "name": "retry-after", "format": "SECONDS" });
        retry["rate_limited_retry_back_off"] =
            json!({ "reset_headers": [field], "max_interval": duration(most) });
    }
    if policy.ignore_previous_hosts {
        retry["retry_host_predicate"] = json!([super::words::extension(
            "envoy.retry_host_predicates.previous_hosts",
            "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            json!({}),
        )]);
    }
    if policy.remote_localities {
        retry["retry_priority"] = super::words::extension(
            "envoy.retry_priorities.previous_priorities",
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            json!({ "update_frequency": PRIORITY_FREQUENCY }),
        );
    }
    retry
}
