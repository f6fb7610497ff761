//! What must hold after every step (`ARCHITECTURE.md`, invariants 3, 6 and 7), checked from outside.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use outrigger_core::cluster::{ClusterState, Counted, HostState, RetryLimit};
use outrigger_core::decision::{AttemptEnd, Record, RouteDecision};
use outrigger_core::entropy::Entropy;
use outrigger_core::outbox::{HIGH_WATER, Outbox};
use outrigger_core::peer::ExchangeId;
use outrigger_core::snapshot::{Action, Cluster, Limits, Snapshot};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{Exchange, View, Worker};
use slotmap::SecondaryMap;
use smallvec::SmallVec;

/// An outbox may pass its mark by what one piece can add: an inbox as full as it gets while no connection is there
/// (64 KiB, and the room of one more read) and its framing.
const SLACK: usize = 192 * 1024;

/// Longer than any ejection lasts, and its sweep.
const ANY_EJECTION: Duration = Duration::from_secs(24 * 3600);

/// What the workers of a sidecar have under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnderWay {
    /// Attempts.
    pub(crate) attempts: usize,
    /// Connections that nobody uses, by what is seen of each.
    pub(crate) kept: usize,
    /// The same as the workers count them.
    pub(crate) idle: usize,
}

/// How many attempts of a request may be in flight at a time.
const fn attempts_at_once(record: &Record) -> usize {
    if record.timeouts.hedges { 2 } else { 1 }
}

/// Which requests under way have been answered, and with which attempt.
#[derive(Debug, Default)]
pub(crate) struct Answered(SecondaryMap<ExchangeId, usize>);

impl Answered {
    /// Looks at a request between two steps.
    pub(crate) fn check(&mut self, id: ExchangeId, exchange: &Exchange) -> Result<(), String> {
        let record = exchange.record();
        let open = record.attempts.iter().filter(|a| a.end == AttemptEnd::Open);
        let open = open.count();
        if open > attempts_at_once(record) {
            return Err(format!("{open} attempts are in flight"));
        }
        if record.status == 0 {
            return Ok(());
        }
        let now = record.attempts.len();
        match self.0.get(id) {
            None => drop(self.0.insert(id, now)),
            Some(before) if *before == now => {}
            Some(_) => {
                return Err("another attempt began after the client was answered".to_owned());
            }
        }
        Ok(())
    }

    /// A request has ended.
    pub(crate) fn forget(&mut self, id: ExchangeId) {
        self.0.remove(id);
    }
}

/// What waits for one peer is bounded, and it is waited for that it can be written exactly if there is something.
pub(crate) fn check_outbox(outbox: &Outbox, is_awaited: bool) -> Result<(), String> {
    let len = outbox.len();
    if len > HIGH_WATER + SLACK {
        return Err(format!("{len} unsent bytes"));
    }
    if is_awaited == outbox.is_empty() {
        return Err(format!("{len} unsent bytes, and waited for: {is_awaited}"));
    }
    Ok(())
}

/// Copies for mirrors are counted as long as they are there.
pub(crate) fn check_mirrors(worker: &Worker) -> Result<(), String> {
    let copies = worker.exchanges().filter(|(_, e)| e.is_mirror()).count();
    let counted = worker.counts().mirrors;
    if copies == counted {
        return Ok(());
    }
    Err(format!("{counted} copies counted, {copies} there"))
}

/// A record as it is when its request has ended.
pub(crate) fn judge(record: &Record, snapshot: &Snapshot) -> Result<(), String> {
    let left = record.attempts.iter().any(|a| a.end == AttemptEnd::Open);
    let repeated = |end| matches!(end, AttemptEnd::StaleConnection | AttemptEnd::Unprocessed);
    let tried = record.attempts.iter().filter(|a| !repeated(a.end)).count();
    let retries = allowed_retries(record, snapshot);
    let fault = if left {
        "an attempt never ended"
    } else if record.retries > retries || tried > 1 + retries as usize {
        "there were more attempts than the route allows"
    } else if record.ended < record.began {
        "it ended before it began"
    } else {
        return Ok(());
    };
    Err(format!("{fault}: {record:?}"))
}

