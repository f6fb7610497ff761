//! What a configuration would make of a request, up to where an endpoint is tried: what is known of it without knowing how
//! anybody answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use outrigger_core::cluster::Bucket;
use outrigger_core::decision::{Record, RouteDecision};
use outrigger_core::entropy::Entropy;
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::peer::{Peer, Said, TlsFacts};
use outrigger_core::request::{self, Context, Verdict, cluster_of};
use outrigger_core::snapshot::{
    Action, DestinationCluster, Forward, RetryOn, RetryPolicy, Snapshot,
};
use outrigger_core::stream::{Begins, BodyLength};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::Worker;

/// A request as it came.
pub(super) struct Request<'a> {
    pub(super) peer: &'a Peer,
    pub(super) tls: Option<&'a Arc<TlsFacts>>,
    pub(super) head: &'a RequestHead,
    pub(super) begins: &'a Begins,
    pub(super) entropy: Entropy,
    pub(super) now: Instant,
}

/// What would be decided.
pub(super) struct Would {
    /// Where it goes, in a word: a cluster, or an answer of our own.
    pub(super) goes_to: String,
    pub(super) story: String,
    is_forwarded: bool,
    facets: Vec<Facet>,
}

/// One thing that is decided besides.
struct Facet {
    what: &'static str,
    told: String,
    /// Each request has another one, so that it says nothing about many.
    is_single: bool,
}

/// A thing that would be decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What: `timeout`, `time per try`, `retries`, `delay`, `mirrors`, `request line`, `fields`.
    pub what: &'static str,
    /// By the recorded configuration, and by the other one; `None` where each request has another one.
    pub values: Option<(String, String)>,
}

impl Would {
    /// Decides what becomes of a request. Every endpoint is taken to be idle and healthy; rate limits count what was decided
    /// before.
    pub(super) fn of(request: &Request<'_>, worker: &Worker, own_bucket: &Bucket) -> Self {
        let mut record = Record::default();
        record.restart(request.now, request.entropy);
        record.request.clone_from(request.head);
        let mut response = ResponseHead::default();
        let view = worker.view();
        record.revision = Some(view.snapshot.revision);
        let mut context = Context {
            view,
            peer: request.peer,
            tls: request.tls,
            said: &Said::default(),
            upgrade: request.begins.upgrade.as_deref(),
            own_bucket,
            now: request.now,
            complete_since: (request.begins.body == BodyLength::None).then_some(request.now),
        };
        let mut verdict = request::begin(&context, &mut record, &mut response);
        if let Verdict::Delay(later) = verdict {
            context.now = request.now + later.wait;
            context.complete_since = context.complete_since.map(|at| at + later.wait);
            verdict = request::after_delay(later, &context, &mut record, &mut response);
        }
        let is_forwarded = matches!(verdict, Verdict::Attempt(_));
        let goes_to = match &verdict {
            Verdict::Attempt(target) => cluster_of(target, &view.snapshot).map_or_else(
                || "PassthroughCluster".to_owned(),
                |cluster| cluster.name.to_string(),
            ),
            Verdict::Ask(_) => "what a provider that is asked says".to_owned(),
            Verdict::Reply(_) | Verdict::Close | Verdict::Delay(_) | Verdict::Retry(_) => {
                format!("answer {} {}", response.status.as_u16(), record.details)
            }
        };
        let mut story = record.opening(&view.snapshot).to_string();
        if !is_forwarded {
            let (status, details) = (response.status.as_u16(), &record.details);
            story += &format!("  client       sees {status}: {details}\n");
        } else if !story.contains(&goes_to) {
            story += &format!("  destination  {goes_to}\n");
        }
        let facets = match is_forwarded {
            true => forwarded(&record, &view.snapshot),
            false => answered(&record, &response),
        };
        for facet in &facets {
            if facet.what != "fields" && facet.told != NONE {
                story += &format!("  {:<12} {}\n", facet.what, facet.told);
            }
        }
        Self {
            goes_to,
            story,
            is_forwarded,
            facets,
        }
    }

    /// Where `now` differs from this, apart from where the request goes. What concerns endpoints is not compared with what
    /// concerns an answer of our own.
    pub(super) fn changes(&self, now: &Self) -> Vec<Change> {
        if self.is_forwarded != now.is_forwarded {
            return Vec::new();
        }
        let facets = self.facets.iter().zip(&now.facets);
        facets
            .filter(|(recorded, now)| recorded.told != now.told)
            .map(|(recorded, now)| Change {
                what: recorded.what,
                values: (!recorded.is_single).then(|| (recorded.told.clone(), now.told.clone())),
            })
            .collect()
    }

