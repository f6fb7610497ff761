//! What one worker counts, on its own thread: where each request belongs is looked up once in each configuration.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use outrigger_core::decision::access_log::{self, Logged};
use outrigger_core::decision::{Record, RouteDecision, Upstream};
use outrigger_core::peer::{Identity, ListenerKind, TlsFacts};
use outrigger_core::snapshot::telemetry::{Metric, SideRules};
use outrigger_core::snapshot::{ClusterId, Snapshot};
use outrigger_core::time::Instant;
use outrigger_runtime::Ended;

use super::clusters::{ClusterCells, gone};
use super::kept::{Cells, Gone, Kept};
use super::labels::{self, Labels, Sides};
use super::peers;
use super::place::{NO_CLUSTER, Place, Quick};
use super::routes::{self, RouteCells, UNNAMED};
use super::series::{Messages, Series};
use super::{Metrics, WorkerListeners};

/// Where the attempts at hosts that no service has are counted.
const PASSTHROUGH: &str = "PassthroughCluster";

/// So many places of requests a worker remembers; then it begins anew. Beyond what a configuration gives rise to, statuses
/// and flags multiply them.
const MOST_PLACES: usize = 1 << 16;

/// One worker's end.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    of: Arc<Counting>,
    /// What was looked up in the newest configuration.
    seen: Seen,
}

/// Where it is counted.
#[derive(Debug)]
struct Counting {
    metrics: Arc<Metrics>,
    worker: usize,
    listeners: Arc<WorkerListeners>,
    /// Labels say nothing of it.
    nowhere: access_log::Place,
}

/// What was looked up in one configuration, so that it is not looked up again.
#[derive(Debug, Default)]
struct Seen {
    revision: u64,
    /// In the order of the snapshot's.
    clusters: Vec<Option<Arc<ClusterCells>>>,
    passthrough: Option<Arc<ClusterCells>>,
    /// By virtual host and rule.
    routes: HashMap<(u32, u32), Option<Arc<RouteCells>>, Quick>,
    series: HashMap<Place, InSeries, Quick>,
    /// Whom metadata name. Anybody may write what he likes there, so these are hashed with care.
    peers: HashMap<Box<[u8]>, u32>,
    /// The one that was last: most have few callers, and to compare is cheaper than to hash.
    last_peer: (Vec<u8>, u32),
    identities: Vec<Identity>,
    /// Whom certificates name.
    principals: HashMap<Box<str>, u32>,
    /// The one that was last.
    last_principal: (Box<str>, u32),
    /// What labels that somebody configured say.
    values: HashMap<String, u32>,
    /// Which [`MetricRules`] hold.
    rules: u64,
}

/// What is proved of the other side.
fn proved<'a>(ended: &Ended<'a>) -> Option<&'a TlsFacts> {
    match ended.peer.listener {
        ListenerKind::Inbound(_) => ended.client_tls,
        ListenerKind::Outbound => ended.facts.tls.as_deref(),
    }
}

/// Where requests of one place are counted.
#[derive(Debug)]
struct InSeries {
    requests: Arc<Series>,
    /// Where they are gRPC calls.
    messages: Option<Arc<Messages>>,
}

impl InSeries {
    fn goes_on(&self, now: Instant) -> bool {
        // Both are asked: each is used.
        let messages = self
            .messages
            .as_ref()
            .is_none_or(|cells| cells.goes_on(now));
        self.requests.goes_on(now) && messages
    }

    fn count(&self, record: &Record, micros: u64) {
        self.requests.count(record, micros);
        if let Some((cells, messages)) = self.messages.as_ref().zip(record.grpc_messages) {
            cells.count(messages);
        }
    }
}

impl WorkerMetrics {
    pub(crate) fn new(metrics: &Arc<Metrics>, worker: usize, listeners: usize) -> Self {
        Self {
            of: Arc::new(Counting {
                metrics: Arc::clone(metrics),
                worker,
                listeners: metrics.begin(listeners),
                nowhere: access_log::Place::default(),
            }),
            seen: Seen::default(),
        }
    }

