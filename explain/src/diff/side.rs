//! One of two configurations: what it makes of a request, apart from draws.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::cluster::Bucket;
use outrigger_core::decision::Record;
use outrigger_core::message::RequestHead;
use outrigger_core::peer::{ListenerKind, Peer, Said};
use outrigger_core::policy::route;
use outrigger_core::request::{self, Context, NotRouted, scheme};
use outrigger_core::snapshot::{
    Action, Cluster, DestinationCluster, Forward, Redirect, RedirectPath, Rule, Snapshot,
    UnknownHosts, VirtualHost,
};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Worker, WorkerSettings};

use super::Change;
use crate::explanation::{Place, cluster, policies, problems, words};
use crate::play::Circumstances;

/// Endpoints that are named; of the others their number is told.
const MOST_ENDPOINTS: usize = 16;

/// What becomes of requests of one rule.
#[derive(Debug)]
pub(super) struct Decided {
    /// Where they go, with the shares of each destination.
    pub(super) goes_to: String,
    /// Where the rule stands.
    pub(super) place: Option<Place>,
    /// What the rule says besides, by its name.
    of_rule: Facets,
    /// What the clusters that it goes to say.
    of_clusters: Facets,
}

type Facets = BTreeMap<&'static str, String>;

impl Decided {
    fn plain(goes_to: impl Into<String>) -> Self {
        Self {
            goes_to: goes_to.into(),
            place: None,
            of_rule: Facets::new(),
            of_clusters: Facets::new(),
        }
    }

    /// What differs, apart from where requests go. Where one of both has nothing of the kind, there is nothing to compare.
    pub(super) fn changes(&self, after: &Self) -> Vec<Change> {
        let goes_elsewhere = self.goes_to != after.goes_to;
        let mut all = differences(&self.of_rule, &after.of_rule);
        let of_clusters = differences(&self.of_clusters, &after.of_clusters);
        // Another cluster has other endpoints, which says nothing more.
        all.extend(
            (of_clusters.into_iter())
                .filter(|change| !(goes_elsewhere && change.what == "endpoints")),
        );
        all
    }
}

fn differences(before: &Facets, after: &Facets) -> Vec<Change> {
    if before.is_empty() || after.is_empty() {
        return Vec::new();
    }
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let value = |of: &Facets, name: &str| {
        let value = of.get(name);
        value.map_or_else(|| "none".to_owned(), Clone::clone)
    };
    names
        .into_iter()
        .map(|name| Change {
            what: name,
            before: value(before, name),
            after: value(after, name),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// A configuration, and what was found out of it.
pub(super) struct Side<'a> {
    pub(super) snapshot: &'a Snapshot,
    worker: Worker,
    /// By virtual host and rule.
    decided: BTreeMap<(u32, usize), Rc<Decided>>,
    unknown: Rc<Decided>,
}

impl<'a> Side<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let unknown = match &snapshot.settings.unknown_hosts {
            UnknownHosts::AllowAny => "where its name leads (ALLOW_ANY)".to_owned(),
            UnknownHosts::RegistryOnly => "answer 502 (REGISTRY_ONLY)".to_owned(),
            UnknownHosts::EgressProxy(cluster) => problems::cluster_name(cluster, snapshot),
        };
        Self {
            snapshot,
            // It tries rules and picks nothing, so it needs no state of its own that is worth anything.
            worker: Worker::new(Arc::new(snapshot.apart()), WorkerSettings::default(), 0),
            decided: BTreeMap::new(),
            unknown: Rc::new(Decided::plain(unknown)),
        }
    }

    /// What becomes of a request that comes to a listener.
    pub(super) fn decide(&mut self, request: &RequestHead, listener: ListenerKind) -> Rc<Decided> {
        let context = Context {
            view: self.worker.view(),
            peer: &Peer {
                listener,
                ..Circumstances::default().peer
            },
            tls: None,
            said: &Said::default(),
            upgrade: None,
            own_bucket: &Bucket::default(),
            now: Instant::ZERO,
            complete_since: Some(Instant::ZERO),
        };
        let mut record = Record::default();
        record.request.clone_from(request);
        let id = match request::arrive(&context, &mut record) {
            Ok(id) => id,
            Err(NotRouted::UnknownHost) => return Rc::clone(&self.unknown),
            Err(NotRouted::Refused(refused)) => {
                return Rc::new(Decided::plain(format!("answer {}", refused.status)));
            }
        };
        let snapshot = self.snapshot;
        let of = snapshot.virtual_host(id);
        let request = &record.request;
        let Some(at) = route::find(of, request, scheme(request), None) else {
            return Rc::new(Decided::plain("answer 404: no rule holds"));
        };
        let known = self.decided.entry((id.0, at));
        Rc::clone(known.or_insert_with(|| Rc::new(decided(of, at, snapshot))))
    }
}

