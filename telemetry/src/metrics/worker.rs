//! What one worker counts, on its own thread: where each request belongs is looked up once in each configuration.

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
use super::connections::{AllLasting, Connections, Lasting};
use super::kept::{Cells, Gone, Kept};
use super::labels::{self, Labels, Sides};
use super::place::{NO_CLUSTER, Place};
use super::routes::{self, UNNAMED};
use super::seen::Seen;
use super::series::InSeries;
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
    lasting: AllLasting<ClusterCells>,
}

/// Labels, and what says whether that is gone which they stand for.
struct Labelled<G> {
    labels: Labels,
    gone: G,
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

/// What is proved of the other side.
fn proved<'a>(ended: &Ended<'a>) -> Option<&'a TlsFacts> {
    match ended.peer.listener {
        ListenerKind::Inbound(_) => ended.client_tls,
        ListenerKind::Outbound | ListenerKind::Gateway(_) => ended.facts.tls.as_deref(),
    }
}

impl WorkerMetrics {
    pub(crate) fn new(metrics: &Arc<Metrics>, worker: usize) -> Self {
        Self {
            of: Arc::new(Counting {
                metrics: Arc::clone(metrics),
                worker,
                listeners: metrics.begin(),
                nowhere: access_log::Place::default(),
            }),
            seen: Seen::default(),
            lasting: AllLasting::default(),
        }
    }

    /// A request has ended, or a connection.
    pub(crate) fn count(&mut self, ended: &Ended<'_>) {
        self.by_its_configuration(ended, |of, seen| of.count(ended, seen));
        if ended.record.connection.is_some() {
            self.count_connection(ended, true);
        }
    }

    /// A connection that is not HTTP goes on.
    pub(crate) fn go_on(&mut self, lasting: &Ended<'_>) {
        self.count_connection(lasting, false);
    }

    /// Adds what has come to pass on a connection since it was counted last.
    fn count_connection(&mut self, of: &Ended<'_>, ends: bool) {
        let before = self.lasting.take(of.id);
        let begins = before.is_none();
        let mut lasting = match before {
            Some(before) if before.series.goes_on(of.now) => before,
            before => {
                let (series, cluster) =
                    self.by_its_configuration(of, |counting, seen| counting.connections(of, seen));
                Lasting::new(series, cluster, before.as_ref())
            }
        };
        let news = lasting.news(of.record, begins, ends);
        lasting.series.count(news);
        if let Some(cluster) = &lasting.cluster {
            cluster.tcp.count(news, &of.record.details);
        }
        if !ends {
            self.lasting.put(of.id, lasting);
        }
    }

    /// Does something with what was looked up in the configuration that decided it.
    fn by_its_configuration<T>(
        &mut self,
        ended: &Ended<'_>,
        act: impl FnOnce(&Counting, &mut Seen) -> T,
    ) -> T {
        let revision = ended.snapshot.revision;
        if revision > self.seen.revision {
            self.seen = Seen::of(ended.snapshot, &self.of.metrics);
        }
        if revision == self.seen.revision {
            act(&self.of, &mut self.seen)
        } else {
            // It outlasted its configuration: few do, and their places are not those of the others.
            let mut seen = Seen::of(ended.snapshot, &self.of.metrics);
            act(&self.of, &mut seen)
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
        let cells = seen.listener(listener, &self.listeners);
        // Nor is a connection of which nobody understands the bytes.
        if let Some(connection) = &record.connection {
            cells.count_connection(connection);
            return;
        }
        cells.count(record, micros);
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
    ) -> &'s Arc<ClusterCells> {
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
        let values = match ended.snapshot.metrics.of(ended.peer.listener.is_inbound()) {
            Some(rules) => self.values(ended, rules, seen),
            None => 0,
        };
        let call = match labels::is_grpc(ended) {
            false => 0,
            true => labels::grpc_response_status(ended).map_or(1, |code| 2 + u16::from(code)),
        };
        let is_inbound = ended.peer.listener.is_inbound();
        let most = self.metrics.settings.max_series;
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
            peer: seen.peer(&record.peer_metadata.told, most),
            principal: seen.principal(proved(ended), most),
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

    /// Where a connection is counted: its series, and its cluster.
    fn connections(
        &self,
        ended: &Ended<'_>,
        seen: &mut Seen,
    ) -> (Arc<Connections>, Option<Arc<ClusterCells>>) {
        let (record, snapshot) = (ended.record, ended.snapshot);
        let cluster = match (record.attempt(), record.upstream(snapshot)) {
            (Some(attempt), _) => Some(attempt.cluster),
            (None, Upstream::Cluster(id)) => Some(Some(id)),
            (None, Upstream::Passthrough) => Some(None),
            (None, Upstream::BlackHole | Upstream::Nowhere) => None,
        };
        let cluster = cluster.map(|id| Arc::clone(self.cluster(id, snapshot, seen)));
        let place = self.place(ended, seen);
        let series = loop {
            let of = self.labelled(ended, &place, seen);
            let labels = labels::of_connection(of.labels.clone());
            let text = self.text(ended, &labels, Metric::OF_CONNECTIONS);
            let kept = &self.metrics.connections;
            let series = self.cells(kept, &text, labels, ended.now, &of.gone);
            if series.goes_on(ended.now) {
                break series;
            }
        };
        (series, cluster)
    }

    /// The series of a place that was not seen before.
    fn series(&self, ended: &Ended<'_>, place: &Place, seen: &Seen) -> InSeries {
        let Labelled { labels, gone } = self.labelled(ended, place, seen);
        let messages = (place.call > 0).then(|| {
            let labels = labels::of_messages(&labels);
            let text = self.text(ended, &labels, Metric::OF_CALLS);
            self.cells(&self.metrics.messages, &text, labels, ended.now, &gone)
        });
        let text = self.text(ended, &labels, Metric::OF_REQUESTS);
        InSeries {
            requests: self.cells(&self.metrics.series, &text, labels, ended.now, &gone),
            messages,
        }
    }

    /// Labels as those metrics have them.
    fn text(&self, ended: &Ended<'_>, labels: &Labels, of: Range<usize>) -> String {
        let is_inbound = ended.peer.listener.is_inbound();
        match ended.snapshot.metrics.of(is_inbound) {
            Some(rules) => labels::changed_text(labels, &rules[of], &self.logged(ended)),
            None => labels::text(labels),
        }
    }

    /// The labels of a place, and how long they stand for something.
    fn labelled(
        &self,
        ended: &Ended<'_>,
        place: &Place,
        seen: &Seen,
    ) -> Labelled<impl Fn() -> Gone> {
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
        let (held, current) = (seen.rules, Arc::clone(&self.metrics.rules));
        let cluster = cluster.map(|cluster| Arc::downgrade(&cluster.state));
        let identity = endpoint.map(|endpoint| Arc::downgrade(&endpoint.identity));
        let gone = move || -> Gone {
            let current = Arc::clone(&current);
            let (cluster, identity) = (cluster.clone(), identity.clone());
            Box::new(move || {
                let of_cluster = cluster.as_ref().is_some_and(|c| c.strong_count() == 0);
                let of_identity = identity.as_ref().is_some_and(|i| i.strong_count() == 0);
                let of_rules = current.load(Ordering::Relaxed) != held;
                of_cluster || of_identity || of_rules
            })
        };
        Labelled { labels, gone }
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
