//! What happens to clusters, told as it begins and as it ends: endpoints that are ejected and return, limits that are reached.
//!
//! Workers tell nothing of it: their counters are looked at every second. So an ejection that is shorter than that is told by
//! counters alone, and a return when a request has brought it about.

use std::collections::BTreeMap;
use std::time::Duration;

use outrigger_core::snapshot::{Cluster, Snapshot};
use outrigger_core::time::Instant;
use outrigger_telemetry::Limit;
use tracing::{info, warn};

/// How often is looked.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A limit that has refused nothing for so long is not reached any more.
const QUIET: Duration = Duration::from_secs(5);

/// What goes on.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    /// When endpoints were ejected, by cluster and address.
    ejected: BTreeMap<(Box<str>, Box<str>), Instant>,
    limits: BTreeMap<Limit, Reached>,
}

/// A limit that refuses.
#[derive(Clone, Copy, Debug)]
struct Reached {
    since: Instant,
    latest: Instant,
    refused: u64,
}

/// What has begun or ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    Ejected {
        cluster: Box<str>,
        endpoint: Box<str>,
        reason: String,
        time: Duration,
        /// Endpoints that are out now, and all there are.
        out: u32,
        of: usize,
    },
    Returned {
        cluster: Box<str>,
        endpoint: Box<str>,
        after: Duration,
        out: u32,
        of: usize,
    },
    LimitReached {
        limit: Limit,
        refused: u64,
    },
    LimitOver {
        limit: Limit,
        refused: u64,
        lasted: Duration,
    },
}

impl Incidents {
    /// What is new. `refused` has what limits refused since the last look.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot,
        refused: BTreeMap<Limit, u64>,
        now: Instant,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let before = std::mem::take(&mut self.ejected);
        for cluster in snapshot.clusters.iter() {
            if cluster.outlier_detection.is_some() {
                self.look_at(cluster, &before, now, &mut news);
            }
        }
        self.look_at_limits(refused, now, &mut news);
        news
    }

    fn look_at(
        &mut self,
        cluster: &Cluster,
        before: &BTreeMap<(Box<str>, Box<str>), Instant>,
        now: Instant,
        news: &mut Vec<News>,
    ) {
        let (out, of) = (cluster.state.ejections_active(), cluster.endpoints.len());
        // Most clusters have nobody out, and had not before.
        if out == 0 && before.is_empty() {
            return;
        }
        for endpoint in &cluster.endpoints {
            let key = (cluster.name.clone(), endpoint.text.clone());
            match (endpoint.state.ejected(), before.get(&key)) {
                (None, None) => {}
                (None, Some(since)) => {
                    let (cluster, endpoint) = key;
                    news.push(News::Returned {
                        cluster,
                        endpoint,
                        after: now.since(*since),
                        out,
                        of,
                    });
                }
                (Some(ejected), before) => {
                    if before != Some(&ejected.since) {
                        news.push(News::Ejected {
                            cluster: key.0.clone(),
                            endpoint: key.1.clone(),
                            reason: ejected.reason.to_string(),
                            time: ejected.until.since(ejected.since),
                            out,
                            of,
                        });
                    }
                    self.ejected.insert(key, ejected.since);
                }
            }
        }
    }

    fn look_at_limits(
        &mut self,
        refused: BTreeMap<Limit, u64>,
        now: Instant,
        news: &mut Vec<News>,
    ) {
        for (limit, refused) in refused {
            let reached = self.limits.entry(limit.clone()).or_insert_with(|| {
                news.push(News::LimitReached { limit, refused });
                Reached {
                    since: now,
                    latest: now,
                    refused: 0,
                }
            });
            reached.latest = now;
            reached.refused += refused;
        }
        self.limits.retain(|limit, reached| {
            let goes_on = now.since(reached.latest) < QUIET;
            if !goes_on {
                news.push(News::LimitOver {
                    limit: limit.clone(),
                    refused: reached.refused,
                    lasted: reached.latest.since(reached.since),
                });
            }
            goes_on
        });
    }
}