/// The attempts after the first that the rule of a request allows.
fn allowed_retries(record: &Record, snapshot: &Snapshot) -> u32 {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    else {
        return 0;
    };
    match &*snapshot.virtual_host(virtual_host).rules[rule as usize].action {
        Action::Forward(forward) => forward.retry.as_ref().map_or(0, |policy| policy.retries),
        Action::Redirect(_) | Action::Respond(_) => 0,
    }
}

/// The live state of a sidecar's endpoints and clusters, which its workers share, and what it was at the last step.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// What was published last: some workers may not have heard of it.
    newest: Arc<Snapshot>,
    clusters: Vec<Watched>,
    /// Views of before. Requests may still run on them, and fill limits that are lower by now. Each is held until the
    /// check after its last user went: that one may have changed a count in the same step.
    older: Vec<Rc<View>>,
    /// What no snapshot names any more.
    dropped: Vec<(Weak<ClusterState>, Vec<Weak<HostState>>)>,
}

#[derive(Debug)]
struct Watched {
    state: Arc<ClusterState>,
    hosts: Vec<Arc<HostState>>,
    counts: [u32; Counted::ALL.len()],
    ejected: u32,
}

impl Watched {
    fn new(cluster: &Cluster) -> Self {
        let by_id = cluster.endpoints.iter().map(|e| (e.state.id(), &e.state));
        let hosts: BTreeMap<_, _> = by_id.collect();
        Self {
            state: Arc::clone(&cluster.state),
            hosts: hosts.into_values().map(Arc::clone).collect(),
            counts: Counted::ALL.map(|counted| cluster.state.gauges().current(counted)),
            ejected: cluster.state.ejections_active(),
        }
    }
}

impl Watch {
    pub(crate) fn new(snapshot: &Arc<Snapshot>) -> Self {
        let clusters = snapshot.clusters.iter().map(Watched::new);
        Self {
            newest: Arc::clone(snapshot),
            clusters: clusters.collect(),
            ..Self::default()
        }
    }

    /// A worker goes from one view to the next.
    pub(crate) fn adopt(&mut self, before: &Rc<View>, now: &View) {
        // The caller holds it too.
        if Rc::strong_count(before) > 1 {
            self.older.push(Rc::clone(before));
        }
        if Arc::ptr_eq(&self.newest, &now.snapshot) {
            return;
        }
        self.newest = Arc::clone(&now.snapshot);
        let next = now.snapshot.clusters.iter().map(Watched::new).collect();
        for old in std::mem::replace(&mut self.clusters, next) {
            let hosts = old.hosts.iter().map(Arc::downgrade).collect();
            self.dropped.push((Arc::downgrade(&old.state), hosts));
        }
    }

    /// Looks at all counts between two steps. `in_force`: what each worker decides by.
    pub(crate) fn check(&mut self, in_force: &[&View], under_way: UnderWay) -> Result<(), String> {
        let UnderWay {
            attempts,
            kept,
            idle,
        } = under_way;
        let running = attempts;
        let others = self.older.iter().map(|view| &**view);
        let others: SmallVec<[&View; 8]> = others.chain(in_force.iter().copied()).collect();
        let mut sums = [0; Counted::ALL.len()];
        for (watched, cluster) in self.clusters.iter_mut().zip(self.newest.clusters.iter()) {
            watched.check_counts(cluster, &others)?;
            watched.check_ejections(cluster, &others)?;
            for (sum, count) in sums.iter_mut().zip(watched.counts) {
                *sum += count as usize;
            }
        }
        for (counted, sum) in Counted::ALL.into_iter().zip(sums) {
            // Connections may be idle ones; everything else belongs to an exchange.
            if counted != Counted::Connections && sum > running {
                return Err(format!("{sum} {counted:?} for {running} exchanges"));
            }
        }
        let hosts = self.clusters.iter().flat_map(|c| &c.hosts);
        let active: u32 = hosts.clone().map(|h| h.active()).sum();
        let connections: u32 = hosts.map(|h| h.connections()).sum();
        if active as usize > attempts || connections as usize > attempts + kept || idle != kept {
            return Err(format!(
                "{active} active and {connections} connections, {idle} idle ones, for {attempts} attempts and {kept} kept"
            ));
        }
        drop(others);
        self.older.retain(|view| Rc::strong_count(view) > 1);
        Ok(())
    }

