//! What would come of a request, by how endpoints answer: each case played by the worker that serves real requests.

use std::sync::Arc;

use http::Method;
use outrigger_core::decision::{Attempt, GONE, MirrorFate, Record, RouteDecision};
use outrigger_core::message::Known;
use outrigger_core::request::Ending;
use outrigger_core::snapshot::{Action, Mirror, Snapshot};
use outrigger_core::worker::Exchange;

use super::{AttemptTold, Explanation, Outcome, problems};
use crate::play::{Answer, Circumstances, play};
use crate::question::Question;
use crate::told::millis;

/// The cases, each with how it is told.
const CASES: [(&str, Answer); 4] = [
    ("200", Answer::Status(200)),
    ("503", Answer::Status(503)),
    ("no answer", Answer::Silence),
    ("connection refused", Answer::Refusal),
];

/// Plays all cases; one is enough when no endpoint is asked.
pub(super) fn add(
    told: &mut Explanation,
    snapshot: &Snapshot,
    question: &Question,
    circumstances: &Circumstances,
) {
    // The answer to a CONNECT is the connection itself.
    let is_connect = question.method() == Method::CONNECT;
    let may_be = |answer: Answer| match answer {
        Answer::Status(200) | Answer::Refusal => true,
        Answer::Status(_) | Answer::Silence => !is_connect,
    };
    for (when, answer) in CASES.into_iter().filter(|(_, answer)| may_be(*answer)) {
        let played = play(Arc::new(snapshot.to_try()), question, circumstances, answer);
        let is_over = played.ended().is_some();
        let Some(exchange) = played.exchange() else {
            return;
        };
        let outcome = outcome(when, exchange, is_over);
        let asks_nobody = outcome.attempts.is_empty();
        if told.outcomes.is_empty() {
            mark_chosen(told, &outcome);
        }
        told.outcomes.push(outcome);
        if asks_nobody {
            told.outcomes.iter_mut().for_each(|of| of.when = "-");
            return;
        }
    }
}

/// The endpoint of the first attempt.
fn mark_chosen(told: &mut Explanation, outcome: &Outcome) {
    let first = outcome.attempts.first();
    let endpoints = told.cluster.iter_mut().flat_map(|of| &mut of.endpoints);
    for endpoint in endpoints {
        endpoint.chosen = first.is_some_and(|first| first.endpoint == endpoint.address);
    }
}

fn outcome(when: &'static str, exchange: &Exchange, is_over: bool) -> Outcome {
    let (record, snapshot) = (exchange.record(), exchange.snapshot());
    let attempts = record.attempts.iter();
    let request = &record.request;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // Its end is nobody's to assume.
    let is_tunnel = !is_over && request.method == Method::CONNECT && record.status == 200;
    let location = exchange.response().headers.get(Known::Location);
    Outcome {
        when,
        status: (is_over || is_tunnel).then_some(record.status),
        location: location.map(text),
        flags: record.flags().to_string(),
        details: match is_tunnel {
            true => "tunnel".to_owned(),
            false => record.details.to_string(),
        },
        after_ms: is_over.then(|| millis(record.ended.since(record.began))),
        attempts: attempts.map(|a| attempt(a, record, snapshot)).collect(),
        mirrors: mirrors(record, snapshot),
        forwarded: (!record.attempts.is_empty()).then(|| {
            let (authority, path) = (text(&request.authority), text(&request.path));
            match request.method {
                Method::CONNECT => format!("CONNECT {authority}"),
                _ => format!("{} http://{authority}{path}", request.method),
            }
        }),
        story: exchange.story().to_string(),
    }
}

fn attempt(attempt: &Attempt, record: &Record, snapshot: &Snapshot) -> AttemptTold {
    let endpoint = match attempt.endpoint(snapshot) {
        Some(endpoint) => endpoint.text.to_string(),
        None if attempt.endpoint == GONE => "-".to_owned(),
        None => String::from_utf8_lossy(&record.request.authority).into_owned(),
    };
    AttemptTold {
        endpoint,
        at_ms: millis(attempt.began.since(record.began)),
        picked: attempt.picked.to_string(),
        end: Ending { attempt, record }.to_string(),
        followed: attempt.followed.to_string(),
    }
}

fn mirrors(record: &Record, snapshot: &Snapshot) -> Vec<String> {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    else {
        return Vec::new();
    };
    let rule = snapshot.virtual_host(virtual_host).rules.get(rule as usize);
    let mirrors: &[Mirror] = match rule.map(|rule| &*rule.action) {
        Some(Action::Forward(forward)) => &forward.mirrors,
        Some(Action::Redirect(_) | Action::Respond(_)) | None => &[],
    };
    let told = record.mirrors.iter().filter_map(|mirrored| {
        let mirror = mirrors.get(mirrored.mirror as usize)?;
        let name = problems::cluster_name(&mirror.cluster, snapshot);
        let fate: MirrorFate = mirrored.fate;
        Some(format!("{name}: {fate}"))
    });
    told.collect()
}
