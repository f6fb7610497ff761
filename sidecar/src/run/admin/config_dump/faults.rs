//! Injected faults in `/config_dump`.

use outrigger_core::snapshot::{FaultAnswer, FaultPolicy};
use serde_json::{Value, json};

use super::{duration, percent};

/// What a rule injects, and the largest percentages that requests get of what they ask for.
pub(super) fn policy(policy: &FaultPolicy) -> Value {
    json!({
        "delay": policy.delay.map(|delay| json!({
            "fixed_delay": duration(delay.duration),
            "percent": percent(delay.share),
        })),
        "abort": policy.abort.map(|abort| json!({
            "answer": answer(abort.answer),
            "percent": percent(abort.share),
        })),
        "on_request": policy.on_request.map(|most| json!({
            "delay_percent": percent(most.delay),
            "abort_percent": percent(most.abort),
        })),
    })
}

fn answer(answer: FaultAnswer) -> Value {
    match answer {
        FaultAnswer::Http(status) => json!({ "status": status.as_u16() }),
        FaultAnswer::Grpc(code) => json!({ "grpc_status": code }),
    }
}