    /// The fields that only one of both has, where both are of requests or both of answers: `-` for this one's and `+` for the other's.
    pub(super) fn other_fields(&self, now: &Self) -> String {
        if self.is_forwarded != now.is_forwarded {
            return String::new();
        }
        let fields = |would: &Self| -> BTreeSet<String> {
            let facet = would.facets.iter().find(|facet| facet.what == "fields");
            facet.map_or_else(BTreeSet::new, |facet| {
                facet.told.lines().map(str::to_owned).collect()
            })
        };
        let (recorded, now) = (fields(self), fields(now));
        let gone = recorded
            .difference(&now)
            .map(|field| format!("  - {field}\n"));
        let new = now
            .difference(&recorded)
            .map(|field| format!("  + {field}\n"));
        gone.chain(new).collect()
    }
}

const NONE: &str = "none";

/// The same facets in the same order for every request that is forwarded.
fn forwarded(record: &Record, snapshot: &Snapshot) -> Vec<Facet> {
    let plan = plan_of(record, snapshot);
    let shared = |what, told| Facet {
        what,
        told,
        is_single: false,
    };
    let request = &record.request;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let mirrors = || {
        let chosen = record.mirrors.iter();
        let names = chosen.filter_map(|mirrored| {
            let mirror = plan?.mirrors.get(mirrored.mirror as usize)?;
            cluster_name(&mirror.cluster, snapshot)
        });
        names.collect::<Vec<_>>().join(", ")
    };
    vec![
        shared("timeout", time(record.timeouts.whole)),
        shared("time per try", time(record.timeouts.per_try)),
        shared(
            "retries",
            retries(plan.and_then(|plan| plan.retry.as_deref())),
        ),
        shared("delay", time(record.delayed)),
        shared(
            "mirrors",
            Some(mirrors())
                .filter(|m| !m.is_empty())
                .unwrap_or_else(|| NONE.into()),
        ),
        Facet {
            what: "request line",
            told: format!(
                "{} {}{}",
                request.method,
                text(&request.authority),
                text(&request.path)
            ),
            is_single: true,
        },
        fields(&request.headers),
    ]
}

/// The same for every request that is answered by ourselves.
fn answered(record: &Record, response: &ResponseHead) -> Vec<Facet> {
    vec![
        Facet {
            what: "delay",
            told: time(record.delayed),
            is_single: false,
        },
        fields(&response.headers),
    ]
}

fn fields(headers: &Headers) -> Facet {
    let line = |name: &[u8], value: &[u8]| {
        format!(
            "{}: {}\n",
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value)
        )
    };
    Facet {
        what: "fields",
        told: headers
            .iter()
            .map(|field| line(field.name, field.value))
            .collect(),
        is_single: true,
    }
}

fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| NONE.to_owned(), |time| format!("{time:?}"))
}

/// Everything that a policy says, apart from what is told elsewhere.
fn retries(policy: Option<&RetryPolicy>) -> String {
    let Some(policy) = policy else {
        return NONE.to_owned();
    };
    let tokens = RetryOn::TOKENS.iter();
    let on = tokens.filter(|(_, condition)| policy.on.has(*condition));
    let mut on: Vec<_> = on.map(|(token, _)| (*token).to_owned()).collect();
    on.extend(policy.status_codes.iter().map(ToString::to_string));
    let mut told = format!("{} on {}", policy.retries, on.join(","));
    told += &format!(", back-off {:?}", policy.backoff);
    if let Some(most) = policy.retry_after {
        told += &format!(", retry-after up to {most:?}");
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

fn plan_of<'a>(record: &Record, snapshot: &'a Snapshot) -> Option<&'a Forward> {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    else {
        return None;
    };
    match &*snapshot
        .virtual_host(virtual_host)
        .rules
        .get(rule as usize)?
        .action
    {
        Action::Forward(plan) => Some(plan),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

fn cluster_name<'a>(cluster: &'a DestinationCluster, snapshot: &'a Snapshot) -> Option<&'a str> {
    match cluster {
        DestinationCluster::Known(id) => Some(&snapshot.cluster(*id).name),
        DestinationCluster::Missing(name) => Some(name),
        DestinationCluster::Passthrough => None,
    }
}