    /// A request has ended.
    pub(crate) fn count(&mut self, ended: &Ended<'_>) {
        let revision = ended.snapshot.revision;
        if revision > self.seen.revision {
            self.seen = Seen::of(ended.snapshot, &self.of.metrics);
        }
        if revision == self.seen.revision {
            self.of.count(ended, &mut self.seen);
        } else {
            // It outlasted its configuration: few do, and their places are not those of the others.
            let mut seen = Seen::of(ended.snapshot, &self.of.metrics);
            self.of.count(ended, &mut seen);
        }
    }
}

impl Counting {
    fn count(&self, ended: &Ended<'_>, seen: &mut Seen) {
        let record = ended.record;
        let micros = record.ended.since(record.began).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.count_attempts(ended, seen);
        for mirrored in &record.mirrors {
            self.listeners.mirrors.count(mirrored.fate);
        }
        // A copy for a mirror is no client's request: what became of it is counted at its cluster.
        let Some(listener) = ended.listener else {
            return;
        };
        let cells = self.listeners.listeners.get(listener);
        // Nor is a connection of which nobody understands the bytes.
        if let Some(connection) = &record.connection {
            if let Some(cells) = cells {
                cells.count_connection(connection);
            }
            return;
        }
        if let Some(cells) = cells {
            cells.count(record, micros);
        }
        self.count_route(ended.snapshot, record, micros, seen);
        self.count_series(ended, micros, seen);
    }

    fn count_attempts(&self, ended: &Ended<'_>, seen: &mut Seen) {
        let (record, snapshot) = (ended.record, ended.snapshot);
        let Some(counts) = record.attempt() else {
            if let Upstream::Cluster(id) = record.upstream(snapshot) {
                self.cluster(Some(id), snapshot, seen).count_none(record);
            }
            return;
        };
        for attempt in &record.attempts {
            let cells = self.cluster(attempt.cluster, snapshot, seen);
            cells.count(attempt, record, std::ptr::eq(attempt, counts));
        }
    }