/// Tells it.
pub(super) fn tell(news: &News) {
    match news {
        News::Ejected {
            cluster,
            endpoint,
            reason,
            time,
            out,
            of,
        } => warn!(
            target: "cluster",
            cluster = &**cluster,
            endpoint = &**endpoint,
            reason,
            seconds = time.as_secs_f64(),
            out = *out,
            endpoints = *of,
            "{cluster}: {endpoint} is ejected for {} s ({reason}); {out} of {of} endpoints are out",
            time.as_secs_f64()
        ),
        News::Returned {
            cluster,
            endpoint,
            after,
            out,
            of,
        } => info!(
            target: "cluster",
            cluster = &**cluster,
            endpoint = &**endpoint,
            seconds = after.as_secs_f64(),
            out = *out,
            endpoints = *of,
            "{cluster}: {endpoint} is back after {:.1} s; {out} of {of} endpoints are out",
            after.as_secs_f64()
        ),
        News::LimitReached { limit, refused } => warn!(
            target: "cluster",
            cluster = &*limit.of,
            limit = &*limit.what,
            refused,
            "{}: the limit of {} is reached, and refused {refused}",
            limit.of,
            limit.what
        ),
        News::LimitOver {
            limit,
            refused,
            lasted,
        } => info!(
            target: "cluster",
            cluster = &*limit.of,
            limit = &*limit.what,
            refused,
            seconds = lasted.as_secs_f64(),
            "{}: the limit of {} refuses nothing any more; it refused {refused} in {:.0} s",
            limit.of,
            limit.what,
            lasted.as_secs_f64().max(1.0)
        ),
    }
}

#[cfg(test)]
mod tests {
    use outrigger_core::cluster::ejection::{Outcome, report};
    use outrigger_core::compile::from_yaml;
    use outrigger_core::entropy::Entropy;

    use super::*;

    #[test]
    fn ejections_begin_and_end() {
        let snapshot = from_yaml(
            "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {name: shop}\n\
             spec: {hosts: [shop.example], resolution: STATIC, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}], \
             ports: [{number: 80, name: http, protocol: HTTP}]}\n---\n\
             kind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {name: shop}\n\
             spec: {host: shop.example, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 100}}}\n",
        )
        .snapshot;
        let cluster = snapshot
            .clusters
            .iter()
            .find(|cluster| cluster.outlier_detection.is_some())
            .unwrap();
        // Ticks are counted from the first.
        cluster.sweep(Instant::ZERO, Entropy(1));
        let mut incidents = Incidents::default();
        let mut look = |seconds: u64| {
            incidents.look(
                &snapshot,
                BTreeMap::new(),
                Instant::from_millis(seconds * 1000),
            )
        };
        assert_eq!(look(0), []);
        let detection = cluster.outlier_detection.as_ref().unwrap();
        for _ in 0..2 {
            let state = &cluster.endpoints[0].state;
            report(detection, state, Outcome::Response(500), Instant::ZERO);
        }
        let news = look(1);
        let [
            News::Ejected {
                endpoint,
                reason,
                time,
                out,
                of,
                ..
            },
        ] = &news[..]
        else {
            panic!("{news:?}");
        };
        assert_eq!(&**endpoint, "10.0.0.1:80");
        assert!(reason.contains("2 in a row"), "{reason}");
        assert_eq!((time.as_secs(), *out, *of), (30, 1, 2));
        assert_eq!(look(2), [], "it is told once");
        cluster.sweep(Instant::from_millis(60_000), Entropy(1));
        let news = look(61);
        let [News::Returned { after, out, .. }] = &news[..] else {
            panic!("{news:?}");
        };
        assert_eq!((after.as_secs(), *out), (61, 0));
        assert_eq!(look(62), []);
    }

    #[test]
    fn limits_are_reached_and_over() {
        let limit = Limit {
            of: "a".into(),
            what: "1 connections".into(),
        };
        let snapshot = Snapshot::default();
        let mut incidents = Incidents::default();
        let mut look = |seconds: u64, refused: u64| {
            let refused = [(limit.clone(), refused)].into_iter();
            let refused = refused.filter(|(_, count)| *count > 0).collect();
            incidents.look(&snapshot, refused, Instant::from_millis(seconds * 1000))
        };
        assert_eq!(look(0, 0), []);
        let reached = News::LimitReached {
            limit: limit.clone(),
            refused: 3,
        };
        assert_eq!(look(1, 3), [reached]);
        assert_eq!(look(2, 0), []);
        assert_eq!(look(4, 2), []);
        assert_eq!(look(8, 0), []);
        let over = News::LimitOver {
            limit: limit.clone(),
            refused: 5,
            lasted: Duration::from_secs(3),
        };
        assert_eq!(look(9, 0), [over]);
        assert_eq!(look(10, 0), []);
    }
}