    /// Looks at all counts when nobody is left who wants anything.
    pub(crate) fn at_rest(&self, now: Instant) -> Result<(), String> {
        for cluster in self.newest.clusters.iter() {
            cluster.sweep(now + ANY_EJECTION, Entropy(0));
        }
        let live = self.clusters.iter().map(|c| (&c.state, c.hosts.clone()));
        let dropped = self.dropped.iter().filter_map(|(state, hosts)| {
            let hosts = hosts.iter().filter_map(Weak::upgrade);
            Some((state.upgrade()?, hosts.collect::<Vec<_>>()))
        });
        for (state, hosts) in live.map(|(s, h)| (Arc::clone(s), h)).chain(dropped) {
            let counts = Counted::ALL.map(|counted| state.gauges().current(counted));
            let ejected = state.ejections_active();
            if counts != [0; Counted::ALL.len()] || ejected != 0 {
                return Err(format!("{counts:?} counted, {ejected} ejected at rest"));
            }
            for host in hosts {
                let (active, connections) = (host.active(), host.connections());
                if (active, connections) != (0, 0) {
                    return Err(format!(
                        "{active} active, {connections} connections at rest"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Watched {
    /// A count never grows past its limit. It may be above it: a reload can lower the limit.
    fn check_counts(&mut self, cluster: &Cluster, older: &[&View]) -> Result<(), String> {
        for (counted, before) in Counted::ALL.into_iter().zip(&mut self.counts) {
            let now = self.state.gauges().current(counted);
            let limit = limit(cluster.limits, counted);
            let is_fine = |c: &Cluster| now <= self::limit(c.limits, counted);
            if now > limit && now > *before && !in_older(&self.state, older, is_fine) {
                return Err(format!(
                    "{now} {counted:?} in {}, limit {limit}",
                    cluster.name
                ));
            }
            *before = now;
        }
        Ok(())
    }

    fn check_ejections(&mut self, cluster: &Cluster, older: &[&View]) -> Result<(), String> {
        let now = self.state.ejections_active();
        let out = self.hosts.iter().filter(|host| host.is_ejected()).count();
        if out != now as usize {
            return Err(format!(
                "{out} of {} are out, {now} are counted",
                cluster.name
            ));
        }
        let hosts = self.hosts.len() as u64;
        let is_fine = |cluster: &Cluster| may_be_out(cluster, now, hosts);
        if now > self.ejected && !is_fine(cluster) && !in_older(&self.state, older, is_fine) {
            return Err(format!("{now} of {} are out, too many", cluster.name));
        }
        self.ejected = now;
        Ok(())
    }
}

/// What a count may reach by one limit or another.
fn limit(limits: Option<Limits>, counted: Counted) -> u32 {
    let Some(limits) = limits else {
        return u32::MAX;
    };
    match counted {
        Counted::Connections => limits.connections,
        Counted::Pending => limits.pending,
        Counted::Requests => limits.requests,
        Counted::Retries => match limits.retries {
            RetryLimit::Count(limit) => limit,
            // Moves with the requests under way.
            RetryLimit::Share(_) => u32::MAX,
        },
        // The other one moves with response times.
        Counted::Waiting | Counted::Concurrency => u32::MAX,
    }
}

/// Whether so many of all endpoints may be out.
fn may_be_out(cluster: &Cluster, out: u32, of: u64) -> bool {
    cluster.outlier_detection.as_ref().is_some_and(|detection| {
        let allowed = u64::from(detection.max_ejection_percent) * of;
        100 * u64::from(out) <= allowed || detection.always_eject_one && out <= 1
    })
}

/// Whether something holds of a cluster in one of the snapshots of before that requests still run on.
fn in_older(state: &Arc<ClusterState>, older: &[&View], holds: impl Fn(&Cluster) -> bool) -> bool {
    older.iter().any(|view| {
        let mut clusters = view.snapshot.clusters.iter();
        clusters.any(|c| Arc::ptr_eq(&c.state, state) && holds(c))
    })
}