fn decided(of: &VirtualHost, at: usize, snapshot: &Snapshot) -> Decided {
    let rule = &of.rules[at];
    let mut decided = match &*rule.action {
        Action::Redirect(to) => Decided::plain(redirect(to)),
        Action::Respond(answer) => {
            let body = answer.body.len();
            Decided::plain(format!("answer {} with {body} bytes", answer.status))
        }
        Action::Forward(forward) => forwarded(rule, forward, snapshot),
    };
    let limiters = of.limits.as_deref().and_then(|limits| limits.rules.get(at));
    let limiters = limiters.map(|list| &**list).unwrap_or_default();
    let limits = limiters
        .iter()
        .map(|limiter| policies::limit(limiter, snapshot).value);
    let limits: Vec<String> = limits.collect();
    if !limits.is_empty() {
        decided.of_rule.insert("rate limits", limits.join("; "));
    }
    let origin = rule.origin.as_ref();
    decided.place = origin.and_then(|origin| Place::new(origin, snapshot));
    decided
}

fn redirect(to: &Redirect) -> String {
    let path = match &to.path {
        RedirectPath::Keep => "its path".to_owned(),
        RedirectPath::Full(path) => format!("`{path}`"),
        RedirectPath::Prefix(prefix) => format!("`{prefix}` in place of what matched"),
    };
    let authority = to.authority.as_deref().unwrap_or("its host");
    let (status, port) = (to.status.as_u16(), to.port);
    let scheme = to.scheme.as_deref().unwrap_or("its scheme");
    format!("redirect {status} to {authority}, {path}, {scheme}, port {port:?}")
}

fn forwarded(rule: &Rule, forward: &Forward, snapshot: &Snapshot) -> Decided {
    let name = |cluster: &DestinationCluster| match cluster {
        DestinationCluster::Missing(name) => format!("{name} (does not exist)"),
        DestinationCluster::Known(_) | DestinationCluster::Passthrough => {
            problems::cluster_name(cluster, snapshot)
        }
    };
    let goals = forward.destinations.iter().map(|destination| {
        let name = name(&destination.cluster);
        match u64::from(destination.weight) == forward.total_weight {
            true => name,
            false => format!("{name} {} of {}", destination.weight, forward.total_weight),
        }
    });
    let goals: Vec<String> = goals.collect();
    let mut of_rule = Values::default();
    let mut of_clusters = Values::default();
    let faults = forward.fault.as_deref();
    if let Some(delay) = faults.and_then(|fault| fault.delay) {
        let (share, time) = (words::share(delay.share), words::time(delay.duration));
        of_rule.add("fault delay", "", format!("{share} get {time}"));
    }
    if let Some(abort) = faults.and_then(|fault| fault.abort) {
        let (share, answer) = (words::share(abort.share), words::fault_answer(abort.answer));
        of_rule.add("fault abort", "", format!("{share} get {answer}"));
    }
    for destination in &forward.destinations {
        let name = problems::cluster_name(&destination.cluster, snapshot);
        for told in policies::stated(rule, forward, Some(destination), snapshot) {
            of_rule.add(told.what, &name, told.value);
        }
        if let DestinationCluster::Known(id) = destination.cluster {
            let cluster = snapshot.cluster(id);
            for told in cluster::tell(cluster, snapshot).settings {
                of_clusters.add(told.what, &name, told.value);
            }
            of_clusters.add("endpoints", &name, endpoints(cluster));
        }
    }
    Decided {
        goes_to: goals.join(", "),
        place: None,
        of_rule: of_rule.facets(),
        of_clusters: of_clusters.facets(),
    }
}

/// What destinations say, each by its name.
#[derive(Default)]
struct Values(BTreeMap<&'static str, Vec<(String, String)>>);

impl Values {
    fn add(&mut self, what: &'static str, whose: &str, value: String) {
        let all = self.0.entry(what).or_default();
        all.push((whose.to_owned(), value));
    }

    /// What all say alike is told once.
    fn facets(self) -> Facets {
        let told = self.0.into_iter().map(|(what, mut all)| {
            all.dedup();
            let first = &all[0].1;
            let value = match all.iter().all(|(_, value)| value == first) {
                true => first.clone(),
                false => {
                    let each = all.iter().map(|(whose, value)| format!("{whose}: {value}"));
                    each.collect::<Vec<_>>().join("; ")
                }
            };
            (what, value)
        });
        told.collect()
    }
}

/// Addresses, sorted, with what makes them unequal.
fn endpoints(cluster: &Cluster) -> String {
    let mut all: Vec<String> = (cluster.endpoints.iter())
        .map(|endpoint| {
            let mut told = endpoint.text.to_string();
            if endpoint.weight != 1 {
                told += &format!(" weight {}", endpoint.weight);
            }
            if endpoint.priority > 0 {
                told += &format!(" priority {}", endpoint.priority);
            }
            told
        })
        .collect();
    all.sort_unstable();
    match all.len() {
        0 => "none".to_owned(),
        count @ 1..=MOST_ENDPOINTS => format!("{count}: {}", all.join(", ")),
        count => {
            let named = all[..MOST_ENDPOINTS].join(", ");
            // Names of the others would be too many, and a change among them is to be seen.
            let rest: u64 = all[MOST_ENDPOINTS..].iter().map(|text| hash(text)).sum();
            format!("{count}: {named} and more (#{rest:016x})")
        }
    }
}

/// FNV-1a: tells texts apart.
fn hash(text: &str) -> u64 {
    let bytes = text.bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) >> 8
}
