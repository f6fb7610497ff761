//! What an attempt tells about how soon its endpoint answers, for PeakEWMA balancing.
//!
//! The time runs from the pick to the head of the response, so it has in it what the endpoint costs a request: the wait for a
//! connection, making one, sending the request. Whatever fails counts as slow (`policy::peak_ewma`).

use crate::cluster::ejection::Outcome;
use crate::decision::{Attempt, Record};
use crate::message::ResponseHead;
use crate::policy::backoff;
use crate::policy::peak_ewma::{self, Answer};
use crate::snapshot::{Balancing, Cluster, Snapshot};
use crate::time::Instant;

/// The response to the attempt under way began. Does nothing where nobody looks at response times.
pub fn on_response(
    outcome: Outcome,
    snapshot: &Snapshot,
    record: &Record,
    response: &ResponseHead,
    now: Instant,
) {
    let Some((cluster, attempt)) = watched(record, snapshot) else {
        return;
    };
    let answer = match outcome {
        Outcome::Response(429 | 500..)
        | Outcome::Grpc(429 | 500..)
        | Outcome::Timeout
        | Outcome::Failed => Answer::Bad {
            retry_after: backoff::retry_after(&response.headers),
        },
        Outcome::Response(_)
        | Outcome::Grpc(_)
        | Outcome::Connected
        | Outcome::ConnectedFinally => Answer::Good(now.since(attempt.began)),
    };
    observe(answer, cluster, attempt, now);
}

/// The attempt under way ended without a whole response, by the endpoint's fault.
pub fn on_failure(snapshot: &Snapshot, record: &Record, now: Instant) {
    if let Some((cluster, attempt)) = watched(record, snapshot) {
        let answer = Answer::Bad { retry_after: None };
        observe(answer, cluster, attempt, now);
    }
}

fn watched<'a>(record: &'a Record, snapshot: &'a Snapshot) -> Option<(&'a Cluster, &'a Attempt)> {
    let attempt = record.attempt()?;
    let cluster = snapshot.cluster(attempt.cluster?);
    (cluster.balancing == Balancing::PeakEwma).then_some((cluster, attempt))
}

fn observe(answer: Answer, cluster: &Cluster, attempt: &Attempt, now: Instant) {
    let Some(endpoint) = cluster.endpoints.get(attempt.endpoint as usize) else {
        return;
    };
    let host = &endpoint.state;
    let sample = peak_ewma::sample(answer, host, now);
    host.response_time().observe(sample, now);
}
