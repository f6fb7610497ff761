//! Requests that a limit refused, by limit: whoever tells of limits that are reached asks for them every now and then.
//!
//! A worker counts by itself and adds what it has counted to what all share a while later, so that an overload of refusals
//! costs no lock for each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_core::decision::{
    AttemptEnd, Details, Followed, Overflow, Record, ResetReason, Whom,
};
use outrigger_core::snapshot::{ClusterId, GlobalRateLimitId, Origin, RateLimitId, Snapshot};
use outrigger_runtime::Ended;

/// What a worker has counted is shared after this long.
const SHARE_AFTER: Duration = Duration::from_millis(100);

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// The name of the cluster, or what a rate limit holds for.
    pub of: Box<str>,
    /// What it limits: `64 pending requests`.
    pub what: Box<str>,
}

impl Limit {
    /// What waits to be written is bounded, and so is what a disk takes.
    pub(crate) fn of_access_logs() -> Self {
        Self {
            of: "access log".into(),
            what: "lines that its file takes".into(),
        }
    }
}

/// Refusals of all workers.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<Limit, u64>>);

impl Refusals {
    /// Those since the last time.
    pub(crate) fn take(&self) -> BTreeMap<Limit, u64> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *shared)
    }
}

/// Those of one worker.
#[derive(Debug)]
pub(crate) struct WorkerRefusals {
    shared: Arc<Refusals>,
    /// By the numbers of a revision, and with names: few limits are reached at a time.
    counted: Vec<(u64, Which, Limit, u64)>,
}

/// A limit by the numbers of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Circuit(Option<ClusterId>, Overflow),
    Retries(Option<ClusterId>),
    Concurrency(Option<ClusterId>),
    Rate(RateLimitId),
    GlobalRate(GlobalRateLimitId),
}

impl WorkerRefusals {
    pub(crate) const fn new(shared: Arc<Refusals>) -> Self {
        Self {
            shared,
            counted: Vec::new(),
        }
    }

    /// Counts a request that a limit refused; says when that is to be shared, if that has not been said.
    pub(crate) fn count(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        let record = ended.record;
        // Whom a limit refused something has an error, or nothing.
        if (1..400).contains(&record.status) {
            return None;
        }
        let which = which(record)?;
        let revision = ended.snapshot.revision;
        let mut counted = self.counted.iter_mut();
        let known = counted.find(|(of, known, ..)| *of == revision && *known == which);
        if let Some((.., count)) = known {
            *count += 1;
            return None;
        }
        let limit = limit(which, record, ended.snapshot);
        let is_first = self.counted.is_empty();
        self.counted.push((revision, which, limit, 1));
        is_first.then_some(SHARE_AFTER)
    }

    /// Adds what was counted to what all share.
    pub(crate) fn flush(&mut self) {
        if self.counted.is_empty() {
            return;
        }
        let mut shared = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, _, limit, count) in self.counted.drain(..) {
            *shared.entry(limit).or_default() += count;
        }
    }
}

fn which(record: &Record) -> Option<Which> {
    let cluster = record.attempt().and_then(|attempt| attempt.cluster);
    if record.details == Details::RateLimited {
        return record.rate_limit.map(|seen| Which::Rate(seen.limit));
    }
    if record.details == Details::RequestRateLimited {
        let whom = record.checks.last().map(|checked| checked.whom);
        return match whom {
            Some(Whom::RateLimit(id)) => Some(Which::GlobalRate(id)),
            Some(Whom::Provider(_)) | None => None,
        };
    }
    if record.details == Details::ConcurrencyLimit {
        return Some(Which::Concurrency(cluster));
    }
    if let Details::ResetBeforeResponse(ResetReason::Overflow(overflow)) = record.details {
        return Some(Which::Circuit(cluster, overflow));
    }
    record.attempts.iter().find_map(|attempt| {
        if let AttemptEnd::Reset(ResetReason::Overflow(overflow)) = attempt.end {
            return Some(Which::Circuit(attempt.cluster, overflow));
        }
        let is_full = matches!(attempt.followed, Followed::RetriesFull(_));
        is_full.then_some(Which::Retries(attempt.cluster))
    })
}

/// In words.
fn limit(which: Which, record: &Record, snapshot: &Snapshot) -> Limit {
    let name = |id: Option<ClusterId>| -> Box<str> {
        id.map_or_else(
            || "PassthroughCluster".into(),
            |id| snapshot.cluster(id).name.clone(),
        )
    };
    let resource = |origin: &Origin| {
        let resource = snapshot.resources.get(origin.resource.0 as usize);
        resource.map(ToString::to_string).unwrap_or_default()
    };
    match which {
        Which::Circuit(cluster, overflow) => Limit {
            of: name(cluster),
            what: format!("{} {}", overflow.limit, overflow.counted.as_str()).into(),
        },
        Which::Retries(cluster) => Limit {
            of: name(cluster),
            what: "retries".into(),
        },
        Which::Concurrency(cluster) => Limit {
            of: name(cluster.or_else(|| record.attempts.last()?.cluster)),
            what: "requests under way, by response times".into(),
        },
        Which::Rate(id) => {
            let limit = snapshot.rate_limit(id);
            let of = format!("{}, {}", resource(&limit.origin), limit.holds_for);
            Limit {
                of: of.into(),
                what: "requests in a time".into(),
            }
        }
        Which::GlobalRate(id) => {
            let limit = snapshot.global_rate_limit(id);
            let of = format!("{}, domain {}", resource(&limit.origin), limit.domain);
            Limit {
                of: of.into(),
                what: "requests in a time, as its service says".into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use outrigger_core::cluster::Counted;
    use outrigger_core::compile::from_yaml;
    use outrigger_core::message::ResponseHead;
    use outrigger_core::peer::{ExchangeId, ListenerKind, Peer};
    use outrigger_core::time::Instant;
    use outrigger_core::worker::Facts;

    use super::*;

    #[test]
    fn refusals_are_counted_by_limit() {
        let snapshot = Arc::new(from_yaml("").snapshot);
        let record = |status, details| {
            let mut record = Record::default();
            (record.status, record.details) = (status, details);
            record
        };
        let refused = |limit| {
            let overflow = Overflow {
                counted: Counted::Pending,
                limit,
            };
            let reason = ResetReason::Overflow(overflow);
            record(503, Details::ResetBeforeResponse(reason))
        };
        let served = record(200, Details::ViaUpstream);
        let shared = Arc::<Refusals>::default();
        let mut worker = WorkerRefusals::new(Arc::clone(&shared));
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let mut count = |record: &Record| {
            worker.count(&Ended {
                id: ExchangeId::default(),
                record,
                snapshot: &snapshot,
                response: &ResponseHead::default(),
                peer: Peer {
                    remote: addr,
                    local: addr,
                    original: None,
                    listener: ListenerKind::Outbound,
                },
                listener: Some(0),
                facts: &Facts::CLEAR,
                client_tls: None,
                now: Instant::ZERO,
            })
        };
        assert_eq!(count(&served), None);
        assert_eq!(count(&refused(1)), Some(SHARE_AFTER));
        assert_eq!(count(&refused(1)), None);
        assert_eq!(count(&refused(2)), None);
        assert!(shared.take().is_empty(), "nothing is shared yet");
        worker.flush();
        let taken = shared.take();
        let shown: Vec<_> = taken.iter().map(|(limit, n)| (&*limit.what, *n)).collect();
        assert_eq!(
            shown,
            [("1 pending requests", 2), ("2 pending requests", 1)]
        );
        assert!(shared.take().is_empty());
    }
}