    fn cluster<'s>(
        &self,
        id: Option<ClusterId>,
        snapshot: &Snapshot,
        seen: &'s mut Seen,
    ) -> &'s ClusterCells {
        let of = |name: &str, gone: &dyn Fn() -> Gone| {
            let kept = &self.metrics.clusters;
            // As many as the configuration has.
            kept.of(self.worker, name, usize::MAX, gone)
                .unwrap_or_default()
        };
        let Some(id) = id else {
            let never = || -> Gone { Box::new(|| false) };
            return seen
                .passthrough
                .get_or_insert_with(|| of(PASSTHROUGH, &never));
        };
        let at = id.0 as usize;
        if seen.clusters.len() <= at {
            seen.clusters.resize(at + 1, None);
        }
        seen.clusters[at].get_or_insert_with(|| {
            let cluster = snapshot.cluster(id);
            of(&cluster.name, &|| gone(&cluster.state))
        })
    }

    fn count_route(&self, snapshot: &Snapshot, record: &Record, micros: u64, seen: &mut Seen) {
        let RouteDecision::Rule {
            virtual_host, rule, ..
        } = record.route
        else {
            return;
        };
        let of = || {
            let host = snapshot.virtual_host(virtual_host);
            let rule = host.rules.get(rule as usize)?;
            if &*rule.name == UNNAMED {
                return None;
            }
            let name = routes::name(host, rule);
            // Those that no configuration has any more are forgotten by name, see `Metrics::collect`.
            let never = || -> Gone { Box::new(|| false) };
            self.metrics
                .routes
                .of(self.worker, &name, usize::MAX, never)
        };
        let cells = seen.routes.entry((virtual_host.0, rule));
        if let Some(cells) = cells.or_insert_with(of) {
            cells.count(record, micros);
        }
    }

    fn count_series(&self, ended: &Ended<'_>, micros: u64, seen: &mut Seen) {
        let place = self.place(ended, seen);
        let known = seen.series.get(&place);
        if let Some(series) = known.filter(|series| series.goes_on(ended.now)) {
            series.count(ended.record, micros);
            return;
        }
        let mut series = self.series(ended, &place, seen);
        while !series.goes_on(ended.now) {
            series = self.series(ended, &place, seen);
        }
        series.count(ended.record, micros);
        if seen.series.len() >= MOST_PLACES {
            seen.series.clear();
        }
        seen.series.insert(place, series);
    }

    fn place(&self, ended: &Ended<'_>, seen: &mut Seen) -> Place {
        let record = ended.record;
        let values = match ended
            .snapshot
            .metrics
            .of(ended.peer.listener != ListenerKind::Outbound)
        {
            Some(rules) => self.values(ended, rules, seen),
            None => 0,
        };
        let call = match labels::is_grpc(ended) {
            false => 0,
            true => labels::grpc_response_status(ended).map_or(1, |code| 2 + u16::from(code)),
        };
        let is_inbound = ended.peer.listener != ListenerKind::Outbound;
        Place {
            cluster: match record.upstream(ended.snapshot) {
                Upstream::Cluster(id) => id.0,
                Upstream::Passthrough => NO_CLUSTER,
                Upstream::BlackHole => NO_CLUSTER + 1,
                Upstream::Nowhere => NO_CLUSTER + 2,
            },
            endpoint: record
                .attempt()
                .map_or(u32::MAX, |attempt| attempt.endpoint),
            peer: self.peer(&record.peer_metadata.told, seen),
            principal: self.principal(proved(ended), seen),
            flags: record.flags().bits(),
            status: record.status,
            call,
            values,
            is_inbound,
        }
    }

    /// What the labels of a request say that somebody configured: 1 more than its place among what they have said.
    fn values(&self, ended: &Ended<'_>, rules: &SideRules, seen: &mut Seen) -> u32 {
        let logged = self.logged(ended);
        let tags = rules.iter().flat_map(|rule| &rule.tags);
        let mut all = String::new();
        for value in tags.filter_map(|tag| tag.value.as_ref()) {
            all.push_str(&labels::value(value, &logged));
            all.push(labels::NEXT);
        }
        if all.is_empty() {
            return 0;
        }
        if let Some(known) = seen.values.get(&all) {
            return *known;
        }
        if seen.values.len() >= MOST_PLACES {
            seen.values.clear();
            seen.series.clear();
        }
        // At most as many as places.
        let place = seen.values.len() as u32 + 1;
        seen.values.insert(all, place);
        place
    }

    fn logged<'a>(&'a self, ended: &Ended<'a>) -> Logged<'a> {
        Logged {
            record: ended.record,
            snapshot: ended.snapshot,
            response: ended.response,
            around: ended.surroundings(),
            tls: ended.client_tls,
            place: &self.nowhere,
        }
    }

    /// Who is on the other side: 1 more than his place among those who are known, 0 for nobody.
    fn peer(&self, metadata: &[u8], seen: &mut Seen) -> u32 {
        if metadata.is_empty() {
            return 0;
        }
        let (last, peer) = &seen.last_peer;
        if *last == metadata {
            return *peer;
        }
        if let Some(known) = seen.peers.get(metadata) {
            let known = *known;
            seen.met(metadata, known);
            return known;
        }
        let identity = peers::identity(metadata);
        if seen.peers.len() >= self.metrics.settings.max_series {
            // Peers come and go, and names of places hang on them.
            seen.peers.clear();
            seen.identities.clear();
            seen.series.clear();
        }
        let peer = identity.map_or(0, |identity| {
            seen.identities.push(identity);
            // Fewer than there are series.
            seen.identities.len() as u32
        });
        seen.peers.insert(metadata.into(), peer);
        seen.met(metadata, peer);
        peer
    }

    /// Who is on the other side by his certificate; see [`Place::principal`].
    fn principal(&self, tls: Option<&TlsFacts>, seen: &mut Seen) -> u32 {
        let Some(tls) = tls else {
            return 0;
        };
        let Some(principal) = labels::principal(tls) else {
            return 1;
        };
        let (last, known) = &seen.last_principal;
        if **last == *principal {
            return *known;
        }
        let known = match seen.principals.get(principal) {
            Some(known) => *known,
            None => {
                if seen.principals.len() >= self.metrics.settings.max_series {
                    // As those whom metadata name.
                    seen.principals.clear();
                    seen.series.clear();
                }
                // Fewer than there are series.
                let new = seen.principals.len() as u32 + 2;
                seen.principals.insert(principal.into(), new);
                new
            }
        };
        seen.last_principal = (principal.into(), known);
        known
    }

    /// The series of a place that was not seen before.
    fn series(&self, ended: &Ended<'_>, place: &Place, seen: &Seen) -> InSeries {
        let nobody = Identity::default();
        let ourselves = &self.metrics.settings.ourselves;
        let (cluster, endpoint) = labels::reached(ended);
        let peer = (place.peer as usize).checked_sub(1);
        let peer = peer.and_then(|at| seen.identities.get(at));
        let (source, destination) = match place.is_inbound {
            true => (peer.unwrap_or(&nobody), ourselves),
            false => {
                let configured = endpoint.map(|endpoint| &*endpoint.identity);
                (ourselves, peer.or(configured).unwrap_or(&nobody))
            }
        };
        let labels = labels::of(
            ended,
            &Sides {
                source,
                destination,
                service: cluster.and_then(|cluster| cluster.service.as_deref()),
                instead: labels::instead(
                    ended.peer.listener,
                    ended.record.upstream(ended.snapshot),
                ),
                proved: proved(ended),
            },
        );
        let (held, current) = (seen.rules, &self.metrics.rules);
        let gone = || -> Gone {
            let current = Arc::clone(current);
            let cluster = cluster.map(|cluster| gone(&cluster.state));
            let identity = endpoint.map(|endpoint| Arc::downgrade(&endpoint.identity));
            Box::new(move || {
                let of_cluster = cluster.as_ref().is_some_and(|gone| gone());
                let of_identity = identity.as_ref().is_some_and(|i| i.strong_count() == 0);
                let of_rules = current.load(Ordering::Relaxed) != held;
                of_cluster || of_identity || of_rules
            })
        };
        let rules = ended.snapshot.metrics.of(place.is_inbound);
        let text = |labels: &Labels, of: Range<usize>| match rules {
            Some(rules) => labels::changed_text(labels, &rules[of], &self.logged(ended)),
            None => labels::text(labels),
        };
        let messages = (place.call > 0).then(|| {
            let labels = labels::of_messages(&labels);
            let text = text(&labels, Metric::OF_REQUESTS..Metric::ALL.len());
            self.cells(&self.metrics.messages, &text, labels, ended.now, gone)
        });
        let text = text(&labels, 0..Metric::OF_REQUESTS);
        InSeries {
            requests: self.cells(&self.metrics.series, &text, labels, ended.now, gone),
            messages,
        }
    }

    /// What is counted in under labels; if there are too many others, with what has no room.
    fn cells<T: Cells>(
        &self,
        kept: &Kept<T>,
        text: &str,
        labels: Labels,
        now: Instant,
        gone: impl Fn() -> Gone,
    ) -> Arc<T> {
        let most = self.metrics.settings.max_series;
        let mut own = kept.of(self.worker, text, most, &gone);
        if own.is_none() && self.metrics.makes_room(now) {
            own = kept.of(self.worker, text, most, &gone);
        }
        own.or_else(|| {
            let text = labels::text(&labels::overflow(labels));
            let never = || -> Gone { Box::new(|| false) };
            kept.of(self.worker, &text, usize::MAX, never)
        })
        .unwrap_or_default()
    }
}

impl Seen {
    /// The memory for it is kept.
    fn met(&mut self, metadata: &[u8], peer: u32) {
        let (last, known) = &mut self.last_peer;
        last.clear();
        last.extend_from_slice(metadata);
        *known = peer;
    }

    fn of(snapshot: &Snapshot, metrics: &Metrics) -> Self {
        Self {
            revision: snapshot.revision,
            rules: metrics.hold(snapshot),
            ..Self::default()
        }
    }
}
