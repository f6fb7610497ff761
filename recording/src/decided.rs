//! A decision as a recording holds it: the record of a request without what points into memory.

use std::fmt;

use outrigger_core::decision::{
    Attempt, Details, Mirrored, RateLimitSeen, Record, RequestHash, RouteDecision, Timeouts,
};
use outrigger_core::entropy::Entropy;
use outrigger_core::time::{Duration, Instant};
use serde::{Deserialize, Serialize, Serializer};

use crate::frame::put;

/// What was decided for one request. The fields are those of a [`Record`], in the same words; heads are left out, because
/// the bytes that they became are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The revision of the snapshot it ran on.
    pub revision: Option<u64>,
    /// Its one random number.
    pub entropy: Entropy,
    /// Which rule applied.
    pub route: RouteDecision,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// What it hashes to.
    pub hash: Option<RequestHash>,
    /// Its mirrors.
    pub mirrors: Vec<Mirrored>,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
    /// Retries by the route's policy.
    pub retries: u32,
    /// The status the client saw.
    pub status: u16,
    /// Why, in Envoy's words.
    pub details: String,
    /// An injected delay.
    pub delayed: Option<Duration>,
    /// What a rate limit made of it.
    pub rate_limit: Option<RateLimitSeen>,
    /// Body bytes from the client.
    pub bytes_received: u64,
    /// Body bytes to the client.
    pub bytes_sent: u64,
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// How long its endpoint took.
    pub upstream_service_ms: Option<u64>,
}

/// The same, borrowed: nothing is copied to write it. Field for field like [`Decided`].
#[derive(Serialize)]
struct Image<'a> {
    revision: Option<u64>,
    entropy: Entropy,
    route: RouteDecision,
    timeouts: Timeouts,
    hash: &'a Option<RequestHash>,
    mirrors: &'a [Mirrored],
    attempts: &'a [Attempt],
    retries: u32,
    status: u16,
    #[serde(serialize_with = "in_words")]
    details: Details,
    delayed: Option<Duration>,
    rate_limit: Option<RateLimitSeen>,
    bytes_received: u64,
    bytes_sent: u64,
    began: Instant,
    ended: Instant,
    upstream_service_ms: Option<u64>,
}

fn in_words<S: Serializer>(details: &Details, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(details)
}

/// Appends the decision of a record.
pub(crate) fn put_record(record: &Record, said: &mut Vec<u8>) {
    let image = Image {
        revision: record.view.as_ref().map(|view| view.snapshot.revision),
        entropy: record.entropy,
        route: record.route,
        timeouts: record.timeouts,
        hash: &record.hash,
        mirrors: &record.mirrors,
        attempts: &record.attempts,
        retries: record.retries,
        status: record.status,
        details: record.details,
        delayed: record.delayed,
        rate_limit: record.rate_limit,
        bytes_received: record.bytes_received,
        bytes_sent: record.bytes_sent,
        began: record.began,
        ended: record.ended,
        upstream_service_ms: record.upstream_service_ms,
    };
    put(&image, said);
}

/// A field in which two decisions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which one, such as `attempt 2: endpoint`.
    pub field: String,
    /// What was recorded.
    pub recorded: String,
    /// What is decided now.
    pub now: String,
}

impl Decided {
    /// Every field in which `now` differs from this decision, which was recorded.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut found = Differences::default();
        found.field("revision", &self.revision, &now.revision);
        found.field("entropy", &self.entropy.0, &now.entropy.0);
        found.field("route", &self.route, &now.route);
        found.field("timeouts", &self.timeouts, &now.timeouts);
        found.field("hash", &self.hash, &now.hash);
        found.field("mirrors", &self.mirrors, &now.mirrors);
        found.field("attempts", &self.attempts.len(), &now.attempts.len());
        let attempts = self.attempts.iter().zip(&now.attempts);
        for (number, (recorded, now)) in (1..).zip(attempts) {
            found.attempt(number, recorded, now);
        }
        found.field("retries", &self.retries, &now.retries);
        found.field("status", &self.status, &now.status);
        found.field("details", &self.details, &now.details);
        found.field("delayed", &self.delayed, &now.delayed);
        found.field("rate limit", &self.rate_limit, &now.rate_limit);
        found.field("bytes received", &self.bytes_received, &now.bytes_received);
        found.field("bytes sent", &self.bytes_sent, &now.bytes_sent);
        found.field("began", &self.began, &now.began);
        found.field("ended", &self.ended, &now.ended);
        let service = (&self.upstream_service_ms, &now.upstream_service_ms);
        found.field("upstream service time", service.0, service.1);
        found.0
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn field<T: PartialEq + fmt::Debug>(&mut self, field: &str, recorded: &T, now: &T) {
        if recorded != now {
            self.0.push(Difference {
                field: field.to_owned(),
                recorded: format!("{recorded:?}"),
                now: format!("{now:?}"),
            });
        }
    }

    fn attempt(&mut self, number: usize, recorded: &Attempt, now: &Attempt) {
        let mut field = |name: &str, recorded: &dyn fmt::Debug, now: &dyn fmt::Debug| {
            let (recorded, now) = (format!("{recorded:?}"), format!("{now:?}"));
            if recorded != now {
                self.0.push(Difference {
                    field: format!("attempt {number}: {name}"),
                    recorded,
                    now,
                });
            }
        };
        field("cluster", &recorded.cluster, &now.cluster);
        field("endpoint", &recorded.endpoint, &now.endpoint);
        field("picked", &recorded.picked, &now.picked);
        field("reused", &recorded.reused, &now.reused);
        field("began", &recorded.began, &now.began);
        field("end", &recorded.end, &now.end);
        field("followed", &recorded.followed, &now.followed);
        field("ejected", &recorded.ejected, &now.ejected);
    }
}
